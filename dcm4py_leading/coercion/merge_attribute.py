"""dcmMergeAttribute, compiled: ``path=format`` sets an attribute, ``path=`` empties it, ``path!`` removes it.

A format is text with ``{attribute,type,argument}`` in it, in the language of dcm4che's AttributesFormat, which is
Java's MessageFormat: a single quote quotes, and an attribute without a value becomes ``null``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from urllib.parse import quote_plus

from pydicom import Dataset
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement

from dcm4py_leading.coercion.attribute_path import items_of, parse_tag, values_of, vr_of
from dcm4py_leading.coercion.changes import Change, ChangeKind, TagPath, emptied, removed, set_to
from dcm4py_leading.coercion.charset import SPECIFIC_CHARACTER_SET
from dcm4py_leading.coercion.context import Context
from dcm4py_leading.coercion.update import is_empty, with_character_set
from dcm4py_leading.errors import SubOperationFailed


class UnsupportedFormat(Exception):
    """Right by dcm4chee's rules, but not executed by this version; says what."""


Render = Callable[[Dataset, Context], str]
"""One piece of a format, as text."""

_INTEGER_VR = frozenset({"US", "SS", "UL", "SL", "UV", "SV"})
_FLOAT_VR = frozenset({"FL", "FD"})
_TEXT_VR = frozenset(
    {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeAttribute:
    """One compiled dcmMergeAttribute."""

    text: str
    """As it stands in the directory."""
    within: TagPath
    """Path of the item that holds the attribute; empty at the top."""
    tag: int
    kind: ChangeKind
    format: tuple[Render, ...] = ()
    format_reads: frozenset[int] = frozenset()

    @property
    def reads(self) -> frozenset[int]:
        """Tags at the top of the data set that decide what is changed."""
        return self.format_reads | self.writes

    @property
    def writes(self) -> frozenset[int]:
        """Tags at the top of the data set that it may change."""
        return frozenset({(*self.within, self.tag)[0], SPECIFIC_CHARACTER_SET})

    def changes(self, ds: Dataset, context: Context) -> list[Change]:
        """What it changes in ``ds``. Raises SubOperationFailed when the text is no value for the attribute."""
        item = _item(ds, self.within)
        local = item.get(self.tag) if item is not None else None
        if self.kind is ChangeKind.SET:
            text = "".join(render(ds, context) for render in self.format)
            if local is not None and "\\".join(values_of(local)) == text:
                return []
            try:
                element = _element(self.tag, text)
            except (ValueError, OverflowError) as err:
                name = keyword_for_tag(self.tag)
                raise SubOperationFailed(f"what dcmMergeAttribute gives is no value for {name}") from err
            return with_character_set(ds, [set_to(element, within=self.within)])
        if local is None:
            return []
        if self.kind is ChangeKind.REMOVE:
            return [removed(self.tag, within=self.within)]
        return [] if is_empty(local) else [emptied(self.tag, local.VR, within=self.within)]


def compile_merge_attribute(text: str) -> MergeAttribute:
    """Compile one dcmMergeAttribute. Raises ValueError when it is wrong, UnsupportedFormat."""
    path, separator, pattern = text.partition("=")
    if not separator:
        if not path.endswith("!"):
            raise ValueError("expected ATTRIBUTE=FORMAT, ATTRIBUTE= or ATTRIBUTE!")
        within, tag = _parse_path(path.removesuffix("!"))
        return MergeAttribute(text=text, within=within, tag=tag, kind=ChangeKind.REMOVE)
    within, tag = _parse_path(path)
    if not pattern:
        return MergeAttribute(text=text, within=within, tag=tag, kind=ChangeKind.EMPTY)
    renders, reads = _parse_format(pattern)
    _check_value(tag, pattern if not reads else None)
    if (*within, tag) == (SPECIFIC_CHARACTER_SET,):
        raise UnsupportedFormat("another character set")
    return MergeAttribute(text=text, within=within, tag=tag, kind=ChangeKind.SET, format=renders, format_reads=reads)


def _parse_path(path: str) -> tuple[TagPath, int]:
    steps: list[int] = []
    for name in path.split("."):
        match = re.fullmatch(r"([^\[\]]+)(?:\[([0-9]{1,4})\])?", name)
        if match is None:
            raise ValueError(f"expected ATTRIBUTE or SEQUENCE[ITEM].ATTRIBUTE, not {path!r}")
        number = int(match[2] or 1)
        if number == 0:
            raise ValueError("the number of an item counts from 1")
        steps += [parse_tag(match[1]), number - 1]
    if number != 1 or path.endswith("]"):
        raise ValueError("the number of an item belongs to a sequence on the way, not to the attribute itself")
    within, tag = tuple(steps[:-2]), steps[-2]
    for sequence in within[::2]:
        if vr_of(sequence) not in ("SQ", None):
            raise ValueError(f"an attribute on the way of {path!r} is no sequence")
    return within, tag


def _check_value(tag: int, literal: str | None) -> None:
    """Refuse what cannot be set, as far as that is known before there is a data set."""
    vr = vr_of(tag)
    if vr is None:
        raise UnsupportedFormat("setting an attribute that the dictionary does not have")
    if vr not in _TEXT_VR | _INTEGER_VR | _FLOAT_VR:
        raise ValueError(f"an attribute of VR {vr} cannot be set from text")
    if literal is not None:
        try:
            _element(tag, literal)
        except (ValueError, OverflowError) as err:
            raise ValueError(f"expected numbers for VR {vr}") from err


def _element(tag: int, text: str) -> DataElement:
    vr = vr_of(tag)
    if vr in _INTEGER_VR:
        return DataElement(tag, vr, [int(value) for value in text.split("\\")])
    if vr in _FLOAT_VR:
        return DataElement(tag, vr, [float(value) for value in text.split("\\")])
    return DataElement(tag, vr or "UN", text)


def _item(ds: Dataset, within: TagPath) -> Dataset | None:
    item = ds
    for tag, index in zip(within[::2], within[1::2], strict=True):
        items = items_of(item, tag)
        if len(items) <= index:
            return None
        item = items[index]
    return item


def _parse_format(pattern: str) -> tuple[tuple[Render, ...], frozenset[int]]:
    renders: list[Render] = []
    reads: set[int] = set()
    at = 0
    for match in re.finditer(r"\{([^{}]*)\}", pattern):
        renders += _literal(pattern[at : match.start()])
        render, tag = _placeholder(match[1])
        renders.append(render)
        reads |= {tag} if tag is not None else set()
        at = match.end()
    renders += _literal(pattern[at:])
    return tuple(renders), frozenset(reads)


def _literal(text: str) -> list[Render]:
    if "{" in text or "}" in text:
        raise ValueError("braces in the format do not match")
    # Java's MessageFormat: '' is a quote, 'x' is x; a quote that does not end reaches over what follows.
    if text.count("'") % 2:
        raise UnsupportedFormat("a single quote that is not closed")
    plain = re.sub(r"'([^']*)'", lambda quoted: quoted[1] or "'", text)
    return [lambda ds, context: plain] if plain else []


def _placeholder(text: str) -> tuple[Render, int | None]:
    name, _, rest = text.partition(",")
    kind, _, argument = rest.partition(",")
    if name == "now":
        if kind not in ("date", "time") or not argument:
            raise UnsupportedFormat(f"{{{text}}}")
        return partial(_now, _compile_date_pattern(argument)), None
    if name == "rnd" or "[" in name:
        raise UnsupportedFormat(f"{{{text}}}")
    path = tuple(parse_tag(part) for part in name.split("."))
    if kind in ("number", "date", "time", "choice", "offset"):
        raise UnsupportedFormat(f"{{{text}}}")
    if kind == "slice":
        convert = _compile_slice(argument)
    elif kind in _CONVERSIONS and not argument:
        convert = _CONVERSIONS[kind]
    else:
        raise ValueError(f"unknown format {{{text}}}")
    return partial(_attribute, path, convert), path[0]


def _attribute(path: tuple[int, ...], convert: Callable[[str], str], ds: Dataset, context: Context) -> str:
    item: Dataset | None = ds
    for tag in path[:-1]:
        item = next(iter(items_of(item, tag)), None) if item is not None else None
    value = next(values_of(item.get(path[-1])), "") if item is not None else ""
    return convert(value) if value else "null"


def _java_hash(text: str) -> str:
    """java.lang.String.hashCode, in hexadecimal."""
    code = 0
    units = text.encode("utf-16-be", "surrogatepass")
    for high, low in zip(units[::2], units[1::2], strict=True):
        code = (31 * code + (high << 8 | low)) & 0xFFFFFFFF
    return f"{code:08X}"


def _md5(text: str) -> str:
    """MD5 in 26 digits of base 32, least significant first; dcm4che loses the first byte of either half."""
    digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()
    low, high = (int.from_bytes(half[1:]) << 8 for half in (digest[:8], digest[8:]))
    number = high << 64 | low
    return "".join("0123456789abcdefghijklmnopqrstuv"[number >> 5 * digit & 31] for digit in range(26))


def _url_encoded(text: str) -> str:
    """java.net.URLEncoder."""
    return quote_plus(text, safe="*").replace("~", "%7E")


_CONVERSIONS: dict[str, Callable[[str], str]] = {
    "": str,
    "upper": str.upper,
    "hash": _java_hash,
    "md5": _md5,
    "urlencoded": _url_encoded,
}


def _compile_slice(argument: str) -> Callable[[str], str]:
    if not re.fullmatch(r"-?[0-9]{1,6}(,-?[0-9]{1,6})?", argument):
        raise ValueError(f"expected slice,START or slice,START,END, not slice,{argument}")
    start, _, end = argument.partition(",")
    wanted = slice(int(start), int(end) if end else None)
    return lambda value: value[wanted]


_DATE_FIELDS = {"yyyy": "%Y", "yy": "%y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}


def _compile_date_pattern(pattern: str) -> Callable[[datetime], str]:
    """Compile a pattern of java.text.SimpleDateFormat, as far as it is made of numbers."""
    pieces: list[str] = []
    for piece in re.findall(r"([A-Za-z])(\1*)|([^A-Za-z]+)", pattern):
        letters, other = piece[0] + piece[1], piece[2]
        if "'" in other or (letters and letters not in _DATE_FIELDS and letters != "SSS"):
            raise UnsupportedFormat(f"date pattern {pattern}")
        pieces.append(letters or other)

    def render(moment: datetime) -> str:
        millis = f"{moment.microsecond // 1000:03d}"
        known = {"SSS": millis} | {letters: moment.strftime(field) for letters, field in _DATE_FIELDS.items()}
        return "".join(known.get(piece, piece) for piece in pieces)

    return render


def _now(render: Callable[[datetime], str], ds: Dataset, context: Context) -> str:
    return render(context.now())
