"""Image Pixel attributes: the size of an image, its samples, and how long it is in native form (PS3.3 C.7.6.3)."""

from __future__ import annotations

from dataclasses import dataclass

from dcm4py_leading.dataset.elements import Elements
from dcm4py_leading.errors import SubOperationFailed

SAMPLES_PER_PIXEL = 0x00280002
PHOTOMETRIC_INTERPRETATION = 0x00280004
PLANAR_CONFIGURATION = 0x00280006
NUMBER_OF_FRAMES = 0x00280008
ROWS = 0x00280010
COLUMNS = 0x00280011
BITS_ALLOCATED = 0x00280100
PIXEL_REPRESENTATION = 0x00280103

_SUBSAMPLED = {"YBR_FULL_422": (2, 3), "YBR_PARTIAL_422": (2, 3), "YBR_PARTIAL_420": (1, 2)}
"""Native samples there are for those of the whole image (PS3.3 C.7.6.3.1.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePixel:
    """Description of the pixels of an image, as it says itself."""

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


def image_pixel(elements: Elements) -> ImagePixel:
    """The Image Pixel attributes of a data set or item. Raises SubOperationFailed where one is missing or no number."""
    return ImagePixel(
        rows=_word(elements, ROWS, "Rows"),
        columns=_word(elements, COLUMNS, "Columns"),
        samples_per_pixel=_word(elements, SAMPLES_PER_PIXEL, "Samples per Pixel"),
        bits_allocated=_word(elements, BITS_ALLOCATED, "Bits Allocated"),
        is_signed=bool(_value(elements, PIXEL_REPRESENTATION).strip(b"\0")),
        photometric_interpretation=_value(elements, PHOTOMETRIC_INTERPRETATION).decode("ascii", "replace").strip(" \0"),
        number_of_frames=_number_of_frames(elements),
    )


def _word(elements: Elements, tag: int, name: str) -> int:
    value = _value(elements, tag)
    if not value:
        raise SubOperationFailed(f"{name} is missing")
    number = int.from_bytes(value, "little")
    if len(value) != 2 or not number:
        raise SubOperationFailed(f"{name} is no positive number")
    return number


def _number_of_frames(elements: Elements) -> int:
    text = _value(elements, NUMBER_OF_FRAMES).strip(b" \0") or b"1"
    if not text.removeprefix(b"+").isdigit() or int(text) == 0:
        raise SubOperationFailed("Number of Frames is no positive number")
    return int(text)


def _value(elements: Elements, tag: int) -> bytes:
    element = elements.get(tag)
    return b"" if element is None or isinstance(element.value, tuple) else bytes(element.value)
