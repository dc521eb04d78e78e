"""Scanning data sets that are laid out like one before, as the objects of a series mostly are.

Where the headers of all elements are the same (tag, VR and length), so are their places: to compare them takes a fifth
of the time that it takes to read them.
"""

from __future__ import annotations

from dataclasses import dataclass

from dcm4py_leading.coercion.scan import Encoding, Span, scan

_MOST_KNOWN = 8
_MOST_KEYS = 256
_TAG = 4


@dataclass(frozen=True, slots=True)
class _Layout:
    cuts: tuple[tuple[int, int], ...]
    """Where the headers are, and the tag of the first element that was not looked at."""
    headers: bytes
    spans: dict[int, Span]
    scanned_to: int


class Layouts:
    """Remembers the last few layouts. Safe under threads: what is remembered is never changed."""

    def __init__(self) -> None:
        self._known: dict[tuple[Encoding, int, int], tuple[_Layout, ...]] = {}

    def scan(
        self, view: memoryview, encoding: Encoding, *, start: int, stop_before: int
    ) -> tuple[dict[int, Span], int]:
        """As `scan.scan`; what it returns must not be changed. Raises Unscannable."""
        key = (encoding, start, stop_before)
        known = self._known.get(key, ())
        for layout in known:
            if len(view) >= layout.scanned_to and b"".join([view[at:end] for at, end in layout.cuts]) == layout.headers:
                if layout is not known[0]:  # the next one is most likely laid out like this one
                    self._known[key] = (layout, *(other for other in known if other is not layout))
                return layout.spans, layout.scanned_to
        spans, scanned_to = scan(view, encoding, start=start, stop_before=stop_before)
        cuts = (*((at, value) for at, value, _ in spans.values()), (scanned_to, scanned_to + _TAG))
        headers = [bytes(view[at:end]) for at, end in cuts]
        if not any(header.endswith(b"\xff\xff\xff\xff") for header in headers):  # of no defined length
            layout = _Layout(cuts, b"".join(headers), spans, scanned_to)
            if len(self._known) >= _MOST_KEYS:
                self._known.clear()
            self._known[key] = (layout, *known[: _MOST_KNOWN - 1])
        return spans, scanned_to
