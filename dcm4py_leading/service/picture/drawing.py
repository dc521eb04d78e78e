"""From an image object to a small PNG: one frame, with its window (PS3.3 C.11.1, C.11.2), shrunk."""

from __future__ import annotations

import struct
import zlib
from typing import Any, BinaryIO

import numpy as np
from pydicom import Dataset
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID

from dcm4py_leading.dataset.data_sets import read_image
from dcm4py_leading.model.bounds import PICTURE_FRAME_BYTES, PICTURE_PIXELS

_LONG = 1024
"""Bytes from which on a value is not read, where it is not needed."""
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


class NoPicture(Exception):
    """There is no picture; the message says why."""


def draw_png(file: BinaryIO) -> bytes:
    """PNG of the middle frame. Raises NoPicture, and whatever decoders raise."""
    ds = read_image(file, longest=_LONG)
    syntax = UID(ds.file_meta.TransferSyntaxUID)
    if syntax.is_deflated:  # its frames have no places in the file
        file.seek(0)
        ds = read_image(file)
    if not any(keyword in ds for keyword in _PIXELS):
        raise NoPicture(f"the object has no image ({UID(ds.SOPClassUID).name})")
    _require_small(ds)
    frames = int(ds.get("NumberOfFrames") or 1)
    file.seek(0)
    try:
        frame = pixel_array(ds if syntax.is_deflated else file, index=frames // 2)
    except (RuntimeError, NotImplementedError) as err:
        if "missing dependencies" in str(err) or isinstance(err, NotImplementedError):
            raise NoPicture(f"there is no codec here for {syntax.name}") from err
        raise NoPicture(f"the image cannot be decoded: {syntax.name}, and broken perhaps") from err
    return png(shrink(grey_or_rgb(frame, ds)))


def _require_small(ds: Dataset) -> None:
    octets = int(ds.get("Rows") or 0) * int(ds.get("Columns") or 0) * int(ds.get("SamplesPerPixel") or 1)
    octets *= max(1, int(ds.get("BitsAllocated") or 8) // 8)
    if octets > PICTURE_FRAME_BYTES:
        raise NoPicture(f"one frame takes {octets >> 20} MB, more than a picture may")


def grey_or_rgb(frame: Any, ds: Dataset) -> Any:
    """The frame as people see it: 8 bits, grey or RGB."""
    if ds.get("PhotometricInterpretation") == "PALETTE COLOR":
        frame = apply_color_lut(frame, ds)
        return (frame >> 8 if frame.dtype.itemsize > 1 else frame).astype(np.uint8)
    if frame.ndim == 3:
        deepest = (1 << int(ds.get("BitsStored") or 8)) - 1
        return (
            frame.astype(np.uint8) if deepest == 0xFF else (frame.astype(np.float32) * 0xFF / deepest).astype(np.uint8)
        )
    values = apply_modality_lut(frame, ds)
    if "WindowCenter" in ds or "VOILUTSequence" in ds:
        values = apply_voi_lut(values, ds)
    scaled = _stretched(values.astype(np.float32))
    return 0xFF - scaled if ds.get("PhotometricInterpretation") == "MONOCHROME1" else scaled


def _stretched(values: Any) -> Any:
    """Values scaled to all greys, without a few outliers."""
    low, high = np.percentile(values, (0.5, 99.5))
    if high <= low:
        low, high = float(values.min()), float(values.max()) + 1
    return (np.clip((values - low) / (high - low), 0, 1) * 0xFF).astype(np.uint8)


def shrink(image: Any) -> Any:
    """The image reduced to at most `PICTURE_PIXELS` in each direction, by averaging pixels."""
    step = -(-max(image.shape[:2]) // PICTURE_PIXELS)
    if step == 1:
        return image
    rows, columns = (-(-size // step) * step for size in image.shape[:2])
    edges = [(0, rows - image.shape[0]), (0, columns - image.shape[1]), *[(0, 0)] * (image.ndim - 2)]
    padded = np.pad(image, edges, mode="edge")
    blocks = padded.reshape(rows // step, step, columns // step, step, *image.shape[2:])
    return blocks.mean(axis=(1, 3)).astype(np.uint8)


def png(image: Any) -> bytes:
    """PNG (RFC 2083) of 8 bits, grey or RGB."""
    rows, columns = image.shape[:2]
    colour_type = 2 if image.ndim == 3 else 0
    lines = b"".join(b"\0" + row.tobytes() for row in image)
    header = struct.pack(">IIBBBBB", columns, rows, 8, colour_type, 0, 0, 0)
    chunks = (_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(lines)), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
