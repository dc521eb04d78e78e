"""Search over all fields of a device and the entries below it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.model.bounds import FOUND_FIELDS
from dcm4py_leading.web.pages.entry.contents import masked_values
from dcm4py_leading.web.pages.fields.field import label_of
from dcm4py_leading.web.pages.fields.of_entry import fields_of
from dcm4py_leading.web.pages.places import Place, below, entry_address, name_of
from dcm4py_leading.web.pages.texts import Language

_MANY = "dicomTransferCapability"
"""An AE has hundreds: of them only what is set is looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One field that was found."""

    entry: str
    """Name of its entry."""
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
    found = (hit for is_set in (True, False) for entry in entries for hit in _of(place, entry, words, language, is_set))
    return tuple(islice(found, FOUND_FIELDS))


def _of(place: Place, entry: Entry, words: Sequence[str], language: Language, is_set: bool) -> Iterator[Found]:
    """The fields of one entry that are set, or those that are not."""
    if not is_set and entry.is_a(_MANY):
        return
    fields, called = fields_of(entry), name_of(entry)
    attributes = [name for name in fields if bool(entry.values(name)) is is_set]
    if is_set:
        attributes += [entry.spell(name) for name in entry if entry.spell(name) not in fields and name != "objectclass"]
    for attribute, values in masked_values(entry, attributes):
        label, value = label_of(attribute, language), ", ".join(values)
        meaning = fields[attribute].help.meaning if attribute in fields else ""
        # The entry's name finds what it holds, not all that it could hold.
        text = " ".join((attribute, label, value, called if is_set else "", meaning)).casefold()
        if all(word in text for word in words):
            address = entry_address(place.device_name, below(entry, place.device))
            yield Found(entry=called, label=label, attribute=attribute, value=value, address=f"{address}#f-{attribute}")
