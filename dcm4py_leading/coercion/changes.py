"""Changes of a data set as data, and the function that applies them."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.dataelem import DataElement, empty_value_for_VR

from dcm4py_leading.dataset.data_sets import decode_text
from dcm4py_leading.dataset.text.charset import SPECIFIC_CHARACTER_SET

TagPath = tuple[int, ...]
"""Where an attribute stands: a tag, or sequence tag, item index from 0, tag, and so on: always of odd length."""


class ChangeKind(enum.Enum):
    """Kind of change to an attribute."""

    SET = "SET"
    EMPTY = "EMPTY"
    REMOVE = "REMOVE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Change of one attribute.

    ``element`` is the new attribute: with a value, empty, or None for a removal. It may be shared with other data sets
    and threads, so it is only read. A SET of Specific Character Set (0008,0005) at the top means
    that all text is re-encoded in that set.
    """

    path: TagPath
    kind: ChangeKind
    element: DataElement | None = None

    @property
    def tag(self) -> int:
        """Tag of the attribute that changes."""
        return self.path[-1]


def set_attribute(element: DataElement, *, within: TagPath = ()) -> Change:
    """Set the attribute; ``within`` is the path of the item that holds it, sequence tag and item index each."""
    return Change(path=(*within, int(element.tag)), kind=ChangeKind.SET, element=element)


def empty_attribute(tag: int, vr: str, *, within: TagPath = ()) -> Change:
    """Empty the attribute (PS3.5 7.4.5, type 2)."""
    return Change(
        path=(*within, int(tag)),
        kind=ChangeKind.EMPTY,
        element=DataElement(tag, vr, [] if vr == "SQ" else empty_value_for_VR(vr)),
    )


def remove_attribute(tag: int, *, within: TagPath = ()) -> Change:
    """Remove the attribute."""
    return Change(path=(*within, int(tag)), kind=ChangeKind.REMOVE)


def apply(ds: Dataset, changes: Iterable[Change]) -> None:
    """Apply the changes to ``ds`` in order. Adds missing items that a SET needs."""
    for change in changes:
        if change.path == (SPECIFIC_CHARACTER_SET,):
            decode_text(ds)
        target = _item(ds, change.path[:-1], create=change.kind is ChangeKind.SET)
        if target is None:
            continue
        if change.element is None:
            if change.tag in target:
                del target[change.tag]
        else:
            target[change.tag] = deepcopy(change.element)


def _item(ds: Dataset, path: TagPath, *, create: bool) -> Dataset | None:
    item = ds
    for tag, index in zip(path[::2], path[1::2], strict=True):
        if create and (tag not in item or item[tag].value is None):
            item[tag] = DataElement(tag, "SQ", [])
        if tag not in item or item[tag].VR != "SQ":
            return None
        items = item[tag].value
        while create and len(items) <= index:
            items.append(Dataset())
        if len(items) <= index:
            return None
        item = items[index]
    return item
