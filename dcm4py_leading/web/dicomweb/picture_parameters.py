"""Parameters of pictures, as they stand in a URL (PS3.18 8.3.5)."""

from __future__ import annotations

import math

from dcm4py_leading.model.bounds import VIEWPORT_PIXELS
from dcm4py_leading.service.picture.job import LINEAR, LINEAR_EXACT, SIGMOID, Viewport, Window

_FUNCTIONS = (LINEAR, LINEAR_EXACT, SIGMOID)


class WrongPicture(ValueError):
    """A parameter that cannot be meant; the message names it."""


def viewport_of(text: str, *, enlarges: bool) -> Viewport:
    """Viewport out of ``w,h`` or ``w,h,sx,sy,sw,sh``; what is empty of the latter four has its default."""
    parts = text.split(",")
    if len(parts) not in (2, 6):
        raise WrongPicture("viewport: expected w,h or w,h,sx,sy,sw,sh")
    width, height = (_number("viewport", part, 1, VIEWPORT_PIXELS) for part in parts[:2])
    if len(parts) == 2:
        return Viewport(width=width, height=height, enlarges=enlarges)
    left, top = (_number("viewport", part or "0", 0, _MOST) for part in parts[2:4])
    across, down = (_number("viewport", part or str(_MOST), -_MOST, _MOST) for part in parts[4:])
    if not across or not down:
        raise WrongPicture("viewport: expected a region that is not empty")
    return Viewport(width=width, height=height, region=(left, top, across, down), enlarges=enlarges)


def window_of(text: str) -> Window:
    """Window out of ``center,width,function``; without the function it is linear."""
    center, width, function = (*text.split(","), LINEAR)[:3] if text.count(",") == 1 else (*text.split(","), "", "")[:3]
    if text.count(",") not in (1, 2) or function.lower() not in _FUNCTIONS:
        raise WrongPicture(f"window: expected center,width,function, the function one of {', '.join(_FUNCTIONS)}")
    return made_window("window", center, width, function.lower())


def made_window(name: str, center: str, width: str, function: str = LINEAR) -> Window:
    """Window whose width fits its function (PS3.3 C.11.2.1.2); ``name`` is that of the parameter."""
    try:
        window = Window(center=float(center), width=float(width), function=function)
    except ValueError as err:
        raise WrongPicture(f"{name}: expected numbers for center and width") from err
    smallest = 1.0 if function == LINEAR else 0.0
    is_wide = window.width >= 1 if function == LINEAR else window.width > 0
    if not (math.isfinite(window.center) and math.isfinite(window.width) and is_wide):
        raise WrongPicture(f"{name}: expected a width of {'at least' if smallest else 'more than'} {smallest:g}")
    return window


def quality_of(name: str, text: str) -> int:
    """Quality of a JPEG."""
    return _number(name, text, 1, 100)


def number_of(name: str, text: str, most: int) -> int:
    """A number from 1 to ``most``."""
    return _number(name, text, 1, most)


def part_of(name: str, text: str) -> tuple[float, float, float, float]:
    """Region as shares of the image: ``left,top,right,bottom``, each from 0 to 1."""
    try:
        left, top, right, bottom = map(float, text.split(","))
    except ValueError as err:
        raise WrongPicture(f"{name}: expected left,top,right,bottom") from err
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise WrongPicture(f"{name}: expected numbers from 0 to 1, and a region that is not empty")
    return left, top, right, bottom


_MOST = 0xFFFF


def _number(name: str, text: str, least: int, most: int) -> int:
    try:
        number = int(text) if len(text) < 10 and text.isascii() else None
    except ValueError:
        number = None
    if number is None or not least <= number <= most:
        raise WrongPicture(f"{name}: expected a number from {least} to {most}")
    return number
