"""A job in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dcm4py_leading.service.jobs.job import Job, Progress, State
from dcm4py_leading.web.pages.jobs.shown import ShownJob, shown
from dcm4py_leading.web.pages.places import drift_address, job_address, study_address
from dcm4py_leading.web.pages.texts import Language

BEGUN = datetime(2026, 11, 30, tzinfo=UTC)


def job(kind: str = "send", **more: Any) -> ShownJob:
    subject = more.pop("subject", {"ae": "DCM4CHEE", "destination": "PACS", "study": "1.2.3"})
    one = Job(job_id="7", kind=kind, subject=subject, author="anna", started_at=BEGUN, **more)
    return shown(one, Language.ENGLISH, BEGUN + timedelta(seconds=90))


@pytest.mark.parametrize(
    ("state", "failed", "text", "tag"),
    [
        (State.RUNNING, 0, "running", ""),
        (State.RUNNING, 1, "running", ""),
        (State.DONE, 0, "done", "good"),
        (State.DONE, 1, "done, with failures", "warn"),
        (State.CANCELLED, 1, "cancelled", "warn"),
        (State.FAILED, 0, "failed", "bad"),
    ],
)
def test_the_state_of_a_job(state: State, failed: int, text: str, tag: str) -> None:
    told = job(state=state, progress=Progress(done=2, failed=failed))
    assert (told.state, told.tag, told.is_running) == (text, tag, state is State.RUNNING)


def test_progress_tells_all_and_failed_ones_where_there_are_any() -> None:
    assert job(progress=Progress(done=2)).progress == "2 so far"
    assert job(progress=Progress(done=2, of=5)).progress == "2 of 5"
    assert job(progress=Progress(done=2, of=5, failed=1)).progress == "2 of 5, 1 failed"


def test_the_time_ends_with_the_job() -> None:
    assert job().seconds == 90
    assert job(ended_at=BEGUN + timedelta(seconds=30), state=State.DONE).seconds == 30


def test_a_sending_has_its_page_and_its_facts() -> None:
    told = job()
    assert (told.address, told.title) == (job_address("7"), "Sending to PACS")
    assert told.facts == (
        ("AE", "DCM4CHEE", ""),
        ("Destination", "PACS", ""),
        ("Study", "1.2.3", study_address("DCM4CHEE", "1.2.3")),
    )


def test_a_comparison_is_shown_on_the_page_of_its_ae() -> None:
    told = job("drift", subject={"ae": "DCM4CHEE", "leading": "QRSCP"})
    assert (told.address, told.title) == (drift_address("DCM4CHEE"), "Comparing DCM4CHEE with QRSCP")


def test_a_kind_without_texts_is_told_by_its_name() -> None:
    told = job("tidy", subject={"shelf": "B"})
    assert (told.title, told.facts) == ("tidy", (("shelf", "B", ""),))


def test_the_last_problem_of_a_job_that_failed_is_its_reason() -> None:
    failed = job(state=State.FAILED, problems=("one", "the directory is down"), progress=Progress(failed=3))
    assert (failed.reason, tuple(failed.problems), failed.hidden_problems) == ("the directory is down", ("one",), 2)
    done = job(state=State.DONE, problems=("one", "two"), progress=Progress(failed=2))
    assert (done.reason, tuple(done.problems), done.hidden_problems) == ("", ("one", "two"), 0)


def test_what_failed_to_be_sent_can_be_sent_again_when_the_job_has_ended() -> None:
    result = {"failedSOPInstanceUIDs": ["1.2"]}
    assert job(state=State.DONE, result=result).can_be_repeated
    assert not job(result=result).can_be_repeated
    assert not job(state=State.DONE).can_be_repeated
    assert not job("tidy", state=State.DONE, result=result).can_be_repeated
