"""Names of attributes in rules: a keyword of the data dictionary (PS3.6) or eight hexadecimal digits."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator

from pydicom import Dataset
from pydicom.datadict import dictionary_VR, keyword_dict, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.valuerep import PersonName


def parse_tag(name: str) -> int:
    """The tag that ``name`` means. Raises ValueError."""
    tag = _tag_of(name)
    if tag is None:
        near = difflib.get_close_matches(name, keyword_dict, n=1, cutoff=0.8)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"unknown attribute {name!r}: expected a DICOM keyword or eight hexadecimal digits{hint}")
    return tag


def is_attribute(name: str) -> bool:
    """True if `parse_tag` knows the name."""
    return _tag_of(name) is not None


def _tag_of(name: str) -> int | None:
    tag = tag_for_keyword(name) if name else None  # some retired attributes have an empty keyword
    if tag is None and re.fullmatch(r"[0-9A-Fa-f]{8}", name):
        return int(name, 16)
    return tag


def vr_of(tag: int) -> str | None:
    """VR in the data dictionary, the first one if it allows several; None for private attributes."""
    try:
        return dictionary_VR(tag).split(" or ")[0]
    except KeyError:
        return None


def values_of(element: DataElement | None) -> Iterator[str]:
    """The values of an element as text in DICOM's form, without surrounding blanks."""
    if element is None or element.value is None or element.VR == "SQ" or isinstance(element.value, bytes):
        return
    single = isinstance(element.value, str | PersonName) or not isinstance(element.value, Iterable)
    for value in [element.value] if single else element.value:
        yield f"{value:08X}" if element.VR == "AT" else str(value).strip(" \0")


def items_of(ds: Dataset, tag: int) -> list[Dataset]:
    """The items of a sequence; empty if it is absent or not a sequence."""
    element = ds.get(tag)
    return list(element.value) if element is not None and element.VR == "SQ" else []
