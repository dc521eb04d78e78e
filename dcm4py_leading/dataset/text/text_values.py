"""Text values of pydicom's data elements, decoded and encoded by our own codec (see `text`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pydicom import Dataset, config
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.hooks import raw_element_vr
from pydicom.multival import MultiValue
from pydicom.valuerep import PersonName

from dcm4py_leading.dataset.text.character_sets import CharacterSet
from dcm4py_leading.dataset.text.text import SINGLE_VALUED, TEXT_VRS, decode, encode

_PADDING = "\0 "
_SINGLE = (str, bytes, PersonName)


def text_element(tag: int, vr: str, octets: bytes, codes: CharacterSet) -> DataElement:
    """The element of a text ``vr`` with this value field. Never fails: what cannot be decoded is marked in its text."""
    value: object
    text = decode(octets, codes, vr).rstrip(_PADDING)
    if vr == "PN":
        names = [_name(one) for one in text.split("\\")]
        value = names[0] if len(names) == 1 else MultiValue(_as_it_is, names)
    elif vr in SINGLE_VALUED or "\\" not in text:
        value = text
    else:
        value = MultiValue(str, [one.rstrip(_PADDING) for one in text.split("\\")])
    return DataElement(tag, vr, value, already_converted=True)


def _name(text: str) -> PersonName:
    # Validation would warn, and print the value.
    return PersonName(text.rstrip(_PADDING), validation_mode=config.IGNORE)


def _as_it_is(name: PersonName) -> PersonName:
    return name


def is_text(element: DataElement) -> bool:
    """True if Specific Character Set is about its value."""
    return element.VR in TEXT_VRS


def values_of(element: DataElement) -> list[str]:
    """The values of a text element, as str; those that someone has set as bytes are not among them."""
    value = element.value
    if value is None:
        return []
    values: Iterable[object] = [value] if isinstance(value, _SINGLE) else value
    return [str(one) for one in values if not isinstance(one, bytes) and one is not None]


def text_of(element: DataElement) -> str:
    """All values of a text element, as they stand in its value field."""
    return "\\".join(values_of(element))


def octets_of(element: DataElement, codes: CharacterSet) -> bytes:
    """The value field of a text element, of even length.

    Raises UnicodeEncodeError for what ``codes`` do not have.
    """
    value = element.value
    values: list[object] = [] if value is None else [value] if isinstance(value, _SINGLE) else list(value)
    as_octets = [one for one in values if isinstance(one, bytes)]
    if values and len(as_octets) == len(values):
        octets = b"\\".join(as_octets)
    else:
        octets = encode("\\".join("" if one is None else str(one) for one in values), codes, element.VR)
    return octets + b" " * (len(octets) % 2)


def texts_of(elements: Iterable[DataElement]) -> Iterator[tuple[DataElement, str]]:
    """Each text element with its text, those in items that name no set of their own too."""
    for element in elements:
        if element.VR == "SQ":
            for item in element.value or ():
                if 0x00080005 not in item or not item[0x00080005].value:
                    nested: list[object] = [item.get_item(tag, keep_deferred=True) for tag in sorted(item.keys())]
                    yield from texts_of(one for one in nested if isinstance(one, DataElement))
        elif is_text(element):
            yield element, text_of(element)


def vr_of(element: RawDataElement, ds: Dataset) -> str:
    """The VR that pydicom takes it for."""
    if element.VR not in (None, "UN"):
        return str(element.VR)
    if not element.tag.is_private:
        if element.VR == "UN" and (element.value is None or len(element.value) >= 0xFFFF):
            return "UN"
        try:
            return dictionary_VR(element.tag)
        except KeyError:
            return "UN"
    found: dict[str, str] = {}
    raw_element_vr(element, found, ds=ds)
    return found["VR"]
