"""Check of an object that was decoded and encoded as a whole: nothing was damaged on the way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dcm4py_leading.dataset.elements import Element, Elements, Fragments, Items
from dcm4py_leading.dataset.pixels.image_pixel import image_pixel
from dcm4py_leading.dataset.pydicom_bridge import name_of
from dcm4py_leading.dataset.vr import TEXT_VRS

_CHARACTER_SET = 0x00080005
_NUMBER_OF_FRAMES = 0x00280008
_PIXEL_DATA = 0x7FE00010
_REPLACEMENT = "\ufffd".encode()
_ESCAPE = b"\x1b"


class Unsound(ValueError):
    """An object would leave damaged. Says how, and names the attribute."""


def require_sound(before: Elements, after: Elements, changed: Iterable[int], *, is_encapsulated: bool) -> None:
    """Check what became of the elements. Raises Unsound.

    ``changed`` are the tags of those that were encoded anew; ``is_encapsulated`` tells whether the transfer syntax that
    the object leaves in has encapsulated pixel data.
    """
    _require_text(before, after, changed)
    if not is_encapsulated:
        for tag in after:
            for inner in _with_inner(after[tag]):
                if isinstance(inner.value, Fragments):
                    raise Unsound(f"{name_of(tag)} is encapsulated, in a transfer syntax that is not")
    if _is_encapsulated(before) and not _is_encapsulated(after):
        _require_frames(before, after)


def _require_text(before: Elements, after: Elements, changed: Iterable[int]) -> None:
    has_escapes = b"ISO 2022" in _bytes(after, _CHARACTER_SET)
    for tag in changed:
        new, old = _text(after.get(tag)), _text(before.get(tag))
        if new.count(_REPLACEMENT) > old.count(_REPLACEMENT):
            raise Unsound(f"{name_of(tag)} would lose characters")
        if not has_escapes and new.count(_ESCAPE) > old.count(_ESCAPE):
            raise Unsound(f"{name_of(tag)} would get escape sequences")


def _require_frames(before: Elements, after: Elements) -> None:
    """Native pixel data has the octets of as many frames as Number of Frames tells, and told before."""
    if _number(before, _NUMBER_OF_FRAMES) != _number(after, _NUMBER_OF_FRAMES):
        raise Unsound(f"{name_of(_NUMBER_OF_FRAMES)} would change")
    length = len(_bytes(after, _PIXEL_DATA))
    if not length:
        return  # somebody emptied it
    expected = image_pixel(after).native_length
    if length != expected + expected % 2:
        raise Unsound(f"{name_of(_PIXEL_DATA)} would not have the frames that {name_of(_NUMBER_OF_FRAMES)} tells")


def _with_inner(element: Element) -> Iterator[Element]:
    yield element
    if isinstance(element.value, Items):
        for item in element.value.items:
            for inner in item.elements.values():
                yield from _with_inner(inner)


def _text(element: Element | None) -> bytes:
    """The text of an element, and of all in it."""
    if element is None:
        return b""
    return b"".join(
        bytes(inner.value)
        for inner in _with_inner(element)
        if not isinstance(inner.value, tuple) and inner.vr in TEXT_VRS
    )


def _is_encapsulated(elements: Elements) -> bool:
    element = elements.get(_PIXEL_DATA)
    return element is not None and isinstance(element.value, Fragments)


def _bytes(elements: Elements, tag: int) -> bytes:
    element = elements.get(tag)
    return b"" if element is None or isinstance(element.value, tuple) else bytes(element.value)


def _number(elements: Elements, tag: int) -> int:
    """The value of an Integer String; 1 where it has none."""
    try:
        return int(_bytes(elements, tag).strip(b" \0") or b"1")
    except ValueError:
        return 1
