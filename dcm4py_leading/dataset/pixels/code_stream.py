"""Code streams of JPEG, JPEG-LS and JPEG 2000: where an image begins and ends, and its size.

From ISO 10918-1 (JPEG) Annex B, ISO 14495-1 (JPEG-LS) Annex C and ISO 15444-1 (JPEG 2000) Annex A.

Decoders fill up what is missing with grey and say nothing. So markers are followed from the first to the last one
here, and nothing goes to a decoder that ends early. Nothing of the image itself is decoded.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.errors import SubOperationFailed

_EOI, _SOS, _DNL, _APP0, _APP14, _SOF_LS = 0xD9, 0xDA, 0xDC, 0xE0, 0xEE, 0xF7
_FRAME_HEADERS = frozenset({*range(0xC0, 0xD0), _SOF_LS}) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = 0xC2
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_AFTER_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_AFTER_SCAN_LS = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")
_ALL_COEFFICIENTS = (1 << 64) - 1

_SOC, _SOT, _SOD, _EOC = b"\xff\x4f", b"\xff\x90", b"\xff\x93", b"\xff\xd9"
_JP2_SIGNATURE = b"\0\0\0\x0cjP  "
_END_OF_CODE_STREAM = re.compile(_EOC)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeStream:
    """One image in a code stream."""

    end: int
    """Where it ends: the index behind its last byte."""
    rows: int
    columns: int
    components: int
    precision: int
    """Bits of a sample."""
    is_signed: bool = False
    is_jpeg_ls: bool = False
    is_ybr: bool | None = None
    """Colours of the stream: True for YCbCr, False for RGB, or None where it does not tell."""
    scan_ends: tuple[int, ...] = ()
    """Where the entropy-coded data of each scan ends. Only JPEG and JPEG-LS."""
    lacks_end: bool = False
    """True if all is there but the marker at the end. Only JPEG 2000."""


Parser = Callable[[Buffer, int], CodeStream]
"""Follows one code stream from a position to its end. Raises SubOperationFailed where it is cut or damaged."""


def parse_jpeg(data: Buffer, start: int = 0) -> CodeStream:
    """The JPEG or JPEG-LS image that begins at ``start``. Raises SubOperationFailed."""
    if data[start : start + 2] != b"\xff\xd8":
        raise SubOperationFailed("no JPEG code stream begins there")
    found = _JpegHeaders()
    at = start + 2
    while True:
        while data[at : at + 2] == b"\xff\xff":  # fill bytes (ISO 10918-1 B.1.1.2)
            at += 1
        if len(data) < at + 2:
            raise SubOperationFailed("the JPEG code stream ends early")
        if data[at] != 0xFF or not data[at + 1]:
            raise SubOperationFailed("the JPEG code stream is damaged")
        code = data[at + 1]
        at += 2
        if code == _EOI:
            return found.code_stream(at)
        if code in _STANDALONE:
            continue
        length = int.from_bytes(data[at : at + 2], "big")
        following = at + length
        if length < 2 or following > len(data):
            raise SubOperationFailed("the JPEG code stream ends early")
        found.segment(code, bytes(data[at + 2 : following]))
        at = following
        if code == _SOS:
            marker = (_AFTER_SCAN_LS if found.frame_header == _SOF_LS else _AFTER_SCAN).search(data, at)
            if marker is None:
                raise SubOperationFailed("the JPEG code stream ends early")
            at = marker.start()
            found.scan_ends.append(at)


class _JpegHeaders:
    """Content of the marker segments of a JPEG code stream."""

    def __init__(self) -> None:
        self.frame_header: int | None = None
        self.rows = self.columns = self.precision = 0
        self.component_ids: tuple[int, ...] = ()
        self.received: dict[int, int] = {}
        """For each component a bit for each coefficient that has come with its full precision."""
        self.scan_ends: list[int] = []
        self.has_jfif = False
        self.adobe_transform: int | None = None

    def segment(self, code: int, body: bytes) -> None:
        """Note the marker segment ``code``. Raises SubOperationFailed."""
        try:
            if code in _FRAME_HEADERS:
                self._frame(code, body)
            elif code == _SOS:
                self._scan(body)
            elif code == _DNL and not self.rows:
                self.rows = int.from_bytes(body[:2], "big")
            elif code == _APP0 and body.startswith(b"JFIF\0"):
                self.has_jfif = True
            elif code == _APP14 and body.startswith(b"Adobe") and len(body) >= 12:
                self.adobe_transform = body[11]
        except IndexError as err:
            raise SubOperationFailed("the JPEG code stream is damaged") from err

    def _frame(self, code: int, body: bytes) -> None:
        if self.frame_header is not None:
            raise SubOperationFailed("the JPEG code stream is hierarchical, which is not supported")
        self.frame_header = code
        self.precision = body[0]
        self.rows = int.from_bytes(body[1:3], "big")
        self.columns = int.from_bytes(body[3:5], "big")
        self.component_ids = tuple(body[6 + 3 * n] for n in range(body[5]))

    def _scan(self, body: bytes) -> None:
        if self.frame_header is None:
            raise SubOperationFailed("the JPEG code stream is damaged")
        count = body[0]
        first, last, approximation = body[1 + 2 * count], body[2 + 2 * count], body[3 + 2 * count]
        bits = _ALL_COEFFICIENTS
        if self.frame_header == _PROGRESSIVE:
            bits = 0 if approximation & 0xF else (_ALL_COEFFICIENTS >> (63 - min(last, 63))) & ~((1 << first) - 1)
        for n in range(count):
            component = body[1 + 2 * n]
            self.received[component] = self.received.get(component, 0) | bits

    def code_stream(self, end: int) -> CodeStream:
        """The image, now that its end is known. Raises SubOperationFailed."""
        if self.frame_header is None:
            raise SubOperationFailed("the JPEG code stream holds no image")
        if any(self.received.get(component) != _ALL_COEFFICIENTS for component in self.component_ids):
            raise SubOperationFailed("the JPEG code stream lacks scans")
        return CodeStream(
            end=end,
            rows=self.rows,
            columns=self.columns,
            components=len(self.component_ids),
            precision=self.precision,
            is_jpeg_ls=self.frame_header == _SOF_LS,
            is_ybr=self._is_ybr(),
            scan_ends=tuple(self.scan_ends),
        )

    def _is_ybr(self) -> bool | None:
        if bytes(self.component_ids).upper() == b"RGB":
            return False
        if self.adobe_transform is not None:
            return self.adobe_transform != 0
        return True if self.has_jfif else None


def parse_jpeg_2000(data: Buffer, start: int = 0) -> CodeStream:
    """The JPEG 2000 or HTJ2K image that begins at ``start``, as a bare code stream or in a JP2 file.

    Raises SubOperationFailed.
    """
    at = _past_boxes(data, start) if data[start : start + 8] == _JP2_SIGNATURE else start
    if data[at : at + 2] != _SOC or data[at + 2 : at + 4] != b"\xff\x51":
        raise SubOperationFailed("no JPEG 2000 code stream begins there")
    siz = at + 4
    if len(data) < siz + 41:
        raise SubOperationFailed("the JPEG 2000 code stream ends early")
    x, y, x0, y0, tile_x, tile_y, tile_x0, tile_y0 = (
        int.from_bytes(data[siz + 4 + 4 * n : siz + 8 + 4 * n], "big") for n in range(8)
    )
    if not tile_x or not tile_y:
        raise SubOperationFailed("the JPEG 2000 code stream is damaged")
    tiles = -((tile_x0 - x) // tile_x) * -((tile_y0 - y) // tile_y)
    end, has_end = _past_tiles(data, _past_segments(data, at + 2, _SOT), tiles)
    return CodeStream(
        end=end,
        rows=y - y0,
        columns=x - x0,
        components=int.from_bytes(data[siz + 36 : siz + 38], "big"),
        precision=(data[siz + 38] & 0x7F) + 1,
        is_signed=bool(data[siz + 38] & 0x80),
        lacks_end=not has_end,
    )


def _past_boxes(data: Buffer, at: int) -> int:
    """Where the code stream begins in a JP2 file."""
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == b"jp2c":
            return at + (16 if length == 1 else 8)
        if length < 8:
            break
        at += length
    raise SubOperationFailed("the JP2 file holds no code stream")


def _past_segments(data: Buffer, at: int, until: bytes) -> int:
    """Where the marker ``until`` is, behind marker segments that begin at ``at``."""
    while (marker := data[at : at + 2]) != until:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if len(data) < at + 4:
            raise SubOperationFailed("the JPEG 2000 code stream ends early")
        if marker[0] != 0xFF or length < 2:
            raise SubOperationFailed("the JPEG 2000 code stream is damaged")
        at += 2 + length
    return at


def _past_tiles(data: Buffer, at: int, tiles: int) -> tuple[int, bool]:
    """Where the code stream ends whose first tile-part begins at ``at``, and whether the marker stands there."""
    parts: dict[int, int] = {}
    wanted: dict[int, int] = {}
    while data[at : at + 2] == _SOT:
        if len(data) < at + 12:
            raise SubOperationFailed("the JPEG 2000 code stream ends early")
        tile = int.from_bytes(data[at + 4 : at + 6], "big")
        length = int.from_bytes(data[at + 6 : at + 10], "big")
        parts[tile] = parts.get(tile, 0) + 1
        wanted[tile] = max(wanted.get(tile, 1), data[at + 11])
        if not length:  # the last one: it goes on to the marker at the end (ISO 15444-1 A.4.2)
            last = _END_OF_CODE_STREAM.search(data, _past_segments(data, at, _SOD))
            if last is None:
                raise SubOperationFailed("the JPEG 2000 code stream ends early")
            at = last.start()
            break
        if length < 14:
            raise SubOperationFailed("the JPEG 2000 code stream is damaged")
        at += length
        if at > len(data):
            raise SubOperationFailed("the JPEG 2000 code stream ends early")
    if len(parts) != tiles or any(parts[tile] < count for tile, count in wanted.items()):
        raise SubOperationFailed("the JPEG 2000 code stream lacks tiles")
    if data[at : at + 2] == _EOC:
        return at + 2, True
    return at, False


def spliced(data: bytes, stream: CodeStream, filler: bytes) -> bytes:
    """The code stream with ``filler`` behind the data of each scan.

    A decoder that has all samples of a scan goes on to the next marker, so the image is the same; one that lacks some
    takes the filler for them.
    """
    pieces = []
    start = 0
    for end in stream.scan_ends:
        pieces += [data[start:end].rstrip(b"\xff"), filler]  # fill bytes would make a marker of the filler
        start = end
    return b"".join([*pieces, data[start : stream.end]])
