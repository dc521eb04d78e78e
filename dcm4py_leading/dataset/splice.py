"""Splicing of new elements into an encoded data set; the rest is neither decoded nor copied. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

from dcm4py_leading.dataset.scan import Buffer, Span

Edits = Sequence[tuple[int, bytes | None]]
"""Elements of the top level by tag, in order: encoded as they are to be, header included, or None where they go."""


Piece = bytes | tuple[int, int]
"""Bytes of their own, or from where to where the data set stays as it is."""


def buffers_of(view: memoryview, pieces: Sequence[Piece]) -> list[Buffer]:
    """The pieces of the data set in ``view``, without copying it."""
    return [piece if isinstance(piece, bytes) else view[piece[0] : piece[1]] for piece in pieces]


def pieces_of(spans: Mapping[int, Span], edits: Edits, start: int, scanned_to: int) -> tuple[list[Piece], int]:
    """Pieces that a data set from ``start`` on consists of once the edits are made, and where the rest begins.

    ``spans`` are those of all elements from ``start`` to ``scanned_to``, so the edits must not go beyond. Without
    edits there is nothing but the rest. Group lengths (PS3.5 7.2, retired) that the edits may have made wrong go.
    """
    if not edits:
        return [], start
    tags = list(spans)
    changed = dict(edits)
    for tag in tags:
        if not tag & 0xFFFF and tag not in changed:
            changed[tag] = None
    pieces: list[Piece] = []
    at = start
    new = b""
    for tag in sorted(changed):
        span = spans.get(tag)
        if span is not None:
            here, _, following = span
        else:
            place = bisect_left(tags, tag)
            here = following = spans[tags[place]][0] if place < len(tags) else scanned_to
        if here > at:
            if new:
                pieces.append(new)
                new = b""
            pieces.append((at, here))
        new += changed[tag] or b""
        at = following
    if new:
        pieces.append(new)
    return pieces, at


def merged_ranges(spans: Mapping[int, Span], tags: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """From where to where the elements of these tags are, in order, in as few ranges as possible."""
    ranges: list[tuple[int, int]] = []
    for tag in tags:
        span = spans.get(tag)
        if span is not None:
            if ranges and ranges[-1][1] == span[0]:
                ranges[-1] = (ranges[-1][0], span[2])
            else:
                ranges.append((span[0], span[2]))
    return tuple(ranges)
