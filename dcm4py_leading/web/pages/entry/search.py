"""One search over all fields of a device and of what stands below it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.model.bounds import FOUND_FIELDS
from dcm4py_leading.web.pages.entry.contents import masked_values
from dcm4py_leading.web.pages.fields.field import label_of
from dcm4py_leading.web.pages.fields.of_entry import fields_of
from dcm4py_leading.web.pages.places import Place, below, entry_address, name_of
from dcm4py_leading.web.pages.texts import Language


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One field that was found."""

    entry: str
    """What its entry is called."""
    label: str
    attribute: str
    value: str
    address: str


def found_in(place: Place, wanted: str, language: Language) -> tuple[Found, ...]:
    """Where all words of ``wanted`` stand in the label, the attribute's name, its help, its value, or the entry's name.

    Fields with a value come first; at most `FOUND_FIELDS` are told.
    """
    words = wanted.casefold().split()
    entries = sorted(place.entries, key=lambda entry: len(entry.key))
    found = (
        field for has_value in (True, False) for entry in entries for field in _of(place, entry, language, has_value)
    )
    return tuple(islice((hit for text, hit in found if all(word in text for word in words)), FOUND_FIELDS))


def _of(place: Place, entry: Entry, language: Language, has_value: bool) -> Iterator[tuple[str, Found]]:
    fields = fields_of(entry)
    at, name = below(entry, place.device), name_of(entry)
    attributes = [name for name in fields if bool(entry.values(name)) is has_value]
    if has_value:
        attributes += [entry.spell(other) for other in entry if entry.spell(other) not in fields]
    for attribute, values in masked_values(entry, attributes):
        field = fields.get(attribute)
        if field is None and attribute.lower() == "objectclass":
            continue
        label = label_of(attribute, language)
        value = ", ".join(values)
        # The entry's name finds what it holds, not all that it could hold.
        texts = (attribute, label, value, name if has_value else "", field.help.meaning if field else "")
        address = f"{entry_address(place.device_name, at)}#f-{attribute}"
        hit = Found(entry=name, label=label, attribute=attribute, value=value, address=address)
        yield " ".join(texts).casefold(), hit
