"""The job that sends: what it tells on the way, and what it ends as, whatever the process does that sends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from dcm4py_leading.errors import StatusError
from dcm4py_leading.service.jobs.job import Job, Progress, State
from dcm4py_leading.service.jobs.jobs import Jobs
from dcm4py_leading.service.sending.export import Export, ExportOutcome
from dcm4py_leading.service.sending.job import start_sending
from dcm4py_leading.service.sending.running_exports import SendProgress
from tests.fixtures.workers import until

WANTED = Export(ae_title="DCM4CHEE", destination="STORESCP", study_instance_uid="1.2.3", author="anna")


@dataclass
class Sender:
    """A process that sends as a test tells it."""

    outcome: ExportOutcome | StatusError
    reaches: SendProgress | None = None
    may_end: threading.Event = field(default_factory=threading.Event)
    cancelled: list[str] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)

    def send(self, sending_id: str, wanted: Export) -> ExportOutcome:
        self.begun.append(sending_id)
        assert wanted == WANTED
        assert self.may_end.wait(60)
        if isinstance(self.outcome, StatusError):
            raise self.outcome
        return self.outcome

    def reached(self, sending_id: str) -> SendProgress | None:
        return self.reaches if [sending_id] == self.begun else None

    def cancel_sending(self, sending_id: str) -> None:
        self.cancelled.append(sending_id)
        self.may_end.set()


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    jobs = Jobs()
    yield jobs
    jobs.stop(30)


def ended(jobs: Jobs, job_id: str) -> Job:
    def is_over() -> bool:
        job = jobs.get(job_id)
        return job is not None and job.ended_at is not None

    until(is_over)
    job = jobs.get(job_id)
    assert job is not None
    return job


def sent(jobs: Jobs, outcome: ExportOutcome | StatusError) -> Job:
    sender = Sender(outcome)
    sender.may_end.set()
    return ended(jobs, start_sending(jobs, sender, WANTED))


def test_progress_and_failures_are_told_while_it_sends(jobs: Jobs) -> None:
    outcome = ExportOutcome(completed=3, failed=2, failures=("CT 1: refused", "CT 2: refused"))
    sender = Sender(outcome, SendProgress(done=2, of=5, failed=1, failures=("CT 1: refused",)))
    job_id = start_sending(jobs, sender, WANTED)

    def told() -> Job:
        job = jobs.get(job_id)
        assert job is not None
        return job

    until(lambda: told().progress == Progress(done=2, of=5, failed=1) and told().problems == ("CT 1: refused",))
    sender.may_end.set()
    job = ended(jobs, job_id)
    assert (job.state, job.progress) == (State.DONE, Progress(done=5, of=5, failed=2))
    assert job.problems == ("CT 1: refused", "CT 2: refused")


def test_last_report_of_an_ended_process_stays(jobs: Jobs) -> None:
    sender = Sender(
        StatusError("the worker has ended"), SendProgress(done=2, of=5, failed=1, failures=("CT 1: refused",))
    )
    job_id = start_sending(jobs, sender, WANTED)
    until(lambda: (job := jobs.get(job_id)) is not None and job.progress.done == 2)
    sender.may_end.set()
    job = ended(jobs, job_id)
    assert (job.state, job.progress) == (State.FAILED, Progress(done=2, of=5, failed=1))
    assert job.problems == ("CT 1: refused", "the worker has ended")


def test_a_cancel_reaches_the_process_that_sends(jobs: Jobs) -> None:
    sender = Sender(ExportOutcome(completed=1, not_sent=4))
    job_id = start_sending(jobs, sender, WANTED)
    until(lambda: bool(sender.begun))
    jobs.cancel(job_id)
    job = ended(jobs, job_id)
    assert set(sender.cancelled) == set(sender.begun)
    assert (job.state, job.progress) == (State.CANCELLED, Progress(done=1, of=5))
    assert job.result["notSent"] == 4


@pytest.mark.parametrize(
    ("outcome", "state", "problems"),
    [
        (ExportOutcome(completed=1), State.DONE, ()),
        (ExportOutcome(warning=1), State.DONE, ()),
        (ExportOutcome(completed=1, failed=1, error="refused"), State.DONE, ()),
        (ExportOutcome(failed=2, error="refused"), State.FAILED, ("refused",)),
        (ExportOutcome(failed=2), State.FAILED, ("the destination took no object",)),
        (ExportOutcome(), State.FAILED, ("there is nothing of it to be sent",)),
        (StatusError("no worker answers"), State.FAILED, ("no worker answers",)),
    ],
)
def test_job_that_delivered_nothing_has_failed(
    jobs: Jobs, outcome: ExportOutcome | StatusError, state: State, problems: tuple[str, ...]
) -> None:
    job = sent(jobs, outcome)
    assert (job.state, job.problems) == (state, problems)


def test_failed_objects_can_be_sent_again_even_if_none_arrived(jobs: Jobs) -> None:
    job = sent(jobs, ExportOutcome(failed=1, error="refused", failed_sop_instance_uids=("1.2.3.4",)))
    assert job.result["failedSOPInstanceUIDs"] == ["1.2.3.4"]
