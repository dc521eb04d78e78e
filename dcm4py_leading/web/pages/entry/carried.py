"""Form of an entry, carried to another page and back without being saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlencode

from starlette.requests import Request

from dcm4py_leading.web.pages.changing.attempt import DirectoryEditing
from dcm4py_leading.web.pages.changing.form import Form, one_of, parse_form
from dcm4py_leading.web.pages.entry.kinds import kind_named
from dcm4py_leading.web.pages.entry.typed_entry import TypedEntry, changed_entry, made_entry
from dcm4py_leading.web.pages.language import language_of
from dcm4py_leading.web.pages.places import NoSuchPage, entry_address, new_address, place_of
from dcm4py_leading.web.pages.texts import translate

DEVICE, AT, KIND, COPY, FIELDS = "rule.device", "rule.at", "rule.kind", "rule.copy", "rule.fields"
"""Hidden fields of the page that it is carried to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """The form of an entry, and its page."""

    device_name: str
    at: str
    """DN below the device: of the entry, or of the one above where ``kind`` says that it is new."""
    kind: str = ""
    copied: str = ""
    fields: str
    """Values that were typed, as the form sends them."""

    @classmethod
    def out_of_entry_form(cls, request: Request, form: Form) -> Self:
        """The form that was sent to the page of an entry."""
        typed = [(name, value) for name, values in form.items() if name != "action" for value in values]
        query = request.query_params
        return cls(
            device_name=request.path_params["device"],
            at=query.get("at", ""),
            kind=query.get("kind", ""),
            copied=query.get("copy", ""),
            fields=urlencode(typed),
        )

    @classmethod
    def out_of_hidden(cls, form: Form) -> Self | None:
        """The form from `hidden`; None if there is none, or it is invalid."""
        device_name, at, kind, copied, fields = (one_of(form, name) for name in (DEVICE, AT, KIND, COPY, FIELDS))
        try:
            is_form = bool(parse_form(fields.encode("ascii")))
        except ValueError:
            return None
        return cls(device_name=device_name, at=at, kind=kind, copied=copied, fields=fields) if is_form else None

    @property
    def hidden(self) -> Sequence[tuple[str, str]]:
        """Hidden fields that carry it."""
        return [
            (DEVICE, self.device_name),
            (AT, self.at),
            (KIND, self.kind),
            (COPY, self.copied),
            (FIELDS, self.fields),
        ]

    @property
    def address(self) -> str:
        """Page where it was typed."""
        if self.kind:
            return new_address(self.device_name, self.kind, at=self.at, copied=self.copied)
        return entry_address(self.device_name, self.at)

    @property
    def typed(self) -> Sequence[tuple[str, str]]:
        """Its fields, to be sent there again."""
        return [(name, value) for name, values in parse_form(self.fields.encode("ascii")).items() for value in values]

    def entry(self, request: Request, editor: DirectoryEditing) -> TypedEntry:
        """The entry that it makes, of the directory as it is now. Raises NoSuchPage, ValueError, ConfigError."""
        place = place_of(self.device_name, editor.entries(self.device_name), self.at)
        form = parse_form(self.fields.encode("ascii"))
        if not self.kind:
            return changed_entry(place, form)
        kind = kind_named(self.kind)
        if kind is None:
            raise NoSuchPage(self.kind)
        copied = place_of(place.device_name, place.entries, self.copied).entry if self.copied else None
        return made_entry(place, kind, copied, form, exists=translate(language_of(request), "entry.exists"))
