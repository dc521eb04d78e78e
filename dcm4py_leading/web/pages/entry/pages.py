"""Showing, changing and making one entry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.pages.changing.attempt import DirectoryEditing, Outcome, Reloadable, attempt
from dcm4py_leading.web.pages.changing.form import Form, one_of
from dcm4py_leading.web.pages.changing.typed import Clash, base_of, base_text, merged
from dcm4py_leading.web.pages.coercions.matching import Matching, matching
from dcm4py_leading.web.pages.entry.carried import Carried
from dcm4py_leading.web.pages.entry.contents import contents_of, masked_values, others_of, rules_below
from dcm4py_leading.web.pages.entry.finishing import SAVES, finished, rules_address, trail_of
from dcm4py_leading.web.pages.entry.kinds import RULES, Kind, kind_named
from dcm4py_leading.web.pages.entry.search import found_in
from dcm4py_leading.web.pages.entry.sheet import Sheet, new_sheet, sheet_of, stored_faults
from dcm4py_leading.web.pages.entry.suggestions import options_of, suggested
from dcm4py_leading.web.pages.entry.typed_entry import TypedEntry, changed_entry, made_entry
from dcm4py_leading.web.pages.entry.view import NO_FAULTS, Faults, FieldView, Suggested, faults_of, tasks_view
from dcm4py_leading.web.pages.entry.widgets import Widget
from dcm4py_leading.web.pages.fields.field import label_of
from dcm4py_leading.web.pages.fields.of_entry import fields_of, unknown_attributes
from dcm4py_leading.web.pages.fields.tasks import OTHER
from dcm4py_leading.web.pages.language import language_of
from dcm4py_leading.web.pages.places import (
    NoSuchPage,
    Place,
    below,
    delete_address,
    device_address,
    name_of,
    new_address,
    place_of,
)
from dcm4py_leading.web.pages.render import render
from dcm4py_leading.web.pages.texts import translate
from dcm4py_leading.web.pages.titles import Titles

_ROWS, _MORE_ROWS = 2, 8
"""Empty lines of a field with several values, and so many when more are wanted."""
TRY = "try"
_SHOWN_AGAIN = ("more", "edit")
"""Actions of a form after which it is shown as it was typed: with more lines, or on the way back from a trial."""
_CONFLICT, _REFUSED = 409, 422
"""RFC 9110 15.5.10; 15.5.21: the form was understood, but what it wants cannot be."""


class EntryPages:
    """Handlers; each runs in a worker thread."""

    def __init__(
        self,
        editor: DirectoryEditing,
        service: Reloadable,
        titles: Titles,
        *,
        own_device: str,
        try_rule: Callable[[Request, Carried, Entry], Response],
    ) -> None:
        """``try_rule`` answers with the page that tries a rule of ``own_device`` as it was typed."""
        self._editor = editor
        self._service = service
        self._titles = titles
        self._own_device = own_device
        self._try = try_rule

    def show(self, request: Request) -> Response:
        """The page of an entry."""
        place = self._place(request)
        faults = Faults(errors=stored_faults(place.entry), warnings={})
        return self._page(request, sheet_of(place), faults=faults)

    def change(self, request: Request, form: Form) -> Response:
        """Preview the typed values, offer them as LDIF, try them, or save them."""
        typed = changed_entry(self._place(request), form)
        if typed.clashes:
            return _conflict(request, typed.sheet, typed.clashes, form)
        return self._answer(request, form, typed)

    def new(self, request: Request) -> Response:
        """The page that makes an entry."""
        return self._page(request, new_sheet(*self._wanted(request)))

    def make(self, request: Request, form: Form) -> Response:
        """Preview the new entry, offer it as LDIF, try it, or save it."""
        exists = translate(language_of(request), "entry.exists")
        return self._answer(request, form, made_entry(*self._wanted(request), form, exists=exists))

    # What is asked for.

    def _place(self, request: Request) -> Place:
        device_name = request.path_params["device"]
        return place_of(device_name, self._editor.entries(device_name), request.query_params.get("at", ""))

    def _wanted(self, request: Request) -> tuple[Place, Kind, Entry | None]:
        """Place and kind of a new entry, and the entry to copy."""
        place = self._place(request)
        kind = kind_named(request.query_params.get("kind", ""))
        if kind is None or not (kind.below_ae if place.at else kind.below_device):
            raise NoSuchPage(request.query_params.get("kind", ""))
        copied = request.query_params.get("copy")
        return place, kind, place_of(place.device_name, place.entries, copied).entry if copied else None

    # Answers.

    def _answer(self, request: Request, form: Form, typed: TypedEntry) -> Response:
        action, sheet, place = one_of(form, "action"), typed.sheet, typed.sheet.place
        if action in _SHOWN_AGAIN:
            return self._page(request, sheet, more=_MORE_ROWS if action == "more" else _ROWS)
        if typed.errors:
            return self._page(request, sheet, faults=Faults(errors=typed.errors, warnings={}), status_code=_REFUSED)
        of_others = [label_of(name, language_of(request)) for name in typed.of_others]
        outcome = attempt(
            self._editor,
            place.device_name,
            typed.entries,
            place.entries,
            saves=action in SAVES,
            author=request.state.identity.name,
        )
        self._titles.forget()
        answer = finished(request, sheet, outcome, action, self._service, entry=typed.entry, of_others=of_others)
        if answer is not None:
            return answer
        if outcome.conflict is not None:
            return self._after_conflict(request, form, sheet, str(outcome.conflict))
        is_refused = outcome.failure is not None or outcome.plan is None or bool(outcome.plan.errors)
        if action == TRY and not is_refused and self._may_try(sheet):
            return self._try(request, Carried.out_of_entry_form(request, form), typed.entry)
        return self._page(
            request,
            sheet,
            outcome=outcome,
            faults=faults_of(typed.entry, outcome.problems, {}),
            of_others=of_others,
            status_code=_REFUSED if is_refused else 200,
        )

    def _after_conflict(self, request: Request, form: Form, sheet: Sheet, told: str) -> Response:
        """Show the changes of somebody who was faster, after reading them."""
        outcome = Outcome(failure=told)
        if sheet.is_new:
            return self._page(request, sheet, outcome=outcome, status_code=_CONFLICT)
        place = self._place(request)
        result = merged(base_of(form), sheet.typed, place.entry.values, form)
        again = sheet_of(place, sheet.typed)
        if result.clashes:
            return _conflict(request, again, result.clashes, form)
        return self._page(request, again, outcome=outcome, of_others=result.of_others, status_code=_CONFLICT)

    def _page(
        self,
        request: Request,
        sheet: Sheet,
        *,
        outcome: Outcome | None = None,
        faults: Faults = NO_FAULTS,
        of_others: Sequence[str] = (),
        more: int = _ROWS,
        status_code: int = 200,
    ) -> Response:
        place, language = sheet.place, language_of(request)
        tasks = tasks_view(
            sheet.entry,
            sheet.typed,
            language=language,
            faults=faults,
            options=options_of(place),
            is_new=sheet.is_new,
            more=more,
        )
        views = [view for _, found in tasks for view in found]
        lists = suggested(views, self._titles)
        is_device = not sheet.is_new and not place.at
        wanted = request.query_params.get("q", "").strip() if is_device else ""
        context: dict[str, Any] = {
            "sheet": sheet,
            "title": "" if sheet.is_new else name_of(sheet.entry),
            "trail": trail_of(request, sheet),
            "tasks": [(task, fields) for task, fields in tasks if task != OTHER],
            "others": [field for task, fields in tasks if task == OTHER for field in fields],
            "unknown": masked_values(sheet.entry, unknown_attributes(sheet.entry, fields_of(sheet.entry))),
            "contents": () if sheet.is_new else contents_of(place),
            "other_entries": () if sheet.is_new else others_of(place),
            "coercions": _coercions(sheet),
            "address": device_address(place.device_name),
            "suggested": lists,
            "matches": _matches(views, lists.get("ae-titles", ())),
            "why_not": self._editor.why_not,
            "may_change": request.state.identity.may(Role.ADMINISTRATOR),
            "outcome": outcome,
            "of_others": of_others,
            "may_try": self._may_try(sheet),
            "delete": "" if sheet.is_new or sheet.kind is None else delete_address(place.device_name, place.at),
            "copy": _copy_address(sheet),
            "is_device": is_device,
            "q": wanted,
            "found": found_in(place, wanted, language) if wanted else None,
        }
        return render(request, "entry.html", context, status_code=status_code)

    def _may_try(self, sheet: Sheet) -> bool:
        """True for a rule of this service."""
        is_rule = sheet.kind is not None and sheet.kind.key in RULES
        return is_rule and sheet.place.device_name.casefold() == self._own_device.casefold()


def _matches(views: Iterable[FieldView], titles: Iterable[Suggested]) -> dict[str, Matching]:
    """Matches of a rule's conditions in the directory, by condition."""
    texts = [text for view in views if view.widget is Widget.CONDITIONS for text in view.values]
    names = [title.value for title in titles]
    return {text: matching(text, names) for text in texts}


def _conflict(request: Request, sheet: Sheet, clashes: Sequence[Clash], form: Form) -> Response:
    """Both values of each attribute that two have changed, to decide."""
    language = language_of(request)
    context = {
        "title": name_of(sheet.entry),
        "trail": trail_of(request, sheet),
        # Of what was not typed anew the form has the values of before, and theirs are to stay.
        "base": base_text(sheet.entry, sheet.typed),
        "clashes": [(label_of(clash.attribute, language), clash) for clash in clashes],
        "typed": [
            (name, value)
            for name, values in form.items()
            if name not in ("base", "action") and not name.startswith("keep.")
            for value in values
        ],
    }
    return render(request, "conflict.html", context, status_code=_CONFLICT)


def _coercions(sheet: Sheet) -> tuple[str, int] | None:
    """The page of the rules of a device or AE, and how many there are; None where none are to be expected."""
    place = sheet.place
    if sheet.is_new or (place.at and not sheet.entry.is_a("dicomNetworkAE")):
        return None
    count = len(rules_below(place.entry, place.entries))
    return (rules_address(place, place.entry), count) if count or place.device.is_a("dcmArchiveDevice") else None


def _copy_address(sheet: Sheet) -> str:
    """The page that makes an entry like this one; empty where there is none."""
    place = sheet.place
    if sheet.is_new or sheet.kind is None:
        return ""
    above = below(place.parent, place.device)
    return new_address(place.device_name, sheet.kind.key, at=above, copied=place.at)
