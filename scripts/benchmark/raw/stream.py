"""Messages from a socket: large reads, of which only the headers of fragments are looked at."""

from __future__ import annotations

import socket
import struct

from scripts.benchmark.raw.messages import (
    A_RELEASE_RQ,
    COMMAND,
    LAST,
    P_DATA_TF,
    RELEASE_RP,
    command_fields,
    fragment,
    response,
)

SECONDS = 120
_BUFFER_BYTES = 1 << 20
_PDU = struct.Struct(">BxL")
_FRAGMENT = struct.Struct(">LBB")


class WireError(Exception):
    """The peer did not do as it was asked, or not in time."""


class Stream:
    """What a peer sends: PDUs while an association begins and ends, commands and data sets between.

    Its methods raise WireError and OSError.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Time-outs of the kernel: those of Python's sockets are one more system call for each read and write.
        connection.settimeout(None)
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            connection.setsockopt(socket.SOL_SOCKET, option, struct.pack("@ll", SECONDS, 0))
        self._connection = connection
        self.send = connection.sendall
        self._buffer = bytearray(_BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self._left = 0
        """Octets of the present P-DATA-TF after the last fragment."""

    def pdu(self, expected: int) -> bytes:
        """The body of the next PDU, which must be of this type."""
        kind, length = self._next_pdu()
        body = self._take(length)
        if kind != expected:
            raise WireError(f"expected a PDU of type {expected}, not {kind}")
        return body

    def command(self) -> tuple[int, bytes] | None:
        """Presentation context and command set of the next message; None when the peer has released instead."""
        command = b""
        while True:
            if not self._left:
                kind, length = self._next_pdu()
                if kind == A_RELEASE_RQ and not command:
                    self._take(length)
                    self.send(RELEASE_RP)
                    return None
                self._enter(kind, length)
            length, context_id, control = self._next_fragment()
            if not control & COMMAND:
                raise WireError("a data set without a command")
            command += self._take(length)
            if control & LAST:
                return context_id, command

    def skip_data(self) -> None:
        """Read to the end of a data set, which is not kept."""
        while True:
            length, control = self._data_fragment()
            self._skip(length)
            if control & LAST:
                return

    def data(self) -> bytes:
        """The data set that comes next."""
        parts = []
        while True:
            length, control = self._data_fragment()
            parts.append(self._take(length))
            if control & LAST:
                return b"".join(parts)

    def _data_fragment(self) -> tuple[int, int]:
        if not self._left:
            self._enter(*self._next_pdu())
        length, _, control = self._next_fragment()
        if control & COMMAND:
            raise WireError("a command within a data set")
        return length, control

    def _next_pdu(self) -> tuple[int, int]:
        if self._end - self._start < 6:
            self._await(6)
        found: tuple[int, int] = _PDU.unpack_from(self._buffer, self._start)
        self._start += 6
        return found

    def _enter(self, kind: int, length: int) -> None:
        if kind != P_DATA_TF:
            raise WireError(f"expected a PDU of type {P_DATA_TF}, not {kind}")
        self._left = length

    def _next_fragment(self) -> tuple[int, int, int]:
        """Length of what follows, presentation context and control header."""
        if self._end - self._start < 6:
            self._await(6)
        length, context_id, control = _FRAGMENT.unpack_from(self._buffer, self._start)
        self._start += 6
        self._left -= 4 + length
        return length - 2, context_id, control

    def _take(self, size: int) -> bytes:
        if self._end - self._start < size:
            self._await(size)
        start = self._start
        self._start = start + size
        return bytes(self._view[start : start + size])

    def _skip(self, size: int) -> None:
        missing = size - (self._end - self._start)
        if missing <= 0:
            self._start += size
            return
        while missing > 0:
            self._start, self._end = 0, self._receive(self._view)
            missing -= self._end
        self._start = self._end + missing

    def _await(self, size: int) -> None:
        """Have at least ``size`` octets in the buffer."""
        waiting = self._end - self._start
        self._view[:waiting] = bytes(self._view[self._start : self._end])
        self._start, self._end = 0, waiting
        while self._end < size:
            self._end += self._receive(self._view[self._end :])

    def _receive(self, into: memoryview) -> int:
        received = self._connection.recv_into(into)
        if not received:
            raise WireError("the peer closed the connection")
        return received


class StoreResponses:
    """C-STORE-RSPs with status Success as PDUs: made once, then only Message ID and SOP Instance UID are put in."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], _Template] = {}

    def of(self, context_id: int, command: bytes) -> bytes | bytearray:
        """The answer to a C-STORE-RQ."""
        known = self._known.get((context_id, len(command)))
        if known is None or not known.fits(command):
            known = self._known[context_id, len(command)] = _Template(context_id, command)
        return known.filled(command)


class _Template:
    def __init__(self, context_id: int, command: bytes) -> None:
        fields = command_fields(command)
        uid_header = struct.pack("<HHL", 0, 0x1000, len(fields[0x1000]))
        self._id = command.index(struct.pack("<HHL", 0, 0x0110, 2)) + 8
        self._uid = command.index(uid_header + fields[0x1000]) + 8
        self._uid_end = self._uid + len(fields[0x1000])
        self._before_id = command[: self._id]
        self._before_uid = command[self._id + 2 : self._uid]
        pdu = fragment(response(fields), COMMAND | LAST, context_id)
        self._pdu = bytearray(pdu)
        self._id_put = pdu.index(struct.pack("<HHL", 0, 0x0120, 2)) + 8
        self._uid_put = len(pdu) - len(fields[0x1000])

    def fits(self, command: bytes) -> bool:
        """True if the command differs from the first one in nothing but Message ID and SOP Instance UID."""
        return command.startswith(self._before_id) and command.startswith(self._before_uid, self._id + 2)

    def filled(self, command: bytes) -> bytearray:
        self._pdu[self._id_put : self._id_put + 2] = command[self._id : self._id + 2]
        self._pdu[self._uid_put :] = command[self._uid : self._uid_end]
        return self._pdu
