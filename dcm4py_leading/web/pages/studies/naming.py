"""Names of DICOM attributes for people."""

from __future__ import annotations

from pydicom.datadict import dictionary_description


def name_of_tag(tag: int) -> str:
    """Name of an attribute (PS3.6), such as Patient's Name; its tag where there is none."""
    try:
        return dictionary_description(tag)
    except KeyError:
        return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
