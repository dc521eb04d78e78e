"""Character sets of DICOM: the defined terms of Specific Character Set, and what they designate (PS3.3 C.12.1.1.2).

A graphic set is one of ISO 2022: of 94 or 96 characters (one octet each), or of 94 times 94 (two octets). It is looked
up with 7-bit codes, wherever it is invoked. The characters come from Python's codecs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

CharacterSet = tuple[str, ...]
"""Values of Specific Character Set as they stand in a data set; empty: the default repertoire."""

UTF_8 = "ISO_IR 192"
STAND_ALONE: Mapping[str, str] = {UTF_8: "utf-8", "GB18030": "gb18030", "GBK": "gbk"}
"""Python's codecs of the terms that allow no code extensions (PS3.3 table C.12-5)."""


@dataclass(frozen=True, slots=True)
class GraphicSet:
    """A set of graphic characters, each of ``width`` octets."""

    name: str
    width: int
    chars: Mapping[int, str] = field(repr=False, compare=False)
    """By code; of two octets the first is the more significant."""
    codes: Mapping[str, bytes] = field(repr=False, compare=False)
    """By character."""


@dataclass(frozen=True, slots=True)
class Designation:
    """Designation by an escape sequence: ``graphic_set`` as G1 (octets from 0x80 on) or as G0."""

    graphic_set: GraphicSet
    is_g1: bool


@dataclass(frozen=True, slots=True)
class Declaration:
    """Meaning of the values of Specific Character Set together."""

    is_known: bool
    """True if each is a defined term, and they go together. Octets that need one which is not cannot be decoded."""
    stand_alone: str | None = None
    """Python's codec of a set without code extensions; the rest does not count then."""
    g0: Designation | None = None
    g1: Designation | None = None
    """G1 set that is invoked at the beginning, and again behind each delimiter; None in the default repertoire."""
    escapes: Mapping[bytes, Designation] = field(default_factory=dict, hash=False)
    """By escape sequence, in the order of the values; empty without code extensions."""
    also_read: Mapping[bytes, Designation] = field(default_factory=dict, hash=False)
    """Escape sequences that are not declared, but met, and cannot be mistaken. They are never written."""


# Number of the International Register: how Python calls it, and the escape sequence that designates it as G1.
_LATIN_AND_OTHERS: Mapping[str, tuple[str, bytes]] = {
    "100": ("iso8859_1", b"\x1b-A"),
    "101": ("iso8859_2", b"\x1b-B"),
    "109": ("iso8859_3", b"\x1b-C"),
    "110": ("iso8859_4", b"\x1b-D"),
    "144": ("iso8859_5", b"\x1b-L"),
    "127": ("iso8859_6", b"\x1b-G"),
    "126": ("iso8859_7", b"\x1b-F"),
    "138": ("iso8859_8", b"\x1b-H"),
    "148": ("iso8859_9", b"\x1b-M"),
    "203": ("iso8859_15", b"\x1b-b"),
    "166": ("tis_620", b"\x1b-T"),
}
_MULTI_BYTE: Mapping[str, tuple[bytes, bool]] = {
    "87": (b"\x1b$B", False),
    "159": (b"\x1b$(D", False),
    "149": (b"\x1b$)C", True),
    "58": (b"\x1b$)A", True),
}
"""The escape sequence, and whether it is for G1 (PS3.3 table C.12-4)."""
_JAPANESE = "13"
_DEFAULT = "6"
ONE_BYTE_EXTENSIONS = tuple(f"ISO 2022 IR {number}" for number in (*_LATIN_AND_OTHERS, _JAPANESE))
EXTENSIONS = (*ONE_BYTE_EXTENSIONS, *(f"ISO 2022 IR {number}" for number in _MULTI_BYTE))
"""Defined terms for code extensions, without that of the default repertoire (PS3.3 tables C.12-3 and C.12-4)."""
_ONE_BYTE = frozenset({*_LATIN_AND_OTHERS, _JAPANESE})
DEFINED_TERMS = frozenset(
    {"", "ISO 2022 IR 6", *STAND_ALONE, *EXTENSIONS, *(f"ISO_IR {number}" for number in _ONE_BYTE)}
)
"""Defined terms that may be written (PS3.3 C.12.1.1.2)."""


@lru_cache(maxsize=256)
def folded(term: str) -> str:
    """The defined term that ``term`` is a spelling of, empty for the default repertoire; else ``term`` itself."""
    text = term.strip(" \0").upper()
    if text in ("", "ISO_IR 6"):
        return ""
    if re.fullmatch(r"UTF[-_ ]?8", text):
        return UTF_8
    if re.fullmatch(r"GB[-_ ]?18030", text):
        return "GB18030"
    if text in ("GBK", "ISO 2022 GBK"):
        return "GBK"
    match = re.fullmatch(r"ISO(?:[-_ ]?(2022))?[-_ ]*(?:IR)?[-_ ]*([0-9]{1,3})", text)
    if match is None:
        return term
    extends, number = match.groups()
    if number == "192":
        return UTF_8
    if number == _DEFAULT:
        return "ISO 2022 IR 6" if extends else ""
    if number in _MULTI_BYTE:
        return f"ISO 2022 IR {number}"  # there is no other term for them
    if number in _ONE_BYTE:
        return f"ISO 2022 IR {number}" if extends else f"ISO_IR {number}"
    return term


@lru_cache(maxsize=256)
def normalized(codes: CharacterSet) -> CharacterSet:
    """The same set in defined terms, one spelling for each; empty for the default repertoire."""
    terms = tuple(folded(code) for code in codes)
    if terms and terms[0] in STAND_ALONE:
        terms = terms[:1]
    return () if terms == ("",) else terms


def is_default(codes: CharacterSet) -> bool:
    """True if it is the default repertoire alone, with the codes of which any other set begins."""
    return all(folded(code) in ("", "ISO 2022 IR 6") for code in codes)


@lru_cache(maxsize=256)
def declaration(codes: CharacterSet) -> Declaration:
    """Meaning of ``codes``. Never fails: what is no defined term designates nothing."""
    terms = normalized(codes) or ("",)
    if terms[0] in STAND_ALONE:
        return Declaration(True, STAND_ALONE[terms[0]])
    is_known = all(term in DEFINED_TERMS and term not in STAND_ALONE for term in terms)
    numbers = [term.rpartition(" ")[2] if term in DEFINED_TERMS else "" for term in terms]
    extends = len(terms) > 1 or "2022" in terms[0]
    escapes: dict[bytes, Designation] = {}
    if extends:
        for number in numbers:
            escapes.update(_escapes(number))
        escapes.setdefault(_ASCII, Designation(ascii_set(), False))
    also_read = {}
    if extends and _ROMAJI not in escapes and {"87", "159"} & set(numbers):
        # Many a Japanese system goes back to ISO-IR 14 where it declares ISO-IR 6.
        also_read = {_ROMAJI: Designation(_common_to_ascii_and_romaji(), False)}
    if any(term in STAND_ALONE for term in terms):
        # What would stand beside it is not extended either: nobody knows what was meant.
        return Declaration(False, None, Designation(ascii_set(), False), None, {})
    first = _escapes(numbers[0])
    g0 = next((one for one in first.values() if not one.is_g1 and one.graphic_set.width == 1), None)
    g1 = next((one for one in first.values() if one.is_g1), None)
    return Declaration(is_known, None, g0 or Designation(ascii_set(), False), g1, escapes, also_read)


@lru_cache(maxsize=256)
def keeps(old: CharacterSet, new: CharacterSet) -> bool:
    """True if all octets that were written in ``old`` mean the same in ``new``: it is the same set, or extends it."""
    if normalized(old) == normalized(new):
        return True
    was, will_be = declaration(old), declaration(new)
    if was.stand_alone or will_be.stand_alone or not (was.is_known and will_be.is_known):
        return False
    return (was.g0, was.g1) == (will_be.g0, will_be.g1) and all(
        will_be.escapes.get(escape) == one for escape, one in was.escapes.items()
    )


def extended(codes: CharacterSet, terms: Iterable[str]) -> CharacterSet | None:
    """``codes`` with further ``terms`` for code extensions; None where it allows none."""
    local = normalized(codes) or ("",)
    if not declaration(codes).is_known or local[0] in STAND_ALONE:
        return None
    with_extensions = [term.replace("ISO_IR ", "ISO 2022 IR ", 1) for term in local]
    return tuple(dict.fromkeys([*with_extensions, *terms]))


_ASCII = b"\x1b(B"
_ROMAJI = b"\x1b(J"


def _escapes(number: str) -> Mapping[bytes, Designation]:
    """The escape sequences of one term (PS3.3 tables C.12-3 and C.12-4)."""
    if number in _MULTI_BYTE:
        escape, is_g1 = _MULTI_BYTE[number]
        return {escape: Designation(_multi_byte(number), is_g1)}
    if number == _JAPANESE:
        return {_ROMAJI: Designation(_romaji(), False), b"\x1b)I": Designation(_katakana(), True)}
    found = {_ASCII: Designation(ascii_set(), False)}
    if number in _LATIN_AND_OTHERS:
        codec, escape = _LATIN_AND_OTHERS[number]
        found[escape] = Designation(_one_byte(number, codec), True)
    return found


def _graphic_set(name: str, width: int, chars: Mapping[int, str]) -> GraphicSet:
    return GraphicSet(name, width, chars, {char: code.to_bytes(width) for code, char in chars.items()})


@lru_cache(maxsize=1)
def ascii_set() -> GraphicSet:
    """ISO-IR 6, without the space, which has its code in any set of one octet."""
    return _graphic_set("6", 1, {code: chr(code) for code in range(0x21, 0x7F)})


@lru_cache(maxsize=1)
def _romaji() -> GraphicSet:
    """ISO-IR 14: ASCII, but for two characters."""
    return _graphic_set("14", 1, {**ascii_set().chars, 0x5C: "\u00a5", 0x7E: "\u203e"})


@lru_cache(maxsize=1)
def _common_to_ascii_and_romaji() -> GraphicSet:
    return _graphic_set(
        "6 and 14", 1, {code: char for code, char in ascii_set().chars.items() if code not in (0x5C, 0x7E)}
    )


@lru_cache(maxsize=1)
def _katakana() -> GraphicSet:
    """ISO-IR 13."""
    return _graphic_set("13", 1, {code: chr(0xFF40 + code) for code in range(0x21, 0x60)})


@lru_cache(maxsize=16)
def _one_byte(number: str, codec: str) -> GraphicSet:
    chars = {}
    for code in range(0x20, 0x80):
        char = bytes([code | 0x80]).decode(codec, "ignore")
        if char:
            chars[code] = char
    return _graphic_set(number, 1, chars)


@lru_cache(maxsize=8)
def _multi_byte(number: str) -> GraphicSet:
    chars = {}
    for first in range(0x21, 0x7F):
        for second in range(0x21, 0x7F):
            pair = bytes([first | 0x80, second | 0x80])
            match number:
                case "87":
                    char = pair.decode("euc_jp", "ignore")
                case "159":
                    char = (b"\x8f" + pair).decode("euc_jp", "ignore")
                case "149":
                    char = pair.decode("euc_kr", "ignore")
                case _:
                    # Two punctuation marks are what they are in GBK and GB18030, and not what Python's gb2312 has.
                    char = pair.decode("gbk", "ignore") if pair.decode("gb2312", "ignore") else ""
            if len(char) == 1:
                chars[first << 8 | second] = char
    return _graphic_set(number, 2, chars)
