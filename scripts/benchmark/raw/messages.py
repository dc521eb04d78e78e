"""Octets of data sets, commands and PDUs: PS3.5, PS3.7 and PS3.8 by hand."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
MAX_PDU_LENGTH = 131_072

C_STORE_RQ, C_STORE_RSP = 0x0001, 0x8001
C_GET_RQ, C_FIND_RQ, C_MOVE_RQ, C_ECHO_RQ, C_ECHO_RSP = 0x0010, 0x0020, 0x0021, 0x0030, 0x8030
"""Command Field (PS3.7 E.1)."""
A_ASSOCIATE_RQ, A_ASSOCIATE_AC, P_DATA_TF, A_RELEASE_RQ, A_RELEASE_RP = 1, 2, 4, 5, 6
"""PDU types (PS3.8 9.3)."""
COMMAND, LAST = 1, 2
"""Bits of a message control header (PS3.8 E.2)."""
RELEASE_RQ, RELEASE_RP = (bytes((kind, 0, 0, 0, 0, 4, 0, 0, 0, 0)) for kind in (A_RELEASE_RQ, A_RELEASE_RP))

_LONG = frozenset({"OB", "OW", "SQ", "UN", "UT"})
_APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"
_IMPLEMENTATION_CLASS = b"1.2.826.0.1.3680043.8.498.1"
_NO_DATA, _HAS_DATA = 0x0101, 0x0001
"""Command Data Set Type."""
_FIELD = struct.pack("<HHL", 0, 0x0100, 2)
_WITHOUT_DATA = struct.pack("<HHLH", 0, 0x0800, 2, _NO_DATA)


def element(tag: int, vr: str, value: str | bytes | int) -> bytes:
    """One element in explicit VR little endian, padded to even length (PS3.5 6.2 and 7.1.2)."""
    if isinstance(value, int):
        value = struct.pack("<H" if vr == "US" else "<L", value)
    elif isinstance(value, str):
        value = value.encode("ascii")
    if len(value) % 2:
        value += b"\0" if vr in ("UI", "OB") else b" "
    group_element = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode("ascii")
    if vr in _LONG:
        return group_element + struct.pack("<HL", 0, len(value)) + value
    return group_element + struct.pack("<H", len(value)) + value


def identifier(level: str, keys: Mapping[int, tuple[str, str]]) -> bytes:
    """The identifier of a query; ``keys`` are VR and value by tag, the Query/Retrieve Level left out."""
    wanted = {**keys, 0x00080052: ("CS", level)}
    return b"".join(element(tag, *wanted[tag]) for tag in sorted(wanted))


def request(field: int, sop_class_uid: str, *, has_data: bool, destination: str | None = None) -> bytes:
    """The command set of a request, with Message ID 1; ``destination`` is that of a C-MOVE."""
    return _command_set(
        {
            0x0002: _padded(sop_class_uid, b"\0"),
            0x0100: struct.pack("<H", field),
            0x0110: struct.pack("<H", 1),
            **({} if destination is None else {0x0600: _padded(destination, b" ")}),
            **({0x0700: struct.pack("<H", 0)} if has_data else {}),
            0x0800: struct.pack("<H", _HAS_DATA if has_data else _NO_DATA),
        }
    )


def response(fields: Mapping[int, bytes]) -> bytes:
    """The command set that answers a C-ECHO or C-STORE of these fields with Success."""
    return _command_set(
        {
            0x0002: fields[0x0002],
            0x0100: struct.pack("<H", 0x8000 | struct.unpack("<H", fields[0x0100])[0]),
            0x0120: fields[0x0110],
            0x0800: struct.pack("<H", _NO_DATA),
            0x0900: b"\0\0",
            **({0x1000: fields[0x1000]} if 0x1000 in fields else {}),
        }
    )


def command_fields(command: bytes) -> dict[int, bytes]:
    """The values of a command set by element number: implicit VR little endian (PS3.7 6.3)."""
    fields, offset = {}, 0
    while offset < len(command):
        _, number, length = struct.unpack_from("<HHL", command, offset)
        fields[number] = command[offset + 8 : offset + 8 + length]
        offset += 8 + length
    return fields


def request_field(command: bytes) -> int:
    """Command Field of a command set."""
    at = command.index(_FIELD) + 8
    return command[at] | command[at + 1] << 8


def has_data(command: bytes) -> bool:
    """True if a data set follows this command set."""
    return _WITHOUT_DATA not in command


def fragment(data: bytes, control: int, context_id: int = 1) -> bytes:
    """A P-DATA-TF PDU with one fragment (PS3.8 9.3.5)."""
    return struct.pack(">BBLLBB", P_DATA_TF, 0, len(data) + 6, len(data) + 2, context_id, control) + data


def associate_rq(called_ae_title: str, calling_ae_title: str, sop_class_uid: str, stores: str | None) -> bytes:
    """A-ASSOCIATE-RQ (PS3.8 9.3.2) with one presentation context, and one as SCP of ``stores`` (PS3.7 D.3.3.4)."""
    contexts = _item(0x20, _proposal(1, sop_class_uid))
    user = _user()
    if stores is not None:
        contexts += _item(0x20, _proposal(3, stores))
        user += _item(0x54, struct.pack(">H", len(stores)) + stores.encode("ascii") + b"\0\1")
    titles = struct.pack(">HH16s16s32x", 1, 0, _title(called_ae_title), _title(calling_ae_title))
    return _associate(A_ASSOCIATE_RQ, titles, contexts, user)


def associate_ac(requested: bytes) -> bytes:
    """The A-ASSOCIATE-AC (PS3.8 9.3.3) that accepts every presentation context of a request, given by its body.

    Explicit VR little endian where it is proposed, as everything that is measured is stored; else the first.
    """
    contexts = b""
    for kind, value in _items(requested, 68):
        if kind == 0x20:
            proposed = [syntax for kind, syntax in _items(value, 4) if kind == 0x40]
            wanted = EXPLICIT_VR_LITTLE_ENDIAN.encode("ascii")
            syntax = wanted if wanted in proposed else proposed[0]
            contexts += _item(0x21, bytes((value[0], 0, 0, 0)) + _item(0x40, syntax))
    return _associate(A_ASSOCIATE_AC, requested[:68], contexts, _user())


def accepts_first(accepted: bytes) -> bool:
    """True if the body of an A-ASSOCIATE-AC accepts the first presentation context that it answers."""
    return next(value[2] == 0 for kind, value in _items(accepted, 68) if kind == 0x21)


def _associate(kind: int, titles: bytes, contexts: bytes, user: bytes) -> bytes:
    body = b"".join((titles, _item(0x10, _APPLICATION_CONTEXT), contexts, _item(0x50, user)))
    return struct.pack(">BBL", kind, 0, len(body)) + body


def _user() -> bytes:
    return _item(0x51, struct.pack(">L", MAX_PDU_LENGTH)) + _item(0x52, _IMPLEMENTATION_CLASS)


def _proposal(context_id: int, sop_class_uid: str) -> bytes:
    syntax = _item(0x40, EXPLICIT_VR_LITTLE_ENDIAN.encode("ascii"))
    return bytes((context_id, 0, 0, 0)) + _item(0x30, sop_class_uid.encode("ascii")) + syntax


def _items(data: bytes, offset: int) -> Iterator[tuple[int, bytes]]:
    while offset < len(data):
        kind, _, length = struct.unpack_from(">BBH", data, offset)
        yield kind, data[offset + 4 : offset + 4 + length]
        offset += 4 + length


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(value)) + value


def _title(ae_title: str) -> bytes:
    return ae_title.encode("ascii").ljust(16)


def _padded(text: str, padding: bytes) -> bytes:
    value = text.encode("ascii")
    return value + padding * (len(value) % 2)


def _command_set(values: Mapping[int, bytes]) -> bytes:
    group = b"".join(_elements(values, sorted(values)))
    return struct.pack("<HHLL", 0, 0, 4, len(group)) + group


def _elements(values: Mapping[int, bytes], numbers: Sequence[int]) -> Iterator[bytes]:
    for number in numbers:
        yield struct.pack("<HHL", 0, number, len(values[number])) + values[number]
