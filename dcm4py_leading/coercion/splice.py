"""Changing an encoded data set where it lies: what does not change is never decoded and never copied. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from dcm4py_leading.coercion.scan import Buffer, Span

Edits = Sequence[tuple[int, bytes | None]]
"""Elements of the top level by tag, in order: encoded as they are to be, header included, or None where they go."""


def spliced(
    view: memoryview, spans: Mapping[int, Span], edits: Edits, start: int, scanned_to: int
) -> tuple[list[Buffer], int]:
    """The buffers of ``view[start:]`` with the edits made, as far as the last of them; and where the rest begins.

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
    pieces: list[Buffer] = []
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
            pieces.append(view[at:here])
        new += changed[tag] or b""
        at = following
    if new:
        pieces.append(new)
    return pieces, at
