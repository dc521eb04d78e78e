"""Retrieves that another archive fulfils: its objects arrive by C-STORE at an AE of ours, and go on to who asked us.

An object belongs to the retrieve that it names: Move Originator AE Title and Message ID (PS3.7 9.1.1.1). Some archives
name none; then it belongs to a retrieve that waits for objects of that archive and that study, if all that do asked for
the same: then it does not matter which of them gets it, as long as each gets it once.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dcm4py_leading.coercion.scan import Buffer
from dcm4py_leading.errors import ArchiveUnavailable
from dcm4py_leading.model.values import AETitle

_MOST_WAITING = 4
"""Objects that have come and are not sent yet, for each retrieve: then the other archive waits."""
_LOOK = 0.25
"""Seconds between looks whether anybody still waits for objects that do not come."""
_REMEMBERED = 1024
"""Ended retrieves whose late objects are recognised."""


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
        self,
        *,
        scp: AETitle,
        originator: AETitle,
        message_id: int,
        studies: frozenset[str],
        patience: float | None,
        asked: Hashable = None,
    ) -> None:
        """``patience``: seconds without any sign of the other archive after which it is given up; None is for ever.

        ``asked`` is equal for retrieves of the same objects, and None where that is not known.
        """
        self.scp = scp
        self.originator = originator
        self.message_id = message_id
        self.studies = studies
        self.asked = asked
        self._patience = patience
        self._changed = threading.Condition(threading.RLock())
        self._waiting: deque[Arrived] = deque()
        self._seen: set[str] = set()
        self._came = 0
        """How many objects were taken, those that had come before among them."""
        self._repeated = 0
        self._is_over: Callable[[], bool] = lambda: False
        self._told = 0
        """How many objects there are in all, by the other archive's last response."""
        self._missing: list[Missing] = []
        self._failure: ArchiveUnavailable | None = None
        self._has_ended = False
        self._is_closed = False
        self._is_given_up = False
        self._last_sign = time.monotonic()

    # -- the other archive's side -------------------------------------------------------------------------------

    def offer(self, arrived: Arrived, *, is_claimed: bool = False) -> bool:
        """Hand an object over, waiting until there is room; False when nobody wants it any more.

        One that came before is not sent again, unless it ``is_claimed`` just now.
        """
        if not is_claimed and not self.claim(arrived.sop_instance_uid):
            with self._changed:
                self._repeated += 1
                self._came += 1
                return not self._is_closed
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < _MOST_WAITING or self._is_closed)
            if self._is_closed or self._has_ended:
                self._seen.discard(arrived.sop_instance_uid)
                return False
            self._last_sign = time.monotonic()
            self._came += 1
            self._waiting.append(arrived)
            self._changed.notify_all()
            return True

    def claim(self, sop_instance_uid: str) -> bool:
        """Whether the object has not come before, and is this retrieve's from now on."""
        with self._changed:
            is_new = sop_instance_uid not in self._seen
            self._seen.add(sop_instance_uid)
            return is_new

    def tell(self, total: int) -> None:
        """A pending response: how many sub-operations there are in all."""
        with self._changed:
            self._told = max(self._told, total)
            self._last_sign = time.monotonic()

    def end(self, *, failed: Sequence[str] = (), failure: ArchiveUnavailable | None = None, total: int = 0) -> None:
        """The final response, or why there is none.

        ``failed`` are the SOP Instance UIDs that it names, ``total`` is how many sub-operations it counts, 0 if none.
        """
        with self._changed:
            if self._has_ended:
                return
            missing = [Missing(uid) for uid in failed if uid not in self._seen]
            unnamed = max((total or self._told) - self._came - len(missing), 0)
            if failure is not None and not missing:
                unnamed = max(unnamed, 1)  # or else it would be taken for complete
            self._missing = [*missing, *[Missing("")] * unnamed]
            self._failure, self._has_ended = failure, True
            self._changed.notify_all()

    # -- our side -----------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Arrived | Missing]:
        """The objects as they come, then those that do not. Raises ArchiveUnavailable when none came at all."""
        while (arrived := self._next()) is not None:
            yield arrived
        if self._is_closed or self._is_given_up:
            return
        if self._failure is not None and not self._came and not any(one.sop_instance_uid for one in self._missing):
            raise self._failure
        yield from self._missing

    def _next(self) -> Arrived | None:
        """The next object; None when there is none, or nobody waits for it any more."""
        while True:
            with self._changed:
                left = _LOOK
                if not self._waiting and not self._has_ended and not self._is_closed and self._patience is not None:
                    left = self._last_sign + self._patience - time.monotonic()
                if left <= 0:
                    self.end(failure=ArchiveUnavailable(f"{self.scp}: nothing came in time"))
                self._changed.wait_for(lambda: self._waiting or self._has_ended or self._is_closed, min(left, _LOOK))
                if self._is_closed:
                    return None
                if self._waiting:
                    arrived = self._waiting.popleft()
                    self._changed.notify_all()
                    return arrived
                if self._has_ended:
                    return None
            if self._is_over():
                self._is_given_up = True
                return None

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
            known = self._came - self._repeated + len(self._missing)
            if not self._has_ended:
                known = max(known, self._told - self._repeated)
        return max(known - ended, 0)

    @property
    def is_ready(self) -> bool:
        """See `deliver.Stream`."""
        return bool(self._waiting) or self._has_ended

    def watch(self, is_over: Callable[[], bool]) -> None:
        """See `deliver.Stream`."""
        self._is_over = is_over

    def close(self) -> None:
        """See `deliver.Stream`."""
        with self._changed:
            self._is_closed = True
            self._waiting.clear()
            self._changed.notify_all()


class Forwards:
    """The retrieves that other archives are fulfilling; one for a process. Safe under threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: list[Forward] = []
        self._ended: deque[tuple[str, int]] = deque(maxlen=_REMEMBERED)

    def add(self, forward: Forward) -> None:
        """From now on objects find it."""
        with self._lock:
            self._running.append(forward)

    def remove(self, forward: Forward) -> None:
        """Objects do not find it any more."""
        with self._lock:
            self._running = [other for other in self._running if other is not forward]
            self._ended.append((forward.originator, forward.message_id))

    @property
    def are_running(self) -> bool:
        """Whether there are any."""
        return bool(self._running)

    @property
    def are_known(self) -> bool:
        """Whether there are any, or were."""
        return bool(self._running) or bool(self._ended)

    def have_ended(self, originator: str, message_id: int | None) -> bool:
        """Whether an object names one that has ended."""
        with self._lock:
            return (originator, message_id) in self._ended

    def names_another(self, originator: str, message_id: int | None) -> bool:
        """Whether an object names a retrieve that is none of ours."""
        if not originator or message_id is None:
            return False
        return all(forward.originator != originator for forward in self._running)

    def waits_for(self, calling: AETitle | str, scp_of: Mapping[AETitle, AETitle]) -> bool:
        """Whether any waits for objects from this AE; ``scp_of`` is dcmCStoreSCUOfCMoveSCP."""
        scp = scp_of.get(AETitle(calling), calling)
        return any(forward.scp == scp for forward in self._running)

    def named(self, originator: str, message_id: int | None) -> Forward | None:
        """The one that an object names."""
        with self._lock:
            for forward in self._running:
                if (forward.originator, forward.message_id) == (originator, message_id):
                    return forward
        return None

    def guessed(
        self,
        calling: AETitle | str,
        study_instance_uid: str,
        sop_instance_uid: str,
        scp_of: Mapping[AETitle, AETitle],
    ) -> tuple[Forward, bool] | str:
        """The one to which an object that names none must belong, and whether it has claimed it; or why none does."""
        scp = scp_of.get(AETitle(calling), calling)
        with self._lock:
            of_scp = [forward for forward in self._running if forward.scp == scp]
        fitting = [f for f in of_scp if not f.studies or study_instance_uid in f.studies]
        if not of_scp:
            return f"no retrieve waits for objects from {calling}"
        if not fitting:
            return f"no retrieve waits for that study from {calling}"
        if len(fitting) > 1 and (fitting[0].asked is None or len({forward.asked for forward in fitting}) > 1):
            return f"{len(fitting)} retrieves wait for that study from {calling}, and it names none"
        for forward in fitting:
            if forward.claim(sop_instance_uid):
                return forward, True
        return fitting[0], False
