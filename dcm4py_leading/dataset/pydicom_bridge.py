"""Between trees of elements and pydicom's data sets: the one place where an object is read into pydicom as a whole, and
where elements come back from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydicom import Dataset
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.tag import BaseTag

from dcm4py_leading.dataset.data_sets import read, write
from dcm4py_leading.dataset.elements import Element, Elements, Fragments, Items
from dcm4py_leading.dataset.encoder import encode, vr_of
from dcm4py_leading.dataset.reading import parse
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE
from dcm4py_leading.dataset.text.unreadable import UNREADABLE
from dcm4py_leading.dataset.vr import TEXT_VRS, padding
from dcm4py_leading.errors import UnencodableText

_BULK = 1 << 16
_CONTEXT = (0x00080005, 0x00280100, 0x00280103, 0x00283002, 0x54001004)
"""Attributes that the encoding of others needs: character set, bits allocated, pixel representation, LUT descriptor."""
_DELIMITER = 8


class UnreadableElement(ValueError):
    """A value is not what its VR says, and has to be read. Names the attribute."""


def name_of(tag: int) -> str:
    """Tag and keyword, as messages have them."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X}) {keyword_for_tag(tag)}".rstrip()


def to_pydicom(elements: Elements) -> Dataset:
    """The elements as pydicom has them. Text is decoded, other values are read when they are looked at, which may
    raise one of UNREADABLE.
    """
    small = {tag: element for tag, element in elements.items() if not _is_bulk(element, elements)}
    ds = read(b"".join(encode(small, EXPLICIT_LITTLE)), EXPLICIT_LITTLE)
    for tag, element in elements.items():
        if tag not in small:
            value, length = _raw(element)
            vr = vr_of(element, (elements,)).decode()
            ds[BaseTag(tag)] = RawDataElement(BaseTag(tag), vr, length, value, 0, False, True)
    return ds


def _is_bulk(element: Element, within: Elements) -> bool:
    """True if an element is not worth another copy."""
    if isinstance(element.value, Items):
        return False
    if isinstance(element.value, Fragments):
        return True
    return len(element.value) >= _BULK and vr_of(element, (within,)) not in TEXT_VRS


def _raw(element: Element) -> tuple[bytes, int]:
    """Value and length, as pydicom has them when it has read them."""
    value = element.value
    assert not isinstance(value, Items)
    if isinstance(value, Fragments):
        encoded = b"".join(encode({element.tag: element}, EXPLICIT_LITTLE))
        return encoded[12:-_DELIMITER], 0xFFFFFFFF
    content = bytes(value)
    if len(content) % 2:
        content += padding(element.vr)
    return content, len(content)


def encoded_elements(ds: Dataset, tags: Iterable[int]) -> dict[int, Element | None]:
    """These elements of ``ds`` after their change; None for one that was removed.

    What nobody has looked at in it is not there: it is as it was. Raises UnreadableElement, UnencodableText.
    """
    found: dict[int, Element | None] = {}
    changed: dict[int, DataElement] = {}
    for tag in tags:
        element: DataElement | RawDataElement | None = ds.get_item(tag) if tag in ds else None
        if element is None:
            found[tag] = None
        elif isinstance(element, DataElement):
            changed[tag] = element
    if changed:
        found |= _encoded(ds, changed)
    return dict(sorted(found.items()))


def _encoded(ds: Dataset, changed: Mapping[int, DataElement]) -> Elements:
    try:
        return _written(ds, changed)
    except UNREADABLE:
        return {tag: _encoded_alone(ds, tag, element) for tag, element in sorted(changed.items())}


def _encoded_alone(ds: Dataset, tag: int, element: DataElement) -> Element:
    try:
        return _written(ds, {tag: element})[tag]
    except UnencodableText:
        raise
    except UNREADABLE as err:
        raise UnreadableElement(f"{name_of(tag)} ({type(err).__name__})") from err


def _written(ds: Dataset, changed: Mapping[int, DataElement]) -> Elements:
    part: dict[BaseTag, DataElement | RawDataElement]
    part = {BaseTag(other): ds.get_item(other) for other in _CONTEXT if other in ds}
    part |= {BaseTag(tag): element for tag, element in changed.items()}
    elements = parse(write(Dataset(part), EXPLICIT_LITTLE), EXPLICIT_LITTLE).elements
    return {tag: elements[tag] for tag in changed}


def first_unreadable(ds: Dataset) -> int | None:
    """The tag of the first element of the top level, of ``ds`` or of its items, that pydicom cannot read."""
    for tag in sorted(ds.keys()):
        try:
            element = ds[tag]
            if element.VR == "SQ":
                for item in element.value or ():
                    if first_unreadable(item) is not None:
                        return int(tag)
        except UNREADABLE:
            return int(tag)
    return None
