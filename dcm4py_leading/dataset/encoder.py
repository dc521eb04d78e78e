"""Encoder of element trees (PS3.5 7): VR and length are converted, values are not."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from dcm4py_leading.dataset.elements import Element, Elements, Fragments, Items
from dcm4py_leading.dataset.scan import IMPLICIT_LITTLE, Buffer, Encoding
from dcm4py_leading.dataset.vr import HAS_LONG_LENGTH, WORD_SIZES, dictionary_vr, fits, is_whole, padding, swapped

_PIXEL_REPRESENTATION = 0x00280103
_LUT_DESCRIPTOR = 0x00283002
_LUT_DATA = 0x00283006
_ITEM = 0xE000
_ITEM_DELIMITATION = 0xE00D
_SEQUENCE_DELIMITATION = 0xE0DD
_UNDEFINED = 0xFFFFFFFF
_BULK = 1 << 14


def encode(elements: Elements, encoding: Encoding) -> list[Buffer]:
    """The bytes of a data set, in pieces: large values are not copied.

    An element without VR gets that of the data dictionary, if its length fits, else UN. So does one that is too long
    for its VR, or no whole number of its words where they have to be turned round (PS3.5 6.2.2). Odd lengths are
    padded, group lengths left out.
    """
    output = _Output()
    _Encoder(encoding, output).elements(elements, ())
    return output.finish()


def encoded_element(element: Element, encoding: Encoding, *within: Elements) -> bytes:
    """The bytes of one element; ``within`` is what it is in, from the inside out, on which its VR may depend."""
    output = _Output()
    _Encoder(encoding, output).element(element, within)
    return b"".join(output.finish())


def vr_of(element: Element, ancestors: Sequence[Elements]) -> bytes:
    """The VR that an element is written with in Explicit VR; ``ancestors`` are what it is in, from the inside out."""
    vr, value = element.vr, element.value
    if isinstance(value, Items):
        return b"UN" if vr == b"UN" and value.is_undefined_length else b"SQ"
    if isinstance(value, Fragments):
        return vr if vr in (b"OB", b"OW") else b"OB"
    length = len(value) + len(value) % 2
    if vr:
        # Numbers that are cut off would be others with a padding.
        is_cut = len(value) % 2 and not is_whole(vr, len(value))
        return b"UN" if is_cut or not (HAS_LONG_LENGTH[vr] or length <= 0xFFFE) else vr
    vr = _dictionary_vr(element.tag, ancestors)
    return vr if fits(vr, len(value) if vr in WORD_SIZES and vr != b"OW" else length) else b"UN"


def _dictionary_vr(tag: int, ancestors: Sequence[Elements]) -> bytes:
    vr = dictionary_vr(tag)
    if vr in ("", "SQ", "NONE"):  # a sequence would have items
        return b"UN"
    if len(vr) == 2:
        return vr.encode()
    if tag == _LUT_DATA:  # PS3.3 C.11.1.1.1: of one entry, it is no LUT
        return b"US" if _word(ancestors[:1], _LUT_DESCRIPTOR) == 1 else b"OW"
    if vr == "US or SS":
        return b"SS" if _word(ancestors, _PIXEL_REPRESENTATION) else b"US"
    return b"OW"  # PS3.5 A.1: what Implicit VR means, and what may be in Explicit VR


def _word(ancestors: Sequence[Elements], tag: int) -> int | None:
    """The first word of the nearest element with this tag."""
    for elements in ancestors:
        element = elements.get(tag)
        if element is not None and not isinstance(element.value, tuple) and len(element.value) >= 2:
            return int.from_bytes(element.value[:2], "little")
    return None


class _Output:
    """Collects bytes: small ones together, large ones as they are."""

    def __init__(self) -> None:
        self.length = 0
        self._pieces: list[Buffer] = []
        self._small = bytearray()

    def write(self, data: Buffer) -> None:
        self.length += len(data)
        if len(data) < _BULK:
            self._small += data
        else:
            self._flush()
            self._pieces.append(data)

    def finish(self) -> list[Buffer]:
        self._flush()
        return self._pieces

    def _flush(self) -> None:
        if self._small:
            self._pieces.append(bytes(self._small))
            self._small = bytearray()


class _Encoder:
    def __init__(self, encoding: Encoding, output: _Output) -> None:
        order = "<" if encoding.is_little_endian else ">"
        self._encoding = encoding
        self._output = output
        self._implicit = struct.Struct(f"{order}HHL").pack
        self._short = struct.Struct(f"{order}HH2sH").pack
        self._long = struct.Struct(f"{order}HH2s2xL").pack

    def elements(self, elements: Elements, ancestors: tuple[Elements, ...]) -> None:
        within = (elements, *ancestors)
        for tag, element in elements.items():
            if tag & 0xFFFF:  # group lengths (PS3.5 7.2, retired) hold in one encoding only
                self.element(element, within)

    def element(self, element: Element, ancestors: tuple[Elements, ...]) -> None:
        tag, _, value = element
        vr = vr_of(element, ancestors)
        if isinstance(value, Items):
            if vr == b"UN":  # PS3.5 6.2.2: its items, and what delimits them, are so whatever is around them
                self._header(tag, vr, _UNDEFINED)
                _Encoder(IMPLICIT_LITTLE, self._output)._items(value, ancestors)
            elif value.is_undefined_length:
                self._header(tag, vr, _UNDEFINED)
                self._items(value, ancestors)
            else:
                content = _Output()
                _Encoder(self._encoding, content)._items(value, ancestors)
                self._header(tag, vr, content.length)
                self._append(content)
        elif isinstance(value, Fragments):
            self._header(tag, vr, _UNDEFINED)
            for fragment in value.fragments:
                self._delimiter(_ITEM, len(fragment) + len(fragment) % 2)
                self._padded(fragment, b"OB")
            self._delimiter(_SEQUENCE_DELIMITATION, 0)
        else:
            if not self._encoding.is_little_endian:
                vr = vr if is_whole(vr, len(value)) else b"UN"
                value = swapped(value, vr)
            self._header(tag, vr, len(value) + len(value) % 2)
            self._padded(value, vr)

    def _items(self, value: Items, ancestors: tuple[Elements, ...]) -> None:
        for item in value.items:
            if item.is_undefined_length:
                self._delimiter(_ITEM, _UNDEFINED)
                self.elements(item.elements, ancestors)
                self._delimiter(_ITEM_DELIMITATION, 0)
            else:
                content = _Output()
                _Encoder(self._encoding, content).elements(item.elements, ancestors)
                self._delimiter(_ITEM, content.length)
                self._append(content)
        if value.is_undefined_length:
            self._delimiter(_SEQUENCE_DELIMITATION, 0)

    def _append(self, content: _Output) -> None:
        for piece in content.finish():
            self._output.write(piece)

    def _header(self, tag: int, vr: bytes, length: int) -> None:
        group, number = tag >> 16, tag & 0xFFFF
        if self._encoding.is_implicit_vr:
            self._output.write(self._implicit(group, number, length))
        elif HAS_LONG_LENGTH[vr]:
            self._output.write(self._long(group, number, vr, length))
        else:
            self._output.write(self._short(group, number, vr, length))

    def _delimiter(self, number: int, length: int) -> None:
        self._output.write(self._implicit(0xFFFE, number, length))

    def _padded(self, value: Buffer, vr: bytes) -> None:
        self._output.write(value)
        if len(value) % 2:
            self._output.write(padding(vr))
