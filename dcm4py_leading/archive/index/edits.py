"""Records of edits of patients and studies, in the index and in sent objects.

An edited entity has an Original Attributes Sequence (0400,0561) among its attributes, with an item for each edit (PS3.3
C.12.1.1.9). The edited attributes are those in its items.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from copy import deepcopy
from functools import lru_cache

from pydicom import Dataset
from pydicom.dataelem import DataElement

from dcm4py_leading.archive.index.attributes import decode
from dcm4py_leading.coercion.changes import Change, empty_attribute, set_attribute
from dcm4py_leading.coercion.original_attributes import ORIGINAL_ATTRIBUTES_SEQUENCE
from dcm4py_leading.coercion.update import is_empty, plan_update, with_character_set
from dcm4py_leading.dataset.text.charset import SPECIFIC_CHARACTER_SET
from dcm4py_leading.model.coercion import UpdatePolicy

_MARK = b"\x00\x04\x61\x05SQ"
"""Beginning of the sequence in Explicit VR Little Endian."""
_NOTHING: frozenset[int] = frozenset()


def edited_tags(encoded: bytes) -> frozenset[int]:
    """Edited tags of an entity with these encoded attributes."""
    return _told_tags(encoded) if _MARK in encoded else _NOTHING


@lru_cache(maxsize=1024)
def _told_tags(encoded: bytes) -> frozenset[int]:
    return tags_of_edits(decode(encoded))


def tags_of_edits(kept: Dataset) -> frozenset[int]:
    """The same for attributes that are decoded."""
    return frozenset(int(tag) for previous in _previous(kept) for tag in previous.keys())


def edits_of(kept: Dataset) -> dict[int, str]:
    """The edited attributes, with the Attribute Modification DateTime of the last edit of each."""
    return {
        int(tag): str(item.get("AttributeModificationDateTime") or "")
        for item in _items(kept)
        for previous in item.get("ModifiedAttributesSequence") or []
        for tag in previous.keys()
    }


def states_of(kept: Dataset) -> Iterator[Dataset]:
    """The current attributes, followed by those before each edit, the last edit first."""
    yield kept
    state = Dataset()
    state.update(kept)
    for previous in reversed(_previous(kept)):
        state = deepcopy(state)
        for element in previous:
            if is_empty(element):
                state.pop(element.tag, None)
            elif element.tag != SPECIFIC_CHARACTER_SET:
                state[element.tag] = element
        yield state


def carry_edits(ds: Dataset, encoded: bytes, only: Collection[int], apply: Callable[[list[Change]], None]) -> None:
    """Merge edited attributes, as far as they are in ``only``, into an object, and record the values that they replace.

    ``apply`` makes the changes. A removed attribute becomes empty, as it may be required in the object.
    Raises CoercionFailed.
    """
    kept = decode(encoded)
    tags = tags_of_edits(kept).intersection(only)
    changes = plan_update(ds, kept, UpdatePolicy.OVERWRITE, only=tags)
    changes += [
        empty_attribute(tag, ds[tag].VR)
        for tag in sorted(tags)
        if tag not in kept and tag in ds and not is_empty(ds[tag])
    ]
    if not changes:
        return
    apply(changes)
    items = [deepcopy(item) for item in (*_items(ds), *_items(kept))]
    apply(with_character_set(ds, [set_attribute(DataElement(ORIGINAL_ATTRIBUTES_SEQUENCE, "SQ", items))]))


def _items(ds: Dataset) -> list[Dataset]:
    return list(ds.get("OriginalAttributesSequence") or [])


def _previous(kept: Dataset) -> list[Dataset]:
    """The attributes that each edit replaced, the oldest first."""
    return [previous for item in _items(kept) for previous in item.get("ModifiedAttributesSequence") or []]
