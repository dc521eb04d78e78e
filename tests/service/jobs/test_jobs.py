"""Jobs: progress, cancelling, failures, and how many there may be."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from dcm4py_leading.model.bounds import JOB_PROBLEMS, JOBS_AT_ONCE, JOBS_REMEMBERED
from dcm4py_leading.service.jobs.job import Job, Progress, State
from dcm4py_leading.service.jobs.jobs import Handle, JobFailed, Jobs, TooManyJobs

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    jobs = Jobs(now=lambda: NOON)
    yield jobs
    jobs.stop(10)


def ended(jobs: Jobs, job_id: str) -> Job:
    """The job, when it has ended."""
    for thread in threading.enumerate():
        if thread.name.startswith("job-"):
            thread.join(30)
    job = jobs.get(job_id)
    assert job is not None and job.ended_at == NOON
    return job


def wait_for_cancel(handle: Handle) -> dict[str, int]:
    handle.wait(60)
    return {"completed": 1}


def test_progress_is_seen_while_it_runs_and_the_result_afterwards(jobs: Jobs) -> None:
    reported, go_on = threading.Event(), threading.Event()

    def work(handle: Handle) -> dict[str, int]:
        handle.report(Progress(done=2, of=5, failed=1))
        handle.problem("an object was refused")
        reported.set()
        go_on.wait(30)
        return {"completed": 4}

    job_id = jobs.start("send", {"study": "4f1c"}, "anna", work)
    assert reported.wait(30)
    running = jobs.get(job_id)
    assert running is not None and running.state is State.RUNNING and running.ended_at is None
    assert running.progress == Progress(done=2, of=5, failed=1)
    go_on.set()
    job = ended(jobs, job_id)
    assert (job.state, job.result, job.problems) == (State.DONE, {"completed": 4}, ("an object was refused",))
    assert (job.kind, job.subject, job.author, job.started_at) == ("send", {"study": "4f1c"}, "anna", NOON)


def test_a_cancelled_job_ends_as_such_and_keeps_its_result(jobs: Jobs) -> None:
    job_id = jobs.start("send", {}, "anna", wait_for_cancel)
    assert jobs.cancel(job_id)
    job = ended(jobs, job_id)
    assert (job.state, job.result) == (State.CANCELLED, {"completed": 1})
    assert not jobs.cancel(job_id)
    assert not jobs.cancel("unknown")


def test_a_failure_tells_why(jobs: Jobs) -> None:
    def work(_: Handle) -> dict[str, int]:
        raise JobFailed("STORESCP does not answer")

    job = ended(jobs, jobs.start("send", {}, "anna", work))
    assert (job.state, job.problems) == (State.FAILED, ("STORESCP does not answer",))


def test_a_bug_ends_its_job_alone_and_shows_no_value(jobs: Jobs, caplog: pytest.LogCaptureFixture) -> None:
    name = "^".join(("DOE", "JANE"))

    def work(_: Handle) -> dict[str, int]:
        raise KeyError(name)

    job = ended(jobs, jobs.start("send", {}, "anna", work))
    assert (job.state, job.problems) == (State.FAILED, ("an error in the service: KeyError",))
    assert "KeyError" in caplog.text and name not in caplog.text


def test_few_run_at_once(jobs: Jobs) -> None:
    running = [jobs.start("drift", {}, "anna", wait_for_cancel) for _ in range(JOBS_AT_ONCE)]
    with pytest.raises(TooManyJobs, match="cancel"):
        jobs.start("drift", {}, "anna", wait_for_cancel)
    jobs.cancel(running[0])
    jobs.stop(30)
    assert jobs.start("drift", {}, "anna", lambda _: {})


def test_the_last_ones_are_remembered_and_the_latest_comes_first(jobs: Jobs) -> None:
    ids = []
    for _ in range(JOBS_REMEMBERED + 3):
        ids.append(jobs.start("send", {}, "anna", lambda _: {}))
        ended(jobs, ids[-1])
    assert [job.job_id for job in jobs.all()] == list(reversed(ids))[:JOBS_REMEMBERED]
    assert jobs.all("drift") == []


def test_problems_of_a_job_are_bounded(jobs: Jobs) -> None:
    def work(handle: Handle) -> dict[str, int]:
        for number in range(JOB_PROBLEMS + 5):
            handle.problem(f"object {number}")
        return {}

    job = ended(jobs, jobs.start("send", {}, "anna", work))
    assert job.problems == tuple(f"object {number}" for number in range(JOB_PROBLEMS))


def test_a_stop_ends_all(jobs: Jobs) -> None:
    job_ids = [jobs.start("send", {}, "anna", wait_for_cancel) for _ in range(2)]
    jobs.stop(30)
    assert {ended(jobs, job_id).state for job_id in job_ids} == {State.CANCELLED}
