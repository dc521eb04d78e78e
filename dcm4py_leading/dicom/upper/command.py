"""Command sets of DIMSE messages (PS3.7 6.3, E): encoding and decoding of their numbers and texts."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import accumulate
from typing import Any

from dcm4py_leading.bounded_cache import put_flushing
from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.model import bounds

Command = Mapping[int, int | str]
"""Values of a command set by element number; the group is always 0000."""
Received = Mapping[int, int | bytes]
"""A command set as it came, with texts not decoded; see `number` and `text`."""

GROUP_LENGTH, AFFECTED_SOP_CLASS_UID, REQUESTED_SOP_CLASS_UID, COMMAND_FIELD = 0x0000, 0x0002, 0x0003, 0x0100
MESSAGE_ID = 0x0110
MESSAGE_ID_BEING_RESPONDED_TO, MOVE_DESTINATION, PRIORITY, DATA_SET_TYPE = 0x0120, 0x0600, 0x0700, 0x0800
STATUS, ERROR_COMMENT, AFFECTED_SOP_INSTANCE_UID = 0x0900, 0x0902, 0x1000
REMAINING, COMPLETED, FAILED, WARNING = 0x1020, 0x1021, 0x1022, 0x1023
"""Number of Remaining, Completed, Failed and Warning Sub-operations."""
MOVE_ORIGINATOR_AE_TITLE, MOVE_ORIGINATOR_MESSAGE_ID = 0x1030, 0x1031

C_STORE_RQ, C_GET_RQ, C_FIND_RQ, C_MOVE_RQ, C_ECHO_RQ, C_CANCEL_RQ = 0x0001, 0x0010, 0x0020, 0x0021, 0x0030, 0x0FFF
RESPONSE = 0x8000
"""Set in the Command Field of a response."""
NO_DATA_SET = 0x0101
"""Data Set Type of a message without a data set; any other value means that one follows (PS3.7 E)."""

_UIDS = frozenset({0x0002, 0x0003, 0x1000, 0x1001})
_TEXTS = _UIDS | {0x0600, 0x0902, 0x1030}
_HEADER = struct.Struct("<HHL")
_US = struct.Struct("<HHLH")
_UL = struct.Struct("<HHLL")
_U16 = struct.Struct("<H")
_MAX_LENGTHS, _MAX_PER_LENGTH = 256, 4
_MAX_STORE_LENGTHS = 32
_LONGEST_TEXT = 64
"""Characters of a UID, the longest of the texts that come again and again."""
_STORE = struct.Struct("<HHLH HHLH HHLH HHLH")
_PROGRESS = struct.Struct("<" + 8 * "HHLH")
_STORE_HEADERS = ((0, COMMAND_FIELD, 2, C_STORE_RQ, 0, MESSAGE_ID, 2), (0, PRIORITY, 2, 0, 0, DATA_SET_TYPE, 2, 1))


class MalformedCommand(ValueError):
    """The bytes are not a command set."""


def encode(command: Command) -> bytes:
    """Encode a command set in Implicit VR Little Endian; adds Command Group Length."""
    elements = b"".join([_element(number, command[number]) for number in sorted(command)])
    return _UL.pack(0, GROUP_LENGTH, 4, len(elements)) + elements


def encode_store(
    sop_class_uid: str, sop_instance_uid: str, message_id: int, originator: tuple[str, int] | None
) -> bytes:
    """Encode a C-STORE-RQ of medium priority (PS3.7 9.3.1.1), faster than `encode`, as there are so many.

    ``originator`` is Move Originator AE Title and Message ID.
    """
    elements = (
        _text_element(AFFECTED_SOP_CLASS_UID, sop_class_uid)
        + _STORE.pack(*_STORE_HEADERS[0], message_id, *_STORE_HEADERS[1])
        + _new_text_element(AFFECTED_SOP_INSTANCE_UID, sop_instance_uid)
    )
    if originator is not None:
        title, originating = originator
        elements += _text_element(MOVE_ORIGINATOR_AE_TITLE, title)
        elements += _US.pack(0, MOVE_ORIGINATOR_MESSAGE_ID, 2, originating)
    return _UL.pack(0, GROUP_LENGTH, 4, len(elements)) + elements


def encode_progress(
    sop_class_uid: str, command_field: int, message_id: int, status: int, counts: tuple[int, int, int, int]
) -> bytes:
    """Encode a pending response to a retrieve (PS3.7 9.3.3.2, 9.3.4.2), faster than `encode`: one for each object.

    ``counts`` are Number of Remaining, Completed, Failed and Warning Sub-operations.
    """
    remaining, completed, failed, warning = counts
    elements = _text_element(AFFECTED_SOP_CLASS_UID, sop_class_uid) + _PROGRESS.pack(
        *(0, COMMAND_FIELD, 2, command_field, 0, MESSAGE_ID_BEING_RESPONDED_TO, 2, message_id),
        *(0, DATA_SET_TYPE, 2, NO_DATA_SET, 0, STATUS, 2, status),
        *(0, REMAINING, 2, remaining, 0, COMPLETED, 2, completed, 0, FAILED, 2, failed, 0, WARNING, 2, warning),
    )
    return _UL.pack(0, GROUP_LENGTH, 4, len(elements)) + elements


def _element(number: int, value: int | str) -> bytes:
    if isinstance(value, int):
        return _US.pack(0, number, 2, value)
    if number == AFFECTED_SOP_INSTANCE_UID:  # hardly ever the same again: it would only put others out of the cache
        return _new_text_element(number, value)
    return _text_element(number, value)


def _new_text_element(number: int, value: str) -> bytes:
    encoded = value.encode("ascii", "replace")
    if len(encoded) % 2:
        encoded += b"\0" if number in _UIDS else b" "
    return _HEADER.pack(0, number, len(encoded)) + encoded


_known_text_element = lru_cache(maxsize=4096)(_new_text_element)


def _text_element(number: int, value: str) -> bytes:
    return _known_text_element(number, value) if len(value) <= _LONGEST_TEXT else _new_text_element(number, value)


def decode(data: bytes | bytearray | memoryview) -> Received:
    """Decode a command set without the elements that we do not use. Raises MalformedCommand."""
    command: dict[int, int | bytes] | None = None
    known = _layouts.get(len(data), ())
    for layout in known:
        command = layout.read(data)
        if command is not None:
            break
    else:
        command, headers, numbers = _read(data)
        if len(data) <= bounds.REMEMBERED_COMMAND_BYTES:
            layouts = (_Layout(headers, numbers), *known[: _MAX_PER_LENGTH - 1])
            put_flushing(_layouts, len(data), layouts, _MAX_LENGTHS)
    if not isinstance(command.get(COMMAND_FIELD), int):
        raise MalformedCommand("the command set has no Command Field")
    return command


class _Layout:
    """Positions of the elements of a command set; most are laid out like an earlier one of the same length."""

    def __init__(self, headers: list[bytes], numbers: list[int | None]) -> None:
        self._struct = struct.Struct("<" + "".join(map(_form, headers)))
        self._headers = tuple(headers)
        self._numbers = numbers

    def read(self, data: bytes | bytearray | memoryview) -> dict[int, int | bytes] | None:
        """Decode a command set of this layout; None if the layout differs."""
        parts = self._struct.unpack(data)
        if parts[::2] != self._headers:
            return None
        return {number: part for number, part in zip(self._numbers, parts[1::2], strict=True) if number is not None}


class StoreResponses:
    """Fast reader of C-STORE responses: those of one length differ only in Message ID, status and UID."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Callable[[Buffer], tuple[Any, ...]], bytes, bytes, bytes]] = {}
        """By length: how to take one apart, and what stands before Message ID, before status, and after it."""

    def read(self, data: Buffer) -> tuple[int, int] | None:
        """Message ID Being Responded To and Status; None if the layout is not a learned one."""
        known = self._known.get(len(data))
        if known is None:
            return None
        unpack, first, second, third = known
        before, message_id, between, status, after = unpack(data)
        if before == first and between == second and after == third:
            return message_id, status
        return None

    def learn(self, data: Buffer) -> None:
        """Learn the layout of a command set if it is a C-STORE response without a data set."""
        if len(data) > bounds.REMEMBERED_COMMAND_BYTES:
            return
        try:
            command, headers, _ = _read(data)
        except MalformedCommand:
            return
        ends = list(accumulate(_HEADER.unpack(header)[2] + _HEADER.size for header in headers))
        places = {_HEADER.unpack(header)[1]: end for header, end in zip(headers, ends, strict=True)}
        is_response = command.get(COMMAND_FIELD) == C_STORE_RQ | RESPONSE and command.get(DATA_SET_TYPE) == NO_DATA_SET
        id_ends, status_ends = places.get(MESSAGE_ID_BEING_RESPONDED_TO, 0), places.get(STATUS, 0)
        has_both = {MESSAGE_ID_BEING_RESPONDED_TO, STATUS} <= command.keys() and id_ends < status_ends
        uid_starts = len(data)
        if places.get(AFFECTED_SOP_INSTANCE_UID) == len(data):
            uid_starts = (ends[-2] if len(ends) > 1 else 0) + _HEADER.size
        if not is_response or not has_both or uid_starts < status_ends:
            return
        form = struct.Struct(
            f"<{id_ends - 2}sH{status_ends - id_ends - 2}sH{uid_starts - status_ends}s{len(data) - uid_starts}x"
        )
        before, _, between, _, after = form.unpack(data)
        put_flushing(self._known, len(data), (form.unpack, before, between, after), _MAX_STORE_LENGTHS)


_layouts: dict[int, tuple[_Layout, ...]] = {}


def _form(header: bytes) -> str:
    _, number, length = _HEADER.unpack(header)
    return "8sH" if _is_number(number, length) else f"8s{length}s"


def _is_number(number: int, length: int) -> bool:
    return length == 2 and number not in _TEXTS


def _read(data: bytes | bytearray | memoryview) -> tuple[dict[int, int | bytes], list[bytes], list[int | None]]:
    """The command set, the header of each element, and the name of each element that we use."""
    command: dict[int, int | bytes] = {}
    headers: list[bytes] = []
    numbers: list[int | None] = []
    seen: set[int] = set()
    at, size = 0, len(data)
    try:
        while at < size:
            group, number, length = _HEADER.unpack_from(data, at)
            headers.append(bytes(data[at : at + _HEADER.size]))
            at += _HEADER.size
            following = at + length
            if group or following > size:
                raise MalformedCommand("an element is not of group 0000 or ends outside of the command set")
            if number in seen:
                raise MalformedCommand("an element stands in the command set twice")
            seen.add(number)
            if _is_number(number, length):
                command[number] = _U16.unpack_from(data, at)[0]
            elif number in _TEXTS:
                command[number] = bytes(data[at:following])
            numbers.append(number if number in command else None)
            at = following
    except struct.error as err:
        raise MalformedCommand("the command set ends early") from err
    return command, headers, numbers


def number(command: Received, element: int) -> int | None:
    """The value of a numeric element; None if absent."""
    value = command.get(element)
    return value if isinstance(value, int) else None


def text(command: Received, element: int) -> str:
    """The value of a text element; empty if absent."""
    value = command.get(element)
    return value.decode("ascii", "replace").strip(" \0") if isinstance(value, bytes) else ""


def has_data_set(command: Received) -> bool:
    """True if a data set follows the command."""
    return command.get(DATA_SET_TYPE) != NO_DATA_SET
