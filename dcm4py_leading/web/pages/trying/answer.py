"""Typed answer of a leading archive: one attribute a line, ``PatientName=Right^Name``."""

from __future__ import annotations

import re
from typing import Any

from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword

Json = Any
"""A JSON value."""

_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_WHOLE = frozenset({"SL", "SS", "SV", "UL", "US", "UV"})
_FRACTIONS = frozenset({"FD", "FL"})
_OF_ONE_TEXT = frozenset({"LT", "ST", "UR", "UT"})
_BINARY = frozenset({"AT", "OB", "OD", "OF", "OL", "OV", "OW", "SQ", "UN"})


def parse_answer(text: str) -> Json:
    """The answer in the DICOM JSON Model (PS3.18 Annex F); None where nothing is typed.

    Raises ValueError, which names the line and no value.
    """
    attributes = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            name, equals, value = line.partition("=")
            tag = _tag_of(name.strip())
            if not equals or tag is None:
                raise ValueError(f"line {number}: expected a keyword or tag, = and a value")
            vr = dictionary_VR(tag).split(" or ")[0]
            if vr in _BINARY:
                raise ValueError(f"line {number}: {keyword_for_tag(tag)} has no value that can be typed")
            try:
                attributes[f"{tag:08X}"] = _element(vr, value.strip())
            except ValueError:
                raise ValueError(f"line {number}: no value of {keyword_for_tag(tag)}, which has VR {vr}") from None
    return attributes or None


def _tag_of(name: str) -> int | None:
    tag = tag_for_keyword(name) if name else None
    if tag is None and _TAG.fullmatch(name) and keyword_for_tag(int(name, 16)):
        tag = int(name, 16)
    return tag


def _element(vr: str, text: str) -> Json:
    texts = [text] if vr in _OF_ONE_TEXT else text.split("\\")
    return {"vr": vr, "Value": [_value(vr, one) for one in texts]} if text else {"vr": vr}


def _value(vr: str, text: str) -> Json:
    if vr == "PN":
        groups = text.split("=")
        if len(groups) > len(_GROUPS):
            raise ValueError(text)
        return {name: group for name, group in zip(_GROUPS, groups, strict=False) if group}
    if vr in _WHOLE:
        return int(text)
    return float(text) if vr in _FRACTIONS else text
