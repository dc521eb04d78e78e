"""``/leading-cache``: which answers of leading archives are remembered, and to forget them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dcm4py_leading.leading.lookup import CachedAnswer
from dcm4py_leading.model.values import UID
from dcm4py_leading.web.gate.access import needs
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.http.answers import error
from dcm4py_leading.web.http.rooms import Room


class LeadingAnswers(Protocol):
    """The leading cache as the routes may use it. Called from a worker thread."""

    def cached_studies(self) -> Sequence[CachedAnswer]:
        """Studies that the leading cache holds, the oldest answer first."""
        ...

    def drop_answers(self, study_instance_uid: UID | None) -> int:
        """Forget one study, or all, last known answers included; how many answers the cache held."""
        ...


def leading_cache_routes(answers: LeadingAnswers, room: Room) -> list[Route]:
    """The routes. They show Study Instance UIDs, which an administrator needs to drop one."""

    def list_studies(_: Request) -> Response:
        studies = [study_json(study) for study in answers.cached_studies()]
        return JSONResponse(studies)

    def drop_all(_: Request) -> Response:
        return JSONResponse({"dropped": answers.drop_answers(None)})

    def drop(request: Request) -> Response:
        try:
            study_instance_uid = UID(request.path_params["study"])
        except ValueError as err:
            return error(400, f"study: {err}")
        return JSONResponse({"dropped": answers.drop_answers(study_instance_uid)})

    return [
        Route("/leading-cache", needs(Role.VIEWER, room.serves(list_studies)), methods=["GET"]),
        Route("/leading-cache", needs(Role.ADMINISTRATOR, room.serves(drop_all)), methods=["DELETE"]),
        # A path, so that an empty study is a wrong one, and not redirected to where all are dropped.
        Route("/leading-cache/{study:path}", needs(Role.ADMINISTRATOR, room.serves(drop)), methods=["DELETE"]),
    ]


def study_json(study: CachedAnswer) -> dict[str, str | float | bool]:
    """One remembered answer."""
    return {
        "leadingAETitle": study.leading_cfind_scp,
        "studyInstanceUID": study.study_instance_uid,
        "ageSeconds": round(study.age.total_seconds(), 3),
        "isFound": study.is_found,
    }
