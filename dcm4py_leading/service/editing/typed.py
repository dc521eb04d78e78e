"""Values of an attribute as lines of text, as people type them, and back.

A person name is a line with its component groups, parted by an equals sign (PS3.5 6.2.1). Text of VR LT, ST and UT is
one line, which may have ends of lines in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydicom.datadict import dictionary_VM, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.valuerep import VR

from dcm4py_leading.coercion.attribute_path import values_of
from dcm4py_leading.dataset.dicom_json.model import data_set_of
from dcm4py_leading.dataset.text.text import is_decodable
from dcm4py_leading.errors import DocumentFault, DocumentInvalid

Lines = tuple[str, ...]
"""The values, without empty ones at the end; none if there is no value."""
OF_LINES = frozenset({VR.LT, VR.ST, VR.UT})
"""VRs of text with ends of lines in it."""
TYPED = OF_LINES | {
    VR.AE, VR.AS, VR.CS, VR.DA, VR.DS, VR.DT, VR.IS, VR.LO, VR.PN, VR.SH, VR.TM, VR.UC, VR.UI, VR.UR
}  # fmt: skip
"""VRs whose values can be typed."""
GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
"""Component groups of a person name, as the DICOM JSON Model names them (PS3.18 F.2.2)."""


def typed_vr(tag: int) -> str | None:
    """VR of an attribute whose values can be typed; None for others."""
    try:
        vr = dictionary_VR(tag)
    except KeyError:
        return None
    return vr if vr in TYPED else None


def may_have_several(tag: int) -> bool:
    """True if the attribute may have several values (PS3.6)."""
    return dictionary_VM(tag) != "1"


def lines_of(element: DataElement | None) -> Lines:
    """The values of an element."""
    return normal(list(values_of(element)), "" if element is None else str(element.VR))


def normal(lines: Sequence[str], vr: str) -> Lines:
    """Typed lines in the form of `lines_of`."""
    found = [line.replace("\r\n", "\n").replace("\r", "\n").strip(" \0") for line in lines]
    if vr == VR.PN:
        found = [line.rstrip("=") for line in found]
    while found and not found[-1]:
        found.pop()
    return tuple(found)


def can_be_typed(lines: Lines) -> bool:
    """True if all its text can be decoded in the declared character set."""
    return all(map(is_decodable, lines))


def element_of(tag: int, lines: Lines) -> DataElement:
    """The element with these values, empty if there are none. Raises DocumentInvalid."""
    vr = typed_vr(tag)
    name = f"{tag:08X}"
    if vr is None:
        raise _fault(name, "cannot be typed")
    if len(lines) > 1 and (vr in OF_LINES or not may_have_several(tag)):
        raise _fault(name, "expected one value")
    for line in lines:
        text = line.replace("\n", "").replace("\t", "").replace("\f", "") if vr in OF_LINES else line
        if any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in text) or not is_decodable(text):
            raise _fault(name, "expected no control characters")
    values: list[Any] = [line.replace("\n", "\r\n") if vr in OF_LINES else line for line in lines]
    if vr == VR.PN:
        values = [_name(name, line) for line in lines]
    return data_set_of({name: {"vr": vr, "Value": values}})[tag]


def _name(tag: str, line: str) -> dict[str, str]:
    groups = line.split("=")
    if len(groups) > len(GROUPS):
        raise _fault(tag, "expected at most three component groups")
    return dict(zip(GROUPS, groups, strict=False))


def _fault(name: str, reason: str) -> DocumentInvalid:
    return DocumentInvalid([DocumentFault(f"/{name}", reason)])
