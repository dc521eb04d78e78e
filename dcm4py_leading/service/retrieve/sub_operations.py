"""Delivery of the objects of a retrieve by C-STORE sub-operations (PS3.4 C.4.2.2, C.4.3.2)."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextvars import copy_context
from dataclasses import dataclass, replace
from typing import Protocol

from dcm4py_leading.errors import DestinationUnavailable, StatusError, SubOperationFailed
from dcm4py_leading.log import ref
from dcm4py_leading.service.retrieve.encode import PreparedObject
from dcm4py_leading.service.retrieve.tally import SubOperation, SubOperationTally, outcome_of

LOG = logging.getLogger(__name__)


class RetrievedObject(Protocol):
    """An instance of a retrieve, not yet read."""

    @property
    def sop_class_uid(self) -> str: ...

    @property
    def sop_instance_uid(self) -> str:
        """Empty if only the number of an unsendable object is known."""
        ...

    @property
    def transfer_syntax_uid(self) -> str:
        """Transfer syntax of the source."""
        ...

    def prepare(self, accepted: Collection[str]) -> PreparedObject:
        """Read, coerce and encode the object in one of the accepted transfer syntaxes.

        Raises SubOperationFailed, StorageUnavailable, CoercionFailed.
        """
        ...


class Stream(Protocol):
    """Stream of objects from another archive during delivery."""

    def remaining(self, ended: int) -> int:
        """Number of objects still to send, as far as known, after so many sub-operations."""
        ...

    def left(self, ended: int) -> int:
        """Number of objects not sent, if delivery stops after so many sub-operations.

        May query the sending archive.
        """
        ...

    @property
    def is_ready(self) -> bool:
        """True if the next object, or its failure, is available without waiting."""
        ...

    def watch(self, is_over: Callable[[], bool]) -> None:
        """Call ``is_over`` regularly while no object comes, and end when it returns True."""
        ...

    def close(self) -> None:
        """End the stream."""
        ...


Ending = tuple[int, int | SubOperationFailed | None]
"""End of a sub-operation: Message ID, and the status of the response, why there was none, or None if nobody knows."""


class Destination(Protocol):
    """Destination of sub-operations: one association, for one thread."""

    @property
    def window(self) -> int:
        """Number of objects that may be under way at once (PS3.7 D.3.3.3), at least 1."""
        ...

    def accepted_transfer_syntaxes(self, sop_class_uid: str, transfer_syntax_uid: str) -> tuple[str, ...]:
        """Transfer syntaxes that it accepts for a SOP class; there is an object in ``transfer_syntax_uid``.

        Raises DestinationUnavailable.
        """
        ...

    def begin_store(self, obj: PreparedObject, message_id: int) -> None:
        """Send the C-STORE request, and close ``obj``; `end_store` must follow for each.

        Raises DestinationUnavailable, SubOperationFailed, and the errors of reading the object.
        """
        ...

    def end_store(self) -> Ending:
        """Wait for the next of the outstanding C-STOREs to end; responses may come in any order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Outcome of a retrieve."""

    tally: SubOperationTally
    cancelled: bool = False
    problem: str | None = None
    """The first thing that went wrong, for the Error Comment (0000,0902)."""
    transcoded: int = 0
    """Number of objects that left in another transfer syntax than they are stored in."""


def deliver(
    objects: Iterator[RetrievedObject],
    expected: int,
    to: Sequence[Destination],
    *,
    is_cancelled: Callable[[], bool],
    on_progress: Callable[[SubOperationTally], None],
    on_failure: Callable[[RetrievedObject, str], None] = lambda _obj, _reason: None,
    stream: Stream | None = None,
) -> Delivery:
    """Send the objects, over several associations at once if there are several destinations.

    The next object is prepared while the destination stores as many objects as its window allows. An object that cannot
    be sent counts as failed, and the others follow; if no association can reach the destination, all remaining objects
    fail. ``on_failure`` is called for each failed object that is known, with the reason, before it is counted.
    ``stream`` is the source of objects from another archive; else ``expected`` is their number. Raises StatusError on a
    failure before the first object.
    """
    delivering = _Delivering(objects, expected, is_cancelled, on_progress, on_failure, stream)
    try:
        left = delivering.send_to_each(to)
        while left and delivering.has_given_back:
            left = delivering.send_to_each(left)
        delivering.fail_the_rest()
    finally:
        if stream is not None:
            stream.close()
    return delivering.delivery()


class _Delivering:
    """One delivery, whose associations share its objects. One lock, not held while sending."""

    def __init__(
        self,
        objects: Iterator[RetrievedObject],
        expected: int,
        is_cancelled: Callable[[], bool],
        on_progress: Callable[[SubOperationTally], None],
        on_failure: Callable[[RetrievedObject, str], None],
        stream: Stream | None,
    ) -> None:
        self._stream = stream
        if stream is not None:
            stream.watch(self._look)
        self._objects = objects
        self._is_cancelled = is_cancelled
        self._on_progress = on_progress
        self._on_failure = on_failure
        self._lock = threading.Lock()
        self._returned: deque[RetrievedObject] = deque()
        self._error: BaseException | None = None
        self._tally = SubOperationTally(remaining=expected)
        self._cancelled = False
        self._problem: str | None = None
        self._lost_by = "it was not sent"
        """Why the last association was given up."""
        self._transcoded = 0

    def delivery(self) -> Delivery:
        """Outcome of the delivery."""
        tally = self._tally
        if self._stream is not None and self._cancelled:
            tally = replace(tally, remaining=self._stream.remaining(tally.ended))
        return Delivery(tally=tally, cancelled=self._cancelled, problem=self._problem, transcoded=self._transcoded)

    @property
    def has_given_back(self) -> bool:
        """True if objects of a lost association wait for another one."""
        return bool(self._returned) and not self._cancelled

    def send_to_each(self, to: Sequence[Destination]) -> list[Destination]:
        """Send objects on these associations at the same time; return the usable ones. Raises the errors of any."""
        if len(to) == 1:
            return [one for one in to if self._send_to(one)]
        left: list[Destination] = []

        def send(one: Destination) -> None:
            try:
                if self._send_to(one):
                    left.append(one)
            except BaseException as err:  # noqa: BLE001 - raised again by the thread that waits
                with self._lock:
                    self._error = self._error or err

        threads = [
            threading.Thread(
                target=copy_context().run, args=(send, one), name=f"C-STORE association {number}", daemon=True
            )
            for number, one in enumerate(to)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._error is not None:
            raise self._error
        return left

    def _send_to(self, to: Destination) -> bool:
        """Send objects on one association until the end or a cancel; True if the association is still usable."""
        under_way: dict[int, RetrievedObject] = {}
        message_id = 0
        is_there = True
        while True:
            if self._stream is not None:
                while under_way and not self._stream.is_ready:
                    self._end_one(under_way, to)  # sent objects do not wait for the next one to come
            obj = self._next()
            if obj is None:
                break
            try:
                prepared = self._prepared(obj, to)
            except DestinationUnavailable as err:
                self._give_back(obj, err)
                is_there = False
                break
            except StatusError as err:
                self._failed(obj, err)
                continue
            while under_way and len(under_way) >= to.window:
                self._end_one(under_way, to)
            if self._is_over():
                prepared.close()
                break
            message_id = message_id % 0xFFFF + 1
            while message_id in under_way:
                message_id = message_id % 0xFFFF + 1
            try:
                to.begin_store(prepared, message_id)
            except DestinationUnavailable as err:
                self._give_back(obj, err)
                is_there = False
                break
            except StatusError as err:
                self._failed(obj, err)
                continue
            finally:
                prepared.close()
            under_way[message_id] = obj
            if prepared.is_transcoded:
                with self._lock:
                    self._transcoded += 1
        while under_way:
            self._end_one(under_way, to)
        return is_there

    def fail_the_rest(self) -> None:
        """Fail the objects that no association sent."""
        if self._cancelled:
            return
        for obj in self._returned:
            self._left_out(obj)
        if self._stream is None:
            for obj in self._objects:
                self._left_out(obj)
        else:
            left = self._stream.left(self._tally.ended)
            with self._lock:
                self._tally = replace(self._tally, remaining=left).without_the_rest()

    def _next(self) -> RetrievedObject | None:
        with self._lock:
            if self._cancelled or self._error is not None:
                return None
            return self._returned.popleft() if self._returned else next(self._objects, None)

    def _is_over(self) -> bool:
        with self._lock:
            return self._look()

    def _look(self) -> bool:
        self._cancelled = self._cancelled or self._is_cancelled()
        return self._cancelled

    def _prepared(self, obj: RetrievedObject, to: Destination) -> PreparedObject:
        accepted: Collection[str] = ()
        if obj.sop_class_uid:  # a missing object needs no presentation context
            accepted = to.accepted_transfer_syntaxes(obj.sop_class_uid, obj.transfer_syntax_uid)
        with self._lock:
            return obj.prepare(accepted)

    def _end_one(self, under_way: dict[int, RetrievedObject], to: Destination) -> None:
        """Wait for one outstanding object to end, and count it."""
        message_id, status = to.end_store()
        obj = under_way.pop(message_id)
        if isinstance(status, SubOperationFailed):
            self._failed(obj, status)
            return
        outcome = outcome_of(status)
        if outcome is SubOperation.FAILED:
            answer = "no response" if status is None else f"status 0x{status:04X}"
            self._failed(obj, SubOperationFailed(f"the destination gave {answer}"))
        else:
            self._record(outcome, obj)

    def _give_back(self, obj: RetrievedObject, err: StatusError) -> None:
        with self._lock:
            self._returned.append(obj)
            self._lost_by = str(err)
            self._problem = self._problem or self._lost_by
        LOG.warning("%s", err)

    def _failed(self, obj: RetrievedObject, err: StatusError) -> None:
        LOG.warning("instance %s not sent: %s", ref(obj.sop_instance_uid), err)
        with self._lock:
            self._problem = self._problem or str(err)
        self._on_failure(obj, str(err))
        self._record(SubOperation.FAILED, obj)

    def _left_out(self, obj: RetrievedObject) -> None:
        self._on_failure(obj, self._lost_by)
        self._record(SubOperation.FAILED, obj)

    def _record(self, outcome: SubOperation, obj: RetrievedObject) -> None:
        with self._lock:
            self._tally = self._tally.record(outcome, obj.sop_instance_uid)
            if self._stream is not None:
                self._tally = replace(self._tally, remaining=self._stream.remaining(self._tally.ended))
            self._on_progress(self._tally)
