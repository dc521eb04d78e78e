"""An established association, of either side: DIMSE messages (PS3.7 8, PS3.8 E) over a `link`."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.dicom.upper import command as dimse
from dcm4py_leading.dicom.upper.command import Command, MalformedCommand, Received
from dcm4py_leading.dicom.upper.link import BytesGone, Link, LinkEnded, LinkTimeout
from dcm4py_leading.dicom.upper.pace import OF_PEERS, Pace
from dcm4py_leading.dicom.upper.pdu import (
    MalformedPdu,
    ReleaseRequest,
    ReleaseResponse,
    data_header,
    fragments,
    only_fragment,
)
from dcm4py_leading.dicom.upper.state import Event, NotAllowed, State
from dcm4py_leading.errors import StorageUnavailable
from dcm4py_leading.model.bounds import COMMAND_BYTES, COMMAND_SECONDS, SENT_PDU_LEAST_BYTES, UNCONFIGURED_WAIT_SECONDS
from dcm4py_leading.service.retrieve.encode import PreparedObject

_COMMAND, _LAST = 1, 2
"""Bits of the message control header (PS3.8 E.2)."""
_LONGEST_SENT = 1 << 17
"""Longest P-DATA-TF to a peer that takes any."""
_PDV_OVERHEAD = 6


class AssociationFailed(Exception):
    """The association could not be opened, or ended before the answer. The message says what the peer did."""


class NotCallable(AssociationFailed):
    """The two AEs have no connections that go together: nobody was called."""


class AssociationRejected(AssociationFailed):
    """The peer rejects the association, for now at least."""


class AssociationRefused(AssociationRejected):
    """The peer rejects it permanently: it does not want it of us."""


class PeerReleases(AssociationFailed):
    """The peer asks to release."""


@dataclass(frozen=True, slots=True)
class Context:
    """An accepted presentation context."""

    context_id: int
    abstract_syntax: str
    transfer_syntax: str
    as_scu: bool
    """True if we may be the SCU in it."""
    as_scp: bool


@dataclass(frozen=True, slots=True)
class Message:
    """A DIMSE message, as far as its command goes; its data set comes by `Association.data`."""

    context: Context
    command: Received

    def number(self, element: int) -> int | None:
        """A number of the command set."""
        value = self.command.get(element)
        return value if isinstance(value, int) else None

    def text(self, element: int) -> str:
        """A text of the command set."""
        return dimse.text(self.command, element)


@dataclass(frozen=True, slots=True)
class MoveOriginator:
    """Originator of a C-STORE sub-operation: the C-MOVE SCU's AE title and its Message ID (PS3.7 9.1.1.1)."""

    ae_title: str
    message_id: int


def seconds(duration: timedelta | None) -> float | None:
    """As sockets want a time-out; None waits for ever."""
    return None if duration is None else duration.total_seconds()


def patience(duration: timedelta | None) -> float:
    """The same for what a peer owes us, within a message or in answer to one: that is not waited for without end."""
    return UNCONFIGURED_WAIT_SECONDS if duration is None else duration.total_seconds()


def _until(ends_at: float, timeout: float | None) -> float:
    """Seconds until then, at most ``timeout``. Raises LinkTimeout when it is over."""
    left = ends_at - time.monotonic()
    if left <= 0:
        raise LinkTimeout("the message did not come to its end in time")
    return left if timeout is None else min(left, timeout)


class Association:
    """Association with a peer (see the module). One thread receives; `send` may be called by others besides."""

    def __init__(self, link: Link, contexts: Iterable[Context], peer_maximum_length: int) -> None:
        """``peer_maximum_length`` is the longest P-DATA-TF that the peer takes; 0: any."""
        self.link = link
        self.contexts: Mapping[int, Context] = {context.context_id: context for context in contexts}
        self._contexts_as_scu: dict[str, dict[str, Context]] = {}
        for context in self.contexts.values():
            if context.as_scu:
                self._contexts_as_scu.setdefault(context.abstract_syntax, {}).setdefault(
                    context.transfer_syntax, context
                )
        most = min(peer_maximum_length or _LONGEST_SENT, _LONGEST_SENT)
        self.takes_data_sets = most >= SENT_PDU_LEAST_BYTES
        """True if the peer takes P-DATA-TF long enough to be sent data sets."""
        # Of even length, as PS3.8 E.1 has it, whatever the peer announces, if that leaves room for two octets.
        self._fragment_length = max(most - _PDV_OVERHEAD, 1) & ~1 or 1
        self._fragments: deque[tuple[int, int, memoryview]] = deque()
        self._is_data_due = False
        self._data_context_id = 0
        self._waiting: Message | None = None
        self._cancelled: set[int] = set()
        self._end: AssociationFailed | None = None
        self._outbox: list[Buffer] = []
        self.sent: defaultdict[int | str, int] = defaultdict(int)
        """Number of messages sent, by Command Field; two threads that send at once may lose one of the count."""
        self.received: defaultdict[int | bytes, int] = defaultdict(int)
        """Number of messages that have come, by Command Field."""

    # -- receiving ----------------------------------------------------------------------------------------------

    def receive(self, timeout: float | None) -> Message:
        """The next message; what is left of the data set of the one before is dropped.

        ``timeout`` in seconds. Raises LinkTimeout, AssociationFailed; PeerReleases when the peer asks to release.
        """
        if self._outbox:
            self._send(())
        if self._waiting is not None:
            message, self._waiting = self._waiting, None
            return message
        while True:
            message = self._receive(timeout)
            if message.number(dimse.COMMAND_FIELD) != dimse.C_CANCEL_RQ:
                return message
            self._cancel(message)

    def data(
        self, timeout: float | None, *, ends_at: float | None = None, pace: Pace = OF_PEERS
    ) -> Iterator[memoryview]:
        """The data set of the message that was received last, piece by piece; each is good until the next one.

        ``timeout`` in seconds for each; all have to come until ``ends_at`` of the monotonic clock, and at the ``pace``,
        for which only the time counts that is spent in waiting for them. Raises as `receive`.
        """
        link, length = self.link, 0
        until_now, looks_after = link.waited, pace.seconds
        while self._is_data_due:
            context_id, control, value = self._fragment(timeout if ends_at is None else _until(ends_at, timeout))
            if control & _COMMAND or context_id != self._data_context_id:
                raise self._misbehaves("something else came where a data set was due")
            self._is_data_due = not control & _LAST
            length += len(value)
            waited = link.waited - until_now
            if waited > looks_after and pace.is_missed(waited, length):
                raise self._misbehaves(f"{length} bytes of a data set in {waited:.0f} s are too few")
            yield value

    def is_over(self, message_id: int) -> bool:
        """True if the peer no longer waits for this request: a C-CANCEL has come (PS3.7 9.3.2.3), or it is gone.

        One that asks to release waits, and may be sent what it has asked for (PS3.8 table 9-10, AR-7).
        """
        return self.is_lost or message_id in self._cancelled

    @property
    def is_lost(self) -> bool:
        """True if nothing can be sent to the peer any more."""
        self._take_in()
        return self.link.state not in (State.STA6, State.STA8) or not isinstance(self._end, PeerReleases | None)

    @property
    def lost_by(self) -> str:
        """Reason why the association has ended, as far as has been seen; empty while it stands."""
        return "" if self._end is None else str(self._end)

    def is_cancelled(self, message_id: int) -> bool:
        """True if a C-CANCEL for this request has come, as far as `is_over` or `is_open` has seen."""
        return message_id in self._cancelled

    @property
    def is_open(self) -> bool:
        """True if the peer is still there, and does not ask to release."""
        self._take_in()
        return self._end is None and self.link.state is State.STA6

    @property
    def has_input(self) -> bool:
        """True if `receive` would return or raise without waiting."""
        self._take_in()
        return self._waiting is not None or self._end is not None

    @property
    def is_releasing(self) -> bool:
        """True if the peer asked to release, and has no answer yet."""
        return isinstance(self._end, PeerReleases) and self.link.state is State.STA8

    def forget_cancelled(self) -> None:
        """A request ended, and what was to cancel it."""
        self._cancelled.clear()

    def _take_in(self) -> None:
        """Look at what has come without waiting for more, but for the rest of a message that has begun."""
        while self._end is None and self._waiting is None and not self._is_data_due:
            # What the last PDU holds besides lies in the buffer that the link would read into.
            if not self._fragments and not self.link.has_input():
                return
            try:
                message = self._receive(self.link.patience)
            except AssociationFailed:
                return
            except LinkTimeout:
                self._misbehaves("a message without end")
                return
            if message.number(dimse.COMMAND_FIELD) == dimse.C_CANCEL_RQ:
                self._cancel(message)
            else:
                self._waiting = message
        if self.is_releasing:
            self._watch_release()

    def _watch_release(self) -> None:
        """Look if a peer that awaits our A-RELEASE-RP is still there: it must not send anything."""
        try:
            if self.link.has_input():
                self.link.receive(self.link.patience)
        except LinkEnded as err:
            self._end = AssociationFailed(str(err))
        except LinkTimeout:
            self._misbehaves("a PDU without end")

    def _cancel(self, message: Message) -> None:
        cancelled = message.number(dimse.MESSAGE_ID_BEING_RESPONDED_TO)
        if cancelled is not None:
            self._cancelled.add(cancelled)

    def _receive(self, timeout: float | None) -> Message:
        if self._is_data_due:
            for _ in self.data(timeout):
                pass
        context_id, control, value = self._fragment(timeout)
        if not control & _COMMAND:
            raise self._misbehaves("a data set came where a command was due")
        encoded = value if control & _LAST else self._rest_of_command(value)
        context = self.contexts.get(context_id)
        if context is None:
            raise self._misbehaves("a message came in a presentation context that was not accepted")
        try:
            command = dimse.decode(encoded)
        except MalformedCommand as err:
            raise self._misbehaves(str(err)) from err
        data_set_type = command.get(dimse.DATA_SET_TYPE)
        if not isinstance(data_set_type, int):
            raise self._misbehaves("the command set has no Command Data Set Type")
        self.received[command[dimse.COMMAND_FIELD]] += 1
        self._is_data_due = data_set_type != dimse.NO_DATA_SET
        self._data_context_id = context_id
        return Message(context, command)

    def _rest_of_command(self, first: memoryview) -> bytearray:
        """A command that comes in several fragments, as hardly any does."""
        parts = bytearray(first)
        ends_at = time.monotonic() + COMMAND_SECONDS
        while True:
            if len(parts) > COMMAND_BYTES:
                raise self._misbehaves("a command without end")
            try:
                _, control, value = self._fragment(_until(ends_at, None))
            except LinkTimeout as err:
                raise self._misbehaves("a command that does not come to its end") from err
            if not control & _COMMAND:
                raise self._misbehaves("a data set came where a command was due")
            parts += value
            if control & _LAST:
                return parts

    def _fragment(self, timeout: float | None) -> tuple[int, int, memoryview]:
        if self._end is not None:
            raise self._end
        while True:
            if self._fragments:
                return self._fragments.popleft()
            try:
                told = self.link.receive(timeout)
            except LinkEnded as err:
                self._end = AssociationFailed(str(err))
                raise self._end from err
            if isinstance(told, memoryview):
                if (one := only_fragment(told)) is not None:
                    return one
                try:
                    self._fragments.extend(fragments(told))
                except MalformedPdu as err:
                    raise self._misbehaves(str(err)) from err
            elif isinstance(told, ReleaseRequest):
                self._end = PeerReleases("the peer ended the association")
                raise self._end

    def _misbehaves(self, what: str) -> AssociationFailed:
        self.link.abort()
        self._end = AssociationFailed(f"{what}: aborted")
        return self._end

    # -- sending ------------------------------------------------------------------------------------------------

    def send(self, messages: Iterable[tuple[int, Command, bytes | None]]) -> None:
        """Send messages, each in the presentation context of that ID, with one system call.

        Raises AssociationFailed, also when the peer does not take them in time.
        """
        buffers: list[Buffer] = []
        for context_id, command, data in messages:
            data_set_type = dimse.NO_DATA_SET if data is None else 1
            self.sent[command[dimse.COMMAND_FIELD]] += 1
            buffers += self._command(context_id, dimse.encode({**command, dimse.DATA_SET_TYPE: data_set_type}))
            if data is not None:
                buffers += self._packed(context_id, [data], len(data), len(data))
        self._send(buffers)

    def send_later(self, context_id: int, command_field: int, encoded: bytes) -> None:
        """Let a command without a data set leave with what is sent next, at the latest before anything is waited for.

        Only the thread that receives may do so.
        """
        self.sent[command_field] += 1
        self._outbox += self._command(context_id, encoded)

    def say_before_abort(self, context_id: int, command: Command | None) -> None:
        """Send a command without a data set when the association is aborted, as far as it can be; None: nothing."""
        words = b""
        if command is not None:
            encoded = dimse.encode({**command, dimse.DATA_SET_TYPE: dimse.NO_DATA_SET})
            words = b"".join(self._command(context_id, encoded))
        self.link.last_words = words

    def send_each(self, context_id: int, command: Command, data_sets: Iterable[bytes]) -> None:
        """Send the same command with one data set after the other, with one system call. Raises as `send`."""
        buffers: list[Buffer] = []
        repeated = self._command(context_id, dimse.encode({**command, dimse.DATA_SET_TYPE: 1}))
        count = 0
        for data in data_sets:
            count += 1
            buffers += repeated
            buffers += self._packed(context_id, [data], len(data), len(data))
        self.sent[command[dimse.COMMAND_FIELD]] += count
        self._send(buffers)

    def send_object(self, context: Context, command: bytes, obj: PreparedObject) -> None:
        """Send a message whose data set is that of ``obj``, as it comes from where it lies. Raises as `send`."""
        buffers = self._command(context.context_id, command)
        left = obj.length
        odd = b""
        has_begun = False
        try:
            for batch in obj.batches(for_system=not self.link.is_tls):
                size = sum(map(len, batch))
                if odd:
                    batch, size, odd = [odd, *batch], size + 1, b""
                if size & 1 and size < left:
                    # The last octet goes with the next batch: each fragment but the last has an even length.
                    batch, odd = _without_last(batch)
                    size -= 1
                if not size and not buffers:
                    continue  # there must be no fragment after the last one
                buffers += self._packed(context.context_id, batch, size, left)
                has_begun = True
                self._send(buffers)
                left -= size
                buffers = []
        except BaseException:  # whatever it was: the peer must not take a part for the whole
            if has_begun:
                self.link.abort()
            raise

    def _command(self, context_id: int, encoded: bytes) -> list[Buffer]:
        most = self._fragment_length
        if len(encoded) <= most:
            return [data_header(context_id, _COMMAND | _LAST, len(encoded)) + encoded]
        buffers: list[Buffer] = []
        for at in range(0, len(encoded), most):
            part = encoded[at : at + most]
            last = _LAST if at + most >= len(encoded) else 0
            buffers.append(data_header(context_id, _COMMAND | last, len(part)) + part)
        return buffers

    def _packed(self, context_id: int, batch: Sequence[Buffer], size: int, left: int) -> list[Buffer]:
        """The next ``size`` bytes of a data set of which ``left`` are still to go, in P-DATA-TF PDUs."""
        most = self._fragment_length
        if not left:
            return [data_header(context_id, _LAST, 0)]
        if 0 < size <= most:
            return [data_header(context_id, _LAST if size == left else 0, size), *batch]
        packed: list[Buffer] = []
        due = 0
        for buffer in batch:
            length, at = len(buffer), 0
            view = buffer if length <= due else memoryview(buffer)
            while at < length:
                if not due:
                    due = min(most, size)
                    packed.append(data_header(context_id, _LAST if due == left else 0, due))
                    size -= due
                    left -= due
                taken = min(due, length - at)
                packed.append(view if taken == length else view[at : at + taken])
                at += taken
                due -= taken
        return packed

    def _send(self, buffers: Sequence[Buffer]) -> None:
        if self._outbox:
            buffers = [*self._outbox, *buffers]
            self._outbox = []
        try:
            self.link.send_data(buffers)
        except LinkTimeout as err:
            self.link.abort()
            raise AssociationFailed(str(err)) from err
        except BytesGone as err:
            raise StorageUnavailable(str(err)) from err
        except LinkEnded as err:
            raise AssociationFailed(str(err)) from err

    # -- C-STORE, of which a retrieve makes many ------------------------------------------------------------------

    def transfer_syntaxes(self, sop_class_uid: str) -> tuple[str, ...]:
        """Transfer syntaxes in which the peer takes instances of this SOP class."""
        return tuple(self._contexts_as_scu.get(sop_class_uid, ()))

    def context_for(self, abstract_syntax: str, transfer_syntax: str) -> Context | None:
        """The presentation context, in which we may be SCU, of this abstract and transfer syntax."""
        return self._contexts_as_scu.get(abstract_syntax, {}).get(transfer_syntax)

    def begin_store(self, obj: PreparedObject, message_id: int, originator: MoveOriginator | None) -> None:
        """Send the C-STORE-RQ of ``obj``, of medium priority, and close ``obj``; `end_store` has to follow.

        Raises AssociationFailed, and what reading the object raises.
        """
        try:
            context = self.context_for(obj.sop_class_uid, obj.transfer_syntax_uid)
            if context is None:
                raise ValueError("no accepted presentation context")
            origin = None if originator is None else (originator.ae_title, originator.message_id)
            command = dimse.encode_store(obj.sop_class_uid, obj.sop_instance_uid, message_id, origin)
            self.sent[dimse.C_STORE_RQ] += 1
            self.send_object(context, command, obj)
        finally:
            obj.close()

    def end_store(self, message_id: int, timeout: float | None) -> int | None:
        """The status of the C-STORE of that ID; None when no response came in ``timeout`` seconds.

        The association is of no use then: a late response would be taken for that to the next object. A C-CANCEL that
        comes meanwhile is remembered.
        """
        try:
            response = self.receive(timeout)
        except (AssociationFailed, LinkTimeout):
            return None
        command = response.command
        if command[dimse.COMMAND_FIELD] != dimse.C_STORE_RQ | dimse.RESPONSE:
            self._misbehaves("a message came where the response to a C-STORE was due")
            return None
        if command.get(dimse.MESSAGE_ID_BEING_RESPONDED_TO) != message_id:
            return None
        return response.number(dimse.STATUS)

    # -- ending -------------------------------------------------------------------------------------------------

    def release(self, timeout: float | None) -> bool:
        """Release in an orderly way, also when the peer asked first; ``timeout`` in seconds bounds the wait.

        False if it had to be aborted.
        """
        is_orderly = True
        try:
            if self.is_releasing:
                self.link.send(Event.ANSWER_RELEASE, ReleaseResponse())
                self.link.linger(1.0 if timeout is None else timeout)
                return True
            if self.link.state is State.STA6:
                self.link.send(Event.RELEASE, ReleaseRequest())
                self._await_release(timeout)
        except (LinkEnded, LinkTimeout, NotAllowed):
            self.link.abort()
            is_orderly = False
        self.link.close()
        return is_orderly

    def _await_release(self, timeout: float | None) -> None:
        is_released = False
        while not is_released:
            is_released = isinstance(self.link.receive(timeout), ReleaseResponse)
            # Both at the same time: the acceptor answers when it has the answer (PS3.8 9.2.2).
            if self.link.state in (State.STA9, State.STA12):
                self.link.send(Event.ANSWER_RELEASE, ReleaseResponse())
                if is_released:
                    self.link.linger(1.0 if timeout is None else timeout)

    def abort(self) -> None:
        """Abort; for any thread."""
        self.link.abort()


def _without_last(batch: Sequence[Buffer]) -> tuple[list[Buffer], bytes]:
    """The buffers without their last octet, and that."""
    buffers = [buffer for buffer in batch if len(buffer)]
    last = memoryview(buffers.pop())
    return [*buffers, last[:-1]], bytes(last[-1:])
