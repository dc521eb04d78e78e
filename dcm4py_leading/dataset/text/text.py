"""Codec of DICOM text, strictly by Specific Character Set (PS3.5 6.1.2).

An octet that cannot be decoded as declared becomes the lone surrogate U+DC00 plus its value. Written in the same set it
is that octet again, so nothing is lost; nowhere else may it be taken for text. Escape sequences that go with such
octets are kept with them, up to the next delimiter. All else is written with the fewest escape sequences.

In multi-valued text a backslash parts the values, wherever it stands as a character: not as the second octet of a
character in GB18030 or GBK, and also where ISO-IR 14 has the yen sign.
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache
from typing import Protocol

from dcm4py_leading.dataset.text.character_sets import (
    CharacterSet,
    Declaration,
    Designation,
    declaration,
)

TEXT_VRS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""VRs that Specific Character Set is about (PS3.5 6.1.2.2)."""
SINGLE_VALUED = frozenset({"LT", "ST", "UT"})
"""Those in which a backslash is text."""

_ESCAPE = 0x1B
_OCTETS = re.compile("[\udc00-\udcff]")
_RUNS = re.compile("([\udc00-\udcff]+)")
_ESCAPES = re.compile(rb"\x1b[ -/]+[0-~]")
_STORED = {0xDC00 + octet: 0x10FF00 + octet for octet in range(256)}
_SHOWN = {0xDC00 + octet: f"\\x{octet:02x}" for octet in range(256)}
_STORED_BACK = {stored: octet for octet, stored in _STORED.items()}


def decode(octets: bytes, codes: CharacterSet, vr: str) -> str:
    """The text of a value field, or of one value. Never fails; see `is_decodable`."""
    return _codec(codes, _delimiters(vr)).decode(octets)


def encode(text: str, codes: CharacterSet, vr: str) -> bytes:
    """The octets of a value field, not padded. Raises UnicodeEncodeError for what the set does not have."""
    return _codec(codes, _delimiters(vr)).encode(text)


def can_encode(text: str, codes: CharacterSet, vr: str = "LT") -> bool:
    """True if all of ``text`` is known as text, and can be written in ``codes``."""
    if not is_decodable(text):
        return False
    try:
        encode(text, codes, vr)
    except UnicodeEncodeError:
        return False
    return True


def is_decodable(text: str) -> bool:
    """True if no octet is left that could not be decoded."""
    return text.isascii() or _OCTETS.search(text) is None


def marks_only_escapes(text: str) -> bool:
    """True if escape characters are all that could not be decoded: codes of ASCII, without code extensions."""
    return set(_OCTETS.findall(text)) == {"\udc1b"}


def storable(text: str) -> str:
    """The text with a character of its own (of private use) for each octet that could not be decoded.

    For where Unicode has to be whole: databases, XML. Different octets stay different.
    """
    return text if is_decodable(text) else text.translate(_STORED)


def restored(text: str) -> str:
    """The original of a text that `storable` has converted."""
    return text if text.isascii() else text.translate(_STORED_BACK)


def is_storable_as_it_is(text: str) -> bool:
    """True if no character is one that `storable` uses."""
    return text.isascii() or not any(0x10FF00 <= ord(char) <= 0x10FFFF for char in text)


def shown(text: str) -> str:
    """The text for people to read, octets that could not be decoded as ``\\xFC``."""
    return text if is_decodable(text) else text.translate(_SHOWN)


def _delimiters(vr: str) -> str:
    """Where the set of the first value is invoked again, control characters apart (PS3.5 6.1.2.5.3)."""
    return "" if vr in SINGLE_VALUED else "\\^=" if vr == "PN" else "\\"


class _Codec(Protocol):
    def decode(self, octets: bytes) -> str: ...
    def encode(self, text: str) -> bytes: ...


@lru_cache(maxsize=256)
def _codec(codes: CharacterSet, delimiters: str) -> _Codec:
    declared = declaration(codes)
    if declared.stand_alone is not None:
        return _StandAlone(declared.stand_alone)
    is_of_two = declared.g1 is not None and declared.g1.graphic_set.width == 2
    if declared.escapes or is_of_two:
        return _Extended(declared, delimiters)
    return _OneOctet(_table(declared, delimiters))


class _StandAlone:
    """UTF-8, GB18030, GBK."""

    def __init__(self, codec: str) -> None:
        self._codec = codec

    def decode(self, octets: bytes) -> str:
        text = octets.decode(self._codec, _MARK)
        return text.replace("\x1b", "\udc1b") if "\x1b" in text else text

    def encode(self, text: str) -> bytes:
        if text.isascii() and "\x1b" not in text:
            return text.encode("ascii")
        if "\x1b" in text:
            raise _not_in_the_set(text, text.index("\x1b"))
        parts = _RUNS.split(text)
        return b"".join(
            bytes(ord(char) & 0xFF for char in part) if number % 2 else part.encode(self._codec)
            for number, part in enumerate(parts)
        )


class _OneOctet:
    """A set of one octet a character, without code extensions: a table."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._codes = codecs.charmap_build(table)
        self._is_ascii = table[:_ESCAPE] + table[_ESCAPE + 1 : 0x80] == _ASCII

    def decode(self, octets: bytes) -> str:
        if self._is_ascii and octets.isascii() and _ESCAPE not in octets:
            return octets.decode("ascii")
        return codecs.charmap_decode(octets, "strict", self._table)[0]

    def encode(self, text: str) -> bytes:
        return codecs.charmap_encode(text, "strict", self._codes)[0]


class _Extended:
    """Code extensions (PS3.5 6.1.2.5)."""

    def __init__(self, declared: Declaration, delimiters: str) -> None:
        assert declared.g0 is not None
        self._g0, self._g1 = declared.g0, declared.g1
        self._escapes = {**declared.escapes, **declared.also_read}
        self._sequences = {one: escape for escape, one in declared.escapes.items()}
        self._candidates = [one for one in (self._g0, self._g1, *declared.escapes.values()) if one is not None]
        self._delimiters = delimiters
        self._octets = frozenset(delimiters.encode("ascii"))
        self._begins_with_one_octet = self._g1 is None or self._g1.graphic_set.width == 1
        self._initial = _OneOctet(_table(declared, delimiters))

    def decode(self, octets: bytes) -> str:
        if self._begins_with_one_octet and _ESCAPE not in octets:
            return self._initial.decode(octets)
        out: list[str] = []
        g0, g1 = self._g0, self._g1
        at, size = 0, len(octets)
        escaped: tuple[int, int] | None = None
        while at < size:
            octet = octets[at]
            if octet == _ESCAPE:
                match = _ESCAPES.match(octets, at)
                designated = self._escapes.get(match[0]) if match is not None else None
                escaped = escaped or (at, len(out))
                if match is not None and designated is not None:
                    at = match.end()
                    g0, g1 = (g0, designated) if designated.is_g1 else (designated, g1)
                    continue
            elif octet < 0x20 or (octet in self._octets and g0.graphic_set.width == 1):
                out.append(chr(octet))
                at += 1
                g0, g1, escaped = self._g0, self._g1, None
                continue
            elif octet in (0x20, 0x7F):
                out.append(chr(octet))
                at += 1
                continue
            else:
                invoked = g0 if octet < 0x80 else g1
                char = None if invoked is None else _char(invoked, octets, at)
                if invoked is not None and char is not None:
                    out.append(char)
                    at += invoked.graphic_set.width
                    continue
            if escaped is None:
                out.append(chr(0xDC00 | octet))
                at += 1
                continue
            # What the escape sequences up to here were meant for is not known: all of it stays as it is.
            at, length = escaped
            del out[length:]
            end = next((i for i in range(at, size) if self._is_end(octets[i])), size)
            out += [chr(0xDC00 | one) for one in octets[at:end]]
            at = end
            g0, g1, escaped = self._g0, self._g1, None
        return "".join(out)

    def _is_end(self, octet: int) -> bool:
        return (octet < 0x20 and octet != _ESCAPE) or octet in self._octets

    def encode(self, text: str) -> bytes:
        out = bytearray()
        g0, g1 = self._g0, self._g1
        for number, char in enumerate(text):
            code = ord(char)
            if code < 0x20 or char in self._delimiters:
                if code == _ESCAPE:
                    raise _not_in_the_set(text, number)
                out += self._back(g0, g1)
                g0, g1 = self._g0, self._g1
                out.append(code)
            elif 0xDC00 <= code <= 0xDCFF:
                if (g0, g1) != (self._g0, self._g1):
                    raise _not_in_the_set(text, number)
                out.append(code & 0xFF)
            else:
                placed = self._placed(char, g0, g1)
                if placed is None:
                    raise _not_in_the_set(text, number)
                if placed not in (g0, g1):
                    out += self._sequences[placed]
                    g0, g1 = (g0, placed) if placed.is_g1 else (placed, g1)
                if code in (0x20, 0x7F):
                    out.append(code)
                else:
                    octets = placed.graphic_set.codes[char]
                    out += bytes(octet | 0x80 for octet in octets) if placed.is_g1 else octets
        return bytes(out + self._back(g0, g1))

    def _placed(self, char: str, g0: Designation, g1: Designation | None) -> Designation | None:
        """Where the character is: in what is invoked, else in what can be designated."""
        if char in " \x7f":
            return g0 if g0.graphic_set.width == 1 else self._g0
        for one in (g0, g1, *self._candidates):
            if one is not None and char in one.graphic_set.codes:
                if self._delimiters and not one.is_g1 and one.graphic_set.codes[char] == b"\\" != char.encode():
                    continue  # the yen sign would be read as a delimiter
                return one
        return None

    def _back(self, g0: Designation, g1: Designation | None) -> bytes:
        """Escape sequences that invoke the set of the first value again; nothing designates in place of another G1."""
        back = b"" if g0 == self._g0 else self._sequences[self._g0]
        if g1 != self._g1 and self._g1 is not None:
            back += self._sequences[self._g1]
        return back


def _char(invoked: Designation, octets: bytes, at: int) -> str | None:
    graphic_set = invoked.graphic_set
    if graphic_set.width == 1:
        return graphic_set.chars.get(octets[at] & 0x7F)
    pair = octets[at : at + 2]
    if len(pair) < 2 or (pair[1] >= 0x80) != invoked.is_g1:
        return None
    return graphic_set.chars.get((pair[0] & 0x7F) << 8 | (pair[1] & 0x7F))


def _table(declared: Declaration, delimiters: str) -> str:
    """Characters of all octets without escape sequences; those that are nothing are marked."""
    table = [chr(code) if code < 0x20 or code in (0x20, 0x7F) else chr(0xDC00 | code) for code in range(256)]
    table[_ESCAPE] = chr(0xDC00 | _ESCAPE)
    for one in (declared.g0, declared.g1):
        if one is not None and one.graphic_set.width == 1:
            for code, char in one.graphic_set.chars.items():
                table[code | (0x80 if one.is_g1 else 0)] = char
    for delimiter in delimiters:
        table[ord(delimiter)] = delimiter
    return "".join(table)


_ASCII = "".join(chr(code) for code in range(0x80) if code != _ESCAPE)
_MARK = "dcm4py_leading.mark"


def _mark(err: UnicodeError) -> tuple[str, int]:
    """Error handler: the first octet of what cannot be decoded is marked, and reading goes on behind it."""
    if not isinstance(err, UnicodeDecodeError):
        raise err
    return chr(0xDC00 | err.object[err.start]), err.start + 1


codecs.register_error(_MARK, _mark)


def _not_in_the_set(text: str, at: int) -> UnicodeEncodeError:
    return UnicodeEncodeError("dicom", text, at, at + 1, "not in the character set")
