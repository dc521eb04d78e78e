"""Edits of patients and studies: all attributes, or some of them as a form has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from dcm4py_leading.calls.call import Call, Caller, Form, Here, as_it_is
from dcm4py_leading.model.values import Level
from dcm4py_leading.service.editing.amend import Amendment, EditField, edit_fields, led_after, make_amendment
from dcm4py_leading.service.editing.edit import Edit, make_edit
from dcm4py_leading.service.studies.receivers import LeadingReceivers

_SECONDS = 60.0


def _edit(here: Here, edit: Edit) -> None:
    make_edit(here.runtime, edit, now=datetime.now())


def _fields(here: Here, asked: Mapping[str, str]) -> tuple[EditField, ...]:
    return edit_fields(here.runtime, asked["aet"], asked["study"], Level(asked["level"]))


def _amend(here: Here, amendment: Amendment) -> None:
    make_amendment(here.runtime, amendment, now=datetime.now())


def _led(here: Here, asked: Mapping[str, Any]) -> tuple[LeadingReceivers, ...]:
    return led_after(here.runtime, Amendment.from_json(asked["amendment"]), asked["receivers"])


EDIT: Call[Edit, None] = Call(
    name="edit",
    do=_edit,
    question=Form(to_json=Edit.to_json, from_json=Edit.from_json),
    answer=as_it_is(),
    seconds=_SECONDS,
)
EDIT_FIELDS: Call[Mapping[str, str], tuple[EditField, ...]] = Call(
    name="edit fields",
    do=_fields,
    question=as_it_is(),
    answer=Form(
        to_json=lambda fields: [field.to_json() for field in fields],
        from_json=lambda value: tuple(map(EditField.from_json, value)),
    ),
    seconds=_SECONDS,
)
AMEND: Call[Amendment, None] = Call(
    name="amend",
    do=_amend,
    question=Form(to_json=Amendment.to_json, from_json=Amendment.from_json),
    answer=as_it_is(),
    seconds=_SECONDS,
)
LED_AFTER: Call[Mapping[str, Any], tuple[LeadingReceivers, ...]] = Call(
    name="led after",
    do=_led,
    question=as_it_is(),
    answer=Form(
        to_json=lambda groups: [asdict(group) for group in groups],
        from_json=lambda value: tuple(map(LeadingReceivers.from_json, value)),
    ),
    seconds=_SECONDS,
)


class Edits(Caller):
    """Edits (see `web.rest.archive.edit.EditService`)."""

    def edit(self, edit: Edit) -> None:
        """Edit a patient or a study."""
        self.call(EDIT, edit)

    def edit_fields(self, ae_title: str, study_instance_uid: str, level: Level) -> tuple[EditField, ...]:
        """Attributes that can be edited (see `web.pages.studies.edit.StudyEditor`)."""
        return self.call(EDIT_FIELDS, {"aet": ae_title, "study": study_instance_uid, "level": level.value})

    def amend(self, amendment: Amendment) -> None:
        """Edit some attributes (see `web.pages.studies.edit.StudyEditor`)."""
        self.call(AMEND, amendment)

    def led_after(self, amendment: Amendment, receivers: Sequence[str]) -> tuple[LeadingReceivers, ...]:
        """AEs that would not get the edit (see `web.pages.studies.edit.StudyEditor`)."""
        return self.call(LED_AFTER, {"amendment": amendment.to_json(), "receivers": list(receivers)})
