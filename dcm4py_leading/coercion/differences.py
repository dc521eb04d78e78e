"""Differences between two data sets, element by element, for display or JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest

from pydicom import Dataset
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement

from dcm4py_leading.coercion.attribute_path import values_of
from dcm4py_leading.dataset.text.text import TEXT_VRS, shown

_EMPTY = "(empty)"


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplayedElement:
    """An element for display; only the size of binary values and sequences."""

    text: str
    """For a terminal: without control characters."""
    json: Mapping[str, object]
    """As in the DICOM JSON Model (PS3.18 F.2.2), but ``length`` (bytes) or ``items`` in place of what is not shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One element that differs."""

    path: str
    """Such as ``PatientName`` or ``RequestAttributesSequence[1].AccessionNumber``; items count from 1."""
    tag: int
    before: DisplayedElement | None
    """None: there is no such element."""
    after: DisplayedElement | None

    @property
    def keyword(self) -> str:
        """Keyword of the element by PS3.6; empty for a private one."""
        return keyword_for_tag(self.tag)


def differences(before: Dataset, after: Dataset, *, within: str = "") -> Iterator[Difference]:
    """Differences, in the order of tags; ``within`` is the path of the item that both are.

    A sequence is listed with its number of items, if this changes, and then element by element.
    """
    for tag in sorted({*before.keys(), *after.keys()}):
        old, new = before.get(tag), after.get(tag)
        if old == new:
            continue
        path = within + (keyword_for_tag(tag) or f"{tag:08X}")
        old_items, new_items = _items(old), _items(new)
        if (old_items, new_items) == (None, None) or len(old_items or ()) != len(new_items or ()) or None in (old, new):
            yield Difference(path=path, tag=int(tag), before=shown_element(old), after=shown_element(new))
        pairs = zip_longest(old_items or (), new_items or ())
        for number, (old_item, new_item) in enumerate(pairs, 1):
            yield from differences(old_item or Dataset(), new_item or Dataset(), within=f"{path}[{number}].")


def _items(element: DataElement | None) -> list[Dataset] | None:
    return list(element.value) if element is not None and element.VR == "SQ" else None


def shown_element(element: DataElement | None) -> DisplayedElement | None:
    """An element for display; None if absent."""
    if element is None:
        return None
    vr = str(element.VR)
    items = _items(element)
    if items is not None:
        count = len(items)
        return DisplayedElement(text=f"({count} item{'s' * (count != 1)})", json={"vr": vr, "items": count})
    if isinstance(element.value, bytes | bytearray):
        length = len(element.value)
        return DisplayedElement(text=f"({length} bytes)" if length else _EMPTY, json={"vr": vr, "length": length})
    values = list(values_of(element))
    text = "\\".join(values)
    return DisplayedElement(text=_printable(text) if text else _EMPTY, json=_json(element, values))


def _json(element: DataElement, values: list[str]) -> Mapping[str, object]:
    try:
        model: dict[str, object] = element.to_json_dict(None, 0)
    except (ValueError, TypeError, OverflowError):
        # An invalid number: shown unchanged.
        return {"vr": str(element.VR), "Value": list(map(shown, values))}
    numbers = model.get("Value")
    if isinstance(numbers, list):
        # PS3.18 F.2.2: NaN and infinities are strings.
        model["Value"] = [str(n) if isinstance(n, float) and not math.isfinite(n) else n for n in numbers]
    if element.VR in TEXT_VRS and isinstance(numbers, list):
        model["Value"] = [
            {group: shown(text) for group, text in one.items()} if isinstance(one, dict) else shown(one) if one else one
            for one in numbers
        ]
    return {**model, "vr": str(element.VR)}


def _printable(text: str) -> str:
    """``text`` with line ends and control characters escaped, as a value must not control the terminal."""
    text = shown(text)
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
