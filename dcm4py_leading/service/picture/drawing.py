"""From pixels to a picture: grey levels or colours of 8 bits, cut and scaled, in a format of the web.

PS3.3 C.11.1 (modality LUT), C.11.2 (VOI LUT), PS3.18 8.3.5.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps
from pydicom import Dataset
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi

from dcm4py_leading.errors import SubOperationFailed
from dcm4py_leading.service.picture.job import (
    GIF,
    JPEG,
    LINEAR,
    LINEAR_EXACT,
    PNG,
    SIGMOID,
    Rendering,
    Viewport,
    Window,
)

_FORMATS = {JPEG: "JPEG", PNG: "PNG", GIF: "GIF"}
_WHITE = 0xFF
_OUTLIERS = (0.5, 99.5)
"""Percentiles between which grey levels are shown where nothing says which to show."""


def draw(frame: Any, ds: Dataset, rendering: Rendering) -> bytes:
    """The picture of a frame that pydicom has decoded."""
    image = Image.fromarray(eight_bits(frame, ds, rendering.window))
    if rendering.part is not None:
        left, top, right, bottom = rendering.part
        first, last = (int(left * image.width), int(top * image.height)), (right * image.width, bottom * image.height)
        image = image.crop((*first, max(first[0] + 1, round(last[0])), max(first[1] + 1, round(last[1]))))
    if rendering.viewport is not None:
        image = _shown(image, rendering.viewport)
    return _encoded(image, rendering)


def draw_words(words: str, rendering: Rendering) -> bytes:
    """A plain picture that says why there is no image."""
    width, height = (512, 512) if rendering.viewport is None else (rendering.viewport.width, rendering.viewport.height)
    image = Image.new("L", (width, height), 0x20)
    drawing = ImageDraw.Draw(image)
    size = max(8, min(width // 8, height // 6))
    while True:
        font = ImageFont.load_default(size)
        text = _broken(words, lambda line, font=font: drawing.textlength(line, font) <= width - 4)
        _, _, right, bottom = drawing.multiline_textbbox((0, 0), text, font)
        if size <= 8 or (right <= width and bottom <= height):
            break
        size -= 1
    drawing.multiline_text((width / 2, height / 2), text, _WHITE, font, anchor="mm", align="center")
    return _encoded(image, rendering)


def _broken(words: str, fits: Any) -> str:
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        if fits(longer) or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)


def eight_bits(frame: Any, ds: Dataset, window: Window | None) -> Any:
    """The frame as people see it: 8 bits, grey or RGB."""
    if ds.get("PhotometricInterpretation") == "PALETTE COLOR":
        frame = apply_color_lut(frame, ds)
        return (frame >> 8 if frame.dtype.itemsize > 1 else frame).astype(np.uint8)[..., :3]
    if frame.ndim == 3:
        deepest = (1 << int(ds.get("BitsStored") or 8)) - 1
        scaled = frame if deepest == _WHITE else frame.astype(np.float32) * _WHITE / deepest
        return scaled.astype(np.uint8)
    values = apply_modality_lut(frame, ds)
    shown = _grey(values, ds, window if window is not None else _own_window(ds), _padding(frame, ds))
    if ds.get("PhotometricInterpretation") == "MONOCHROME1" or ds.get("PresentationLUTShape") == "INVERSE":
        return _WHITE - shown
    return shown


def _padding(frame: Any, ds: Dataset) -> Any:
    """True where there is an image, and no padding around it (PS3.3 C.7.5.1.1.2)."""
    padding = ds.get("PixelPaddingValue")
    return None if padding is None else frame != padding


def _own_window(ds: Dataset) -> Window | None:
    """The first window of the object, unless it has a VOI LUT."""
    center, width = (_first(ds.get(keyword)) for keyword in ("WindowCenter", "WindowWidth"))
    if ds.get("VOILUTSequence") or center is None or width is None:
        return None
    function = str(ds.get("VOILUTFunction") or LINEAR).lower().replace("_", "-")
    smallest = 1 if function == LINEAR else 0
    return Window(center=center, width=width, function=function) if width > smallest or width == 1 else None


def _first(value: Any) -> float | None:
    one = value[0] if isinstance(value, (list, tuple)) or hasattr(value, "append") else value
    return None if one is None or one == "" else float(one)


def _grey(values: Any, ds: Dataset, window: Window | None, is_image: Any) -> Any:
    if window is not None:
        return _windowed(values.astype(np.float32), window)
    if ds.get("VOILUTSequence"):
        table = ds.VOILUTSequence[0]
        entries, _, depth = table.LUTDescriptor
        if isinstance(table.LUTData, bytes) and len(table.LUTData) == (entries or 1 << 16):
            # Entries of 8 bits, two in a word; pydicom takes each for a word.
            table.LUTData = np.frombuffer(table.LUTData, "u1").astype("<u2").tobytes()
        return _to_white(apply_voi(values, ds).astype(np.float32) / ((1 << int(depth)) - 1))
    return _stretched(np.nan_to_num(values.astype(np.float32)), is_image)


def _windowed(values: Any, window: Window) -> Any:
    """Grey levels by PS3.3 C.11.2.1.2."""
    center, width = window.center, window.width
    with np.errstate(over="ignore"):  # far from the center a sigmoid is 0 or 1
        if window.function == SIGMOID:
            return _to_white(1 / (1 + np.exp(-4 * (values - center) / width)))
        if window.function == LINEAR_EXACT:
            return _to_white((values - center) / width + 0.5)
        if width == 1:
            return np.where(values > center - 0.5, _WHITE, 0).astype(np.uint8)
        return _to_white((values - (center - 0.5)) / (width - 1) + 0.5)


def _to_white(shares: Any) -> Any:
    return (np.clip(np.nan_to_num(shares), 0, 1) * _WHITE + 0.5).astype(np.uint8)


def _stretched(values: Any, is_image: Any) -> Any:
    """Values scaled to all greys, without a few outliers."""
    told = values if is_image is None or not is_image.any() else values[is_image]
    low, high = np.percentile(told, _OUTLIERS)
    if high <= low:
        low, high = float(told.min()), float(told.max())
    return _to_white((values - low) / ((high - low) or 1))


def _shown(image: Image.Image, viewport: Viewport) -> Image.Image:
    if viewport.region is not None:
        left, top, width, height = viewport.region
        if left >= image.width or top >= image.height:
            raise SubOperationFailed(f"the region is outside of the image of {image.width} x {image.height} pixels")
        box = (left, top, min(left + abs(width), image.width), min(top + abs(height), image.height))
        image = image.crop(box)
        image = ImageOps.mirror(image) if width < 0 else image
        image = ImageOps.flip(image) if height < 0 else image
    size = (viewport.width, viewport.height)
    if not viewport.enlarges and image.width <= viewport.width and image.height <= viewport.height:
        return image
    return ImageOps.contain(image, size)


def _encoded(image: Image.Image, rendering: Rendering) -> bytes:
    file = BytesIO()
    options: dict[str, Any] = {"quality": rendering.quality} if rendering.media_type == JPEG else {}
    image.save(file, _FORMATS[rendering.media_type], **options)
    return file.getvalue()
