"""One retrieve that another archive fulfils: its objects as they come, from who receives them to who sends them on."""

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
    """An object as it came."""

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
        """Its data set, in memory. Raises StorageUnavailable."""
        return self.data if isinstance(self.data, (memoryview, bytes, bytearray)) else self.data.all()


@dataclass(frozen=True, slots=True)
class UnsentObject:
    """An object that the other archive could not send; its UID is empty where the archive did not name it."""

    sop_instance_uid: str
    reason: str


class PumpedRetrieve(Protocol):
    """The exchange with the other archive, where it is for the one who sends to carry it on: a C-GET.

    Implemented by ``dicom/upstream/remote_retrieve.py``.
    """

    def pump(self, wait: float) -> None:
        """Take in the next thing that comes, and hand it over; at the latest after ``wait`` seconds return."""
        ...

    @property
    def has_input(self) -> bool:
        """True if `pump` would not wait."""
        ...

    def detach(self) -> None:
        """Nobody carries it on any more: it has to come to its end by itself."""
        ...


class ForwardedRetrieve:
    """One retrieve that another archive fulfils. Objects are put in by who receives, and taken out by who sends."""

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
        """``patience``: seconds without another object, a part of one, or another one that the other archive counts as
        ended, after which it is given up.

        ``asked`` is equal for retrieves of the same objects, and None where that is not known. ``is_asked_for`` tells
        of an object whether it was asked for where the ``studies`` are not known, ``count`` asks how many objects there
        are in all.
        """
        self.scp = scp
        self.originator = originator
        self.message_id = message_id
        self.studies = studies
        self._asked = asked
        self.carry: PumpedRetrieve | None = None
        """Means by which who sends gets the objects; None where they come by themselves."""
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
        """Text that is the same, also in another process, for retrieves of the same objects; empty if not known."""
        return "" if self._asked is None else repr(self._asked)

    def wants(self, arrived: ArrivedObject) -> bool:
        """True if the object is one that was asked for."""
        return arrived.study_instance_uid in self.studies if self.studies else self._is_asked_for(arrived)

    def fits(self, scp: str, study_instance_uid: str) -> bool:
        """True if an object of that study from that archive may belong to it; empty: of whatever study."""
        is_study = not study_instance_uid or not self.studies or study_instance_uid in self.studies
        return self.scp == scp and is_study

    # -- the other archive's side -------------------------------------------------------------------------------

    def refuse(self, sop_instance_uid: str, reason: str) -> None:
        """An object came for it that cannot be taken: failed, whatever the other archive counts, unless it comes again
        and can be."""
        with self._changed:
            self._refused[sop_instance_uid] = reason
            self._sends_what_is_refused()

    def refuse_stranger(self, sop_instance_uid: str) -> None:
        """An object came for it that nobody asked for: failed only where that archive counts it, or counts none."""
        with self._changed:
            self._strangers.add(sop_instance_uid)
            self._sends_what_is_refused()

    def _sends_what_is_refused(self) -> None:
        if len(self._refused) + len(self._strangers) > REFUSED_OBJECTS:
            self.end(
                failure=ArchiveUnavailable(f"{self.scp} sent more than {REFUSED_OBJECTS} objects that are refused")
            )

    def offer(self, arrived: ArrivedObject, *, is_claimed: bool = False) -> bool:
        """Hand an object over, waiting until there is room; False when nobody wants it any more.

        One that came before is not sent again, unless it ``is_claimed`` just now.
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
        """True if the object has not come before; it is this retrieve's from now on."""
        with self._changed:
            is_new = sop_instance_uid not in self._seen
            self._seen.add(sop_instance_uid)
            return is_new

    def tell(self, total: int, ended: int) -> None:
        """A pending response: how many sub-operations there are in all, and how many of them have ended."""
        with self._changed:
            self._told = max(self._told, total)
            if ended > self._counted:
                self._counted, self._last_progress = ended, time.monotonic()

    def goes_on(self) -> None:
        """It is not silent: a part of an object has come, that may be for it, or nothing is asked of it at present."""
        with self._changed:
            self._last_progress = time.monotonic()

    def again(self) -> None:
        """The other archive is asked once more, for all of it: what has come already will be passed over."""
        with self._changed:
            self._came = self._repeated = self._told = self._counted = 0
            self._last_progress = time.monotonic()

    @property
    def came(self) -> int:
        """Number of different objects that have come."""
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
        """The final response, or why there is none.

        ``failed`` are the SOP Instance UIDs that it names, ``total`` is how many sub-operations it counts, 0 if none;
        ``least`` is how many objects there are at least, whatever it says. ``is_answer``: there is that response.
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
                unnamed = max(unnamed, 1)  # or else it would be taken for complete
            self._missing = [*missing, *[UnsentObject("", reason)] * unnamed]
            self._failure, self._has_ended = failure, True
            self._changed.notify_all()

    # -- our side -----------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[ArrivedObject | UnsentObject]:
        """The objects as they come, then those that do not. Raises ArchiveUnavailable when none came at all."""
        while (arrived := self._next()) is not None:
            yield arrived
        if self._is_closed or self._is_given_up:
            return
        if self._failure is not None and not self._seen and not any(one.sop_instance_uid for one in self._missing):
            raise self._failure
        yield from self._missing

    def _next(self) -> ArrivedObject | None:
        """The next object; None when there is none, or nobody waits for it any more."""
        if self.carry is not None:
            self._last_progress = time.monotonic()  # until now nobody listened
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
        """True if the other archive has sent all, as far as it tells, and all of it was taken out."""
        with self._changed:
            is_over = self._has_ended and not self._is_closed and not self._is_given_up
            return is_over and self._failure is None and not self._missing and not self._waiting

    @property
    def is_closed(self) -> bool:
        """True if nobody wants the objects any more."""
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
