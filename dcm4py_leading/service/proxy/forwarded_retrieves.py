"""Retrieves that other archives fulfil by C-STORE to an AE of ours: which object belongs to which.

It belongs to the retrieve that it names: Move Originator AE Title and Message ID (PS3.7 9.1.1.1). Some archives name
none; then it belongs to a retrieve that waits for objects of that archive and that study, if all that do asked for the
same: then it does not matter which of them gets it, as long as each gets it once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from dcm4py_leading.errors import ArchiveUnavailable
from dcm4py_leading.log import word
from dcm4py_leading.service.proxy.forwarded_retrieve import Arrived, Forward
from dcm4py_leading.service.proxy.spool import Spool

_OF_A_WORKER = 1000
"""Message IDs of one worker, of which there are at most 64."""
_LATE = 600.0
"""Seconds in which an archive may go on sending what nobody waits for any more."""


class Waiting(NamedTuple):
    """A retrieve that waits at one of the workers."""

    slot: int
    originator: str
    message_id: int


class PeerWorkers(Protocol):
    """The other workers of this service; implemented by ``workers/passing.py``."""

    def report(self, running: int) -> None:
        """Let them know how many retrieves wait here."""
        ...

    @property
    def are_running(self) -> bool:
        """True if any waits there."""
        ...

    def waiting(self, scp: str, study_instance_uid: str) -> Sequence[Waiting]:
        """Those that wait there for objects of that study from that archive."""
        ...

    def offer(self, waiting: Waiting, arrived: Arrived) -> bool | None:
        """As `Forward.offer`; None where there is no such retrieve."""
        ...

    def refuse(self, waiting: Waiting, sop_instance_uid: str, reason: str) -> None:
        """As `Forward.refuse`, where there is such a retrieve."""
        ...


class NoPeerWorkers:
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

    def refuse(self, waiting: Waiting, sop_instance_uid: str, reason: str) -> None:
        """Nobody to tell."""


class Forwards:
    """The retrieves that other archives are fulfilling; one for a process. Safe under threads.

    The Message ID of each says at which worker it waits.
    """

    def __init__(
        self,
        *,
        slot: int = 0,
        elsewhere: PeerWorkers | None = None,
        start: int = 0,
        spool: Spool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``slot`` is the number of this worker, ``spool`` takes the objects that come, ``clock`` counts seconds.

        ``start``, with which Message IDs begin, is best not the same for each process: an archive may still be sending
        what the one before this asked for.
        """
        self.spool = spool
        self._slot = slot
        self._elsewhere = elsewhere or NoPeerWorkers()
        self._lock = threading.Lock()
        self._running: list[Forward] = []
        self._clock = clock
        self._given_up: list[tuple[float, Forward]] = []
        """Those that ended before the other archive had ended them, and when: it may still be sending."""
        self._last_number = start

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
            left = [other for other in self._running if other is not forward]
            if len(left) < len(self._running) and not forward.is_answered:
                self._given_up.append((self._clock(), forward))
            self._running = left
            self._elsewhere.report(len(left))

    @property
    def are_running(self) -> bool:
        """True if there are any, here or at other workers."""
        return bool(self._running) or self._elsewhere.are_running

    @property
    def are_expected(self) -> bool:
        """True if objects may come for any that runs, here or at other workers, or was given up here lately."""
        with self._lock:
            self._given_up = [(at, forward) for at, forward in self._given_up if at + _LATE > self._clock()]
        return self.are_running or bool(self._given_up)

    def take(self, originator: str, message_id: int | None, scp: str, arrived: Arrived) -> bool | str | None:
        """Hand an object over to the retrieve that it belongs to.

        ``scp`` is the C-MOVE SCP from which it comes, ``originator`` and ``message_id`` what it names. False: that
        retrieve wants no more; a text: why there is none, or why it cannot be told which; None: it names none, and none
        waits for that study, nor was one of it given up lately, so nobody asked for it.
        """
        if originator and message_id:
            waiting = Waiting((message_id - 1) // _OF_A_WORKER, originator, message_id)
            taken = self._offer(waiting, arrived)
            return (
                f"{word(originator)} has no retrieve {message_id} of that study under way" if taken is None else taken
            )
        here = [forward for forward in self._fitting(scp, arrived.study_instance_uid) if forward.wants(arrived)]
        there = self._elsewhere.waiting(scp, arrived.study_instance_uid)
        if len(here) + len(there) > 1 and (there or not _are_alike(here)):
            return f"it names no retrieve, and {len(here) + len(there)} wait for that study from {scp}"
        for forward in here:
            if forward.claim(arrived.sop_instance_uid):
                return forward.offer(arrived, is_claimed=True)
        if here:
            return here[0].offer(arrived)
        if not there:
            was_given_up = any(one.fits(scp, arrived.study_instance_uid) for _, one in self._given_up)
            return f"it names no retrieve, and that of its study from {scp} was given up" if was_given_up else None
        taken = self._elsewhere.offer(there[0], arrived)
        return f"it names no retrieve, and that of its study from {scp} has just ended" if taken is None else taken

    def _offer(self, waiting: Waiting, arrived: Arrived) -> bool | None:
        if waiting.slot == self._slot:
            return self.offer_here(waiting.originator, waiting.message_id, arrived)
        return self._elsewhere.offer(waiting, arrived)

    def offer_here(self, originator: str, message_id: int, arrived: Arrived) -> bool | None:
        """As `Forward.offer`; None where there is no such retrieve in this process, or it asked for something else."""
        found = self._named(originator, message_id)
        if found is None:
            return None
        if not found.wants(arrived):
            found.refuse_stranger(arrived.sop_instance_uid)
            return None
        return found.offer(arrived)

    def refuse(self, originator: str, message_id: int | None, scp: str, sop_instance_uid: str, reason: str) -> None:
        """Refuse what came for a retrieve and cannot be taken, and whose study is not known (see `take`).

        Where it names no retrieve, and several wait for that archive, the other archive's own count has to do.
        """
        if originator and message_id:
            waiting = Waiting((message_id - 1) // _OF_A_WORKER, originator, message_id)
            if waiting.slot == self._slot:
                self.refuse_here(originator, message_id, sop_instance_uid, reason)
            else:
                self._elsewhere.refuse(waiting, sop_instance_uid, reason)
            return
        here, there = self._fitting(scp, ""), self._elsewhere.waiting(scp, "")
        if len(here) == 1 and not there:
            here[0].refuse(sop_instance_uid, reason)
        elif len(there) == 1 and not here:
            self._elsewhere.refuse(there[0], sop_instance_uid, reason)

    def refuse_here(self, originator: str, message_id: int, sop_instance_uid: str, reason: str) -> None:
        """As `Forward.refuse`, where there is such a retrieve in this process."""
        found = self._named(originator, message_id)
        if found is not None:
            found.refuse(sop_instance_uid, reason)

    def goes_on(self, originator: str, message_id: int | None, scp: str) -> None:
        """A part of an object has come that names this retrieve, or none; see `take`. Only those here are told."""
        named = self._named(originator, message_id) if originator and message_id else None
        for forward in [named] if named else self._fitting(scp, ""):
            forward.goes_on()

    def _named(self, originator: str, message_id: int) -> Forward | None:
        with self._lock:
            return next((f for f in self._running if (f.originator, f.message_id) == (originator, message_id)), None)

    def waiting_here(self, scp: str, study_instance_uid: str) -> list[Waiting]:
        """Those that wait in this process for objects of that study from that archive."""
        fitting = self._fitting(scp, study_instance_uid)
        return [Waiting(self._slot, forward.originator, forward.message_id) for forward in fitting]

    def _fitting(self, scp: str, study_instance_uid: str) -> list[Forward]:
        with self._lock:
            return [forward for forward in self._running if forward.fits(scp, study_instance_uid)]


def _are_alike(forwards: Sequence[Forward]) -> bool:
    """True if they all asked for the same."""
    asked = {forward.asked for forward in forwards}
    return len(asked) == 1 and None not in asked
