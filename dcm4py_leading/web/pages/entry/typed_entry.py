"""Entry that a form makes of an existing one, or from nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.web.pages.changing.form import Form
from dcm4py_leading.web.pages.changing.typed import Clash, alike, base_of, merged, with_values
from dcm4py_leading.web.pages.entry.kinds import Kind
from dcm4py_leading.web.pages.entry.sheet import REQUIRED, Sheet, faults_in, new_sheet, sheet_of, typed_into
from dcm4py_leading.web.pages.fields.of_entry import fields_of
from dcm4py_leading.web.pages.places import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedEntry:
    """An entry as somebody has typed it, and the form again with what was typed."""

    sheet: Sheet
    entry: Entry
    entries: tuple[Entry, ...]
    """The device with all entries as they shall be."""
    errors: Mapping[str, list[str]]
    """Faults of values, by attribute; with any of them ``entry`` is not to be used."""
    clashes: tuple[Clash, ...] = ()
    """Attributes that somebody else has changed meanwhile, to be decided."""
    of_others: tuple[str, ...] = ()
    """Attributes that others have changed, and that stay so."""


def changed_entry(place: Place, form: Form) -> TypedEntry:
    """The entry of a place with what was typed into its form. Raises ValueError for what is no such form."""
    base = base_of(form)
    typed = typed_into(place.entry, base, form, is_new=False)
    result = merged(base, typed, place.entry.values, form)
    entry = with_values(place.entry, result.changed)
    return TypedEntry(
        sheet=sheet_of(place, {name: values for name, values in typed.items() if not alike(values, base[name])}),
        entry=entry,
        entries=(*(other for other in place.entries if other is not place.entry), entry),
        errors=faults_in(place.entry, result.changed),
        clashes=result.clashes,
        of_others=result.of_others,
    )


def made_entry(place: Place, kind: Kind, copied: Entry | None, form: Form, *, exists: str) -> TypedEntry:
    """A new entry below a place; ``exists`` is what is said of a name that another one has."""
    blank = new_sheet(place, kind, copied)
    typed = typed_into(blank.entry, fields_of(blank.entry), form, is_new=True)
    naming = {name: next(iter(typed.get(name, ())), "") for name in kind.naming}
    errors = {name: [REQUIRED] for name, value in naming.items() if not value} | faults_in(blank.entry, typed)
    entry = blank.entry
    if not errors:
        dn = kind.dn(naming, place.entry.dn)
        entry = with_values(Entry(dn, blank.entry.attributes, blank.entry.spelling), typed)
        if any(other.key == entry.key for other in place.entries):
            errors = {kind.naming[0]: [exists]}
    return TypedEntry(
        sheet=new_sheet(place, kind, copied, typed), entry=entry, entries=(*place.entries, entry), errors=errors
    )
