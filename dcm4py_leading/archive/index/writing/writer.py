"""Writer of the index: stores of all associations share transactions, and so share syncs to disk."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from dcm4py_leading.archive.index.database import Conflict, Database
from dcm4py_leading.archive.index.writing.entities import RecentSeries
from dcm4py_leading.archive.index.writing.storing import NewObject, Policies, StoreOutcome, store
from dcm4py_leading.errors import IndexUnavailable

T = TypeVar("T")
_STORE_ATTEMPTS = 5
_MAX_TOGETHER = 64


class Writer:
    """The writing side of the index.

    If no thread is writing, a thread writes at once, so a single association never waits. Threads that come meanwhile
    wait, and the first of them then writes for all. So there is only one writer in the process, which SQLite requires,
    and `RecentSeries` needs no lock.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known = RecentSeries()
        self._lock = threading.Lock()
        self._waiting: list[_Job[Any]] = []
        self._is_writing = False

    def store(self, new: NewObject, policies: Policies) -> StoreOutcome:
        """Store an object in the index (see `index.Index.store`)."""
        return self.write(lambda connection: store(connection, new, policies, self._known))

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a transaction, possibly together with the work of other threads; return its result.

        ``work`` may run again after a conflict. Raises its errors, IndexUnavailable.
        """
        job = _Job(work)
        with self._lock:
            self._waiting.append(job)
            is_leading = not self._is_writing
            self._is_writing = True
            if not is_leading:
                job.turn = threading.Event()
        if job.turn is not None:
            job.turn.wait()
        if not job.is_done:
            self._lead()
        return job.result()

    def _lead(self) -> None:
        """Write for all waiting threads, including this one; then pass the lead to the first new one."""
        with self._lock:
            jobs = self._waiting[:_MAX_TOGETHER]
            del self._waiting[:_MAX_TOGETHER]
        try:
            if len(jobs) == 1:
                self._write_alone(jobs[0])
            else:
                self._write_together(jobs)
        finally:
            with self._lock:
                following = self._waiting[0] if self._waiting else None
                self._is_writing = following is not None
            for job in jobs:
                job.finish()
            if following is not None and following.turn is not None:
                following.turn.set()

    def _write_alone(self, job: _Job[Any]) -> None:
        for _ in range(_STORE_ATTEMPTS):
            try:
                with self._database.writing() as connection:
                    outcome = job.work(connection)
            except Conflict:
                continue
            except Exception as err:  # noqa: BLE001 - the caller's, raised there
                job.error = err
                return
            job.outcome = [outcome]
            return
        job.error = IndexUnavailable("the index is too busy with objects of the same series")

    def _write_together(self, jobs: Sequence[_Job[Any]]) -> None:
        """Write in one transaction; a failed job does not fail the others."""
        in_conflict: list[_Job[Any]] = []
        try:
            with self._database.writing() as connection:
                for job in jobs:
                    try:
                        with connection.begin_nested():
                            job.outcome = [job.work(connection)]
                    except IntegrityError:
                        in_conflict.append(job)
                    except SQLAlchemyError:
                        raise
                    except Exception as err:  # noqa: BLE001 - that caller's, raised there
                        job.error = err
        except Exception as err:  # noqa: BLE001 - nothing is written: of all callers
            for job in jobs:
                job.error = job.error or err
            return
        for job in in_conflict:
            self._write_alone(job)


class _Job(Generic[T]):
    """One piece of work for the writing thread."""

    def __init__(self, work: Callable[[Connection], T]) -> None:
        self.work = work
        self.turn: threading.Event | None = None
        """Set when the job is done, or is to lead."""
        self.is_done = False
        self.outcome: list[T] = []
        """One, when it is done and did not fail."""
        self.error: Exception | None = None

    def finish(self) -> None:
        self.is_done = True
        if self.turn is not None:
            self.turn.set()

    def result(self) -> T:
        if self.error is not None:
            raise self.error
        if not self.outcome:
            raise IndexUnavailable("the index was interrupted")
        return self.outcome[0]
