"""Decoder of one frame to native bytes: little endian, colours by pixel (PS3.5 8.1, 8.2).

Needs the extra ``codecs``; whoever imports this is prepared for ImportError. What a code stream lacks is never made
up: see `_decode_jpeg`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import imagecodecs
import numpy
import openjpeg.utils
import rle.utils
from pydicom.pixels.processing import convert_color_space

from dcm4py_leading.dataset.pixels.code_stream import CodeStream, spliced
from dcm4py_leading.dataset.pixels.image_pixel import ImagePixel
from dcm4py_leading.dataset.pixels.rle import decode_padded
from dcm4py_leading.errors import SubOperationFailed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[numpy.generic]

_OTHER_SAMPLES = b"\xaa\x95\x68\x13" * 32
"""Samples that begin with a Huffman code of the half that 1 opens; the decoder itself goes on with zeros."""
_DECODER_ERRORS = (RuntimeError, ValueError, TypeError, OverflowError)


def decode_jpeg(data: bytes, stream: CodeStream, image: ImagePixel, *, to_rgb: bool) -> bytes:
    """A frame in JPEG or JPEG-LS; with ``to_rgb`` in RGB, if it is in colour. Raises SubOperationFailed."""
    _require_size(stream, image)
    samples = _decode_jpeg(data, stream)
    _require_count(samples, image)
    if to_rgb and image.samples_per_pixel == 3 and _is_ybr(stream, image):
        if stream.precision != 8 or image.bits_allocated != 8:
            raise SubOperationFailed("colours of more than 8 bits in YCbCr cannot be made RGB")
        by_pixel = samples.reshape(image.rows, image.columns, 3)
        return bytes(convert_color_space(by_pixel, "YBR_FULL", "RGB").tobytes())
    return _fitted(samples, image, stream.precision, sign_is_lost=True)


def decode_jpeg_2000(data: bytes, stream: CodeStream, image: ImagePixel) -> bytes:
    """A frame in JPEG 2000 or HTJ2K; colours that were transformed by it are RGB. Raises SubOperationFailed."""
    _require_size(stream, image)
    try:
        decoded = openjpeg.utils.decode_pixel_data(data[: stream.end] + b"\xff\xd9" * stream.lacks_end, version=2)
    except _DECODER_ERRORS as err:
        raise SubOperationFailed("the JPEG 2000 code stream cannot be decoded") from err
    size = 1 if stream.precision <= 8 else 2 if stream.precision <= 16 else 4
    samples = numpy.frombuffer(decoded, dtype=f"<{'i' if stream.is_signed else 'u'}{size}")
    _require_count(samples, image)
    return _fitted(samples, image, stream.precision, sign_is_lost=stream.is_signed != image.is_signed)


def decode_jpeg_xl(data: bytes, image: ImagePixel) -> bytes:
    """A frame in JPEG XL; colours are RGB. Raises SubOperationFailed."""
    try:
        samples = numpy.asarray(imagecodecs.jpegxl_decode(data))
    except _DECODER_ERRORS as err:
        raise SubOperationFailed("the JPEG XL code stream cannot be decoded, or ends early") from err
    shape = (image.rows, image.columns) + ((3,) if image.samples_per_pixel == 3 else ())
    if samples.shape != shape or samples.dtype.itemsize * 8 > image.bits_allocated or samples.dtype.kind != "u":
        raise SubOperationFailed("the JPEG XL code stream is of another image than Rows and Columns say")
    return _fitted(samples.reshape(-1), image, samples.dtype.itemsize * 8, sign_is_lost=True)


def decode_rle(data: bytes, image: ImagePixel) -> bytes:
    """A frame in RLE. Raises SubOperationFailed."""
    size = image.bits_allocated // 8
    decoded: bytes | bytearray | None = _decode_rle(data, image)
    if decoded is None:
        decoded = decode_padded(
            data, samples=image.samples_per_pixel, bytes_per_sample=size, pixels=image.rows * image.columns
        )
    if image.samples_per_pixel == 1:
        return bytes(decoded)
    planes = numpy.frombuffer(decoded, dtype=f"<u{size}").reshape(image.samples_per_pixel, -1)
    return bytes(planes.T.tobytes())


def _decode_rle(data: bytes, image: ImagePixel) -> bytes | None:
    """The planes; None where the decoder does not take the frame, which may be padded or cut."""
    try:
        decoded = rle.utils.decode_pixel_data(
            data,
            version=2,
            rows=image.rows,
            columns=image.columns,
            samples_per_pixel=image.samples_per_pixel,
            bits_allocated=image.bits_allocated,
            byteorder="<",
        )
    except _DECODER_ERRORS:
        return None
    except BaseException as err:
        if type(err).__module__ != "pyo3_runtime":  # a panic in Rust is none of Python's exceptions
            raise
        return None
    return bytes(decoded) if len(decoded) == image.frame_length else None


def _decode_jpeg(data: bytes, stream: CodeStream) -> Samples:
    """The samples of a JPEG or JPEG-LS image. Raises SubOperationFailed where it has not all of them.

    Where a scan lacks samples, the decoder of JPEG takes what is behind it for codes, or makes samples up, and says
    nothing. So none may depend on what is behind the scans. That of JPEG-LS wants a marker exactly behind the last.
    """
    decoded = _decode(data[: stream.end], stream)
    if stream.is_jpeg_ls or numpy.array_equal(decoded, _decode(spliced(data, stream, _OTHER_SAMPLES), stream)):
        return decoded
    raise SubOperationFailed("the JPEG code stream ends early")


def _decode(data: bytes, stream: CodeStream) -> Samples:
    """The samples, colours by pixel and as they are coded."""
    try:
        if stream.is_jpeg_ls:
            decoded = imagecodecs.jpegls_decode(data)
        else:
            colours = "YCBCR" if stream.components == 3 else None  # of both sides, so that they stay as they are
            decoded = imagecodecs.jpeg8_decode(data, colorspace=colours, outcolorspace=colours)
    except _DECODER_ERRORS as err:
        raise SubOperationFailed("the JPEG code stream cannot be decoded, or ends early") from err
    return numpy.asarray(decoded).reshape(-1)


def _require_size(stream: CodeStream, image: ImagePixel) -> None:
    """The code stream must be of the image that the data set describes."""
    if (stream.rows, stream.columns) != (image.rows, image.columns):
        raise SubOperationFailed(
            f"it is {stream.rows} x {stream.columns} pixels, where Rows and Columns say {image.rows} x {image.columns}"
        )
    if stream.components != image.samples_per_pixel:
        raise SubOperationFailed(
            f"it has {stream.components} components, where Samples per Pixel says {image.samples_per_pixel}"
        )
    if stream.precision > image.bits_allocated:
        raise SubOperationFailed(
            f"it has {stream.precision} bits a sample, where Bits Allocated says {image.bits_allocated}"
        )


def _require_count(samples: Samples, image: ImagePixel) -> None:
    if samples.size != image.rows * image.columns * image.samples_per_pixel:
        raise SubOperationFailed("the decoder gives another number of samples than Rows and Columns say")


def _is_ybr(stream: CodeStream, image: ImagePixel) -> bool:
    """True if the samples are YCbCr; the code stream knows better than Photometric Interpretation."""
    if stream.is_ybr is not None:
        return stream.is_ybr
    return image.photometric_interpretation != "RGB"


def _fitted(samples: Samples, image: ImagePixel, precision: int, *, sign_is_lost: bool) -> bytes:
    """The samples in Bits Allocated, signed as Pixel Representation says."""
    size = image.bits_allocated // 8
    fitted = samples.astype(f"<{'i' if image.is_signed else 'u'}{size}", copy=False)
    shift = image.bits_allocated - precision
    if sign_is_lost and shift and (image.is_signed or samples.dtype.kind == "i"):
        fitted = (fitted << shift) >> shift
    return bytes(fitted.tobytes())
