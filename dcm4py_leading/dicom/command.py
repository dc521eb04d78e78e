"""Command sets of DIMSE messages (PS3.7 6.3, E): Implicit VR Little Endian, between bytes and numbers and texts."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import lru_cache

Command = Mapping[int, int | str]
"""Values of a command set by element number; the group is always 0000."""

GROUP_LENGTH, AFFECTED_SOP_CLASS_UID, COMMAND_FIELD, MESSAGE_ID = 0x0000, 0x0002, 0x0100, 0x0110
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
_TEXTS = frozenset({0x0600, 0x0902, 0x1030})
_HEADER = struct.Struct("<HHL")
_US = struct.Struct("<HHLH")
_UL = struct.Struct("<HHLL")
_U16 = struct.Struct("<H")


class MalformedCommand(ValueError):
    """The bytes are no command set."""


def encode(command: Command) -> bytes:
    """The bytes of a command set; Command Group Length is added."""
    elements = b"".join([_element(number, command[number]) for number in sorted(command)])
    return _UL.pack(0, GROUP_LENGTH, 4, len(elements)) + elements


def _element(number: int, value: int | str) -> bytes:
    return _US.pack(0, number, 2, value) if isinstance(value, int) else _text_element(number, value)


@lru_cache(maxsize=4096)
def _text_element(number: int, value: str) -> bytes:
    encoded = value.encode("ascii", "replace")
    if len(encoded) % 2:
        encoded += b"\0" if number in _UIDS else b" "
    return _HEADER.pack(0, number, len(encoded)) + encoded


def decode(data: bytes | bytearray | memoryview) -> Command:
    """The command set; elements that are not in use here are left out. Raises MalformedCommand."""
    command: dict[int, int | str] = {}
    at, size = 0, len(data)
    try:
        while at < size:
            group, number, length = _HEADER.unpack_from(data, at)
            at += 8
            following = at + length
            if group or following > size:
                raise MalformedCommand("an element is not of group 0000 or ends outside of the command set")
            if number in _UIDS or number in _TEXTS:
                command[number] = str(data[at:following], "ascii", "replace").strip(" \0")
            elif length == 2:
                command[number] = _U16.unpack_from(data, at)[0]
            at = following
    except struct.error as err:
        raise MalformedCommand("the command set ends early") from err
    if not isinstance(command.get(COMMAND_FIELD), int):
        raise MalformedCommand("the command set has no Command Field")
    return command


def number(command: Command, element: int) -> int | None:
    """The value of a numeric element, None where there is none."""
    value = command.get(element)
    return value if isinstance(value, int) else None


def text(command: Command, element: int) -> str:
    """The value of a text element, empty where there is none."""
    value = command.get(element)
    return value if isinstance(value, str) else ""


def has_data_set(command: Command) -> bool:
    """Whether a data set follows the command."""
    return command.get(DATA_SET_TYPE) != NO_DATA_SET
