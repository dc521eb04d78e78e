"""Frames of encapsulated Pixel Data: which fragments make which frame (PS3.5 A.4).

An offset table says it, if it is right; many are not. So what a table or the number of fragments suggests is taken
only where each frame turns out to be exactly one whole code stream; else the code streams themselves are counted.
Where the frames cannot be told apart there are none.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise

from dcm4py_leading.dataset.pixels.code_stream import CodeStream, Parser
from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.errors import SubOperationFailed

_ITEM_HEADER = struct.Struct("<HHL")
_ITEM, _SEQUENCE_DELIMITATION = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)
_NOT_PADDING = re.compile(rb"[^\0\xff]")

Grouping = Sequence[Sequence[memoryview]]
"""For each frame its fragments."""


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of code stream."""

    begins: Callable[[memoryview], bool]
    """True if a fragment is the first one of a frame."""
    parse: Parser
    """Follows a frame to its end."""
    first_marker: re.Pattern[bytes] | None
    """Octets that begin a code stream; None where it tells no end, so that frames in one fragment are not found."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: its fragments, and the code stream that they hold."""

    fragments: Sequence[memoryview]
    stream: CodeStream

    def joined(self) -> bytes:
        """The bytes of the code stream."""
        return b"".join(self.fragments)


@dataclass(frozen=True, slots=True)
class _Fragments:
    table: tuple[int, ...]
    """Basic Offset Table."""
    values: Sequence[memoryview]
    offsets: Sequence[int]
    """Where their items begin, behind the Basic Offset Table."""


def find_frames(
    items: Sequence[Buffer], count: int, family: Family, extended: tuple[Sequence[int], Sequence[int]] | None
) -> Sequence[Frame]:
    """The ``count`` frames in the items of Pixel Data; ``extended`` are Extended Offset Table and its Lengths.

    The first item is the Basic Offset Table. Frames are views of the others. Raises SubOperationFailed.
    """
    fragments = _fragments(items)
    first_error: SubOperationFailed | None = None
    groupings = _groupings(fragments, count, family, extended)
    while True:
        try:
            grouping = next(groupings, None)
            if grouping is None:
                break
            return [_frame(parts, number, count, family) for number, parts in enumerate(grouping, 1)]
        except SubOperationFailed as err:
            first_error = first_error or err
    found = _count(fragments, family)
    if found is not None and found != count:
        raise SubOperationFailed(f"the pixel data holds {found} of {count} frames")
    raise first_error or SubOperationFailed(
        f"the {count} frames cannot be told apart in {len(fragments.values)} fragments of pixel data"
    )


def _fragments(items: Sequence[Buffer]) -> _Fragments:
    """The items of encapsulated Pixel Data; those without a byte are left out."""
    if not items:
        raise SubOperationFailed("the pixel data holds no fragments")
    table = items[0]
    values: list[memoryview] = []
    offsets: list[int] = []
    at = 0
    for item in items[1:]:
        if len(item):
            values.append(memoryview(item))
            offsets.append(at)
        at += 8 + len(item) + len(item) % 2
    return _Fragments(struct.unpack(f"<{len(table) // 4}L", table[: len(table) // 4 * 4]), values, offsets)


def items_of(value: Buffer) -> tuple[Buffer, ...]:
    """The items in the value of an element whose length was given, Sequence Delimitation Item or not.

    Raises SubOperationFailed.
    """
    view = memoryview(value)
    items: list[Buffer] = []
    at = 0
    while at + 8 <= len(view):
        group, element, length = _ITEM_HEADER.unpack_from(view, at)
        if (group, element) == _SEQUENCE_DELIMITATION:
            break
        following = at + 8 + length
        if (group, element) != _ITEM or following > len(view):
            raise SubOperationFailed("the fragments of the pixel data are damaged")
        items.append(view[at + 8 : following])
        at = following
    return tuple(items)


def _groupings(
    fragments: _Fragments, count: int, family: Family, extended: tuple[Sequence[int], Sequence[int]] | None
) -> Iterator[Grouping]:
    """Ways to make ``count`` frames, the most trusted first. Raises SubOperationFailed, at the last one."""
    values = fragments.values
    if extended is not None:
        by_table = _by_offsets(fragments, extended[0], count)
        if by_table is not None and _agree(by_table, extended[1]):
            yield by_table
    by_table = _by_offsets(fragments, fragments.table, count)
    if by_table is not None:
        yield by_table
    if len(values) == count:
        yield [[value] for value in values]
    if count == 1 and values:
        yield [values]
    first = [index for index, value in enumerate(values) if family.begins(value)]
    if len(first) == count and first[0] == 0:
        yield _grouped(values, first)
    if family.first_marker is not None and len(values) < count:
        streams = list(_streams(fragments, family, family.first_marker))
        if len(streams) == count:
            yield [[stream] for stream in streams]


def _by_offsets(fragments: _Fragments, offsets: Sequence[int], count: int) -> Grouping | None:
    """The fragments by an offset table, None where that cannot be right."""
    if len(offsets) != count or offsets[0] != 0 or not fragments.values:
        return None
    index_of = {offset: index for index, offset in enumerate(fragments.offsets)}
    first = [index_of.get(offset, -1) for offset in offsets]
    if first[0] != 0 or any(a >= b for a, b in pairwise(first)):
        return None
    return _grouped(fragments.values, first)


def _agree(grouping: Grouping, lengths: Sequence[int]) -> bool:
    """True if frames are as long as Extended Offset Table Lengths says, or one byte of padding longer."""
    return len(lengths) == len(grouping) and all(
        sum(map(len, parts)) - length in (0, 1) for parts, length in zip(grouping, lengths, strict=True)
    )


def _grouped(values: Sequence[memoryview], first: Sequence[int]) -> Grouping:
    return [values[start:end] for start, end in zip(first, (*first[1:], len(values)), strict=True)]


def _streams(fragments: _Fragments, family: Family, first_marker: re.Pattern[bytes]) -> Iterator[memoryview]:
    """The code streams that follow one another, wherever fragments begin. Raises SubOperationFailed."""
    values = fragments.values
    data = values[0] if len(values) == 1 else memoryview(b"".join(values))
    at = 0
    while True:
        end = family.parse(data, at).end
        yield data[at:end]
        following = first_marker.search(data, end)
        if following is None:
            return
        if _NOT_PADDING.search(data, end, following.start()):
            raise SubOperationFailed("there is more between the frames than padding")
        at = following.start()


def _frame(parts: Sequence[memoryview], number: int, count: int, family: Family) -> Frame:
    """A frame of one whole code stream. Raises SubOperationFailed."""
    data = parts[0] if len(parts) == 1 else memoryview(b"".join(parts))
    try:
        stream = family.parse(data, 0)
    except SubOperationFailed as err:
        raise SubOperationFailed(f"frame {number} of {count}: {err}") from err
    has_another = family.first_marker is not None and family.first_marker.search(data, stream.end)
    if has_another or any(family.begins(part) for part in parts[1:]):
        raise SubOperationFailed(f"frame {number} of {count} holds more than one image")
    return Frame(parts, stream)


def _count(fragments: _Fragments, family: Family) -> int | None:
    """Number of frames, None where that is not known."""
    if family.first_marker is not None and fragments.values:
        with suppress(SubOperationFailed):
            return sum(1 for _ in _streams(fragments, family, family.first_marker))
    first = [index for index, value in enumerate(fragments.values) if family.begins(value)]
    return len(first) if not fragments.values or first[:1] == [0] else None
