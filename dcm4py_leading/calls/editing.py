"""Edits of patients and studies."""

from __future__ import annotations

from datetime import datetime

from dcm4py_leading.calls.call import Call, Caller, Form, Here, as_it_is
from dcm4py_leading.service.editing.edit import Edit, make_edit

_SECONDS = 60.0


def _edit(here: Here, edit: Edit) -> None:
    make_edit(here.runtime, edit, now=datetime.now())


EDIT: Call[Edit, None] = Call(
    name="edit",
    do=_edit,
    question=Form(to_json=Edit.to_json, from_json=Edit.from_json),
    answer=as_it_is(),
    seconds=_SECONDS,
)


class Edits(Caller):
    """Edits (see `web.rest.archive.edit.Editing`)."""

    def edit(self, edit: Edit) -> None:
        """Edit a patient or a study."""
        self.call(EDIT, edit)
