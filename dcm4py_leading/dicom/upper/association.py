"""An established association, of either side: DIMSE messages (PS3.7 8, PS3.8 E) over a `link`."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from dcm4py_leading.dicom.upper import command as dimse
from dcm4py_leading.dicom.upper.command import MalformedCommand
from dcm4py_leading.dicom.upper.dimse_message import DimseMessage, MoveOriginator, PresentationContext, SentObject
from dcm4py_leading.dicom.upper.failures import AssociationFailed, PeerReleases
from dcm4py_leading.dicom.upper.fragmenting import COMMAND, LAST
from dcm4py_leading.dicom.upper.link import Link, LinkEnded, LinkTimeout
from dcm4py_leading.dicom.upper.message_sender import MessageSender
from dcm4py_leading.dicom.upper.pace import OF_PEERS, Pace
from dcm4py_leading.dicom.upper.pdu import MalformedPdu, ReleaseRequest, ReleaseResponse
from dcm4py_leading.dicom.upper.pdu_codec import fragments, only_fragment
from dcm4py_leading.dicom.upper.state import Event, NotAllowed, State
from dcm4py_leading.dicom.upper.window import ONE_AT_A_TIME, Window
from dcm4py_leading.model.bounds import (
    COMMAND_BYTES,
    COMMAND_SECONDS,
    WAITING_REQUESTS_BYTES,
)

_WHOLE_COMMAND = COMMAND | LAST
_C_STORE_RSP = dimse.C_STORE_RQ | dimse.RESPONSE
_NO_STORE_RESPONSE = "a message came where the response to a C-STORE was due"


def _until(ends_at: float, timeout: float | None) -> float:
    """Seconds until a deadline, at most ``timeout``. Raises LinkTimeout after the deadline."""
    left = ends_at - time.monotonic()
    if left <= 0:
        raise LinkTimeout("the message did not come to its end in time")
    return left if timeout is None else min(left, timeout)


class Association(MessageSender):
    """Association with a peer (see the module). One thread receives; other threads may also `send`."""

    def __init__(
        self,
        link: Link,
        contexts: Iterable[PresentationContext],
        peer_maximum_length: int,
        window: Window = ONE_AT_A_TIME,
    ) -> None:
        """``peer_maximum_length`` is the longest P-DATA-TF that the peer accepts; 0: no limit."""
        # Else a peer that waits until we read its responses would block us, and we the peer.
        super().__init__(link, peer_maximum_length, reads_while_sending=window.invoked > 1)
        self.window = window
        """Operations that may be outstanding at once."""
        self.contexts: Mapping[int, PresentationContext] = {context.context_id: context for context in contexts}
        self._contexts_as_scu: dict[str, dict[str, PresentationContext]] = {}
        for context in self.contexts.values():
            if context.as_scu:
                self._contexts_as_scu.setdefault(context.abstract_syntax, {}).setdefault(
                    context.transfer_syntax, context
                )
        self._fragments: deque[tuple[int, int, memoryview]] = deque()
        self._is_data_due = False
        self._data_context_id = 0
        self._waiting: deque[DimseMessage] = deque()
        """Messages that came before they were wanted. The data set of the last one may still be due."""
        self._held: memoryview | None = None
        """Data set of the message that was received last, where it came before that was wanted."""
        self._max_waiting = 1 if window == ONE_AT_A_TIME else window.invoked + window.performed
        self._store_responses = dimse.StoreResponses()
        self._cancelled: set[int] = set()
        self._end: AssociationFailed | None = None
        self.received: defaultdict[int | bytes, int] = defaultdict(int)
        """Number of messages that have come, by Command Field."""

    # -- receiving ----------------------------------------------------------------------------------------------

    def receive(self, timeout: float | None) -> DimseMessage:
        """Receive the next message; drops the rest of the previous data set.

        ``timeout`` in seconds. Raises LinkTimeout, AssociationFailed; PeerReleases if the peer asks to release.
        """
        self._flush()
        self._held = None
        if self._waiting:
            return self._next_waiting()
        while True:
            message = self._receive(timeout)
            if message.number(dimse.COMMAND_FIELD) != dimse.C_CANCEL_RQ:
                self._begins(message)
                return message
            self._cancel(message)

    def data(
        self, timeout: float | None, *, ends_at: float | None = None, pace: Pace = OF_PEERS
    ) -> Iterator[memoryview]:
        """The data set of the last received message in pieces; each is valid until the next one.

        ``timeout`` in seconds for each piece; all must come before ``ends_at`` of the monotonic clock, and at the
        ``pace``, which counts only the time spent waiting. Raises as `receive`.
        """
        if self._held is not None:
            held, self._held = self._held, None
            yield held
        elif not self._waiting:  # else the next data set belongs to a later message
            yield from self._data(timeout, ends_at, pace)

    def _data(self, timeout: float | None, ends_at: float | None, pace: Pace) -> Iterator[memoryview]:
        """The data set of the last message read."""
        link, length = self.link, 0
        until_now, looks_after = link.waited, pace.seconds
        while self._is_data_due:
            context_id, control, value = self._fragment(timeout if ends_at is None else _until(ends_at, timeout))
            if control & COMMAND or context_id != self._data_context_id:
                raise self._misbehaves("something else came where a data set was due")
            self._is_data_due = not control & LAST
            length += len(value)
            waited = link.waited - until_now
            if waited > looks_after and pace.is_missed(waited, length):
                raise self._misbehaves(f"{length} bytes of a data set in {waited:.0f} s are too few")
            yield value

    def is_over(self, message_id: int) -> bool:
        """True if the peer no longer waits for this request: it sent a C-CANCEL (PS3.7 9.3.2.3), or has gone.

        A peer that asks to release still accepts responses (PS3.8 table 9-10, AR-7).
        """
        return self.is_lost or message_id in self._cancelled

    @property
    def is_lost(self) -> bool:
        """True if nothing can be sent to the peer."""
        self._take_in()
        return self.link.state not in (State.STA6, State.STA8) or not isinstance(self._end, PeerReleases | None)

    @property
    def lost_by(self) -> str:
        """Reason why the association has ended, if noticed; empty while it is established."""
        return "" if self._end is None else str(self._end)

    def is_cancelled(self, message_id: int) -> bool:
        """True if a C-CANCEL for this request has come, as noticed by `is_over` or `is_open`."""
        return message_id in self._cancelled

    @property
    def is_open(self) -> bool:
        """True if the peer is connected and has not asked to release."""
        self._take_in()
        return self._end is None and self.link.state is State.STA6

    @property
    def has_input(self) -> bool:
        """True if `receive` would return or raise without waiting."""
        self._take_in()
        return bool(self._waiting) or self._end is not None

    @property
    def is_releasing(self) -> bool:
        """True if the peer asked to release and has no response yet."""
        return isinstance(self._end, PeerReleases) and self.link.state is State.STA8

    def forget_cancelled(self) -> None:
        """Forget the C-CANCEL of an ended request; waiting requests may also have been cancelled."""
        if self._cancelled:
            self._cancelled.intersection_update([waiting.number(dimse.MESSAGE_ID) for waiting in self._waiting])

    def _take_in(self) -> None:
        """Read the received messages without waiting, except for the rest of an incomplete message."""
        while self._end is None and len(self._waiting) < self._max_waiting and not self._is_data_due:
            # The rest of the last PDU is in the buffer that the link would overwrite.
            if not self._fragments and not self.link.has_input():
                return
            try:
                message = self._receive(self.link.patience)
                if message.number(dimse.COMMAND_FIELD) == dimse.C_CANCEL_RQ:
                    self._cancel(message)
                else:
                    self._put_aside(message)
            except AssociationFailed:
                return
            except LinkTimeout:
                self._misbehaves("a message without end")
                return
        if self.is_releasing:
            self._watch_release()

    def _watch_release(self) -> None:
        """Check if a peer that waits for our A-RELEASE-RP is still connected; it must not send anything."""
        try:
            if self.link.has_input():
                self.link.receive(self.link.patience)
        except LinkEnded as err:
            self._end = AssociationFailed(str(err))
        except LinkTimeout:
            self._misbehaves("a PDU without end")

    def _cancel(self, message: DimseMessage) -> None:
        cancelled = message.number(dimse.MESSAGE_ID_BEING_RESPONDED_TO)
        if cancelled is not None:
            self._cancelled.add(cancelled)

    def _begins(self, message: DimseMessage) -> None:
        """Begin a request; a C-CANCEL that came before was for an earlier request of that Message ID."""
        if self._cancelled and message.is_request:
            self._cancelled.discard(message.number(dimse.MESSAGE_ID) or 0)

    def _put_aside(self, message: DimseMessage) -> None:
        """Keep a message for later, with its data set; after an object, read nothing more."""
        if message.is_request:
            self._begins(message)
            if self.window.performed > 1:
                if sum(waiting.is_request for waiting in self._waiting) >= self.window.performed:
                    raise self._misbehaves(f"more than the {self.window.performed} requests at once that were granted")
                if message.number(dimse.COMMAND_FIELD) != dimse.C_STORE_RQ:
                    message = replace(message, held=self._read_ahead())
        self._waiting.append(message)

    def _read_ahead(self) -> memoryview:
        """Read the data set of the last message into memory."""
        left = WAITING_REQUESTS_BYTES - sum(len(waiting.held or b"") for waiting in self._waiting)
        whole = bytearray()
        for part in self._data(self.link.patience, None, OF_PEERS):
            whole += part
            if len(whole) > left:
                raise self._misbehaves(f"requests that wait have more than {WAITING_REQUESTS_BYTES} bytes")
        return memoryview(whole)

    def _next_waiting(self) -> DimseMessage:
        message = self._waiting.popleft()
        if message.is_request and not isinstance(self._end, PeerReleases | None):
            self._waiting.clear()  # the responses are no longer needed
            raise self._end
        self._held = message.held
        return message

    def _receive(self, timeout: float | None) -> DimseMessage:
        if self._is_data_due:
            for _ in self._data(timeout, None, OF_PEERS):
                pass
        return self._message(*self._fragment(timeout))

    def _message(self, context_id: int, control: int, value: memoryview) -> DimseMessage:
        """Read the message that begins with a fragment."""
        if not control & COMMAND:
            raise self._misbehaves("a data set came where a command was due")
        encoded = value if control & LAST else self._rest_of_command(value)
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
        return DimseMessage(context, command)

    def _rest_of_command(self, first: memoryview) -> bytearray:
        """Read the rest of a command in several fragments, which is rare."""
        parts = bytearray(first)
        ends_at = time.monotonic() + COMMAND_SECONDS
        while True:
            if len(parts) > COMMAND_BYTES:
                raise self._misbehaves("a command without end")
            try:
                _, control, value = self._fragment(_until(ends_at, None))
            except LinkTimeout as err:
                raise self._misbehaves("a command that does not come to its end") from err
            if not control & COMMAND:
                raise self._misbehaves("a data set came where a command was due")
            parts += value
            if control & LAST:
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

    # -- C-STORE, of which a retrieve makes many ------------------------------------------------------------------

    def transfer_syntaxes(self, sop_class_uid: str) -> tuple[str, ...]:
        """Transfer syntaxes in which the peer accepts instances of this SOP class."""
        return tuple(self._contexts_as_scu.get(sop_class_uid, ()))

    def context_for(self, abstract_syntax: str, transfer_syntax: str) -> PresentationContext | None:
        """The presentation context of this abstract and transfer syntax in which we may be SCU."""
        return self._contexts_as_scu.get(abstract_syntax, {}).get(transfer_syntax)

    def begin_store(self, obj: SentObject, message_id: int, originator: MoveOriginator | None) -> None:
        """Send the C-STORE-RQ of ``obj`` with medium priority, and close ``obj``; `store_response` must follow.

        Raises AssociationFailed, and the errors of reading the object.
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

    def store_response(self, timeout: float | None) -> tuple[int, int] | None:
        """Message ID and status of the next C-STORE response; None if none came in ``timeout`` seconds.

        Then the association is unusable: a late response could be taken for that to another object. Notes a C-CANCEL
        that comes in the meantime.
        """
        message: DimseMessage | None = None
        try:
            self._flush()
            if not self._waiting and not self._is_data_due:
                context_id, control, value = self._fragment(timeout)
                if control == _WHOLE_COMMAND and context_id in self.contexts:
                    known = self._store_responses.read(value)
                    if known is not None:
                        self.received[_C_STORE_RSP] += 1
                        return known
                    self._store_responses.learn(value)
                message = self._message(context_id, control, value)
            while True:
                message = message or self._waiting_response() or self._receive(timeout)
                field = message.number(dimse.COMMAND_FIELD)
                if field == _C_STORE_RSP:
                    break
                if field == dimse.C_CANCEL_RQ:
                    self._cancel(message)
                elif message.is_request and self.window.performed > 1:
                    self._put_aside(message)
                else:
                    raise self._misbehaves(_NO_STORE_RESPONSE)
                message = None
        except (AssociationFailed, LinkTimeout):
            return None
        message_id, status = message.number(dimse.MESSAGE_ID_BEING_RESPONDED_TO), message.number(dimse.STATUS)
        return None if message_id is None or status is None else (message_id, status)

    def _waiting_response(self) -> DimseMessage | None:
        """The first response that was received early; None if there is none."""
        for at, waiting in enumerate(self._waiting):
            if not waiting.is_request:
                del self._waiting[at]
                return waiting
        if self._waiting:
            if self.window.performed == 1:
                raise self._misbehaves(_NO_STORE_RESPONSE)
            if self._is_data_due:
                held = self._read_ahead()
                self._waiting.append(replace(self._waiting.pop(), held=held))
        return None

    # -- ending -------------------------------------------------------------------------------------------------

    def release(self, timeout: float | None) -> bool:
        """Release the association, also when the peer asked first; waits at most ``timeout`` seconds.

        False if the association had to be aborted.
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
            # Release collision: the acceptor responds after it has the response (PS3.8 9.2.2).
            if self.link.state in (State.STA9, State.STA12):
                self.link.send(Event.ANSWER_RELEASE, ReleaseResponse())
                if is_released:
                    self.link.linger(1.0 if timeout is None else timeout)

    def abort(self) -> None:
        """Abort the association; for any thread."""
        self.link.abort()
