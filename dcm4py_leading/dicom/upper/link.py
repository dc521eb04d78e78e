"""One TCP or TLS connection with the upper layer on it: the blocking driver of `state` and `pdu`.

One thread reads. One thread at a time writes; any thread may `abort`. No polling: a thread sleeps in the kernel until
the peer sends, and the socket has the timeout (SO_RCVTIMEO, SO_SNDTIMEO), so waiting needs no further system call.
"""

from __future__ import annotations

import errno
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import NoReturn

from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.dicom.upper import pdu, pdu_codec
from dcm4py_leading.dicom.upper.foreign import protocol_of
from dcm4py_leading.dicom.upper.pace import OF_PEERS
from dcm4py_leading.dicom.upper.pdu import Abort, AssociateRequest, MalformedPdu, Pdu
from dcm4py_leading.dicom.upper.state import Action, Event, Machine, NotAllowed, State

_FIRST_BUFFER = 1 << 14
_READ_AHEAD = 1 << 16
_LONGEST_PDU = 1 << 20
"""Greatest length of a PDU from a peer that heeds no maximum length, as A-ASSOCIATE-RQ has none."""
_LONGEST_OF_ANY = 1 << 26
"""The end of what a peer may send that was offered any length: it costs as much memory."""
_PATIENCE_OF_ABORT = 1.0
"""Seconds that another thread gets to finish what it is sending."""
_PATIENCE_WITH_WORDS = 0.2
"""Seconds that `Link.abort` waits for such a thread, where there is something to be said before."""
_INVALID = 0
"""Mark for a PDU whose header is wrong."""
_BUFFERS_AT_ONCE = 1024
"""IOV_MAX of Linux."""
_HEADER = struct.Struct(">BxL")
_TIMEVAL = struct.Struct("ll")
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)

_EVENTS = {
    pdu.ASSOCIATE_RQ: Event.ASSOCIATE_RQ_RECEIVED,
    pdu.ASSOCIATE_AC: Event.ACCEPTED_BY_PEER,
    pdu.ASSOCIATE_RJ: Event.REJECTED_BY_PEER,
    pdu.P_DATA_TF: Event.DATA_RECEIVED,
    pdu.RELEASE_RQ: Event.RELEASE_RQ_RECEIVED,
    pdu.RELEASE_RP: Event.RELEASE_RP_RECEIVED,
    pdu.ABORT: Event.ABORT_RECEIVED,
}


class LinkEnded(Exception):
    """The connection has ended or is unusable. The message says what the peer did."""


class PeerAborted(LinkEnded):
    """The peer sent an A-ABORT."""


class ForeignProtocol(LinkEnded):
    """The peer speaks another protocol, by its first octets."""

    def __init__(self, protocol: str) -> None:
        super().__init__(f"the peer speaks {protocol}")
        self.protocol = protocol


class SourceUnreadable(LinkEnded):
    """The file that is being sent has become shorter, or can no longer be read."""


class LinkTimeout(Exception):
    """Nothing came in time, or the peer does not read what we send."""


class Link:
    """Link to a peer: connection and state machine (see the module)."""

    def __init__(self, sock: socket.socket, *, is_requestor: bool, maximum_length: int) -> None:
        """``sock`` is connected. ``maximum_length`` is the longest P-DATA-TF that we accept; 0: no limit."""
        self._socket = sock
        self.is_tls = isinstance(sock, ssl.SSLSocket)
        """True if what is sent is looked at before the system does."""
        # OpenSSL's own loop would ignore SO_RCVTIMEO; see _when_ready.
        sock.setblocking(not self.is_tls)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._machine = Machine(is_requestor=is_requestor)
        self._machine.on(Event.ASSOCIATE_REQUESTED if is_requestor else Event.CONNECTION_CAME_IN)
        self._longest = max(maximum_length or _LONGEST_OF_ANY, _LONGEST_PDU)
        self._buffer = memoryview(bytearray(_FIRST_BUFFER))
        self._start = self._end = 0
        self._timeouts: dict[int, float | None] = {}
        self._patience: float | None = None
        self._foreign: str | None = None
        self._is_torn = False
        self._writing = threading.Lock()
        self.last_words = b""
        """P-DATA-TF PDUs that `abort` sends first."""
        self.waited = 0.0
        """Seconds that were spent in waiting for the peer to send."""

    @property
    def state(self) -> State:
        """State of the association (PS3.8 9.2)."""
        return self._machine.state

    @property
    def patience(self) -> float | None:
        """Seconds; see `set_send_timeout`."""
        return self._patience

    def set_send_timeout(self, seconds: float | None) -> None:
        """Set the seconds for which a peer may stop reading, or pause within a PDU; None: no limit.

        A peer that reads or sends far too slowly is also given up.
        """
        self._patience = seconds
        self._set_timeout(socket.SO_SNDTIMEO, seconds)

    def fileno(self) -> int:
        """Descriptor of the socket, for `select.poll`; -1 when it is closed."""
        return self._socket.fileno()

    def notice_loss(self) -> None:
        """Turn on TCP keep-alive, for a peer that may be silent without limit."""
        with suppress(OSError):  # closed: the next use raises
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    # -- receiving ----------------------------------------------------------------------------------------------

    def receive(self, timeout: float | None) -> Pdu | memoryview:
        """Receive the next PDU; a P-DATA-TF as bytes that are valid until the next call.

        ``timeout`` in seconds. Raises LinkTimeout; LinkEnded if the peer aborted or has gone, or was aborted because it
        violated the protocol.
        """
        body = self._data_at_hand()
        if body is not None:
            return body
        ends_at = None if timeout is None else time.monotonic() + timeout
        while True:
            self._set_timeout(socket.SO_RCVTIMEO, timeout)
            pdu_type, body = self._next_pdu(ends_at)
            event = _EVENTS.get(pdu_type, Event.INVALID_PDU_RECEIVED)
            told: Pdu | memoryview = body
            if event is not Event.DATA_RECEIVED and event is not Event.INVALID_PDU_RECEIVED:
                try:
                    told = pdu_codec.decode(pdu_type, body)
                except MalformedPdu:
                    event = Event.INVALID_PDU_RECEIVED
            action = self._machine.on(event)
            if isinstance(told, Abort):
                self.close()
                raise PeerAborted("association aborted")
            if action.sends_abort is not None:
                self._abort_for(action, event)
            if action.closes:
                self.close()
            if action.indicates:
                return told

    def has_input(self) -> bool:
        """True if `receive` would return or raise without waiting."""
        if self._machine.state is State.STA1:
            return True
        try:
            return self._is_complete() or self._fill(is_waiting=False) == 0 or self._is_complete()
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True

    def _data_at_hand(self) -> memoryview | None:
        """A P-DATA-TF that is already in the buffer, of an established association: the usual case of `receive`."""
        body_start = self._start + pdu.HEADER_LENGTH
        if body_start > self._end or self._machine.state is not State.STA6:
            return None
        pdu_type, length = _HEADER.unpack_from(self._buffer, self._start)
        following = body_start + length
        if pdu_type != pdu.P_DATA_TF or following > self._end or length > self._longest:
            return None
        self._start = following
        return self._buffer[body_start:following]  # as DT-2 of PS3.8 table 9-7 has it

    def _next_pdu(self, ends_at: float | None) -> tuple[int, memoryview]:
        begun_at: float | None = None
        is_complete = self._is_complete()
        while not is_complete:
            asked_at = time.monotonic()
            if begun_at is None and self._start < self._end:
                begun_at = asked_at
            try:
                count = self._fill(is_waiting=True)
            except BlockingIOError:
                raise LinkTimeout("nothing came in time") from None
            except OSError as err:
                self._is_gone(f"connection lost: {err.strerror or type(err).__name__}")
            now = time.monotonic()
            self.waited += now - asked_at
            if count == 0:
                self._is_gone("connection lost: closed by the peer")
            is_complete = self._is_complete()
            if not is_complete:
                if ends_at is not None and now > ends_at:
                    raise LinkTimeout("the message did not come to its end in time")
                if begun_at is not None and OF_PEERS.is_missed(now - begun_at, self._end - self._start):
                    raise LinkTimeout("the message comes too slowly")
                if self._patience is not None:
                    self._set_timeout(socket.SO_RCVTIMEO, self._patience)
        pdu_type, length = _HEADER.unpack_from(self._buffer, self._start)
        if not self._is_valid(pdu_type, length):
            if self._machine.state is State.STA2:
                self._foreign = protocol_of(bytes(self._buffer[self._start : self._start + pdu.HEADER_LENGTH]))
            self._start = self._end
            return _INVALID, self._buffer[:0]
        body_start = self._start + pdu.HEADER_LENGTH
        self._start = body_start + length
        return pdu_type, self._buffer[body_start : self._start]

    def _is_valid(self, pdu_type: int, length: int) -> bool:
        # Before admission, a PDU may not be longer than an A-ASSOCIATE-RQ.
        if length > _LONGEST_PDU and (length > self._longest or self._machine.state is State.STA2):
            return False
        return pdu_type in _EVENTS

    def _is_complete(self) -> bool:
        available = self._end - self._start
        if available < pdu.HEADER_LENGTH:
            return False
        pdu_type, length = _HEADER.unpack_from(self._buffer, self._start)
        # Do not wait for the rest of an invalid PDU.
        return available >= pdu.HEADER_LENGTH + length or not self._is_valid(pdu_type, length)

    def _fill(self, *, is_waiting: bool) -> int:
        """Receive some bytes and return their number, 0 at the end. Raises BlockingIOError if none come in time."""
        self._make_room()
        room = self._buffer[self._end :]
        flags = 0
        if is_waiting:
            if _QUICKACK is not None:
                # Lets a peer with Nagle's algorithm send at once; the system resets the option from time to time.
                self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        elif not self.is_tls:
            flags = socket.MSG_DONTWAIT
        if self.is_tls and is_waiting:
            count = self._when_ready(lambda: self._socket.recv_into(room), socket.SO_RCVTIMEO)
        else:
            count = self._socket.recv_into(room, 0, flags)
        self._end += count
        return count

    def _when_ready(self, call: Callable[[], int], option: int) -> int:
        """Repeat an operation of a TLS connection, which may have to read in order to write, and the reverse.

        Raises BlockingIOError after the time set for ``option``.
        """
        while True:
            try:
                return call()
            except ssl.SSLWantReadError:
                wanted = select.POLLIN
            except ssl.SSLWantWriteError:
                wanted = select.POLLOUT
            timeout = self._timeouts.get(option)
            poll = select.poll()
            poll.register(self._socket, wanted)
            if not poll.poll(None if timeout is None else timeout * 1000):
                raise BlockingIOError

    def _make_room(self) -> None:
        if self._start == self._end:
            self._start = self._end = 0
        available = self._end - self._start
        needed = pdu.HEADER_LENGTH
        if available >= pdu.HEADER_LENGTH:
            needed += _HEADER.unpack_from(self._buffer, self._start)[1]
        size = len(self._buffer)
        if needed > size:
            # Memory for the bytes received, and as much again: an announced length alone costs no memory.
            if available < size:
                needed = size
            else:
                larger = memoryview(bytearray(min(needed + _READ_AHEAD, 4 * size)))
                larger[:available] = self._buffer[self._start : self._end]
                self._buffer = larger
                self._start, self._end = 0, available
                return
        if self._start + needed > len(self._buffer) or self._end == len(self._buffer):
            self._buffer[:available] = self._buffer[self._start : self._end]
        else:
            return
        self._start, self._end = 0, available

    def _is_gone(self, what: str) -> NoReturn:
        if self._machine.state is not State.STA1:
            self._machine.on(Event.CONNECTION_CLOSED)
        self.close()
        raise LinkEnded(what)

    # -- sending ------------------------------------------------------------------------------------------------

    def request(self, request: AssociateRequest) -> None:
        """Send the A-ASSOCIATE-RQ, first on a connection that we opened. Raises LinkEnded, LinkTimeout."""
        self.send(Event.CONNECTED, request)

    def send(self, event: Event, message: Pdu) -> None:
        """Send the PDU of ``event``. Raises LinkEnded, LinkTimeout; NotAllowed in the wrong state."""
        with self._writing:
            action = self._machine.on(event)
            self._write([pdu_codec.encode(message)])
        if action.closes:
            self.close()

    def send_data(self, buffers: Sequence[Buffer], *, reads: bool = False) -> None:
        """Send whole P-DATA-TF PDUs. Raises LinkEnded, LinkTimeout.

        ``reads``: while the peer does not read, buffer what it sends for `receive`. Only for the receiving thread.
        """
        with self._writing:
            try:
                self._machine.on(Event.SEND_DATA)
            except NotAllowed as err:
                raise LinkEnded("the association has ended") from err
            self._write(buffers, reads=reads)

    def _write(self, buffers: Sequence[Buffer], *, reads: bool = False) -> None:
        try:
            if self.is_tls:
                left = memoryview(b"".join(buffers))
                while left:
                    left = left[self._when_ready(partial(self._socket.send, left), socket.SO_SNDTIMEO) :]
            elif reads:
                _send_all(self._socket, buffers, self._read_until_taken)
            else:
                _send_all(self._socket, buffers)
        except BlockingIOError:
            self._is_torn = True
            raise LinkTimeout("the peer does not take what is sent") from None
        except OSError as err:
            self._is_torn = True
            if err.errno == errno.EFAULT:  # of a map
                raise SourceUnreadable("a stored object cannot be read") from err
            raise LinkEnded(f"connection lost: {err.strerror or type(err).__name__}") from err

    def _read_until_taken(self) -> None:
        """Wait until the peer reads more. Raises BlockingIOError after the timeout.

        A peer whose answers we do not read stops reading too: both sides would wait for each other.
        """
        timeout = self._timeouts.get(socket.SO_SNDTIMEO)
        ends_at = None if timeout is None else time.monotonic() + timeout
        wanted = select.POLLIN | select.POLLOUT
        while True:
            poll = select.poll()
            poll.register(self._socket, wanted)
            left = None if ends_at is None else max(0.0, ends_at - time.monotonic())
            ready = poll.poll(None if left is None else left * 1000)
            if not ready:
                raise BlockingIOError
            if ready[0][1] & ~select.POLLIN:
                return
            if not self._read_ahead():
                wanted = select.POLLOUT

    def _read_ahead(self) -> bool:
        """Buffer bytes that came after the last PDU of `receive`; False if there are none, or the buffer is full."""
        available = self._end - self._start
        if available >= _READ_AHEAD:
            return False
        if self._end == len(self._buffer):
            larger = memoryview(bytearray(available + _READ_AHEAD))
            larger[:available] = self._buffer[self._start : self._end]
            self._buffer, self._start, self._end = larger, 0, available
        try:
            count = self._socket.recv_into(self._buffer[self._end :], 0, socket.MSG_DONTWAIT)
        except OSError:  # the next use of the connection raises
            return False
        self._end += count
        return count > 0

    # -- ending -------------------------------------------------------------------------------------------------

    def abort(self) -> None:
        """Send an A-ABORT if the association is still established, and end the connection; for any thread."""
        # Do not wait for a thread that is stuck in sending: an A-ABORT cannot be sent within a PDU. A thread that has
        # just sent the request gets the time to return.
        is_free = self._writing.acquire(timeout=_PATIENCE_WITH_WORDS if self.last_words else 0)
        try:
            can_tell = is_free and not self._is_torn
            if can_tell and self._machine.state not in (State.STA1, State.STA2, State.STA4, State.STA13):
                words = self.last_words if self._machine.state is State.STA6 else b""
                action = self._machine.on(Event.ABORT)
                if action.sends_abort is not None:
                    self._set_timeout(socket.SO_SNDTIMEO, 0.1)
                    with suppress(BlockingIOError):  # a peer that takes nothing gets none, but the end
                        self._socket.send(words + pdu_codec.encode(Abort(action.sends_abort, 0)))
            self._socket.shutdown(socket.SHUT_RDWR)
        except (OSError, NotAllowed):  # already closed, or the reading thread was faster
            return
        finally:
            if is_free:
                self._writing.release()

    def _abort_for(self, action: Action, event: Event) -> NoReturn:
        """Abort because the peer violated the protocol."""
        reason = 1 if event is Event.INVALID_PDU_RECEIVED else 2
        source = action.sends_abort
        if source is not None and self._writing.acquire(timeout=_PATIENCE_OF_ABORT):
            try:
                self._write([pdu_codec.encode(Abort(source, reason if source == 2 else 0))])
            except (LinkEnded, LinkTimeout):
                self.close()
            finally:
                self._writing.release()
            self.linger(1.0)
        self.close()
        if self._foreign is not None:
            raise ForeignProtocol(self._foreign)
        raise LinkEnded("the peer does not keep to the protocol: aborted")

    def linger(self, seconds: float) -> None:
        """Wait until the peer closes, so that it can read the last message (the ARTIM timer of PS3.8 9.1.5)."""
        ends_at = time.monotonic() + seconds
        try:
            while (remaining := ends_at - time.monotonic()) > 0:
                self._set_timeout(socket.SO_RCVTIMEO, remaining)
                self._start = self._end = 0
                if not self._fill(is_waiting=True):
                    break
        except OSError:
            return  # nothing came in time, or the connection was reset: both are an end
        finally:
            self.close()

    def close(self) -> None:
        """Close the connection."""
        self._machine.state = State.STA1
        self._socket.close()

    def _set_timeout(self, option: int, seconds: float | None) -> None:
        if self._timeouts.get(option, 0.0) == seconds:
            return
        self._timeouts[option] = seconds
        # A timeout of zero would mean no limit.
        whole, fraction = divmod(max(seconds, 0.001), 1) if seconds is not None else (0, 0)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, option, _TIMEVAL.pack(int(whole), int(fraction * 1_000_000)))
        except OSError:  # closed: the next use raises
            self._timeouts.pop(option)


def _send_all(sock: socket.socket, buffers: Sequence[Buffer], wait: Callable[[], None] | None = None) -> None:
    """Send with one system call, unless there are many buffers or the system accepts only a part.

    The system accepts a part after the send timeout; with ``wait``, as soon as it would block. Raises BlockingIOError
    if nothing was accepted in that time, or too little in several such times.
    """
    at, part = 0, None
    slow_since, taken = 0.0, 0
    while at < len(buffers):
        batch = buffers if len(buffers) <= _BUFFERS_AT_ONCE and not at else buffers[at : at + _BUFFERS_AT_ONCE]
        if part is not None:
            batch = [part, *batch[1:]]
            part = None
        try:
            sent = sock.sendmsg(batch) if wait is None else sock.sendmsg(batch, (), socket.MSG_DONTWAIT)
        except BlockingIOError:
            if wait is None:
                raise
            wait()
            sent = 0
        if sent == sum(map(len, batch)):
            at += len(batch)
            continue
        now = time.monotonic()
        slow_since, taken = slow_since or now, taken + sent
        if OF_PEERS.is_missed(now - slow_since, taken):
            raise BlockingIOError
        for buffer in batch:
            if sent < len(buffer):
                part = memoryview(buffer)[sent:]
                break
            sent -= len(buffer)
            at += 1
