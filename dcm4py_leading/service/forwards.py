"""Retrieves that another archive fulfils: its objects arrive by C-STORE at an AE of ours, and go on to who asked us.

An object belongs to the retrieve that it names: Move Originator AE Title and Message ID (PS3.7 9.1.1.1). Some archives
name none; then it belongs to the only retrieve that waits for objects of that archive and that study.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from dcm4py_leading.coercion.scan import Buffer
from dcm4py_leading.errors import ArchiveUnavailable
from dcm4py_leading.model.values import AETitle

_OF_A_WORKER = 1000
"""Message IDs of one worker, of which there are at most 64."""
_MOST_WAITING = 4
"""Objects that have come and are not sent yet, for each retrieve: then the other archive waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """An object as it came."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data: Buffer
    """Its data set."""


@dataclass(frozen=True, slots=True)
class Missing:
    """An object that the other archive could not send; its UID is empty where the archive did not name it."""

    sop_instance_uid: str


class Forward:
    """One retrieve that another archive fulfils. Objects are put in by who receives, and taken out by who sends."""

    def __init__(
        self, *, scp: AETitle, originator: AETitle, message_id: int, studies: frozenset[str], patience: float | None
    ) -> None:
        """``patience``: seconds without any sign of the other archive after which it is given up; None is for ever."""
        self.scp = scp
        self.originator = originator
        self.message_id = message_id
        self.studies = studies
        self._patience = patience
        self._changed = threading.Condition()
        self._waiting: deque[Arrived] = deque()
        self._seen: set[str] = set()
        self._told = 0
        """How many objects there are in all, by the other archive's last response."""
        self._missing: list[Missing] = []
        self._failure: ArchiveUnavailable | None = None
        self._has_ended = False
        self._is_closed = False
        self._last_sign = time.monotonic()

    # -- the other archive's side -------------------------------------------------------------------------------

    def offer(self, arrived: Arrived) -> bool:
        """Hand an object over, waiting until there is room; False when nobody wants it any more.

        One that came before is not sent again.
        """
        with self._changed:
            if arrived.sop_instance_uid in self._seen:
                return not self._is_closed
            self._changed.wait_for(lambda: len(self._waiting) < _MOST_WAITING or self._is_closed)
            if self._is_closed or self._has_ended:
                return False
            self._last_sign = time.monotonic()
            self._seen.add(arrived.sop_instance_uid)
            self._waiting.append(arrived)
            self._changed.notify_all()
            return True

    def tell(self, total: int) -> None:
        """A pending response: how many sub-operations there are in all."""
        with self._changed:
            self._told = max(self._told, total)
            self._last_sign = time.monotonic()

    def end(self, *, missing: list[Missing], failure: ArchiveUnavailable | None = None) -> None:
        """The final response, or why there is none."""
        with self._changed:
            self._missing, self._failure, self._has_ended = missing, failure, True
            self._changed.notify_all()

    # -- our side -----------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Arrived | Missing]:
        """The objects as they come, then those that do not. Raises ArchiveUnavailable when none came at all."""
        while True:
            with self._changed:
                while not self._waiting and not self._has_ended and not self._is_closed:
                    left = None if self._patience is None else self._last_sign + self._patience - time.monotonic()
                    if left is not None and left <= 0:
                        self._failure = ArchiveUnavailable(f"{self.scp}: nothing came in time")
                        self._has_ended = True
                        break
                    self._changed.wait(left)
                if self._is_closed:
                    return
                if not self._waiting:
                    break
                arrived = self._waiting.popleft()
                self._changed.notify_all()
            yield arrived
        if self._failure is not None and not self._seen:
            raise self._failure
        yield from self._missing
        if self._failure is not None:
            for _ in range(max(self._told - len(self._seen) - len(self._missing), 1)):
                yield Missing("")

    @property
    def failure(self) -> ArchiveUnavailable | None:
        """Why the other archive did not fulfil the retrieve, if it did not."""
        return self._failure

    @property
    def is_closed(self) -> bool:
        """Whether nobody wants the objects any more."""
        return self._is_closed

    def remaining(self, ended: int) -> int:
        """See `deliver.Stream`."""
        with self._changed:
            known = max(self._told, len(self._seen) + len(self._missing))
        return max(known - ended, 0)

    def close(self) -> None:
        """See `deliver.Stream`."""
        with self._changed:
            self._is_closed = True
            self._waiting.clear()
            self._changed.notify_all()


class Waiting(NamedTuple):
    """A retrieve that waits at one of the workers."""

    slot: int
    originator: str
    message_id: int


class Elsewhere(Protocol):
    """The other workers of this service; implemented by ``workers/passing.py``."""

    def report(self, running: int) -> None:
        """Let them know how many retrieves wait here."""
        ...

    @property
    def are_running(self) -> bool:
        """Whether any waits there."""
        ...

    def waiting(self, scp: str, study_instance_uid: str) -> Sequence[Waiting]:
        """Those that wait there for objects of that study from that archive."""
        ...

    def offer(self, waiting: Waiting, arrived: Arrived) -> bool | None:
        """As `Forward.offer`; None where there is no such retrieve."""
        ...


class Nowhere:
    """There are no other workers."""

    are_running = False

    def report(self, running: int) -> None:
        """Nobody to tell."""

    def waiting(self, scp: str, study_instance_uid: str) -> Sequence[Waiting]:
        """None."""
        return ()

    def offer(self, waiting: Waiting, arrived: Arrived) -> bool | None:
        """Nobody to offer to."""
        return None


class Forwards:
    """The retrieves that other archives are fulfilling; one for a process. Safe under threads.

    The Message ID of each says at which worker it waits.
    """

    def __init__(self, *, slot: int = 0, elsewhere: Elsewhere | None = None) -> None:
        """``slot`` is the number of this worker."""
        self._slot = slot
        self._elsewhere = elsewhere or Nowhere()
        self._lock = threading.Lock()
        self._running: list[Forward] = []
        self._last_number = 0

    def next_message_id(self) -> int:
        """For the next C-MOVE to another archive; none that is under way here has it, nor one at another worker."""
        with self._lock:
            used = {forward.message_id for forward in self._running}
            for _ in range(_OF_A_WORKER):
                self._last_number = (self._last_number + 1) % _OF_A_WORKER
                message_id = self._slot * _OF_A_WORKER + self._last_number + 1
                if message_id not in used:
                    return message_id
        raise ArchiveUnavailable("too many retrieves from other archives at once")

    def add(self, forward: Forward) -> None:
        """From now on objects find it."""
        with self._lock:
            self._running.append(forward)
            self._elsewhere.report(len(self._running))

    def remove(self, forward: Forward) -> None:
        """Objects do not find it any more."""
        with self._lock:
            self._running = [other for other in self._running if other is not forward]
            self._elsewhere.report(len(self._running))

    @property
    def are_running(self) -> bool:
        """Whether there are any, here or at other workers."""
        return bool(self._running) or self._elsewhere.are_running

    def take(
        self, originator: str, message_id: int | None, scp: str, study_instance_uid: str, arrived: Arrived
    ) -> bool | str:
        """Hand an object over to the retrieve that it belongs to.

        ``scp`` is the C-MOVE SCP from which it comes, ``originator`` and ``message_id`` what it names. False: that
        retrieve wants no more; a text: why there is none.
        """
        if originator and message_id:
            waiting = Waiting((message_id - 1) // _OF_A_WORKER, originator, message_id)
            taken = self._offer(waiting, arrived)
            return f"{originator} has no retrieve {message_id} under way" if taken is None else taken
        fitting = [*self.waiting_here(scp, study_instance_uid), *self._elsewhere.waiting(scp, study_instance_uid)]
        if len(fitting) > 1:
            return f"it names no retrieve, and {len(fitting)} wait for that study from {scp}"
        taken = self._offer(fitting[0], arrived) if fitting else None
        return f"it names no retrieve, and none waits for that study from {scp}" if taken is None else taken

    def _offer(self, waiting: Waiting, arrived: Arrived) -> bool | None:
        if waiting.slot == self._slot:
            return self.offer_here(waiting.originator, waiting.message_id, arrived)
        return self._elsewhere.offer(waiting, arrived)

    def offer_here(self, originator: str, message_id: int, arrived: Arrived) -> bool | None:
        """As `Forward.offer`; None where there is no such retrieve in this process."""
        with self._lock:
            found = next((f for f in self._running if (f.originator, f.message_id) == (originator, message_id)), None)
        return None if found is None else found.offer(arrived)

    def waiting_here(self, scp: str, study_instance_uid: str) -> list[Waiting]:
        """Those that wait in this process for objects of that study from that archive."""
        with self._lock:
            return [
                Waiting(self._slot, forward.originator, forward.message_id)
                for forward in self._running
                if forward.scp == scp and (not forward.studies or study_instance_uid in forward.studies)
            ]
