"""Routes of the leading archives."""

from __future__ import annotations

from starlette.routing import BaseRoute

from dcm4py_leading.model.bounds import HTTP_THREADS, HTTP_WAITING_REQUESTS
from dcm4py_leading.web.http.rooms import Room
from dcm4py_leading.web.pages.answering import Rooms
from dcm4py_leading.web.pages.leading.answers import AnswersPage
from dcm4py_leading.web.pages.leading.page import LeadingPage
from dcm4py_leading.web.pages.leading.service import LeadingArchives
from dcm4py_leading.web.pages.places import LEADING, LEADING_ANSWERS


def leading_routes(service: LeadingArchives, rooms: Rooms) -> list[BaseRoute]:
    """All of them. A C-ECHO waits for a peer, and so has a room of its own."""
    archives, answers = LeadingPage(service), AnswersPage(service)
    echoing = Room("C-ECHO by the pages", threads=HTTP_THREADS, waiting=HTTP_WAITING_REQUESTS)
    return [
        rooms.seen(LEADING, archives.show),
        rooms.seen(f"{LEADING}/live", archives.live),
        rooms.asked(f"{LEADING}/echo", archives.echo, room=echoing),
        rooms.seen(LEADING_ANSWERS, answers.show),
        rooms.sent(f"{LEADING_ANSWERS}/drop", answers.drop),
    ]
