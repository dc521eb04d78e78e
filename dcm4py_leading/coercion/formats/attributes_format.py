"""Text made from the attributes of a data set: the language of dcmMergeAttribute and dcmStoragePathFormat.

It is that of dcm4che's AttributesFormat, which is Java's MessageFormat with attributes for arguments. In the text, a
single quote quotes, and two of them are one. Placeholders are ``{path[index],type,argument}``. The path is a keyword
or eight hexadecimal digits, after the sequences that it is in, of which the first item counts:
``RequestAttributesSequence.StudyID``. The index is that of the value, from 0. Types are::

    {ImageType[1]}                  the value
    {PatientName,upper}             in upper case
    {PatientID,slice,3,6}           characters 3 up to 6; negative numbers count from the end; without 6, to the end
    {SeriesNumber,number,0000}      a number in a pattern of DecimalFormat, or integer, percent
    {SeriesNumber,offset,-1}        an integer plus another
    {StudyDate,date,yyyy/MM/dd}     a date or time in a pattern of SimpleDateFormat
    {StudyDate,date-P1Y,yyyy}       the same, moved by a period of ISO 8601
    {StudyTime,time+PT30M,HHmm}     the same, moved by a duration
    {Rows,choice,0#small|512#big}   text by a number, as in ChoiceFormat
    {PatientID,hash}                Java's String.hashCode
    {PatientID,md5}                 MD5 in 26 digits of base 32
    {PatientID,urlencoded}          as in an HTML form
    {now,date,yyyyMMdd}             the current date or time; may be moved too
    {rnd}, {rnd,uuid}, {rnd,uid}    eight random hexadecimal digits, a random UUID, a UID made from one

An absent value is empty text, or 0 for ``number``, ``offset`` and ``choice``, or else the word ``null``; so it is when
a sequence on the path is absent.
"""

from __future__ import annotations

import math
import re
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from pydicom import Dataset

from dcm4py_leading.coercion.attribute_path import items_of, parse_tag, values_of
from dcm4py_leading.coercion.formats.java_choice_format import compile_choice_format
from dcm4py_leading.coercion.formats.java_date_format import compile_date_format
from dcm4py_leading.coercion.formats.java_number_format import compile_number_format
from dcm4py_leading.coercion.formats.java_string import java_hash, md5_base32, url_encoded
from dcm4py_leading.coercion.formats.temporal import parse_duration, parse_moment, parse_period
from dcm4py_leading.dataset.text.unreadable import UNREADABLE

_TIMEZONE_OFFSET_FROM_UTC = 0x00080201
_NULL = "null"  # what MessageFormat makes of an argument that is null
_SOURCE = re.compile(r"([^\[\]]+)(?:\[(\d{1,9})\])?", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d{1,10}", re.ASCII)


class Uids(dict[int, str]):
    """Single-valued UID attributes by tag; stands for a data set when a format is rendered."""


Attributes = Dataset | Uids
Render = Callable[[Attributes, datetime], str]
Clean = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placeholder:
    render: Render
    reads: frozenset[int] = frozenset()
    is_text: bool = False
    """True if it hands on what somebody else wrote."""
    is_random: bool = False
    tells_now: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributesFormat:
    """A compiled format."""

    text: str
    """As it stands in the directory."""
    literals: tuple[str, ...]
    """The text before, between and behind the placeholders: one more than there are placeholders."""
    placeholders: tuple[_Placeholder, ...] = ()

    @property
    def reads(self) -> frozenset[int]:
        """Tags at the top of the data set that the format reads."""
        return frozenset().union(*(placeholder.reads for placeholder in self.placeholders))

    @property
    def is_random(self) -> bool:
        """True if the result differs each time."""
        return any(placeholder.is_random for placeholder in self.placeholders)

    @property
    def is_timeless(self) -> bool:
        """True if the result depends only on the attributes, not on the current time."""
        return not any(placeholder.is_random or placeholder.tells_now for placeholder in self.placeholders)

    def render(self, ds: Attributes, now: datetime, *, clean: Clean | None = None) -> str:
        """The text for ``ds``. A value that cannot be read counts as absent.

        ``now`` without a time zone is in that of this system. ``clean`` is applied to the values of attributes that
        the text takes over, not to what the format itself says.
        """
        out = self.literals[0]
        for placeholder, literal in zip(self.placeholders, self.literals[1:], strict=True):
            value = placeholder.render(ds, now)
            out += (clean(value) if clean is not None and placeholder.is_text else value) + literal
        return out


def compile_format(text: str) -> AttributesFormat:
    """Compile a format. Raises ValueError for an error, or a part that depends on Java's locale."""
    literals = [""]
    placeholders: list[_Placeholder] = []
    quoted = False
    at = 0
    while at < len(text):
        char = text[at]
        if char == "{":
            end = _closing_brace(text, at)
            if quoted:  # dcm4chee would write {0}
                raise ValueError(f"a single quote before {text[at : end + 1]} is not closed: write '' for a quote")
            placeholders.append(_compile_placeholder(text[at + 1 : end]))
            literals.append("")
            at = end
        elif char == "}":
            raise ValueError("braces in the format do not match")
        elif text.startswith("''", at):
            literals[-1] += "'"
            at += 1
        elif char == "'":
            quoted = not quoted
        else:
            literals[-1] += char
        at += 1
    return AttributesFormat(text=text, literals=tuple(literals), placeholders=tuple(placeholders))


def texts_of(ds: Attributes, tag: int) -> list[str]:
    """The values of an attribute as text; none if they are invalid for the VR."""
    if isinstance(ds, Uids):
        return [ds[tag]] if tag in ds else []
    try:
        return list(values_of(ds.get(tag)))
    except UNREADABLE:
        return []


def random_digits() -> str:
    """Eight random hexadecimal digits, upper case."""
    return secrets.token_hex(4).upper()


def random_uuid() -> uuid.UUID:
    """A random UUID (version 4)."""
    return uuid.uuid4()


def _closing_brace(text: str, start: int) -> int:
    depth = 0
    for at in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return at
    raise ValueError("braces in the format do not match")


_RANDOM: dict[str, Render] = {
    "rnd": lambda ds, now: random_digits(),
    "uuid": lambda ds, now: str(random_uuid()),
    "uid": lambda ds, now: f"2.25.{random_uuid().int}",
}


_CONVERSIONS: dict[str, Callable[[str], str]] = {"hash": java_hash, "md5": md5_base32, "urlencoded": url_encoded}


def _compile_placeholder(text: str) -> _Placeholder:
    source, _, rest = text.partition(",")
    kind, _, argument = rest.partition(",")
    try:
        if source == "rnd":
            if rest not in ("", "uuid", "uid"):
                raise ValueError("expected rnd, rnd,uuid or rnd,uid")
            return _Placeholder(render=_RANDOM[rest or "rnd"], is_random=True)
        if source == "now":
            if kind[:4] not in ("date", "time"):
                raise ValueError("expected now,date,PATTERN or now,time,PATTERN")
            return _Placeholder(render=_compile_moment(lambda ds, now: now, kind, argument), tells_now=True)
        return _compile_attribute(source, kind, argument)
    except ValueError as err:
        raise ValueError(f"{{{text}}}: {err}") from err


def _compile_attribute(source: str, kind: str, argument: str) -> _Placeholder:
    match = _SOURCE.fullmatch(source)
    if match is None:
        raise ValueError("expected ATTRIBUTE, ATTRIBUTE[INDEX] or SEQUENCE.ATTRIBUTE without the number of an item")
    sequences, tag = _parse_path(match[1])
    index = int(match[2] or 0)

    def value(ds: Attributes) -> str | None:
        item = _item(ds, sequences)
        values = texts_of(item, tag) if item is not None else []
        return (values[index] or None) if index < len(values) else None

    def moment(ds: Attributes, now: datetime) -> datetime | None:
        item, text = _item(ds, sequences), value(ds)
        if item is None or text is None or isinstance(item, Uids):
            return None
        zone = next(iter(texts_of(item, _TIMEZONE_OFFSET_FROM_UTC) or texts_of(ds, _TIMEZONE_OFFSET_FROM_UTC)), None)
        return parse_moment(item[tag].VR, text, zone=zone, local=now.tzinfo)

    render = _compile_value(value, moment, kind, argument)

    def within(ds: Attributes, now: datetime) -> str:
        return _NULL if _item(ds, sequences) is None else render(ds, now)

    is_moment = kind[:4] in ("date", "time")
    return _Placeholder(
        render=within if sequences else render,
        reads=frozenset({(*sequences, tag)[0]} | ({_TIMEZONE_OFFSET_FROM_UTC} if is_moment else set())),
        is_text=kind in ("", "upper", "slice", "urlencoded"),
        is_random=kind in _RANDOM,
    )


def _compile_value(
    value: Callable[[Attributes], str | None],
    moment: Callable[[Attributes, datetime], datetime | None],
    kind: str,
    argument: str,
) -> Render:
    """Function that makes a text of the value of an attribute, by its type."""
    if kind[:4] in ("date", "time"):
        return _compile_moment(moment, kind, argument)
    match kind:
        case "slice":
            cut = _compile_slice(argument)
            return lambda ds, now: cut(value(ds) or "")
        case "number":
            number = compile_number_format(argument)
            return lambda ds, now: number.format(_number(value(ds)))
        case "choice":
            choice = compile_choice_format(argument)
            return lambda ds, now: choice.format(_number(value(ds)))
        case "offset":
            if _INTEGER.fullmatch(argument) is None:
                raise ValueError(f"expected an integer after offset, not {argument!r}")
            offset = int(argument)
            return lambda ds, now: str(_integer(value(ds)) + offset)
    if argument:
        raise ValueError(f"{kind or 'a value'} takes no argument")
    match kind:
        case "":
            return lambda ds, now: value(ds) or ""
        case "upper":
            return lambda ds, now: (value(ds) or "").upper()
        case "hash" | "md5" | "urlencoded":
            convert = _CONVERSIONS[kind]
            return lambda ds, now: _NULL if (text := value(ds)) is None else convert(text)
        case "rnd" | "uuid" | "uid":
            return _RANDOM[kind]
    raise ValueError(f"unknown type {kind!r}")


def _compile_slice(argument: str) -> Callable[[str], str]:
    numbers = argument.split(",")
    if len(numbers) > 2 or not all(_INTEGER.fullmatch(number) for number in numbers):
        raise ValueError(f"expected slice,START or slice,START,END, not slice,{argument}")
    start, end = int(numbers[0]), int(numbers[1]) if len(numbers) == 2 else None
    if end == 0:  # as in dcm4che: no end, and then no start either
        return str
    return lambda text: text[start:end]


def _compile_moment(moment: Callable[[Attributes, datetime], datetime | None], kind: str, argument: str) -> Render:
    pattern = compile_date_format(argument)
    offset = kind[4:]
    moved = (parse_period if kind.startswith("date") else parse_duration)(offset) if offset else None

    def render(ds: Attributes, now: datetime) -> str:
        at = moment(ds, now)
        try:
            return _NULL if at is None else pattern.format(moved(at) if moved is not None else at)
        except (OverflowError, ValueError):  # moved out of the calendar
            return _NULL

    return render


def _number(text: str | None) -> float:
    # dcm4che uses 0 for numbers in VR IS and in text, which is certainly an error.
    text = (text or "").replace(",", ".")
    return float(text) if _NUMBER.fullmatch(text) else 0.0


def _integer(text: str | None) -> int:
    number = _number(text)
    return int(number) if math.isfinite(number) else 0


def _parse_path(path: str) -> tuple[tuple[int, ...], int]:
    *sequences, tag = (parse_tag(name) for name in path.split("."))
    return tuple(sequences), tag


def _item(ds: Attributes, sequences: tuple[int, ...]) -> Attributes | None:
    if isinstance(ds, Uids):
        return None if sequences else ds
    item = ds
    for tag in sequences:
        try:
            items = items_of(item, tag)
        except UNREADABLE:
            return None
        if not items:
            return None
        item = items[0]
    return item
