"""Pixel Data from encapsulated to native, all or nothing (PS3.5 8.2, A.4).

An image has all its frames, each whole, or it is refused by name. What is beside the image, an icon or what a vendor
keeps, is left out where it cannot be decoded: in an uncompressed transfer syntax nothing is encapsulated.
"""

from __future__ import annotations

import logging
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import BytesIO

from pydicom import Dataset
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.tag import Tag
from pydicom.uid import UID

from dcm4py_leading.dataset.code_stream import CodeStream, Parser, parse_jpeg, parse_jpeg_2000
from dcm4py_leading.dataset.frames import Family, find_frames
from dcm4py_leading.dataset.image_pixel import (
    PHOTOMETRIC_INTERPRETATION,
    PLANAR_CONFIGURATION,
    ImagePixel,
    image_pixel,
)
from dcm4py_leading.dataset.rle import segment_offsets
from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.dataset.unreadable import UNREADABLE
from dcm4py_leading.errors import SubOperationFailed

LOG = logging.getLogger(__name__)

PIXEL_DATA = 0x7FE00010
EXTENDED_OFFSET_TABLE = 0x7FE00001
EXTENDED_OFFSET_TABLE_LENGTHS = 0x7FE00002
ENCAPSULATED_TOTAL_LENGTH = 0x7FE00003
_ONLY_WHEN_ENCAPSULATED = (EXTENDED_OFFSET_TABLE, EXTENDED_OFFSET_TABLE_LENGTHS, ENCAPSULATED_TOTAL_LENGTH)
_LOSSY_IMAGE_COMPRESSION = 0x00282110

_DCT = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 53, 55))
"""JPEG with loss: for colours mostly in YCbCr, where RGB is what comes of it (PS3.5 8.2.1)."""
_JPEG = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (57, 70, 80, 81))
_JPEG_2000 = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (90, 91, 201, 202, 203))
_RLE = "1.2.840.10008.1.2.5"
_ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"
_NATIVE = frozenset(f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".2", ".1.99"))

_UNDEFINED = 0xFFFFFFFF
_LONGEST = 0xFFFFFFFE
"""Bytes of the longest native Pixel Data (PS3.5 7.1.2, A.2); no image is decoded beyond."""
_ITEM = b"\xfe\xff\x00\xe0"
_MAY_BE_ENCAPSULATED = re.compile(rb"\xe0\x7f\x10\x00|O[BDFLVW]\0\0\xff\xff\xff\xff")
_BULK_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "OB or OW"})
_COLOURS = frozenset({"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"})

_Decode = Callable[[bytes, CodeStream, ImagePixel], bytes]


@dataclass(frozen=True, slots=True)
class _Codec:
    family: Family
    decode: _Decode
    photometric_interpretation: str
    """Of the decoded image."""


def decompress(ds: Dataset, transfer_syntax_uid: str) -> frozenset[int]:
    """Make all pixel data in ``ds`` native, which was read in ``transfer_syntax_uid``; the tags of what changed.

    Tags are those of the top level, with those of what was removed. ``ds`` is fit for Implicit and Explicit VR Little
    Endian then. At the most the encoded image, the native one and two frames are in memory. Raises
    SubOperationFailed, which leaves ``ds`` of no use.
    """
    changed = _make_native(ds, transfer_syntax_uid)
    if _add_lossy_image_compression(ds, transfer_syntax_uid):
        changed.add(_LOSSY_IMAGE_COMPRESSION)
    return frozenset(changed | _make_rest_native(ds, transfer_syntax_uid))


def is_encapsulated(element: DataElement | RawDataElement | None) -> bool:
    """Whether the value of Pixel Data, or of another element of bytes, is a sequence of fragments."""
    if isinstance(element, RawDataElement):
        return element.length == _UNDEFINED and element.VR != "SQ"
    return element is not None and element.is_undefined_length and element.VR != "SQ"


# -- the pixel data of one data set or item -------------------------------------------------------------------------


def _make_native(ds: Dataset, transfer_syntax_uid: str) -> set[int]:
    """Make the Pixel Data of this data set or item native. Raises SubOperationFailed."""
    element = ds.get_item(PIXEL_DATA)
    changed: set[int] = set()
    if is_encapsulated(element):
        changed |= _decode(ds, _bytes_of(element), transfer_syntax_uid)
    elif element is not None and element.value and transfer_syntax_uid not in _NATIVE:
        changed |= _pass_on(ds, _bytes_of(element), transfer_syntax_uid)
    for tag in _ONLY_WHEN_ENCAPSULATED:
        if tag in ds:
            del ds[tag]
            changed.add(tag)
    return changed


def _pass_on(ds: Dataset, value: bytes, transfer_syntax_uid: str) -> set[int]:
    """Native pixel data, though the transfer syntax is a compressed one. Raises SubOperationFailed."""
    image = image_pixel(ds)
    if len(value) not in (image.native_length, image.native_length + image.native_length % 2):
        if value.startswith(_ITEM):  # fragments, though their length is given
            return _decode(ds, value, transfer_syntax_uid)
        raise SubOperationFailed(
            f"the pixel data is not encapsulated, and has {len(value)} bytes where {image.native_length} make the image"
        )
    if len(value) % 2 == 0:
        return set()
    _put_pixel_data(ds, value + b"\0", image)
    return {PIXEL_DATA}


def _decode(ds: Dataset, value: bytes, transfer_syntax_uid: str) -> set[int]:
    """Decode encapsulated pixel data. Raises SubOperationFailed."""
    image = image_pixel(ds)
    codec = _codec(transfer_syntax_uid, image)
    if image.frame_length * image.number_of_frames > _LONGEST:
        raise SubOperationFailed("the native pixel data would be longer than 4 GiB")
    try:
        native = _native(value, image, codec, _extended_offset_table(ds))
    except MemoryError as err:
        raise SubOperationFailed("there is not enough memory to decompress the pixel data") from err
    _put_pixel_data(ds, native, image)
    changed = {PIXEL_DATA}
    if codec.photometric_interpretation != image.photometric_interpretation:
        ds[PHOTOMETRIC_INTERPRETATION] = DataElement(PHOTOMETRIC_INTERPRETATION, "CS", codec.photometric_interpretation)
        changed.add(PHOTOMETRIC_INTERPRETATION)
    if image.samples_per_pixel > 1 and transfer_syntax_uid != _ENCAPSULATED_UNCOMPRESSED:
        ds[PLANAR_CONFIGURATION] = DataElement(PLANAR_CONFIGURATION, "US", 0)
        changed.add(PLANAR_CONFIGURATION)
    return changed


def _native(
    value: bytes, image: ImagePixel, codec: _Codec, extended: tuple[tuple[int, ...], tuple[int, ...]] | None
) -> bytes:
    """The native image, padded to even length. Raises SubOperationFailed."""
    count = image.number_of_frames
    native = BytesIO()
    for number, frame in enumerate(find_frames(value, count, codec.family, extended), 1):
        try:
            decoded = codec.decode(frame.joined(), frame.stream, image)
            if len(decoded) != image.frame_length:
                raise SubOperationFailed(f"it has {len(decoded)} bytes instead of {image.frame_length}")
        except SubOperationFailed as err:
            raise SubOperationFailed(f"frame {number} of {count} cannot be decompressed: {err}") from err
        native.write(decoded)
    native.write(b"\0" * (native.tell() % 2))
    return native.getvalue()


def _put_pixel_data(ds: Dataset, native: bytes, image: ImagePixel) -> None:
    ds[PIXEL_DATA] = DataElement(PIXEL_DATA, "OW" if image.bits_allocated > 8 else "OB", native)


def _add_lossy_image_compression(ds: Dataset, transfer_syntax_uid: str) -> bool:
    """Say that an image was compressed with loss, now that the transfer syntax no longer does (PS3.3 C.7.6.1.1.5)."""
    if transfer_syntax_uid not in _DCT or PIXEL_DATA not in ds:
        return False
    element = ds.get_item(_LOSSY_IMAGE_COMPRESSION)
    if element is not None and element.value:
        return False
    ds[_LOSSY_IMAGE_COMPRESSION] = DataElement(_LOSSY_IMAGE_COMPRESSION, "CS", "01")
    return True


def _bytes_of(element: DataElement | RawDataElement | None) -> bytes:
    value = None if element is None else element.value
    if not isinstance(value, bytes | bytearray):
        raise SubOperationFailed("the pixel data is no bytes")
    return bytes(value)


def _extended_offset_table(ds: Dataset) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Extended Offset Table and its Lengths (PS3.3 C.7.6.3.1.8, C.7.6.3.1.9); None where one is missing or odd."""
    found = []
    for tag in (EXTENDED_OFFSET_TABLE, EXTENDED_OFFSET_TABLE_LENGTHS):
        element = ds.get_item(tag)
        value = None if element is None else element.value
        if not isinstance(value, bytes) or not value or len(value) % 8:
            return None
        found.append(struct.unpack(f"<{len(value) // 8}Q", value))
    return found[0], found[1]


# -- what is beside the image ---------------------------------------------------------------------------------------


def _make_rest_native(ds: Dataset, transfer_syntax_uid: str) -> set[int]:
    """Make pixel data in sequences native, or leave it out. Raises SubOperationFailed."""
    changed: set[int] = set()
    for tag in list(ds.keys()):
        if tag == PIXEL_DATA:
            continue
        element = ds.get_item(tag)
        if is_encapsulated(element):
            if not tag.is_private:
                raise SubOperationFailed(f"{Tag(tag)} is encapsulated, which only Pixel Data can be")
            _leave_out(ds, tag, "only Pixel Data can be decompressed")
        elif _may_hold_encapsulated(element):
            if element.VR == "UN" and element.value[:4] == _ITEM:
                _leave_out(ds, tag, "it is a sequence of VR UN")
            elif not _make_items_native(ds, tag, transfer_syntax_uid):
                continue
        else:
            continue
        changed.add(int(tag))
    return changed


def _may_hold_encapsulated(element: DataElement | RawDataElement | None) -> bool:
    if not isinstance(element, RawDataElement):
        return element is not None and element.VR == "SQ"
    if element.VR not in ("SQ", "UN") or not isinstance(element.value, bytes):
        return False
    if element.VR == "UN" and element.value[:4] != _ITEM:
        return False
    return _MAY_BE_ENCAPSULATED.search(element.value) is not None


def _make_items_native(ds: Dataset, tag: int, transfer_syntax_uid: str) -> bool:
    """Make the items of a sequence native; whether anything changed. Raises SubOperationFailed."""
    try:
        element = ds[tag]
        items = list(element.value or ()) if element.VR == "SQ" else []
    except UNREADABLE as err:
        raise SubOperationFailed(f"{Tag(tag)} cannot be read, and may hold pixel data") from err
    kept = []
    is_changed = False
    for item in items:
        try:
            changed = _make_native(item, transfer_syntax_uid) if _has_pixel_data(item) else set()
        except SubOperationFailed as err:
            LOG.info("an item of %s is left out of an object that is sent uncompressed: %s", Tag(tag), err)
            is_changed = True
            continue
        is_changed = bool(changed | _make_rest_native(item, transfer_syntax_uid)) or is_changed
        kept.append(item)
    if len(kept) == len(items):
        return is_changed
    if kept:
        element.value = kept
    else:
        del ds[tag]
    return True


def _has_pixel_data(item: Dataset) -> bool:
    element = item.get_item(PIXEL_DATA)
    return is_encapsulated(element) or any(tag in item for tag in _ONLY_WHEN_ENCAPSULATED)


def _leave_out(ds: Dataset, tag: int, reason: str) -> None:
    LOG.info("%s is left out of an object that is sent uncompressed: %s", Tag(tag), reason)
    del ds[tag]


# -- codecs ---------------------------------------------------------------------------------------------------------


def _codec(transfer_syntax_uid: str, image: ImagePixel) -> _Codec:
    """How to decode this image. Raises SubOperationFailed."""
    make = _CODECS.get(transfer_syntax_uid)
    if make is None:
        raise SubOperationFailed(f"{_name_of(transfer_syntax_uid)} cannot be decompressed")
    if image.bits_allocated not in (8, 16, 32):
        raise SubOperationFailed(f"pixel data with Bits Allocated {image.bits_allocated} cannot be decompressed")
    if image.samples_per_pixel not in (1, 3):
        raise SubOperationFailed(f"pixel data with Samples per Pixel {image.samples_per_pixel} cannot be decompressed")
    photometric_interpretation = image.photometric_interpretation
    if image.samples_per_pixel == 3:
        photometric_interpretation = _native_photometric_interpretation(transfer_syntax_uid, image)
    try:
        family, decode = make(image)
    except ImportError as err:
        raise SubOperationFailed(f"to decompress, the extra 'codecs' has to be installed ({err.name})") from err
    return _Codec(family, decode, photometric_interpretation)


def _name_of(transfer_syntax_uid: str) -> str:
    name = UID(transfer_syntax_uid).name
    kind = "pixel data" if transfer_syntax_uid not in _NATIVE else "encapsulated pixel data"
    return f"{kind} in {name}" if name == transfer_syntax_uid else f"{kind} in {name} ({transfer_syntax_uid})"


def _native_photometric_interpretation(transfer_syntax_uid: str, image: ImagePixel) -> str:
    """Photometric Interpretation of a colour image once it is decoded. Raises SubOperationFailed."""
    before = image.photometric_interpretation
    transformed = before in ("YBR_ICT", "YBR_RCT")
    if before not in _COLOURS or (transformed and transfer_syntax_uid not in _JPEG_2000):
        raise SubOperationFailed(f"pixel data with Photometric Interpretation {before!r} cannot be decompressed")
    if transformed or transfer_syntax_uid in _DCT:
        return "RGB"
    # What decoders give has all samples.
    return "YBR_FULL" if before == "YBR_FULL_422" else before


def _dct(_: ImagePixel) -> tuple[Family, _Decode]:
    from dcm4py_leading.dataset.frame_decoder import decode_jpeg

    return _JPEG_FAMILY, partial(decode_jpeg, to_rgb=True)


def _jpeg(_: ImagePixel) -> tuple[Family, _Decode]:
    from dcm4py_leading.dataset.frame_decoder import decode_jpeg

    return _JPEG_FAMILY, partial(decode_jpeg, to_rgb=False)


def _jpeg_2000(_: ImagePixel) -> tuple[Family, _Decode]:
    from dcm4py_leading.dataset.frame_decoder import decode_jpeg_2000

    return _JPEG_2000_FAMILY, decode_jpeg_2000


def _rle(image: ImagePixel) -> tuple[Family, _Decode]:
    from dcm4py_leading.dataset.frame_decoder import decode_rle

    segments = image.samples_per_pixel * image.bits_allocated // 8

    def parse(data: Buffer, start: int) -> CodeStream:
        segment_offsets(data, segments)
        return _stream_of(data, image)

    def begins(fragment: memoryview) -> bool:
        try:
            segment_offsets(fragment, segments)
        except SubOperationFailed:
            return False
        return True

    return Family(begins, parse, None), lambda data, _, image: decode_rle(data, image)


def _uncompressed(image: ImagePixel) -> tuple[Family, _Decode]:
    """Encapsulated Uncompressed Explicit VR Little Endian (PS3.5 A.4.11)."""

    def decode(data: bytes, _: CodeStream, image: ImagePixel) -> bytes:
        return data[:-1] if len(data) == image.frame_length + 1 and len(data) % 2 == 0 else data

    return Family(lambda _: False, lambda data, _: _stream_of(data, image), None), decode


def _stream_of(data: Buffer, image: ImagePixel) -> CodeStream:
    return CodeStream(
        end=len(data),
        rows=image.rows,
        columns=image.columns,
        components=image.samples_per_pixel,
        precision=image.bits_allocated,
    )


def _family(first_marker: bytes, parse: Parser) -> Family:
    pattern = re.compile(first_marker)
    return Family(lambda fragment: pattern.match(fragment) is not None, parse, pattern)


_JPEG_FAMILY = _family(rb"\xff\xd8\xff", parse_jpeg)
_JPEG_2000_FAMILY = _family(rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  ", parse_jpeg_2000)
_CODECS: dict[str, Callable[[ImagePixel], tuple[Family, _Decode]]] = {
    **dict.fromkeys(_DCT, _dct),
    **dict.fromkeys(_JPEG, _jpeg),
    **dict.fromkeys(_JPEG_2000, _jpeg_2000),
    _RLE: _rle,
    _ENCAPSULATED_UNCOMPRESSED: _uncompressed,
}
