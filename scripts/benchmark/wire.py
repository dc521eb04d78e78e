"""A DICOM client of a few bytes, for messages so short that any other client would be what is measured.

One association with one presentation context, one request, release: PS3.8 and PS3.7 by hand. Requests leave in one
write with TCP_NODELAY, answers are only cut into fragments, never decoded.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Mapping, Sequence

from scripts.benchmark.data import CT_IMAGE, EXPLICIT_VR_LITTLE_ENDIAN, element

VERIFICATION = "1.2.840.10008.1.1"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"
MAX_PDU_LENGTH = 131_072
SECONDS = 120.0

_STATUS = struct.pack("<HHL", 0x0000, 0x0900, 2)
_STORE = struct.pack("<HHLH", 0x0000, 0x0100, 2, 0x0001)
"""Command Field of a C-STORE-RQ."""
_MESSAGE_ID = struct.pack("<HHL", 0x0000, 0x0110, 2)
_RELEASE_RQ = bytes((5, 0, 0, 0, 0, 4, 0, 0, 0, 0))
_A_ASSOCIATE_AC, _P_DATA_TF, _A_RELEASE_RP = 2, 4, 6


class WireError(Exception):
    """The peer did not do as it was asked, or not in time."""


def echo(port: int, called_ae_title: str, *, calling_ae_title: str = "BENCH") -> None:
    """C-ECHO on an association of its own. Raises WireError, OSError."""
    command = _command(0x0030, VERIFICATION, has_data=False)
    _exchange(port, called_ae_title, calling_ae_title, VERIFICATION, (_fragment(command, 0x03),))


def find(
    port: int,
    called_ae_title: str,
    level: str,
    keys: Mapping[int, tuple[str, str]],
    *,
    calling_ae_title: str = "BENCH",
) -> list[bytes]:
    """C-FIND on an association of its own: the encoded identifiers of the answers. Raises WireError, OSError.

    ``keys`` are VR and value by tag, the Query/Retrieve Level left out.
    """
    wanted = {**keys, 0x00080052: ("CS", level)}
    identifier = b"".join(element(tag, *wanted[tag]) for tag in sorted(wanted))
    command = _command(0x0020, STUDY_ROOT_FIND, has_data=True)
    request = (_fragment(command, 0x03), _fragment(identifier, 0x02))
    return _exchange(port, called_ae_title, calling_ae_title, STUDY_ROOT_FIND, request)


def get(port: int, called_ae_title: str, study_uid: str, *, calling_ae_title: str = "BENCH") -> int:
    """C-GET of a study of CT images on an association of its own: the number of objects. Raises WireError, OSError."""
    keys = ((0x00080052, "CS", "STUDY"), (0x0020000D, "UI", study_uid))
    identifier = b"".join(element(*key) for key in keys)
    command = _command(0x0010, STUDY_ROOT_GET, has_data=True)
    request = (_fragment(command, 0x03), _fragment(identifier, 0x02))
    return len(_exchange(port, called_ae_title, calling_ae_title, STUDY_ROOT_GET, request, stores=CT_IMAGE))


def _exchange(
    port: int,
    called_ae_title: str,
    calling_ae_title: str,
    sop_class_uid: str,
    request: Sequence[bytes],
    stores: str | None = None,
) -> list[bytes]:
    """The data sets of the answers. ``stores`` is a SOP class whose objects are taken, and answered with Success."""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader = _Reader(connection)
        connection.sendall(_associate_rq(called_ae_title, calling_ae_title, sop_class_uid, stores))
        accepted = reader.pdu(_A_ASSOCIATE_AC)
        # PS3.8 9.3.3.2: item 21H, length, context ID, reserved, result.
        if accepted[accepted.index(b"\x21\x00\x00", 68) + 6] != 0:
            raise WireError(f"{called_ae_title} does not accept {sop_class_uid}")
        connection.sendall(b"".join(request))
        answers = reader.answers(connection.sendall)
        connection.sendall(_RELEASE_RQ)
        reader.pdu(_A_RELEASE_RP)
    return answers


class _Reader:
    """Takes PDUs, of which several may come with one read."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray()
        self._position = 0

    def pdu(self, expected: int) -> bytes:
        """The body of the next PDU, which must be of this type."""
        kind, _, length = struct.unpack(">BBL", self._take(6))
        body = self._take(length)
        if kind != expected:
            raise WireError(f"expected a PDU of type {expected}, not {kind}")
        return body

    def answers(self, send: Callable[[bytes], None]) -> list[bytes]:
        """The data sets that come up to the final response, which must be Success. C-STORE requests are answered."""
        answers: list[bytes] = []
        command = data = stored = b""
        while True:
            body, offset = self.pdu(_P_DATA_TF), 0
            while offset < len(body):
                length, _, control = struct.unpack_from(">LBB", body, offset)
                fragment = body[offset + 6 : offset + 4 + length]
                offset += 4 + length
                if control & 1:
                    command += fragment
                    if control & 2 and _STORE in command:
                        command, stored = b"", command
                    elif control & 2:
                        status = struct.unpack_from("<H", command, command.index(_STATUS) + 8)[0]
                        command = b""
                        if status not in (0xFF00, 0xFF01):
                            if status:
                                raise WireError(f"final status {status:#06x}")
                            return answers
                else:
                    data += fragment
                    if control & 2:
                        answers.append(data)
                        data = b""
                        if stored:
                            send(_fragment(_stored(stored), 0x03, context=3))
                            stored = b""

    def _take(self, size: int) -> bytes:
        while len(self._buffer) - self._position < size:
            if self._position:
                del self._buffer[: self._position]
                self._position = 0
            received = self._connection.recv(MAX_PDU_LENGTH)
            if not received:
                raise WireError("the peer closed the connection")
            self._buffer += received
        taken = bytes(self._buffer[self._position : self._position + size])
        self._position += size
        return taken


def _associate_rq(called_ae_title: str, calling_ae_title: str, sop_class_uid: str, stores: str | None) -> bytes:
    """A-ASSOCIATE-RQ (PS3.8 9.3.2) with one presentation context, and one as SCP of ``stores`` (PS3.7 D.3.3.4)."""
    contexts = _item(0x20, _context(1, sop_class_uid))
    user = _item(0x51, struct.pack(">L", MAX_PDU_LENGTH)) + _item(0x52, b"1.2.826.0.1.3680043.8.498.1")
    if stores is not None:
        contexts += _item(0x20, _context(3, stores))
        user += _item(0x54, struct.pack(">H", len(stores)) + stores.encode("ascii") + b"\0\1")
    body = b"".join(
        (
            struct.pack(">HH16s16s32x", 1, 0, _title(called_ae_title), _title(calling_ae_title)),
            _item(0x10, b"1.2.840.10008.3.1.1.1"),
            contexts,
            _item(0x50, user),
        )
    )
    return struct.pack(">BBL", 1, 0, len(body)) + body


def _context(context_id: int, sop_class_uid: str) -> bytes:
    syntax = _item(0x40, EXPLICIT_VR_LITTLE_ENDIAN.encode("ascii"))
    return bytes((context_id, 0, 0, 0)) + _item(0x30, sop_class_uid.encode("ascii")) + syntax


def _title(ae_title: str) -> bytes:
    return ae_title.encode("ascii").ljust(16)


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(value)) + value


def _command(field: int, sop_class_uid: str, *, has_data: bool) -> bytes:
    """A request's command set, in implicit VR little endian (PS3.7 6.3)."""
    uid = sop_class_uid.encode("ascii")
    values = [
        (0x0002, uid + b"\0" * (len(uid) % 2)),
        (0x0100, struct.pack("<H", field)),
        (0x0110, struct.pack("<H", 1)),
        *([(0x0700, struct.pack("<H", 0))] if has_data else []),
        (0x0800, struct.pack("<H", 0x0001 if has_data else 0x0101)),
    ]
    group = b"".join(struct.pack("<HHL", 0, number, len(value)) + value for number, value in values)
    return struct.pack("<HHLL", 0, 0, 4, len(group)) + group


def _stored(command: bytes) -> bytes:
    """The response to a C-STORE-RQ: Success, with its Message ID."""
    message_id = command[command.index(_MESSAGE_ID) + 8 :][:2]
    values = (
        (0x0100, struct.pack("<H", 0x8001)),
        (0x0120, message_id),
        (0x0800, struct.pack("<H", 0x0101)),
        (0x0900, b"\0\0"),
    )
    group = b"".join(struct.pack("<HHL", 0, number, len(value)) + value for number, value in values)
    return struct.pack("<HHLL", 0, 0, 4, len(group)) + group


def _fragment(data: bytes, control: int, context: int = 1) -> bytes:
    """A P-DATA-TF PDU with one fragment (PS3.8 9.3.5)."""
    return struct.pack(">BBLLBB", _P_DATA_TF, 0, len(data) + 6, len(data) + 2, context, control) + data
