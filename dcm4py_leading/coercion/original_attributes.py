"""Original Attributes Sequence (0400,0561): attributes before their coercion (PS3.3 C.12.1.1.9)."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from datetime import datetime

from pydicom import Dataset
from pydicom.dataelem import DataElement

from dcm4py_leading.coercion.changes import Change, set_attribute
from dcm4py_leading.dataset.text.charset import (
    SPECIFIC_CHARACTER_SET,
    carries,
    character_set,
    codes_of,
    elements_of,
    specific_character_set,
    unified,
)
from dcm4py_leading.dataset.text.text_values import texts_of

ORIGINAL_ATTRIBUTES_SEQUENCE = 0x04000561
_NEVER = frozenset({ORIGINAL_ATTRIBUTES_SEQUENCE, SPECIFIC_CHARACTER_SET, 0x7FE00008, 0x7FE00009, 0x7FE00010})


def original_attributes(
    ds: Dataset,
    previous: Mapping[int, DataElement | None],
    *,
    modifying_system: str,
    source_of_previous_values: str,
    now: datetime,
    reason: str = "COERCE",
) -> Change | None:
    """The change that adds an item to the sequence; None if no relevant attribute changed.

    ``previous`` has the previous attributes; None (absent) becomes an empty attribute. If the current character set of
    ``ds`` cannot encode them, the item has its own (PS3.3 C.12.1.1.2).
    """
    modified = Dataset()
    for tag, element in sorted(previous.items()):
        if tag in _NEVER:
            continue
        if element is not None:
            modified[tag] = deepcopy(element)
        elif tag in ds:
            vr = ds[tag].VR
            modified.add_new(tag, vr, [] if vr == "SQ" else None)
    if not modified:
        return None
    item = Dataset()
    local = character_set(ds)
    was = codes_of(previous[SPECIFIC_CHARACTER_SET]) if SPECIFIC_CHARACTER_SET in previous else local
    if not all(carries(text, was, local) for _, text in texts_of(elements_of(modified))):
        needed = was or ("ISO_IR 6",)
    else:
        needed = unified(local, elements_of(modified))
    if needed != local:
        item[SPECIFIC_CHARACTER_SET] = specific_character_set(needed)
    item.SourceOfPreviousValues = source_of_previous_values
    item.AttributeModificationDateTime = now.strftime("%Y%m%d%H%M%S.%f")
    item.ModifyingSystem = modifying_system
    item.ReasonForTheAttributeModification = reason
    item.ModifiedAttributesSequence = [modified]
    items = [deepcopy(old) for old in ds.get("OriginalAttributesSequence") or []]
    return set_attribute(DataElement(ORIGINAL_ATTRIBUTES_SEQUENCE, "SQ", [*items, item]))
