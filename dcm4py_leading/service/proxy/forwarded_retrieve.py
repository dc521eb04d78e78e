"""Forwarded retrieve: passes objects of another archive from the receiving thread to the sending thread."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from dcm4py_leading.dataset.object_bytes import ObjectBytes
from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.errors import ArchiveUnavailable
from dcm4py_leading.model.bounds import REFUSED_OBJECTS
from dcm4py_leading.model.values import AETitle

_MAX_WAITING = 4
"""Objects that have come and are not sent yet, for each retrieve: then the other archive waits."""
_LOOK = 0.25
"""Seconds between looks whether anybody still waits for objects that do not come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivedObject:
    """A received object."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data: Buffer | ObjectBytes
    """Its data set, whole."""
    study_instance_uid: str
    series_instance_uid: str = ""
    patient_id: str = ""
    is_in_order: bool = False
    """True if each element stands in it once and in its place; else it is not cut out by tags."""

    @property
    def octets(self) -> Buffer:
        """The data set, in memory. Raises StorageUnavailable."""
        return self.data if isinstance(self.data, (memoryview, bytes, bytearray)) else self.data.all()


@dataclass(frozen=True, slots=True)
class UnsentObject:
    """An object that the other archive could not send; the UID is empty if the archive did not name it."""

    sop_instance_uid: str
    reason: str


class PumpedRetrieve(Protocol):
    """C-GET from the other archive, which the sending thread has to drive.

    Implemented by ``dicom/upstream/remote_retrieve.py``.
    """

    def pump(self, wait: float) -> None:
        """Handle the next message, if one comes within ``wait`` seconds."""
        ...

    @property
    def has_input(self) -> bool:
        """True if `pump` would not wait."""
        ...

    def detach(self) -> None:
        """Finish in the background, as nobody calls `pump` any more."""
        ...


class ForwardedRetrieve:
    """Queue of the objects of one retrieve from another archive, between the receiving and the sending thread."""

    def __init__(
        self,
        *,
        scp: AETitle,
        originator: AETitle,
        message_id: int,
        studies: frozenset[str],
        patience: float,
        asked: Hashable = None,
        is_asked_for: Callable[[ArrivedObject], bool] = lambda arrived: True,
        count: Callable[[], int | None] = lambda: None,
    ) -> None:
        """``patience``: the retrieve is given up after so many seconds without an object, a part of one, or progress in
        the counts of the other archive.

        ``asked`` is equal for retrieves of the same objects; None if not known. ``is_asked_for`` decides if an object
        belongs to the retrieve when ``studies`` are not known. ``count`` queries the total number of objects.
        """
        self.scp = scp
        self.originator = originator
        self.message_id = message_id
        self.studies = studies
        self._asked = asked
        self.carry: PumpedRetrieve | None = None
        """Means by which who sends gets the objects; None if they come by themselves."""
        self._patience = patience
        self._changed = threading.Condition(threading.RLock())
        self._waiting: deque[ArrivedObject] = deque()
        self._seen: set[str] = set()
        self._came = 0
        """Number of objects taken, those that had come before among them."""
        self._repeated = 0
        self._refused: dict[str, str] = {}
        """SOP Instance UIDs of what came and could not be taken, and why."""
        self._strangers: set[str] = set()
        """Those of what came and nobody had asked for."""
        self._is_asked_for = is_asked_for
        self._count = count
        self._is_over: Callable[[], bool] = lambda: False
        self._told = 0
        """Number of objects in all, by the other archive's last response."""
        self._missing: list[UnsentObject] = []
        self._failure: ArchiveUnavailable | None = None
        self._has_ended = False
        self._is_answered = False
        self._is_closed = False
        self._is_given_up = False
        self._last_progress = time.monotonic()
        self._counted = 0
        """Number of sub-operations that have ended, by the other archive's responses."""

    @property
    def asked_for(self) -> str:
        """Key that is equal, also between processes, for retrieves of the same objects; empty if not known."""
        return "" if self._asked is None else repr(self._asked)

    def wants(self, arrived: ArrivedObject) -> bool:
        """True if the object was asked for."""
        return arrived.study_instance_uid in self.studies if self.studies else self._is_asked_for(arrived)

    def fits(self, scp: str, study_instance_uid: str) -> bool:
        """True if an object of this study from this archive may belong to the retrieve; empty study: any."""
        is_study = not study_instance_uid or not self.studies or study_instance_uid in self.studies
        return self.scp == scp and is_study

    # -- the other archive's side -------------------------------------------------------------------------------

    def refuse(self, sop_instance_uid: str, reason: str) -> None:
        """Count an unusable object as failed, whatever the archive counts, unless it comes again usable."""
        with self._changed:
            self._refused[sop_instance_uid] = reason
            self._sends_what_is_refused()

    def refuse_unrequested(self, sop_instance_uid: str) -> None:
        """Refuse an object that was not asked for; it is failed only if the archive counts it, or has no counts."""
        with self._changed:
            self._strangers.add(sop_instance_uid)
            self._sends_what_is_refused()

    def _sends_what_is_refused(self) -> None:
        if len(self._refused) + len(self._strangers) > REFUSED_OBJECTS:
            self.end(
                failure=ArchiveUnavailable(f"{self.scp} sent more than {REFUSED_OBJECTS} objects that are refused")
            )

    def offer(self, arrived: ArrivedObject, *, is_claimed: bool = False) -> bool:
        """Add an object, waiting for room; False if the retrieve no longer wants it.

        An object that came before is dropped, unless it ``is_claimed``.
        """
        if not is_claimed and not self.claim(arrived.sop_instance_uid):
            with self._changed:
                self._repeated += 1
                self._came += 1
                return not self._is_closed
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < _MAX_WAITING or self._is_closed)
            if self._is_closed or self._has_ended:
                self._seen.discard(arrived.sop_instance_uid)
                return False
            self._last_progress = time.monotonic()
            self._came += 1
            self._waiting.append(arrived)
            self._changed.notify_all()
            return True

    def claim(self, sop_instance_uid: str) -> bool:
        """Claim an object for this retrieve; False if it came before."""
        with self._changed:
            is_new = sop_instance_uid not in self._seen
            self._seen.add(sop_instance_uid)
            return is_new

    def tell(self, total: int, ended: int) -> None:
        """Record a pending response: the total of sub-operations, and how many have ended."""
        with self._changed:
            self._told = max(self._told, total)
            if ended > self._counted:
                self._counted, self._last_progress = ended, time.monotonic()

    def restart_timeout(self) -> None:
        """Restart the timeout, as a part of an object came, or nothing is expected now."""
        with self._changed:
            self._last_progress = time.monotonic()

    def again(self) -> None:
        """Prepare for a second request to the other archive; objects that already came will be skipped."""
        with self._changed:
            self._came = self._repeated = self._told = self._counted = 0
            self._last_progress = time.monotonic()

    @property
    def came(self) -> int:
        """Number of different objects received."""
        with self._changed:
            return len(self._seen)

    def end(
        self,
        *,
        failed: Sequence[str] = (),
        failure: ArchiveUnavailable | None = None,
        total: int = 0,
        least: int = 0,
        is_answer: bool = False,
    ) -> None:
        """Record the final response, or the reason why there is none.

        ``failed`` are its failed SOP Instance UIDs, ``total`` is its number of sub-operations, 0 if not given;
        ``least`` is the known minimum number of objects. ``is_answer``: there is a final response.
        """
        with self._changed:
            self._is_answered = self._is_answered or is_answer
            if self._has_ended:
                return
            reason = f"{self.scp} did not send it" if failure is None else str(failure)
            reasons = dict.fromkeys(failed, reason) | self._refused
            missing = [UnsentObject(uid, why) for uid, why in reasons.items() if uid not in self._seen]
            counted = total or self._told or self._came + len(self._strangers)
            unnamed = max(counted - self._came - len(missing), 0)
            unnamed = max(unnamed, least - len(self._seen) - len(missing))
            if failure is not None and not missing:
                unnamed = max(unnamed, 1)  # else the retrieve would count as complete
            self._missing = [*missing, *[UnsentObject("", reason)] * unnamed]
            self._failure, self._has_ended = failure, True
            self._changed.notify_all()

    # -- our side -----------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[ArrivedObject | UnsentObject]:
        """Received objects, then the failed ones. Raises ArchiveUnavailable if no object came."""
        while (arrived := self._next()) is not None:
            yield arrived
        if self._is_closed or self._is_given_up:
            return
        if self._failure is not None and not self._seen and not any(one.sop_instance_uid for one in self._missing):
            raise self._failure
        yield from self._missing

    def _next(self) -> ArrivedObject | None:
        """The next object; None at the end, or if the client no longer waits."""
        if self.carry is not None:
            self._last_progress = time.monotonic()  # until now nobody read objects
        while True:
            with self._changed:
                left = _LOOK
                if not self._waiting and not self._has_ended and not self._is_closed:
                    left = self._left()
                if left <= 0:
                    self.end(failure=ArchiveUnavailable(f"{self.scp}: nothing came in time"))
                if self.carry is None:
                    self._changed.wait_for(
                        lambda: self._waiting or self._has_ended or self._is_closed, min(left, _LOOK)
                    )
                if self._is_closed:
                    return None
                if self._waiting:
                    arrived = self._waiting.popleft()
                    self._last_progress = time.monotonic()  # until now it waited for us
                    self._changed.notify_all()
                    return arrived
                if self._has_ended:
                    return None
            if self._is_over():
                self._is_given_up = True
                return None
            if self.carry is not None:
                self.carry.pump(min(left, _LOOK))

    def _left(self) -> float:
        """Seconds that the other archive gets still."""
        return self._last_progress + self._patience - time.monotonic()

    @property
    def has_ended(self) -> bool:
        """True if no more objects will come than have come."""
        return self._has_ended

    @property
    def is_answered(self) -> bool:
        """True if the other archive has ended it; else it may go on sending."""
        return self._is_answered

    @property
    def has_all(self) -> bool:
        """True if the other archive has sent all objects, by its own counts, and all were read."""
        with self._changed:
            is_over = self._has_ended and not self._is_closed and not self._is_given_up
            return is_over and self._failure is None and not self._missing and not self._waiting

    @property
    def is_closed(self) -> bool:
        """True if the objects are no longer wanted."""
        return self._is_closed

    def remaining(self, ended: int) -> int:
        """Number of objects still to be sent (see `sub_operations.Stream`)."""
        with self._changed:
            known = len(self._seen) + len(self._missing)
            if not self._has_ended:
                known = max(known, self._told - self._repeated)
        return max(known - ended, 0)

    def left(self, ended: int) -> int:
        """Number of objects left (see `sub_operations.Stream`): by pending responses, and by who else can be asked."""
        left = self.remaining(ended)
        return left if self._has_ended else max(left, (self._count() or 0) - ended)

    @property
    def is_ready(self) -> bool:
        """True if the next object can be had without waiting (see `sub_operations.Stream`)."""
        while self.carry is not None and not self._waiting and not self._has_ended and self.carry.has_input:
            if self._left() <= 0:
                break
            self.carry.pump(0)  # it may be no object
        return bool(self._waiting) or self._has_ended

    def watch(self, is_over: Callable[[], bool]) -> None:
        """Watch the client by this function (see `sub_operations.Stream`)."""
        self._is_over = is_over

    def close(self) -> None:
        """End the stream (see `sub_operations.Stream`)."""
        with self._changed:
            self._is_closed = True
            self._waiting.clear()
            self._changed.notify_all()
        if self.carry is not None:
            self.carry.detach()
