"""Assignment of objects from other archives to the retrieves that wait for them.

An object belongs to the retrieve that it names by Move Originator AE Title and Message ID (PS3.7 9.1.1.1). Some
archives name none; then the object belongs to a retrieve that waits for this archive and study. If several wait, all
must have asked for the same objects: then any of them may get it, as long as each gets each object once. They may wait
at different workers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from dcm4py_leading.errors import ArchiveUnavailable
from dcm4py_leading.log import word
from dcm4py_leading.service.proxy.forwarded_retrieve import ArrivedObject, ForwardedRetrieve
from dcm4py_leading.service.proxy.spool import Spool

_OF_A_WORKER = 1000
"""Message IDs of one worker, of which there are at most 64."""
_LATE = 600.0
"""Seconds in which an archive may go on sending what nobody waits for any more."""


class WaitingRetrieve(NamedTuple):
    """A retrieve that waits at a worker."""

    slot: int
    originator: str
    message_id: int
    asked: str = ""
    """The same for retrieves of the same objects; empty if that is not known."""


class PeerRetrieves(NamedTuple):
    """Retrieves of one study from one archive at the other workers."""

    waiting: Sequence[WaitingRetrieve] = ()
    was_given_up: bool = False
    """True if one of them was given up lately, and the archive may go on sending for it."""


class PeerWorkers(Protocol):
    """The other workers of this service; implemented by ``workers/object_handover.py``."""

    def report(self, expecting: int) -> None:
        """Publish the number of our retrieves for which objects may come: waiting, or given up recently."""
        ...

    @property
    def are_expecting(self) -> bool:
        """True if objects may come for a retrieve of another worker."""
        ...

    def known(self, scp: str, study_instance_uid: str) -> PeerRetrieves:
        """Retrieves of other workers to which objects of this study from this archive may belong."""
        ...

    def claim(self, waiting: WaitingRetrieve, sop_instance_uid: str) -> bool:
        """Like `ForwardedRetrieve.claim`; False without such a retrieve."""
        ...

    def offer(self, waiting: WaitingRetrieve, arrived: ArrivedObject, *, is_claimed: bool = False) -> bool | None:
        """Like `ForwardedRetrieve.offer`; None without such a retrieve."""
        ...

    def refuse(self, waiting: WaitingRetrieve, sop_instance_uid: str, reason: str) -> None:
        """Like `ForwardedRetrieve.refuse`, if there is such a retrieve."""
        ...


class NoPeerWorkers:
    """There are no other workers."""

    are_expecting = False

    def report(self, expecting: int) -> None:
        """Nobody to tell."""

    def known(self, scp: str, study_instance_uid: str) -> PeerRetrieves:
        """None."""
        return PeerRetrieves()

    def claim(self, waiting: WaitingRetrieve, sop_instance_uid: str) -> bool:
        """Always False."""
        return False

    def offer(self, waiting: WaitingRetrieve, arrived: ArrivedObject, *, is_claimed: bool = False) -> bool | None:
        """Always None."""
        return None

    def refuse(self, waiting: WaitingRetrieve, sop_instance_uid: str, reason: str) -> None:
        """Nobody to tell."""


class ForwardedRetrieves:
    """The forwarded retrieves of one process. Safe under threads.

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
        """``slot`` is the number of this worker, ``spool`` collects received objects, ``clock`` counts seconds.

        ``start`` is the first Message ID. It should differ between processes, as an archive may still be sending
        objects for the previous process.
        """
        self.spool = spool
        self._slot = slot
        self._elsewhere = elsewhere or NoPeerWorkers()
        self._lock = threading.Lock()
        self._running: list[ForwardedRetrieve] = []
        self._clock = clock
        self._given_up: list[tuple[float, ForwardedRetrieve]] = []
        """Those that ended before the other archive had ended them, and when: it may still be sending."""
        self._last_number = start

    def next_message_id(self) -> int:
        """Message ID for the next C-MOVE to another archive, unique among running retrieves of all workers."""
        with self._lock:
            used = {forward.message_id for forward in self._running}
            for _ in range(_OF_A_WORKER):
                self._last_number = (self._last_number + 1) % _OF_A_WORKER
                message_id = self._slot * _OF_A_WORKER + self._last_number + 1
                if message_id not in used:
                    return message_id
        raise ArchiveUnavailable("too many retrieves from other archives at once")

    def add(self, forward: ForwardedRetrieve) -> None:
        """Add a retrieve, so that objects are assigned to it."""
        with self._lock:
            self._running.append(forward)
            self._report()

    def remove(self, forward: ForwardedRetrieve) -> None:
        """Remove a retrieve."""
        with self._lock:
            left = [other for other in self._running if other is not forward]
            if len(left) < len(self._running) and not forward.is_answered:
                self._given_up.append((self._clock(), forward))
            self._running = left
            self._report()

    def _report(self) -> None:
        """Drop retrieves that were given up long ago, and publish our count; call with the lock held."""
        self._given_up = [(at, forward) for at, forward in self._given_up if at + _LATE > self._clock()]
        self._elsewhere.report(len(self._running) + len(self._given_up))

    @property
    def are_running(self) -> bool:
        """True if this process has retrieves."""
        return bool(self._running)

    @property
    def are_expected(self) -> bool:
        """True if objects may come for a retrieve that runs or was given up recently, here or at other workers."""
        with self._lock:
            self._report()
            return bool(self._running or self._given_up) or self._elsewhere.are_expecting

    def take(self, originator: str, message_id: int | None, scp: str, arrived: ArrivedObject) -> bool | str | None:
        """Give an object to its retrieve.

        ``scp`` is the C-MOVE SCP that sent it, ``originator`` and ``message_id`` are those that it names. Returns False
        if the retrieve wants no more objects; a text if there is no such retrieve, or it is ambiguous; None if the
        object names no retrieve and none waits, or waited recently, for its study.
        """
        if originator and message_id:
            waiting = WaitingRetrieve((message_id - 1) // _OF_A_WORKER, originator, message_id)
            taken = self._offer(waiting, arrived)
            return (
                f"{word(originator)} has no retrieve {message_id} of that study under way" if taken is None else taken
            )
        here = [forward for forward in self._fitting(scp, arrived.study_instance_uid) if forward.wants(arrived)]
        there, was_given_up = self._elsewhere.known(scp, arrived.study_instance_uid)
        count = len(here) + len(there)
        if count > 1 and not _are_alike([*(one.asked_for for one in here), *(one.asked for one in there)]):
            return f"it names no retrieve, and {count} wait for that study from {scp}"
        for forward in here:
            if forward.claim(arrived.sop_instance_uid):
                return forward.offer(arrived, is_claimed=True)
        for waiting in there if count > 1 else ():
            if self._elsewhere.claim(waiting, arrived.sop_instance_uid):
                return _taken(self._elsewhere.offer(waiting, arrived, is_claimed=True), scp)
        if here:
            return here[0].offer(arrived)
        if there:
            return _taken(self._elsewhere.offer(there[0], arrived), scp)
        was_given_up = was_given_up or self._was_given_up(scp, arrived.study_instance_uid)
        return f"it names no retrieve, and that of its study from {scp} was given up" if was_given_up else None

    def _offer(self, waiting: WaitingRetrieve, arrived: ArrivedObject) -> bool | None:
        if waiting.slot == self._slot:
            return self.offer_here(waiting.originator, waiting.message_id, arrived)
        return self._elsewhere.offer(waiting, arrived)

    def claim_here(self, originator: str, message_id: int, sop_instance_uid: str) -> bool:
        """As `ForwardedRetrieve.claim`; False if there is no such retrieve in this process."""
        found = self._named(originator, message_id)
        return found is not None and found.claim(sop_instance_uid)

    def offer_here(
        self, originator: str, message_id: int, arrived: ArrivedObject, *, is_claimed: bool = False
    ) -> bool | None:
        """As `ForwardedRetrieve.offer`; None if this process has no such retrieve, or it asked for another object."""
        found = self._named(originator, message_id)
        if found is None:
            return None
        if not found.wants(arrived):
            found.refuse_unrequested(arrived.sop_instance_uid)
            return None
        return found.offer(arrived, is_claimed=is_claimed)

    def refuse(self, originator: str, message_id: int | None, scp: str, sop_instance_uid: str, reason: str) -> None:
        """Refuse an unusable object whose study is not known (see `take`).

        If it names no retrieve, and several wait for the archive, only the archive's own counts show the failure.
        """
        if originator and message_id:
            waiting = WaitingRetrieve((message_id - 1) // _OF_A_WORKER, originator, message_id)
            if waiting.slot == self._slot:
                self.refuse_here(originator, message_id, sop_instance_uid, reason)
            else:
                self._elsewhere.refuse(waiting, sop_instance_uid, reason)
            return
        here, there = self._fitting(scp, ""), self._elsewhere.known(scp, "").waiting
        if len(here) == 1 and not there:
            here[0].refuse(sop_instance_uid, reason)
        elif len(there) == 1 and not here:
            self._elsewhere.refuse(there[0], sop_instance_uid, reason)

    def refuse_here(self, originator: str, message_id: int, sop_instance_uid: str, reason: str) -> None:
        """As `ForwardedRetrieve.refuse`, where there is such a retrieve in this process."""
        found = self._named(originator, message_id)
        if found is not None:
            found.refuse(sop_instance_uid, reason)

    def restart_timeout(self, originator: str, message_id: int | None, scp: str) -> None:
        """Restart the timeout of retrieves of this process, as a part of an object came; see `take`."""
        named = self._named(originator, message_id) if originator and message_id else None
        for forward in [named] if named else self._fitting(scp, ""):
            forward.restart_timeout()

    def _named(self, originator: str, message_id: int) -> ForwardedRetrieve | None:
        with self._lock:
            return next((f for f in self._running if (f.originator, f.message_id) == (originator, message_id)), None)

    def known_here(self, scp: str, study_instance_uid: str) -> PeerRetrieves:
        """Retrieves of this process to which objects of this study from this archive may belong."""
        with self._lock:
            self._report()
        fitting = self._fitting(scp, study_instance_uid)
        return PeerRetrieves(
            [WaitingRetrieve(self._slot, one.originator, one.message_id, one.asked_for) for one in fitting],
            self._was_given_up(scp, study_instance_uid),
        )

    def _was_given_up(self, scp: str, study_instance_uid: str) -> bool:
        return any(forward.fits(scp, study_instance_uid) for _, forward in self._given_up)

    def _fitting(self, scp: str, study_instance_uid: str) -> list[ForwardedRetrieve]:
        with self._lock:
            return [forward for forward in self._running if forward.fits(scp, study_instance_uid)]


def _are_alike(asked: Sequence[str]) -> bool:
    """True if all asked for the same objects."""
    return len(set(asked)) == 1 and "" not in asked


def _taken(answer: bool | None, scp: str) -> bool | str:
    """Answer of another worker, or the reason why there is none."""
    return f"it names no retrieve, and that of its study from {scp} has just ended" if answer is None else answer
