"""Running exports of one process: progress and cancellation."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, Self

from pydicom.uid import UID

from dcm4py_leading.log import foreign, ref
from dcm4py_leading.model.bounds import JOB_PROBLEMS
from dcm4py_leading.service.retrieve.sub_operations import RetrievedObject
from dcm4py_leading.service.retrieve.tally import SubOperationTally


@dataclass(frozen=True, slots=True, kw_only=True)
class SendProgress:
    """Progress of an export."""

    done: int = 0
    """Number of objects that are through, failed ones included."""
    of: int | None = None
    """Number of all, where it is known."""
    failed: int = 0
    failures: tuple[str, ...] = ()
    """Object and reason of the first `JOB_PROBLEMS` that failed."""

    def to_json(self) -> dict[str, Any]:
        """As JSON, for other processes."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Parse the JSON of `to_json`."""
        return cls(**{**value, "failures": tuple(value["failures"])})


class RunningExport:
    """One running export. Safe under threads."""

    def __init__(self) -> None:
        self._cancelled = threading.Event()
        self._lock = threading.Lock()
        self._tally = SubOperationTally(remaining=0)
        self._failures: list[str] = []

    def cancel(self) -> None:
        """Cancel the export after the current object."""
        self._cancelled.set()

    @property
    def is_cancelled(self) -> bool:
        """True if cancelled."""
        return self._cancelled.is_set()

    @property
    def failures(self) -> tuple[str, ...]:
        """Object and reason of the first `JOB_PROBLEMS` that failed."""
        return tuple(self._failures)

    def on_progress(self, tally: SubOperationTally) -> None:
        """Count an ended object (see `service.retrieve.sub_operations.deliver`)."""
        self._tally = tally

    def on_failure(self, obj: RetrievedObject, reason: str) -> None:
        """Record a failed object (see `service.retrieve.sub_operations.deliver`)."""
        with self._lock:
            if len(self._failures) < JOB_PROBLEMS:
                self._failures.append(f"{_name_of(obj)}: {reason}")

    def reached(self) -> SendProgress:
        """The current progress."""
        tally = self._tally
        of = tally.ended + tally.remaining
        return SendProgress(done=tally.ended, of=of or None, failed=tally.failed, failures=self.failures)


class RunningExports:
    """The running exports of one process, by ID. Safe under threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[str, RunningExport] = {}

    @contextmanager
    def begin(self, sending_id: str) -> Iterator[RunningExport]:
        """Register an export inside the block."""
        sending = RunningExport()
        with self._lock:
            self._under_way[sending_id] = sending
        try:
            yield sending
        finally:
            with self._lock:
                del self._under_way[sending_id]

    def get(self, sending_id: str) -> RunningExport | None:
        """The export of an ID, if it runs in this process."""
        with self._lock:
            return self._under_way.get(sending_id)


def _name_of(obj: RetrievedObject) -> str:
    """Name of an object for display, without patient data."""
    if not obj.sop_instance_uid:
        return "an object"
    kind = foreign(UID(obj.sop_class_uid).name) if obj.sop_class_uid else "instance"
    return f"{kind} {ref(obj.sop_instance_uid)}"
