"""The routes of the page that tries rules."""

from __future__ import annotations

from starlette.routing import BaseRoute, Route

from dcm4py_leading.model.bounds import HTTP_WAITING_REQUESTS, TRIED_FILES_AT_ONCE
from dcm4py_leading.web.gate.access import needs
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.http.rooms import Room
from dcm4py_leading.web.pages.answering import Rooms
from dcm4py_leading.web.pages.places import TRY
from dcm4py_leading.web.pages.trying.page import TryPage
from dcm4py_leading.web.pages.trying.upload import Uploads


def trying_routes(page: TryPage, rooms: Rooms) -> list[BaseRoute]:
    """All of them. A trial may wait for a leading archive, and so has a room of its own."""
    uploads = Uploads(Room("trials of rules", threads=TRIED_FILES_AT_ONCE, waiting=HTTP_WAITING_REQUESTS))
    return [
        rooms.seen(TRY, page.show),
        Route(TRY, needs(Role.VIEWER, uploads.posted(page.carry_out)), methods=["POST"]),
    ]
