"""dcmStoragePathFormat: from attributes to the path of a file, as dcm4che's AttributesFormat spells it.

``{00080018}`` is the value of an attribute, ``{00080008[1]}`` its second value (counted from 0), and a type may
follow after a comma::

    {0020000D,hash}             Java's String.hashCode, eight hexadecimal digits
    {00080018,md5}              MD5 in 26 digits of base 32, as dcm4che writes it
    {00100010,upper}            upper case
    {00100020,slice,3,6}        characters 3 to 6 without the last; negative numbers count from the end
    {00200013,offset,-1}        the number plus an offset
    {00100010,urlencoded}       as in a HTML form
    {00080020,date,yyyy/MM/dd}  a date, or time, in a pattern of Java's SimpleDateFormat
    {now,date,yyyy/MM/dd}       the same for the time of storing
    {rnd}, {rnd,uuid}, {rnd,uid}  eight random hexadecimal digits, a random UUID, a UID made from one

dcm4che's ``number``, ``choice``, date offsets and paths into sequences are refused. Values cannot add elements to
the path nor climb out of it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote_plus

from pydicom import Dataset

from dcm4py_leading.archive.normal import first_text, values_text

Part = Callable[[Dataset, datetime], str]

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_ATTRIBUTE = re.compile(r"([0-9A-Fa-f]{8})(?:\[(\d+)\])?")
_UNSAFE = re.compile(r"[/\\\x00-\x1f\x7f]")
_BASE32 = "0123456789abcdefghijklmnopqrstuv"
_MAX_ELEMENT_BYTES = 255
# What java.text.MessageFormat makes of an argument that is null.
_ABSENT = "null"

_DATE_LETTERS: dict[str, str] = {
    "yyyy": "%Y",
    "yy": "%y",
    "MM": "%m",
    "dd": "%d",
    "DDD": "%j",
    "HH": "%H",
    "mm": "%M",
    "ss": "%S",
}
_DATE_TOKEN = re.compile(r"'(?P<quoted>(?:[^']|'')*)'|(?P<letters>([A-Za-z])\3*)|(?P<other>[^A-Za-z']+)")


@dataclass(frozen=True, slots=True)
class PathFormat:
    """A compiled dcmStoragePathFormat."""

    text: str
    parts: tuple[Part, ...]

    def path(self, attributes: Dataset, now: datetime) -> str:
        """The relative path, elements parted by ``/``; none of them is empty, ``.`` or ``..``."""
        whole = "".join(part(attributes, now) for part in self.parts)
        elements = [_element(text) for text in whole.split("/") if text]
        return "/".join(elements) or "_"


def compile_path_format(text: str) -> PathFormat:
    """Read a dcmStoragePathFormat. Raises ValueError, which names the part that is wrong or not supported."""
    parts: list[Part] = []
    end = 0
    for match in _PLACEHOLDER.finditer(text):
        parts.append(_literal(text[end : match.start()]))
        parts.append(_placeholder(match[1]))
        end = match.end()
    parts.append(_literal(text[end:]))
    return PathFormat(text, tuple(parts))


def java_hash(text: str) -> str:
    """String.hashCode of Java, as eight upper case hexadecimal digits."""
    value = 0
    encoded = text.encode("utf-16-be", "surrogatepass")
    for high, low in zip(encoded[::2], encoded[1::2], strict=True):
        value = (31 * value + (high << 8 | low)) & 0xFFFFFFFF
    return f"{value:08X}"


def md5_base32(text: str) -> str:
    """MD5 as dcm4che spells it in paths: 26 digits, the least significant first."""
    digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()
    # dcm4che loses the first byte of each half; files must be found where it put them.
    low = int.from_bytes(digest[1:8], "big") << 8
    high = int.from_bytes(digest[9:16], "big") << 8
    number = low | high << 64
    return "".join(_BASE32[number >> shift & 0x1F] for shift in range(0, 130, 5))


def random_digits() -> str:
    """Eight random hexadecimal digits, upper case."""
    return secrets.token_hex(4).upper()


def _literal(text: str) -> Part:
    if any(char in text for char in "{}"):
        raise ValueError(f"unbalanced brace in {text!r}")
    if "'" in text:
        raise ValueError(f"quotes are not supported outside of a date pattern: {text!r}")
    if any(element in (".", "..") for element in text.split("/")):
        raise ValueError("the path must not contain the elements . and ..")
    return lambda attributes, now: text


def _placeholder(text: str) -> Part:
    source, _, rest = text.partition(",")
    kind, _, argument = rest.partition(",")
    unsupported = ValueError(f"not supported: {{{text}}}")
    if source == "rnd":
        match rest:
            case "":
                return lambda attributes, now: random_digits()
            case "uuid":
                return lambda attributes, now: str(uuid.uuid4())
            case "uid":
                return lambda attributes, now: f"2.25.{uuid.uuid4().int}"
        raise unsupported
    if source == "now":
        if kind not in ("date", "time") or not argument:
            raise unsupported
        return _date_pattern(argument)
    attribute = _ATTRIBUTE.fullmatch(source)
    if attribute is None:
        raise ValueError(f"expected a tag of eight hexadecimal digits in {{{text}}}")
    tag, index = int(attribute[1], 16), int(attribute[2] or 0)
    if kind in ("date", "time"):
        if not argument:
            raise unsupported
        return _date_of(tag, _date_pattern(argument))
    convert = _conversion(kind, argument)
    if convert is None:
        raise unsupported

    def part(attributes: Dataset, now: datetime) -> str:
        values = values_text(attributes, tag)
        return _UNSAFE.sub("_", convert(values[index] if index < len(values) else None))

    return part


def _conversion(kind: str, argument: str) -> Callable[[str | None], str] | None:
    match kind, argument:
        case "", "":
            return lambda value: value or ""
        case "upper", "":
            return lambda value: (value or "").upper()
        case "hash", "":
            return lambda value: _ABSENT if value is None else java_hash(value)
        case "md5", "":
            return lambda value: _ABSENT if value is None else md5_base32(value)
        case "urlencoded", "":
            return lambda value: _ABSENT if value is None else quote_plus(value, safe="*").replace("~", "%7E")
        case "slice", _:
            return _slice(argument)
        case "offset", _ if re.fullmatch(r"[+-]?\d+", argument):
            return lambda value: str((int(value) if value and re.fullmatch(r"[+-]?\d+", value) else 0) + int(argument))
    return None


def _slice(argument: str) -> Callable[[str | None], str] | None:
    numbers = re.fullmatch(r"(-?\d+)(?:,(-?\d+))?", argument)
    if numbers is None:
        return None
    start, end = int(numbers[1]), int(numbers[2] or 0)

    def cut(value: str | None) -> str:
        text = value or ""
        first = max(0, len(text) + start) if start < 0 else start
        last = len(text) if end == 0 else len(text) + end if end < 0 else min(len(text), end)
        return text[first:last] if first <= last else ""

    return cut


def _date_pattern(pattern: str) -> Part:
    """A date in a pattern of java.text.SimpleDateFormat, as far as paths need it."""
    parts: list[str] = []
    position = 0
    for token in _DATE_TOKEN.finditer(pattern):
        if token.start() != position:
            break
        position = token.end()
        if token["letters"] is not None:
            if token["letters"] not in _DATE_LETTERS:
                raise ValueError(f"not supported in a date pattern: {token['letters']}")
            parts.append(_DATE_LETTERS[token["letters"]])
        else:
            literal = token["other"] if token["quoted"] is None else token["quoted"].replace("''", "'") or "'"
            parts.append(literal.replace("%", "%%"))
    if position != len(pattern):
        raise ValueError(f"unbalanced quote in the date pattern {pattern}")
    directives = "".join(parts)
    return lambda attributes, now: now.strftime(directives)


def _date_of(tag: int, pattern: Part) -> Part:
    def part(attributes: Dataset, now: datetime) -> str:
        value = _parse_date(first_text(attributes, tag) or "")
        return _ABSENT if value is None else pattern(attributes, value)

    return part


def _parse_date(text: str) -> datetime | None:
    """A DA, TM or DT value as far as it goes; what it leaves out is the start of the epoch, as in Java."""
    text = text.replace(":", "")
    if re.fullmatch(r"\d{4}\.\d\d\.\d\d", text):
        text = text.replace(".", "")
    text = re.split(r"[.&+-]", text, maxsplit=1)[0]
    for directives in ("%Y%m%d", "%H%M%S", "%H%M", "%H", "%Y%m%d%H%M%S", "%Y%m%d%H%M", "%Y%m%d%H"):
        if len(text) == len(datetime(2000, 1, 1).strftime(directives)):
            try:
                return datetime.strptime(text, directives)
            except ValueError:
                continue
    return None


def _element(text: str) -> str:
    if set(text) == {"."} and len(text) <= 2:
        return "_" * len(text)
    return text.encode()[:_MAX_ELEMENT_BYTES].decode(errors="ignore")
