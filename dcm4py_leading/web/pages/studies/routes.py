"""The routes of the pages of studies."""

from __future__ import annotations

from typing import Protocol

from starlette.routing import BaseRoute

from dcm4py_leading.web.pages.answering import Rooms
from dcm4py_leading.web.pages.places import STUDIES
from dcm4py_leading.web.pages.studies.searching import Searched, SearchPage
from dcm4py_leading.web.pages.studies.study import Looked, StudyPages

_STUDY = f"{STUDIES}/{{aet}}/{{study_uid}}"


class StudiesService(Searched, Looked, Protocol):
    """The service as the pages of studies use it."""


def studies_routes(service: StudiesService, rooms: Rooms) -> list[BaseRoute]:
    """All of them."""
    search, studies = SearchPage(service), StudyPages(service)
    return [
        rooms.seen(STUDIES, search.show),
        rooms.asked(STUDIES, search.search),
        rooms.seen(_STUDY, studies.show),
        rooms.seen(f"{_STUDY}/series/{{series_uid}}", studies.series),
    ]
