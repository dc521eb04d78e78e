"""Image Pixel attributes: the size of an image, its samples, and how long it is in native form (PS3.3 C.7.6.3)."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom import Dataset

from dcm4py_leading.dataset.unreadable import UNREADABLE
from dcm4py_leading.errors import SubOperationFailed

SAMPLES_PER_PIXEL = 0x00280002
PHOTOMETRIC_INTERPRETATION = 0x00280004
PLANAR_CONFIGURATION = 0x00280006
NUMBER_OF_FRAMES = 0x00280008
ROWS = 0x00280010
COLUMNS = 0x00280011
BITS_ALLOCATED = 0x00280100
PIXEL_REPRESENTATION = 0x00280103

DESCRIPTION = (
    *(SAMPLES_PER_PIXEL, PHOTOMETRIC_INTERPRETATION, NUMBER_OF_FRAMES, ROWS, COLUMNS, BITS_ALLOCATED),
    PIXEL_REPRESENTATION,
)
"""What `ImagePixel` reads."""

_SUBSAMPLED = {"YBR_FULL_422": (2, 3), "YBR_PARTIAL_422": (2, 3), "YBR_PARTIAL_420": (1, 2)}
"""Native samples there are for those of the whole image (PS3.3 C.7.6.3.1.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePixel:
    """What an image says of its pixels."""

    rows: int
    columns: int
    samples_per_pixel: int
    bits_allocated: int
    is_signed: bool
    photometric_interpretation: str
    number_of_frames: int

    @property
    def frame_length(self) -> int:
        """Bytes of a native frame with all its samples; Bits Allocated has to be whole bytes."""
        return self.rows * self.columns * self.samples_per_pixel * self.bits_allocated // 8

    @property
    def native_length(self) -> int:
        """Bytes of the native image, without padding."""
        bits = self.rows * self.columns * self.samples_per_pixel * self.bits_allocated * self.number_of_frames
        if self.samples_per_pixel == 3:
            kept, of = _SUBSAMPLED.get(self.photometric_interpretation, (1, 1))
            bits = bits * kept // of
        return -(-bits // 8)


def image_pixel(ds: Dataset) -> ImagePixel:
    """The Image Pixel attributes of ``ds``. Raises SubOperationFailed where one is missing or no number."""
    return ImagePixel(
        rows=_number(ds, ROWS, "Rows"),
        columns=_number(ds, COLUMNS, "Columns"),
        samples_per_pixel=_number(ds, SAMPLES_PER_PIXEL, "Samples per Pixel"),
        bits_allocated=_number(ds, BITS_ALLOCATED, "Bits Allocated"),
        is_signed=bool(_number(ds, PIXEL_REPRESENTATION, "Pixel Representation", default=0)),
        photometric_interpretation=_text(ds, PHOTOMETRIC_INTERPRETATION, "Photometric Interpretation"),
        number_of_frames=_number(ds, NUMBER_OF_FRAMES, "Number of Frames", default=1),
    )


def _number(ds: Dataset, tag: int, name: str, default: int | None = None) -> int:
    text = _text(ds, tag, name)
    if not text and default is not None:
        return default
    if not text.isdecimal() or (int(text) == 0 and default != 0):
        raise SubOperationFailed(f"{name} is {'no positive number' if text else 'missing'}")
    return int(text)


def _text(ds: Dataset, tag: int, name: str) -> str:
    try:
        value = ds[tag].value if tag in ds else None
        return "" if value is None else str(value).strip(" \0")
    except UNREADABLE as err:
        raise SubOperationFailed(f"{name} cannot be read") from err
