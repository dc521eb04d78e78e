"""Scan of a data set that is laid out like one before, as the objects of a series mostly are.

Where the headers of all elements are the same (tag, VR and length), so are their places: to compare them takes a
fraction of the time that it takes to read them.

To learn a layout takes as long as several scans, and in some series hardly two objects are laid out alike, as decimal
numbers are longer or shorter. So what is learned has to be earned: by layouts that were found again, and a little by
each that was not known.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dcm4py_leading.dataset.object_bytes import ObjectBytes
from dcm4py_leading.dataset.scan import Buffer, Encoding, EndsEarly, Scanned, Span, Unscannable, scan
from dcm4py_leading.model.bounds import REMEMBERED_LAYOUT_ELEMENTS

_MAX_KNOWN = 16
_MAX_KEYS = 256
_TAG, _HEADER = 4, 8
_LEARNING_COSTS, _MISS_EARNS, _MAX_EARNED = 4.0, 0.25, 64.0
"""In hits, each of which earns 1."""


class Ranges:
    """Several ranges of octets, cut out and joined with one call: ten times as fast as one by one."""

    def __init__(self, ranges: Iterable[tuple[int, int]]) -> None:
        """``ranges`` are in order, and do not overlap."""
        form, at = ["<"], 0
        for start, end in ranges:
            form.append(f"{start - at}x{end - start}s")
            at = end
        self.end = at
        """Where the last one ends."""
        self._cut = struct.Struct("".join(form)).unpack_from

    def of(self, data: Buffer) -> bytes:
        """Their octets in ``data``, which must go at least as far as the last one."""
        return b"".join(self._cut(data))

    def each_of(self, data: Buffer) -> tuple[bytes, ...]:
        """The same, not joined."""
        return self._cut(data)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    headers: Ranges
    """Those that were looked at, and the tag of the first element that was not."""
    content: bytes
    """Of `headers`."""
    needed: int
    """Octets that a scan looks at, at least: it reads the whole header of the element that it stops before."""
    end: int | None
    """Where the data set ends; None where that does not matter."""
    spans: dict[int, Span]
    scanned_to: int
    last: slice
    """Where the last of `content` is."""
    last_content: bytes
    is_rest_scanned: bool
    """True if what follows is to be scanned each time: it has no length."""

    def is_of(self, view: Buffer, size: int) -> bool:
        """True if the data set, which ends at ``size``, is laid out so."""
        if len(view) < self.needed or (self.end is not None and size != self.end):
            return False
        return self.headers.of(view) == self.content


class Layouts:
    """Remembers the last few layouts. Safe under threads: what is remembered is never changed."""

    def __init__(self) -> None:
        self._known: dict[tuple[Encoding, int, int, bool], tuple[_Layout, ...]] = {}
        self._elements = 0
        self._earned = _MAX_EARNED

    def scan_object(
        self, source: ObjectBytes, encoding: Encoding, *, stop_before: int, is_rest_checked: bool = False
    ) -> tuple[dict[int, Span], int]:
        """As `scan`, of an object of which all that is returned is in view then.

        Raises StorageUnavailable, and Unscannable also where that is more than should be in memory.
        """
        while True:
            try:
                spans, scanned_to = self.scan(
                    source.view,
                    encoding,
                    start=source.start,
                    end=source.size,
                    stop_before=stop_before,
                    is_rest_checked=is_rest_checked,
                    whole=source,
                )
                if scanned_to <= len(source.view):
                    return spans, scanned_to
            except EndsEarly:
                pass
            if not source.look_further():
                raise Unscannable("more than is looked at before the pixel data")

    def scan(
        self,
        view: Buffer,
        encoding: Encoding,
        *,
        start: int,
        stop_before: int,
        end: int | None = None,
        is_rest_checked: bool = False,
        whole: Scanned | None = None,
    ) -> tuple[dict[int, Span], int]:
        """As `scan.scan`; what it returns must not be changed. Raises Unscannable.

        Where ``is_rest_checked``, also when what it does not return cannot be scanned, up to the end: in ``whole``
        where ``view`` is its beginning only.
        """
        size = len(view) if end is None else end
        key = (encoding, start, stop_before, is_rest_checked)
        known = self._known.get(key, ())
        for layout in known:
            # Where a value before is longer or shorter, something else stands there: mostly that is all to be compared.
            if view[layout.last] == layout.last_content and layout.is_of(view, size):
                self._earned = min(self._earned + 1.0, _MAX_EARNED)
                if layout is not known[0]:  # the next one is most likely laid out like this one
                    self._known[key] = (layout, *(other for other in known if other is not layout))
                if layout.is_rest_scanned:
                    scan(view if whole is None else whole, encoding, start=layout.scanned_to, end=size)
                return layout.spans, layout.scanned_to
        spans, scanned_to = scan(view, encoding, start=start, end=size, stop_before=stop_before)
        if scanned_to > len(view):
            return spans, scanned_to
        rest: Mapping[int, Span] = {}
        if is_rest_checked:
            rest, _ = scan(view if whole is None else whole, encoding, start=scanned_to, end=size)
        if self._earned < _LEARNING_COSTS:
            self._earned += _MISS_EARNS
            return spans, scanned_to
        if not _have_length(view, spans):
            return spans, scanned_to
        self._earned -= _LEARNING_COSTS
        is_rest_known = is_rest_checked and _are_in_view(view, rest) and _have_length(view, rest)
        is_to_the_end = is_rest_known or scanned_to == size
        cuts = [(at, value) for at, value, _ in spans.values()]
        if is_rest_known:
            cuts += [(at, value) for at, value, _ in rest.values()]
        if is_to_the_end or scanned_to + _HEADER <= len(view):
            if not is_to_the_end:
                cuts.append((scanned_to, scanned_to + _TAG))
            headers = Ranges(cuts)
            content = headers.of(view)
            layout = _Layout(
                headers=headers,
                content=content,
                needed=headers.end if is_to_the_end else scanned_to + _HEADER,
                end=size if is_to_the_end else None,
                spans=spans,
                scanned_to=scanned_to,
                last=slice(headers.end - _TAG, headers.end),
                last_content=content[-_TAG:],
                is_rest_scanned=is_rest_checked and not is_rest_known,
            )
            if len(self._known) >= _MAX_KEYS or self._elements + len(cuts) > REMEMBERED_LAYOUT_ELEMENTS:
                self._known.clear()
                self._elements, known = 0, ()
            self._elements += len(cuts)  # those of layouts that have given way count on: it is only cleared earlier
            if len(cuts) <= REMEMBERED_LAYOUT_ELEMENTS:
                self._known[key] = (layout, *known[: _MAX_KNOWN - 1])
        return spans, scanned_to


def _are_in_view(view: Buffer, spans: Mapping[int, Span]) -> bool:
    """True if the headers of these elements are."""
    return all(value <= len(view) for _, value, _ in spans.values())


def _have_length(view: Buffer, spans: Mapping[int, Span]) -> bool:
    """True if none of these elements is of undefined length."""
    return not any(bytes(view[at:value])[-4:] == b"\xff\xff\xff\xff" for at, value, _ in spans.values())
