"""The DICOM JSON Model (PS3.18 Annex F), read strictly.

What is not as its VR says is refused, by tag and never by value. Bulk data is refused too: no attribute of a patient or
a study is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydicom import Dataset, config
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.valuerep import VR

from dcm4py_leading.errors import DocumentFault, DocumentInvalid
from dcm4py_leading.model.bounds import JSON_SEQUENCE_DEPTH

Json = Any
"""A JSON value."""
_TAG_DIGITS = 8
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_WHOLE = frozenset({VR.SL, VR.SS, VR.SV, VR.UL, VR.US, VR.UV})
_FRACTIONS = frozenset({VR.FD, VR.FL})
_NUMBERS_AS_TEXT = frozenset({VR.DS, VR.IS})
_TEXTS = frozenset({VR.AE, VR.AS, VR.CS, VR.DA, VR.DT, VR.LO, VR.LT, VR.SH, VR.ST, VR.TM, VR.UC, VR.UI, VR.UR, VR.UT})


def data_set_of(value: Json) -> Dataset:
    """The data set that a JSON object tells. Raises DocumentInvalid."""
    return _data_set(value, "", 0)


def _data_set(value: Json, path: str, depth: int) -> Dataset:
    if not isinstance(value, Mapping):
        raise _fault(path, "expected an object")
    if depth > JSON_SEQUENCE_DEPTH:
        raise _fault(path, f"sequences lie more than {JSON_SEQUENCE_DEPTH} deep in each other")
    ds = Dataset()
    for name, content in value.items():
        if len(name) != _TAG_DIGITS or not all(digit in "0123456789ABCDEFabcdef" for digit in name):
            raise _fault(f"{path}/{name[:_TAG_DIGITS]}", "expected a tag of 8 hexadecimal digits")
        tag = int(name, 16)
        if not tag & 0xFFFF:
            continue  # lengths of groups, which are of no encoding that there is
        at = f"{path}/{name}"
        if not isinstance(content, Mapping):
            raise _fault(at, "expected an object with vr and Value")
        ds.add(_element(tag, content, at, depth))
    return ds


def _element(tag: int, content: Mapping[str, Json], path: str, depth: int) -> DataElement:
    vr = _vr(tag, content.get("vr"), path)
    if content.keys() - {"vr", "Value"}:
        raise _fault(path, "expected vr and Value alone; bulk data cannot be edited")
    values = content.get("Value", [])
    if not isinstance(values, list):
        raise _fault(path, "Value: expected an array")
    if vr == VR.SQ:
        return DataElement(tag, vr, [_data_set(item, f"{path}/Value/{n}", depth + 1) for n, item in enumerate(values)])
    read = [_value(vr, value, path) for value in values]
    try:
        if vr not in _WHOLE | _FRACTIONS and any("\\" in text for text in read if vr not in (VR.LT, VR.ST, VR.UT)):
            raise _fault(path, "a backslash parts values, and cannot be in one")
        element = DataElement(tag, vr, read[0] if len(read) == 1 else read or None, validation_mode=config.RAISE)
    except (ValueError, TypeError, OverflowError) as err:
        raise _fault(path, f"not a value of VR {vr}") from err
    return element


def _vr(tag: int, given: Json, path: str) -> str:
    """The VR that is told, which has to be that of the dictionary where that has one."""
    try:
        known = dictionary_VR(tag)
    except KeyError:
        known = ""
    vr = known if given is None else given
    if vr not in (*_TEXTS, *_WHOLE, *_FRACTIONS, *_NUMBERS_AS_TEXT, VR.PN, VR.SQ):
        raise _fault(path, "vr: expected one that can be edited")
    if known and vr not in known.split(" or "):
        raise _fault(path, f"vr: expected {known} for {keyword_for_tag(tag)}")
    return str(vr)


def _value(vr: str, value: Json, path: str) -> Any:
    if value is None and vr not in _WHOLE | _FRACTIONS:
        return ""
    if vr == VR.PN:
        if isinstance(value, Mapping) and not value.keys() - set(_GROUPS):
            groups = [value.get(group, "") for group in _GROUPS]
            if all(isinstance(group, str) and "=" not in group for group in groups):
                return "=".join(groups).rstrip("=")
        raise _fault(path, f"expected an object with {', '.join(_GROUPS)}")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if vr in _WHOLE and isinstance(value, int) and is_number:
        return value
    if vr in _FRACTIONS and is_number:
        return float(value)
    if vr in _NUMBERS_AS_TEXT and is_number:
        return str(value)
    if vr in _TEXTS | _NUMBERS_AS_TEXT and isinstance(value, str):
        return value
    raise _fault(path, f"not a value of VR {vr}")


def _fault(path: str, reason: str) -> DocumentInvalid:
    return DocumentInvalid([DocumentFault(path, reason)])
