"""Background jobs of the process that serves HTTP: one thread each, a limited number at a time; the last ones are kept.

Jobs end with the process; a resumable job saves its own state.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from dcm4py_leading.errors import Dcm4pyError
from dcm4py_leading.log import trace, word
from dcm4py_leading.model.bounds import JOB_PROBLEMS, JOBS_AT_ONCE, JOBS_REMEMBERED
from dcm4py_leading.service.jobs.job import Job, Progress, State

LOG = logging.getLogger(__name__)

_ID_BYTES = 9


class TooManyJobs(Dcm4pyError):
    """The maximum number of jobs is running."""


class JobFailed(Dcm4pyError):
    """The job cannot be done; the message has the reason, for display."""

    def __init__(self, message: str, *, result: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.result = result or {}


class Handle:
    """Handle of a running job for its work function."""

    def __init__(self, tell: Callable[[Callable[[Job], Job]], None]) -> None:
        self._tell = tell
        self._cancelled = threading.Event()

    @property
    def is_cancelled(self) -> bool:
        """True if an administrator cancelled the job, or the service stops; the work should end soon."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Cancel the job."""
        self._cancelled.set()

    def wait(self, seconds: float) -> bool:
        """Wait for some seconds, or until the job is cancelled; True if cancelled."""
        return self._cancelled.wait(seconds)

    def report(self, progress: Progress) -> None:
        """Report progress."""
        self._tell(lambda job: replace(job, progress=progress))

    def problem(self, text: str) -> None:
        """Report a problem that does not end the job. No patient data."""
        self._tell(lambda job: _with_problem(job, text))


Work = Callable[[Handle], Mapping[str, Any]]
"""Does it, and gives the result. Raises JobFailed, or any Dcm4pyError or OSError, which fails it with that message."""


class Jobs:
    """All jobs of one process. Safe under threads."""

    def __init__(self, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        """The oldest first."""
        self._running: dict[str, tuple[Handle, threading.Thread]] = {}

    def start(self, kind: str, subject: Mapping[str, str], author: str, work: Work) -> str:
        """Start a job and return its ID. Raises TooManyJobs."""
        job_id = secrets.token_urlsafe(_ID_BYTES)
        handle = Handle(lambda change: self._change(job_id, change))
        thread = threading.Thread(target=self._run, args=(job_id, handle, work), name=f"job-{kind}", daemon=True)
        with self._lock:
            if len(self._running) >= JOBS_AT_ONCE:
                raise TooManyJobs(f"{len(self._running)} jobs are running: wait for one to end, or cancel it")
            self._jobs[job_id] = Job(job_id=job_id, kind=kind, subject=subject, author=author, started_at=self._now())
            self._running[job_id] = (handle, thread)
            ended = [known for known in self._jobs if known not in self._running]
            for old in ended[: max(0, len(self._jobs) - JOBS_REMEMBERED)]:
                del self._jobs[old]
            thread.start()
        LOG.info("job %s %s was begun by %s", kind, job_id, word(author) or "-")
        return job_id

    def get(self, job_id: str) -> Job | None:
        """The current state of a job."""
        with self._lock:
            return self._jobs.get(job_id)

    def all(self, kind: str | None = None) -> Sequence[Job]:
        """All jobs, or those of one kind, the latest first."""
        with self._lock:
            return [job for job in reversed(self._jobs.values()) if kind is None or job.kind == kind]

    def cancel(self, job_id: str) -> bool:
        """Cancel a job; True if it was running."""
        with self._lock:
            running = self._running.get(job_id)
        if running is None:
            return False
        running[0].cancel()
        return True

    def stop(self, seconds: float) -> float:
        """Cancel all jobs, and wait some seconds for them to end; return the remaining seconds."""
        with self._lock:
            running = list(self._running.values())
        for handle, _ in running:
            handle.cancel()
        ends_at = time.monotonic() + seconds
        for _, thread in running:
            thread.join(max(0.0, ends_at - time.monotonic()))
        return max(0.0, ends_at - time.monotonic())

    def _run(self, job_id: str, handle: Handle, work: Work) -> None:
        state, result, problem = State.FAILED, {}, None
        try:
            result = dict(work(handle))
            state = State.CANCELLED if handle.is_cancelled else State.DONE
        except (Dcm4pyError, OSError) as err:
            problem = str(err)
            result = dict(err.result) if isinstance(err, JobFailed) else {}
        except Exception as err:  # noqa: BLE001 - a bug ends only this job, and is logged
            problem = f"an error in the service: {type(err).__name__}"
            LOG.error("job %s failed by an error in the service: %s", job_id, trace(err))
        self._change(job_id, lambda job: _ended(job, state, result, problem, self._now()))
        with self._lock:
            del self._running[job_id]
        LOG.info("job %s: %s%s", job_id, state.value, f": {problem}" if problem else "")

    def _change(self, job_id: str, change: Callable[[Job], Job]) -> None:
        with self._lock:
            self._jobs[job_id] = change(self._jobs[job_id])


def _with_problem(job: Job, text: str) -> Job:
    return job if len(job.problems) >= JOB_PROBLEMS else replace(job, problems=(*job.problems, text))


def _ended(job: Job, state: State, result: Mapping[str, Any], problem: str | None, at: datetime) -> Job:
    problems = job.problems if problem is None else (*job.problems, problem)
    return replace(job, state=state, result=result, problems=problems, ended_at=at)
