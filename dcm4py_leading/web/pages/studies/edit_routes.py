"""Routes of the pages of values and edits of a study."""

from __future__ import annotations

from typing import Protocol

from starlette.routing import BaseRoute

from dcm4py_leading.model.values import Level
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.pages.answering import Rooms
from dcm4py_leading.web.pages.places import STUDY
from dcm4py_leading.web.pages.studies.edit import EditPage, StudyEditor
from dcm4py_leading.web.pages.studies.permitted import AEsSource, permitted
from dcm4py_leading.web.pages.studies.three_values import ThreeValuesPage, ValuesSource
from dcm4py_leading.web.pages.titles import Titles

_EDITS = {"edit": Level.STUDY, "patient": Level.PATIENT}


class EditPagesService(AEsSource, ValuesSource, StudyEditor, Protocol):
    """The service as these pages use it."""


def edit_routes(service: EditPagesService, rooms: Rooms, titles: Titles) -> list[BaseRoute]:
    """The routes."""
    routes: list[BaseRoute] = [rooms.seen(f"{STUDY}/values", permitted(service, ThreeValuesPage(service, titles).show))]
    for name, level in _EDITS.items():
        page = EditPage(service, titles, level)
        routes.append(rooms.seen(f"{STUDY}/{name}", page.show, Role.ADMINISTRATOR))
        routes.append(rooms.sent(f"{STUDY}/{name}", page.change))
    return routes
