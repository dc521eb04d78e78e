"""RLE Lossless: the header of a frame, and a decoder for frames that are padded (PS3.5 Annex G)."""

from __future__ import annotations

import struct

from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.errors import SubOperationFailed

_HEADER = struct.Struct("<16L")


def segment_offsets(frame: Buffer, segments: int) -> tuple[int, ...]:
    """Where the segments of a frame begin, of which there have to be ``segments``. Raises SubOperationFailed."""
    if len(frame) < _HEADER.size:
        raise SubOperationFailed("the RLE header ends early")
    count, *offsets = _HEADER.unpack_from(frame)
    if count != segments:
        raise SubOperationFailed(f"no RLE header of {segments} segments begins there")
    found = tuple(offsets[:count])
    if found[0] != _HEADER.size or any(a >= b for a, b in zip(found, (*found[1:], len(frame)), strict=True)):
        raise SubOperationFailed("the RLE header is damaged")
    return found


def decode_padded(frame: bytes, *, samples: int, bytes_per_sample: int, pixels: int) -> bytearray:
    """The sample planes of a frame, in little endian, where its segments are longer than ``pixels`` by padding.

    Slow; for what the decoder of the extra ``codecs`` does not take. Raises SubOperationFailed.
    """
    offsets = segment_offsets(frame, samples * bytes_per_sample)
    planes = bytearray(samples * bytes_per_sample * pixels)
    for number, (start, end) in enumerate(zip(offsets, (*offsets[1:], len(frame)), strict=True)):
        segment = _decode_segment(frame[start:end])
        if len(segment) < pixels:
            raise SubOperationFailed("the RLE segment ends early")
        if len(segment) > pixels + 1 and any(segment[pixels:]):
            raise SubOperationFailed("the RLE segment holds more pixels than Rows and Columns say")
        sample, high_first = divmod(number, bytes_per_sample)
        first = sample * bytes_per_sample * pixels
        plane = slice(first + bytes_per_sample - 1 - high_first, first + bytes_per_sample * pixels, bytes_per_sample)
        planes[plane] = segment[:pixels]
    return planes


def _decode_segment(data: bytes) -> bytearray:
    """PS3.5 G.3.2."""
    decoded = bytearray()
    at = 0
    while at < len(data):
        control = data[at]
        if control < 128:
            decoded += data[at + 1 : at + 2 + control]
            at += 2 + control
        elif control == 128:
            at += 1
        else:
            decoded += data[at + 1 : at + 2] * (257 - control)
            at += 2
    return decoded
