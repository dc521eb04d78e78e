"""Routes of the pages of studies."""

from __future__ import annotations

from typing import Protocol

from starlette.routing import BaseRoute, Route

from dcm4py_leading.model.bounds import HTTP_WAITING_REQUESTS, PICTURES_AT_ONCE
from dcm4py_leading.web.gate.access import needs
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.http.rooms import Room
from dcm4py_leading.web.pages.answering import Rooms, answered
from dcm4py_leading.web.pages.places import STUDIES, STUDY
from dcm4py_leading.web.pages.studies.deleting import DeletePage, StudyDeletion
from dcm4py_leading.web.pages.studies.permitted import permitted
from dcm4py_leading.web.pages.studies.picture import PicturePage, PictureSource
from dcm4py_leading.web.pages.studies.searching import SearchPage, StudySearcher
from dcm4py_leading.web.pages.studies.study import StudyPages


class StudiesService(StudySearcher, StudyDeletion, PictureSource, Protocol):
    """The service as the pages of studies use it."""


def studies_routes(service: StudiesService, rooms: Rooms) -> list[BaseRoute]:
    """The routes."""
    search, studies, deleting = SearchPage(service), StudyPages(service), DeletePage(service)
    # Which bounds how many are decoded at once, and lets no page wait for them.
    decoding = Room("pictures of studies", threads=PICTURES_AT_ONCE, waiting=HTTP_WAITING_REQUESTS)
    picture = decoding.serves(answered(permitted(service, PicturePage(service).show)))
    emptying = Room("deletions by the pages", threads=1, waiting=HTTP_WAITING_REQUESTS)
    return [
        rooms.seen(STUDIES, search.show),
        rooms.asked(STUDIES, search.search),
        rooms.seen(STUDY, permitted(service, studies.show)),
        rooms.seen(f"{STUDY}/series/{{series_uid}}", permitted(service, studies.series)),
        Route(f"{STUDY}/picture", needs(Role.VIEWER, picture), methods=["GET"]),
        rooms.seen(f"{STUDY}/delete", deleting.ask, Role.ADMINISTRATOR),
        rooms.sent(f"{STUDY}/delete", deleting.delete, emptying),
    ]
