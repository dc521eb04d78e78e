"""Pages that edit a study and its patient: form, preview with the AEs that an edit will not reach, saving."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dcm4py_leading.errors import DocumentInvalid, EditRefused, StatusError
from dcm4py_leading.model.bounds import SHOWN_AE_TITLES
from dcm4py_leading.model.values import Level
from dcm4py_leading.service.editing.amend import Amendment, EditField
from dcm4py_leading.service.studies.receivers import LeadingReceivers
from dcm4py_leading.web.pages.changing.form import Form, one_of
from dcm4py_leading.web.pages.changing.typed import Clash, Values, base_of, merged
from dcm4py_leading.web.pages.places import study_address
from dcm4py_leading.web.pages.render import render
from dcm4py_leading.web.pages.studies.edit_form import (
    Typed,
    faults_of,
    shown_values,
    typed_values,
    views_of,
)
from dcm4py_leading.web.pages.studies.three_values import known_titles, values_address
from dcm4py_leading.web.pages.studies.values import name_of
from dcm4py_leading.web.pages.titles import Titles
from dcm4py_leading.web.rest.archive.edit import STATUS

_CONFLICT = 409
_REFUSED = 422
_UNAVAILABLE = 503


class StudyEditor(Protocol):
    """The service, as the pages use it. Called from a worker thread."""

    def edit_fields(self, ae_title: str, study_instance_uid: str, level: Level) -> tuple[EditField, ...]:
        """Attributes of a study or its patient that can be edited. Raises EditRefused, StatusError."""
        ...

    def amend(self, amendment: Amendment) -> None:
        """Edit some of them. Raises EditRefused, DocumentInvalid, StatusError."""
        ...

    def led_after(self, amendment: Amendment, receivers: Sequence[str]) -> tuple[LeadingReceivers, ...]:
        """Those of ``receivers`` that would not get the edit. Raises EditRefused, DocumentInvalid, StatusError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """Outcome of an edit before it is made."""

    changes: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]
    """Name of each attribute, values now, and then."""
    led: tuple[LeadingReceivers, ...]
    key: str
    """The changes, to tell at the save whether these were previewed."""


class EditPage:
    """The handlers for one level. Each runs in a worker thread."""

    def __init__(self, service: StudyEditor, titles: Titles, level: Level) -> None:
        self._service = service
        self._titles = titles
        self._level = level

    def show(self, request: Request) -> Response:
        """The form with the archive's values."""
        try:
            fields = self._fields(request)
        except (EditRefused, StatusError) as err:
            return self._page(request, failure=str(err), status_code=_status(err))
        return self._page(request, fields, shown_values(fields))

    def change(self, request: Request, form: Form) -> Response:
        """Preview the typed values, or save those previewed; on a conflict, ask which value to keep."""
        try:
            fields = self._fields(request)
            typed, there = typed_values(fields, form), shown_values(fields)
            base = {name: values for name, values in base_of(form).items() if name in there}
            result = merged(base, typed, there.__getitem__, form, same=_are_same)
            if result.clashes:
                return self._conflict(request, fields, result.clashes, form)
            now = {**there, **result.changed}
            if faults := faults_of(result.changed):
                return self._page(request, fields, now, faults=faults, status_code=_REFUSED)
            amendment = self._amendment(request, fields, result.changed)
            is_previewed = one_of(form, "previewed") == _key(amendment)
            if one_of(form, "action") == "save" and result.changed and is_previewed:
                self._service.amend(amendment)
                return self._saved(request)
            return self._page(request, fields, now, preview=self._preview(amendment), of_others=result.of_others)
        except (EditRefused, DocumentInvalid, StatusError) as err:
            return self._after_refusal(request, form, err)

    def _fields(self, request: Request) -> tuple[EditField, ...]:
        return self._service.edit_fields(request.path_params["aet"], request.path_params["study_uid"], self._level)

    def _amendment(self, request: Request, fields: Sequence[EditField], changed: Typed) -> Amendment:
        shown = shown_values(fields)
        return Amendment(
            ae_title=request.path_params["aet"],
            study_instance_uid=request.path_params["study_uid"],
            level=self._level,
            shown={int(name, 16): shown[name] for name in changed},
            wanted={int(name, 16): lines for name, lines in changed.items()},
            author=request.state.identity.name,
        )

    def _preview(self, amendment: Amendment) -> Preview:
        changes = tuple(
            (name_of(f"{tag:08X}"), amendment.shown[tag], amendment.wanted[tag]) for tag in sorted(amendment.wanted)
        )
        titles = [title.value for title in known_titles(self._titles)]
        led = self._service.led_after(amendment, titles) if changes else ()
        return Preview(changes=changes, led=led, key=_key(amendment))

    def _saved(self, request: Request) -> Response:
        address = values_address(request.path_params["aet"], request.path_params["study_uid"], is_saved=True)
        return RedirectResponse(address, status_code=303)

    def _after_refusal(self, request: Request, form: Form, refusal: Exception) -> Response:
        """The form with the typed values, and why nothing was done; only the reason if there is no form."""
        try:
            fields = self._fields(request)
        except (EditRefused, StatusError) as err:
            return self._page(request, failure=str(err), status_code=_status(err))
        typed, base = typed_values(fields, form), one_of(form, "base")
        return self._page(request, fields, typed, base=base, failure=str(refusal), status_code=_status(refusal))

    def _page(
        self,
        request: Request,
        fields: Sequence[EditField] = (),
        typed: Typed | None = None,
        *,
        base: str = "",
        faults: Mapping[str, tuple[str, ...]] | None = None,
        preview: Preview | None = None,
        of_others: Sequence[str] = (),
        failure: str = "",
        status_code: int = 200,
    ) -> Response:
        context = {
            **self._where(request),
            "fields": views_of(fields, typed or {}, faults or {}),
            "base": base or _base(fields),
            "preview": preview,
            "of_others": [name_of(name) for name in of_others],
            "faults": faults,
            "failure": failure,
            "shown_receivers": SHOWN_AE_TITLES,
        }
        return render(request, "study_edit.html", context, status_code=status_code)

    def _conflict(
        self, request: Request, fields: Sequence[EditField], clashes: Sequence[Clash], form: Form
    ) -> Response:
        """Both values of each attribute that two have changed, to decide."""
        context = {
            **self._where(request),
            "base": _base(fields),
            "clashes": [(name_of(clash.attribute), clash) for clash in clashes],
            "typed": _carried(fields, form),
        }
        return render(request, "study_conflict.html", context, status_code=_CONFLICT)

    def _where(self, request: Request) -> dict[str, object]:
        ae_title, uid = request.path_params["aet"], request.path_params["study_uid"]
        return {
            "address": study_address(ae_title, uid),
            "back": values_address(ae_title, uid),
            "is_patient": self._level is Level.PATIENT,
            "aet": ae_title,
            "uid": uid,
        }


def _status(refusal: Exception) -> int:
    if isinstance(refusal, EditRefused):
        return STATUS[refusal.refusal]
    return _REFUSED if isinstance(refusal, DocumentInvalid) else _UNAVAILABLE


def _key(amendment: Amendment) -> str:
    return json.dumps(sorted(amendment.wanted.items()))


def _base(fields: Sequence[EditField]) -> str:
    """Values that the form begins with, for the field in which they come back."""
    return json.dumps(shown_values(fields))


def _are_same(one: Values, other: Values) -> bool:
    """True if they are the same values: of a DICOM attribute their order counts."""
    return tuple(one) == tuple(other)


def _carried(fields: Sequence[EditField], form: Form) -> list[tuple[str, str]]:
    """Fields carried to the next form; unedited ones take the archive's present values."""
    there, base = shown_values(fields), base_of(form)
    return [
        (name, "\n".join(there[name] if lines == base.get(name) else lines))
        for name, lines in typed_values(fields, form).items()
    ]
