"""Deletion of one entry, with the entries below it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.writing.state import etag
from dcm4py_leading.web.pages.changing.attempt import DirectoryEditing, Outcome, Reloadable, attempt
from dcm4py_leading.web.pages.changing.form import Form, one_of
from dcm4py_leading.web.pages.entry.contents import masked_values
from dcm4py_leading.web.pages.entry.finishing import SAVES, finished, trail_of
from dcm4py_leading.web.pages.entry.kinds import kind_of
from dcm4py_leading.web.pages.entry.sheet import sheet_of
from dcm4py_leading.web.pages.places import NoSuchPage, Place, entry_address, name_of, place_of
from dcm4py_leading.web.pages.render import render
from dcm4py_leading.web.pages.titles import Titles


class Deleting:
    """Handlers; each runs in a worker thread."""

    def __init__(self, editor: DirectoryEditing, service: Reloadable, titles: Titles) -> None:
        self._editor = editor
        self._service = service
        self._titles = titles

    def ask(self, request: Request) -> Response:
        """Ask for confirmation."""
        return self._page(request, self._place(request))

    def delete(self, request: Request, form: Form) -> Response:
        """Delete the entry, or return the LDIF. If the entry has changed since the question, ask again."""
        place = self._place(request)
        gone = _subtree(place)
        if one_of(form, "expected") != etag(gone):
            return self._page(request, place, has_changed=True, status_code=409)
        action = one_of(form, "action")
        wanted = [entry for entry in place.entries if entry not in gone]
        outcome = attempt(
            self._editor,
            place.device_name,
            wanted,
            place.entries,
            saves=action in SAVES,
            author=request.state.identity.name,
        )
        if outcome.conflict is not None:
            return self._page(request, self._place(request), has_changed=True, status_code=409)
        self._titles.forget()
        answer = finished(request, sheet_of(place), outcome, action, self._service, entry=None)
        return answer or self._page(request, place, outcome=outcome, status_code=422)

    def _place(self, request: Request) -> Place:
        device_name = request.path_params["device"]
        place = place_of(device_name, self._editor.entries(device_name), request.query_params.get("at", ""))
        if not place.at or kind_of(place.entry) is None:
            raise NoSuchPage(place.at or device_name)
        return place

    def _page(
        self,
        request: Request,
        place: Place,
        *,
        outcome: Outcome | None = None,
        has_changed: bool = False,
        status_code: int = 200,
    ) -> Response:
        sheet = sheet_of(place)
        context = {
            "title": name_of(place.entry),
            "trail": trail_of(request, sheet),
            "kind": sheet.kind,
            "below": len(_subtree(place)) - 1,
            "values": masked_values(place.entry, map(place.entry.spell, place.entry)),
            "expected": etag(_subtree(place)),
            "outcome": outcome,
            "has_changed": has_changed,
            "why_not": self._editor.why_not,
            "back": entry_address(place.device_name, place.at),
        }
        return render(request, "delete.html", context, status_code=status_code)


def _subtree(place: Place) -> list[Entry]:
    count = len(place.entry.key)
    return [entry for entry in place.entries if entry.key[-count:] == place.entry.key]
