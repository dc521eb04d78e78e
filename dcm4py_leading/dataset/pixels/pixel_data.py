"""Conversion of Pixel Data from encapsulated to native, all or nothing (PS3.5 8.2, A.4).

An image has all its frames, each whole, or it is refused by name. What is beside the image, an icon or what a vendor
keeps, is left out where it cannot be decoded: in an uncompressed transfer syntax nothing is encapsulated.
"""

from __future__ import annotations

import logging
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from io import BytesIO

from pydicom.uid import UID

from dcm4py_leading.dataset.elements import Element, Elements, Fragments, Item, Items
from dcm4py_leading.dataset.pixels.code_stream import CodeStream, Parser, parse_jpeg, parse_jpeg_2000
from dcm4py_leading.dataset.pixels.frames import Family, find_frames, items_of
from dcm4py_leading.dataset.pixels.image_pixel import (
    PHOTOMETRIC_INTERPRETATION,
    PLANAR_CONFIGURATION,
    ImagePixel,
    image_pixel,
)
from dcm4py_leading.dataset.pixels.rle import segment_offsets
from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.errors import SubOperationFailed
from dcm4py_leading.log import foreign

LOG = logging.getLogger(__name__)

PIXEL_DATA = 0x7FE00010
_ONLY_WHEN_ENCAPSULATED = (0x7FE00001, 0x7FE00002, 0x7FE00003)
"""Extended Offset Table, its Lengths, and Encapsulated Pixel Data Value Total Length (PS3.3 C.7.6.3)."""
_LOSSY_IMAGE_COMPRESSION = 0x00282110

_DCT = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 53, 55))
"""JPEG with loss: for colours mostly in YCbCr, where RGB is what comes of it (PS3.5 8.2.1)."""
_JPEG = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (57, 70, 80, 81))
_JPEG_2000 = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (90, 91, 201, 202, 203))
_JPEG_XL = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (110, 111, 112))
_RLE = "1.2.840.10008.1.2.5"
_ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"
_DECODERS = ("numpy", "imagecodecs", "openjpeg", "rle")
"""Packages of the extra ``codecs`` that decode."""
_NATIVE = frozenset(f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".2", ".1.99"))

_LONGEST = 0xFFFFFFFE
"""Bytes of the longest native Pixel Data (PS3.5 7.1.2, A.2); no image is decoded beyond."""
_ITEM = b"\xfe\xff\x00\xe0"
_ENCAPSULATED = re.compile(rb"\xe0\x7f\x10\x00(?:O[BW]\0\0)?\xff\xff\xff\xff")
"""Pixel Data of undefined length, in Implicit or Explicit VR."""
_COLOURS = frozenset({"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "XYB"})

_Decode = Callable[[bytes, CodeStream, ImagePixel], bytes]


@dataclass(frozen=True, slots=True)
class _Codec:
    family: Family
    decode: _Decode
    photometric_interpretation: str
    """Of the decoded image."""


def decompressed(elements: Elements, transfer_syntax_uid: str) -> Elements:
    """The data set with all its pixel data native, which was read in ``transfer_syntax_uid``.

    It is fit for Implicit and Explicit VR Little Endian then. What does not change is the same element as before. Of
    pixel data, the encoded and the native image and two frames are in memory at the most. Raises SubOperationFailed.
    """
    native = dict(_with_native_pixel_data(elements, transfer_syntax_uid))
    if transfer_syntax_uid in _DCT and PIXEL_DATA in native and not _bytes(native, _LOSSY_IMAGE_COMPRESSION):
        # The transfer syntax does not tell it any longer (PS3.3 C.7.6.1.1.5).
        _put(native, _LOSSY_IMAGE_COMPRESSION, b"CS", b"01")
    return dict(sorted(_with_native_rest(native, transfer_syntax_uid).items()))


def is_decodable(transfer_syntax_uid: str) -> bool:
    """True if there is a decoder here for encapsulated pixel data in this transfer syntax."""
    return transfer_syntax_uid in _CODECS and all(find_spec(name) is not None for name in _DECODERS)


# -- the pixel data of one data set or item -------------------------------------------------------------------------


def _with_native_pixel_data(elements: Elements, transfer_syntax_uid: str) -> Elements:
    """The data set or item with native Pixel Data; itself if nothing changes. Raises SubOperationFailed."""
    fragments = _fragments_in(elements, transfer_syntax_uid)
    if fragments is None and not any(tag in elements for tag in _ONLY_WHEN_ENCAPSULATED):
        return elements
    native = {tag: element for tag, element in elements.items() if tag not in _ONLY_WHEN_ENCAPSULATED}
    if fragments is not None:
        _decode(native, fragments, transfer_syntax_uid, _extended_offset_table(elements))
    return native


def _fragments_in(elements: Elements, transfer_syntax_uid: str) -> Sequence[Buffer] | None:
    """The items of Pixel Data, the Basic Offset Table first; None where it is native or absent.

    Raises SubOperationFailed where it is neither, as under a compressed transfer syntax anything may come.
    """
    element = elements.get(PIXEL_DATA)
    if element is None:
        return None
    value = element.value
    if isinstance(value, Fragments):
        return value.fragments
    if isinstance(value, Items):
        raise SubOperationFailed("the pixel data is a sequence of data sets")
    if transfer_syntax_uid in _NATIVE or not len(value):
        return None
    length = image_pixel(elements).native_length
    if len(value) in (length, length + length % 2):
        return None
    if bytes(value[:4]) == _ITEM:  # fragments, though their length is given
        return items_of(value)
    raise SubOperationFailed(
        f"the pixel data is not encapsulated, and has {len(value)} bytes where {length} make the image"
    )


def _decode(
    elements: Elements,
    fragments: Sequence[Buffer],
    transfer_syntax_uid: str,
    extended: tuple[tuple[int, ...], tuple[int, ...]] | None,
) -> None:
    """Put the native image in the place of the encapsulated one. Raises SubOperationFailed."""
    image = image_pixel(elements)
    codec = _codec(transfer_syntax_uid, image)
    if image.frame_length * image.number_of_frames > _LONGEST:
        raise SubOperationFailed("the native pixel data would be longer than 4 GiB")
    try:
        native = _native(fragments, image, codec, extended)
    except MemoryError as err:
        raise SubOperationFailed("there is not enough memory to decompress the pixel data") from err
    _put(elements, PIXEL_DATA, b"OW" if image.bits_allocated > 8 else b"OB", native)
    if codec.photometric_interpretation != image.photometric_interpretation:
        text = codec.photometric_interpretation.encode()
        _put(elements, PHOTOMETRIC_INTERPRETATION, b"CS", text + b" " * (len(text) % 2))
    if image.samples_per_pixel > 1 and transfer_syntax_uid != _ENCAPSULATED_UNCOMPRESSED:
        _put(elements, PLANAR_CONFIGURATION, b"US", b"\0\0")


def _native(
    fragments: Sequence[Buffer],
    image: ImagePixel,
    codec: _Codec,
    extended: tuple[tuple[int, ...], tuple[int, ...]] | None,
) -> bytes:
    """The native image, padded to even length. Raises SubOperationFailed."""
    count = image.number_of_frames
    native = BytesIO()
    for number, frame in enumerate(find_frames(fragments, count, codec.family, extended), 1):
        try:
            decoded = codec.decode(frame.joined(), frame.stream, image)
            if len(decoded) != image.frame_length:
                raise SubOperationFailed(f"it has {len(decoded)} bytes instead of {image.frame_length}")
        except SubOperationFailed as err:
            raise SubOperationFailed(f"frame {number} of {count} cannot be decompressed: {err}") from err
        native.write(decoded)
    native.write(b"\0" * (native.tell() % 2))
    return native.getvalue()


def _extended_offset_table(elements: Elements) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Extended Offset Table and its Lengths (PS3.3 C.7.6.3.1.8, C.7.6.3.1.9); None where one is missing or odd."""
    offsets, lengths = (_bytes(elements, tag) for tag in _ONLY_WHEN_ENCAPSULATED[:2])
    if not offsets or not lengths or len(offsets) % 8 or len(lengths) % 8:
        return None
    return struct.unpack(f"<{len(offsets) // 8}Q", offsets), struct.unpack(f"<{len(lengths) // 8}Q", lengths)


def _put(elements: Elements, tag: int, vr: bytes, value: bytes) -> None:
    elements[tag] = Element(tag, vr, value)


def _bytes(elements: Elements, tag: int) -> bytes:
    element = elements.get(tag)
    return b"" if element is None or isinstance(element.value, tuple) else bytes(element.value)


# -- what is beside the image ---------------------------------------------------------------------------------------


def _with_native_rest(elements: Elements, transfer_syntax_uid: str) -> Elements:
    """The data set or item with native pixel data in its sequences, or without it; itself if nothing changes.

    Raises SubOperationFailed.
    """
    changed: dict[int, Element | None] = {}
    for tag, element in elements.items():
        value = element.value
        if tag == PIXEL_DATA:
            continue
        if isinstance(value, Items):
            items = _with_native_items(tag, value, transfer_syntax_uid)
            if items is not value:
                changed[tag] = element._replace(value=items) if items.items else None
        elif isinstance(value, Fragments):
            if not tag >> 16 & 1:
                raise SubOperationFailed(f"{_named(tag)} is encapsulated, which only Pixel Data can be")
            LOG.info("%s is left out of an object that is sent uncompressed: it is encapsulated", _named(tag))
            changed[tag] = None
        elif element.vr == b"UN" and bytes(value[:4]) == _ITEM and _ENCAPSULATED.search(value):
            LOG.info("%s is left out of an object that is sent uncompressed: in it is pixel data", _named(tag))
            changed[tag] = None
    if not changed:
        return elements
    return {tag: after for tag, element in elements.items() if (after := changed.get(tag, element)) is not None}


def _with_native_items(tag: int, items: Items, transfer_syntax_uid: str) -> Items:
    """The items of a sequence, without those whose pixel data cannot be decoded; themselves if nothing changes."""
    kept: list[Item] = []
    for item in items.items:
        native = item.elements
        try:
            if _needs_to_change(native):
                native = _with_native_pixel_data(native, transfer_syntax_uid)
        except SubOperationFailed as err:
            LOG.info("an item of %s is left out of an object that is sent uncompressed: %s", _named(tag), err)
            continue
        native = _with_native_rest(native, transfer_syntax_uid)
        kept.append(item if native is item.elements else item._replace(elements=native))
    if len(kept) == len(items.items) and all(a is b for a, b in zip(kept, items.items, strict=True)):
        return items
    return items._replace(items=tuple(kept))


def _needs_to_change(item: Elements) -> bool:
    """True if an item has encapsulated pixel data, or what goes with it; native pixel data is nobody's concern here."""
    element = item.get(PIXEL_DATA)
    is_encapsulated = element is not None and isinstance(element.value, Fragments)
    return is_encapsulated or any(tag in item for tag in _ONLY_WHEN_ENCAPSULATED)


def _named(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


# -- codecs ---------------------------------------------------------------------------------------------------------


def _codec(transfer_syntax_uid: str, image: ImagePixel) -> _Codec:
    """Codec that decodes this image. Raises SubOperationFailed."""
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
    name = foreign(UID(transfer_syntax_uid).name)
    kind = "pixel data" if transfer_syntax_uid not in _NATIVE else "encapsulated pixel data"
    return f"{kind} in {name}" if name == transfer_syntax_uid else f"{kind} in {name} ({transfer_syntax_uid})"


def _native_photometric_interpretation(transfer_syntax_uid: str, image: ImagePixel) -> str:
    """Photometric Interpretation of a colour image once it is decoded. Raises SubOperationFailed."""
    before = image.photometric_interpretation
    transformed = before in ("YBR_ICT", "YBR_RCT")
    if before not in _COLOURS or (transformed and transfer_syntax_uid not in _JPEG_2000):
        raise SubOperationFailed(
            f"pixel data with Photometric Interpretation {foreign(before)!r} cannot be decompressed"
        )
    if transformed or transfer_syntax_uid in _DCT or transfer_syntax_uid in _JPEG_XL:
        return "RGB"
    # What decoders give has all samples.
    return "YBR_FULL" if before == "YBR_FULL_422" else before


def _dct(_: ImagePixel) -> tuple[Family, _Decode]:
    from dcm4py_leading.dataset.pixels.frame_decoder import decode_jpeg

    return _JPEG_FAMILY, partial(decode_jpeg, to_rgb=True)


def _jpeg(_: ImagePixel) -> tuple[Family, _Decode]:
    from dcm4py_leading.dataset.pixels.frame_decoder import decode_jpeg

    return _JPEG_FAMILY, partial(decode_jpeg, to_rgb=False)


def _jpeg_2000(_: ImagePixel) -> tuple[Family, _Decode]:
    from dcm4py_leading.dataset.pixels.frame_decoder import decode_jpeg_2000

    return _JPEG_2000_FAMILY, decode_jpeg_2000


def _jpeg_xl(image: ImagePixel) -> tuple[Family, _Decode]:
    from dcm4py_leading.dataset.pixels.frame_decoder import decode_jpeg_xl

    begins = re.compile(rb"\xff\x0a|\0\0\0\x0cJXL ")
    family = Family(lambda fragment: begins.match(fragment) is not None, lambda data, _: _stream_of(data, image), None)
    return family, lambda data, _, image: decode_jpeg_xl(data, image)


def _rle(image: ImagePixel) -> tuple[Family, _Decode]:
    from dcm4py_leading.dataset.pixels.frame_decoder import decode_rle

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
    **dict.fromkeys(_JPEG_XL, _jpeg_xl),
    _RLE: _rle,
    _ENCAPSULATED_UNCOMPRESSED: _uncompressed,
}
