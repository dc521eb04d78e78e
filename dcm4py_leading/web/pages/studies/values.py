"""Values of DICOM attributes as the pages show them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pydicom.datadict import dictionary_description, dictionary_VR

from dcm4py_leading.dataset.dicom_json.model import Json
from dcm4py_leading.service.studies.found import element_text

_UNTOLD = frozenset({"00080005", "00080052", "00080054", "00080056", "04000561"})
"""Attributes that tell of the data set, the query and the edits, not of patient or study."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One attribute: by the name that PS3.6 has for it."""

    tag: str
    name: str
    text: str
    is_edited: bool = False


def attributes_shown(attributes: Json, edited: tuple[str, ...] = ()) -> tuple[list[Shown], list[Shown]]:
    """Attributes of the patient (group 0010), and all others. Those without a value are left out."""
    shown = [
        Shown(tag=tag, name=name_of(tag), text=text, is_edited=tag in edited)
        for tag, element in sorted(attributes.items())
        if tag not in _UNTOLD and ((text := value_shown(tag, element)) or tag in edited)
    ]
    return (
        [one for one in shown if one.tag.startswith("0010")],
        [one for one in shown if not one.tag.startswith("0010")],
    )


def value_shown(tag: str, element: Mapping[str, Json]) -> str:
    """The value as text: dates and times as ISO 8601 has them, of a sequence the values in it."""
    if element.get("vr") == "SQ":
        return "; ".join(filter(None, map(_item, element.get("Value", []))))
    text = element_text(element)
    match element.get("vr"):
        case "DA":
            return date_shown(text)
        case "TM":
            return time_shown(text)
    return text.replace("\\", ", ")


def _item(item: Json) -> str:
    return ", ".join(filter(None, (value_shown(tag, element) for tag, element in sorted(item.items()))))


def date_shown(text: str) -> str:
    """A date (VR DA) in ISO 8601; an invalid one as it is."""
    return re.sub(r"^([0-9]{4})([0-9]{2})([0-9]{2})$", r"\1-\2-\3", text)


def time_shown(text: str) -> str:
    """A time (VR TM) to the second; an invalid one as it is."""
    return re.sub(r"^([0-9]{2})([0-9]{2})(?:([0-9]{2})(?:\.[0-9]*)?)?$", _time, text)


def _time(found: re.Match[str]) -> str:
    return ":".join(filter(None, found.groups()))


def name_of(tag: str) -> str:
    """Name of an attribute (PS3.6), or its tag."""
    number = int(tag, 16)
    try:
        dictionary_VR(number)
    except KeyError:
        return f"({tag[:4]},{tag[4:]})"
    return dictionary_description(number)
