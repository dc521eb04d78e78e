"""Form of one entry, existing or new, with the values typed into it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.web.pages.changing.form import Form
from dcm4py_leading.web.pages.changing.typed import Values, base_text, with_values
from dcm4py_leading.web.pages.entry.kinds import Kind, kind_of
from dcm4py_leading.web.pages.entry.view import widgets_of
from dcm4py_leading.web.pages.entry.widgets import Widget, typed_values
from dcm4py_leading.web.pages.fields.of_entry import fields_of
from dcm4py_leading.web.pages.places import Place

REQUIRED = "is required, but absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """Entry that the form is about."""

    place: Place
    """Of the entry; of one to be made, that of the entry above."""
    entry: Entry
    """As it is, or as a new one begins."""
    kind: Kind | None
    is_new: bool
    base: str
    """Values that the page shows, for the hidden field."""
    typed: Mapping[str, Values]
    """Values that are shown instead of the entry's own."""


def sheet_of(place: Place, typed: Mapping[str, Values] | None = None) -> Sheet:
    """The form of an existing entry."""
    entry = place.entry
    return Sheet(
        place=place,
        entry=entry,
        kind=kind_of(entry),
        is_new=False,
        base=base_text(entry, _typable(entry, is_new=False)),
        typed=typed or {},
    )


def new_sheet(place: Place, kind: Kind, copied: Entry | None, typed: Mapping[str, Values] | None = None) -> Sheet:
    """The form of an entry of a kind to be made below ``place``; it begins like ``copied``, but for its name."""
    classes = copied.values("objectClass") if copied else (kind.object_class, *kind.companions)
    kept = {copied.spell(name): copied.values(name) for name in copied} if copied else {}
    named = dict.fromkeys(kind.naming, ())
    entry = with_values(Entry.of(place.entry.dn, {**kept, "objectClass": classes}), named)
    base = base_text(None, _typable(entry, is_new=True))
    return Sheet(place=place, entry=entry, kind=kind, is_new=True, base=base, typed=typed or {})


def typed_into(entry: Entry, attributes: Iterable[str], form: Form, *, is_new: bool) -> dict[str, Values]:
    """Values that the form has for these attributes."""
    wanted = set(attributes)
    return {
        name: typed_values(field, widget, form)
        for name, (field, widget) in widgets_of(entry, is_new=is_new).items()
        if name in wanted and widget is not Widget.SHOWN
    }


def faults_in(entry: Entry, changed: Mapping[str, Values]) -> dict[str, list[str]]:
    """Faults of values that were typed, as far as each alone tells; by attribute."""
    found: dict[str, list[str]] = {}
    for attribute, field in fields_of(entry).items():
        if attribute in changed:
            texts = [f"{value}: {fault}" for value in changed[attribute] if (fault := field.fault(value))]
            if field.required and not changed[attribute]:
                texts.append(REQUIRED)
            if texts:
                found[attribute] = texts
    return found


def stored_faults(entry: Entry) -> dict[str, list[str]]:
    """Faults of values that the directory has and that can be typed anew; by attribute."""
    return faults_in(entry, {name: values for name in _typable(entry, is_new=False) if (values := entry.values(name))})


def _typable(entry: Entry, *, is_new: bool) -> list[str]:
    return [name for name, (_, widget) in widgets_of(entry, is_new=is_new).items() if widget is not Widget.SHOWN]
