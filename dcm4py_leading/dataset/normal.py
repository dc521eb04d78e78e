"""Normal forms of values: one spelling for what the standard counts as equal (PS3.4 C.2.2.2, PS3.5 6.2)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from itertools import product

from pydicom import Dataset
from pydicom.dataelem import DataElement
from pydicom.valuerep import PersonName

from dcm4py_leading.dataset.text.text import storable
from dcm4py_leading.dataset.text.unreadable import UNREADABLE

PADDING = " \0"
_FORMS_OF_I = "ıİ"
_CAPITAL_SHARP_S = "ẞ"
_SHARP_S = "ß"
_MAX_SHARP_S = 3
_TIME = re.compile(r"(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d{1,6}))?)?)?")


def element_of(ds: Dataset, tag: int) -> DataElement | None:
    """The element; None where it is absent, or it or something in it cannot be read as what its VR says."""
    try:
        element: DataElement | None = ds.get(tag)
        if element is not None and element.VR == "SQ":
            for item in element.value:
                for _ in item.iterall():  # pydicom parses values when they are first looked at
                    pass
    except UNREADABLE:
        return None
    return element


def values_text(ds: Dataset, tag: int) -> list[str]:
    """The values of an attribute as text without padding; empty values are left out, unreadable ones are none.

    Octets that cannot be decoded are each a character of its own; see `text.storable`.
    """
    element = element_of(ds, tag)
    if element is None or element.value is None:
        return []
    value = element.value
    if isinstance(value, bytes) or element.VR == "SQ":
        return []
    values: Iterable[object] = [value] if isinstance(value, str | PersonName) or element.VM <= 1 else value
    texts = [storable(str(v).strip(PADDING)) for v in values]
    return [text for text in texts if text]


def first_text(ds: Dataset, tag: int) -> str | None:
    """The first value of an attribute as text, None where there is none."""
    return next(iter(values_text(ds, tag)), None)


def normal_number(text: str) -> str | None:
    """An integer string (VR IS) without leading zeros and plus sign; None if it is not valid."""
    return str(int(text)) if re.fullmatch(r"[+-]?[0-9]{1,12}", text) else None


def normal_date(text: str) -> str | None:
    """A date (VR DA, also in the form of ACR-NEMA) as YYYYMMDD; None if it is not valid."""
    if re.fullmatch(r"[0-9]{4}\.[0-9]{2}\.[0-9]{2}", text):
        text = text.replace(".", "")
    return text if re.fullmatch(r"[0-9]{8}", text) else None


def normal_time(text: str) -> str | None:
    """A time (VR TM) as HHMMSSFFFFFF, its earliest moment where it leaves something out; None if it is not valid."""
    parts = time_span(text)
    return None if parts is None else parts[0]


def time_span(text: str) -> tuple[str, str] | None:
    """The first and the last microsecond that a time (VR TM) stands for; None if it is no time."""
    match = _TIME.fullmatch(text.replace(":", ""))
    if match is None:
        return None
    digits = "".join(part for part in match.groups() if part)
    return digits.ljust(12, "0"), digits + "235959999999"[len(digits) :]


def normal_name(text: str) -> tuple[str, str, str]:
    """The alphabetic, ideographic and phonetic group of a person name (PS3.5 6.2.1), each as it is compared."""
    groups = [normal_name_group(group) for group in text.split("=")[:3]]
    alphabetic, ideographic, phonetic = (*groups, "", "", "")[:3]
    return alphabetic, ideographic, phonetic


def normal_name_group(text: str) -> str:
    """One component group, case folded, without blanks around and empty components behind."""
    if text.isascii():
        components = [" ".join(part.split()) for part in text.split("^")]
        return "^".join(components).rstrip("^").lower()
    components = [" ".join(part.split()) for part in unicodedata.normalize("NFC", text).split("^")]
    return "".join(map(_folded, "^".join(components).rstrip("^")))


def _folded(char: str) -> str:
    """Simple case folding: one character stays one, for each of which a ``?`` stands in a key.

    All forms of i are one, since Turkish has them in other pairs than others. What a letter sharp s is beside itself,
    `spellings` knows.
    """
    if char in _FORMS_OF_I:
        return "i"
    if char == _CAPITAL_SHARP_S:
        return _SHARP_S
    folded = char.casefold()
    return folded if len(folded) == 1 else char.lower() if len(char.lower()) == 1 else char


def spellings(folded: str) -> list[str]:
    """The normal forms that count as ``folded``, itself first: a sharp s and a double s are the same letter.

    Of more than a few of them, it is all or none.
    """
    parts = re.split("(ß|ss)", folded)
    if len(parts) > 2 * _MAX_SHARP_S + 1:
        return list(dict.fromkeys([folded, folded.replace("ß", "ss"), folded.replace("ss", "ß")]))
    other = {"ß": "ss", "ss": "ß"}
    return list(map("".join, product(*[(part, other[part]) if at % 2 else (part,) for at, part in enumerate(parts)])))
