"""Page of remembered answers of leading archives: UIDs and ages, no patient data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dcm4py_leading.errors import StatusError
from dcm4py_leading.leading.last_known_list import KnownStudy
from dcm4py_leading.leading.lookup import CachedAnswer
from dcm4py_leading.log import ref
from dcm4py_leading.model.bounds import LISTED_ANSWERS
from dcm4py_leading.model.values import UID
from dcm4py_leading.web.gate.command_log import log_command
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.pages.changing.form import Form, one_of
from dcm4py_leading.web.pages.fields.words import age_in_words
from dcm4py_leading.web.pages.language import language_of
from dcm4py_leading.web.pages.leading.service import LeadingArchives
from dcm4py_leading.web.pages.places import LEADING_ANSWERS
from dcm4py_leading.web.pages.render import render

ALL = "all"
"""Sent in place of a UID to drop all answers."""
_UID_CHARACTERS = frozenset("0123456789.")
_MAX_CHARACTERS = 64
"""Of a UID (PS3.5 9.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One page of a list."""

    rows: Sequence[CachedAnswer] | Sequence[KnownStudy] = ()
    start: int = 0
    count: int = 0
    """Number of all, on all pages."""
    failure: str = ""
    """Why nothing can be told."""

    @property
    def before(self) -> int | None:
        """Where the page before begins."""
        return max(self.start - LISTED_ANSWERS, 0) if self.start else None

    @property
    def after(self) -> int | None:
        """Where the next page begins."""
        following = self.start + LISTED_ANSWERS
        return following if following < self.count else None


class AnswersPage:
    """Handlers; each runs in a worker thread."""

    def __init__(self, service: LeadingArchives) -> None:
        self._service = service

    def show(self, request: Request) -> Response:
        """The answers in whose Study Instance UID ``q`` stands; ``from`` and ``known`` tell where the lists begin."""
        query = request.query_params
        wanted = query.get("q", "").strip()
        is_uid = len(wanted) <= _MAX_CHARACTERS and _UID_CHARACTERS.issuperset(wanted)
        context = {
            "q": wanted if is_uid else "",
            "is_uid": is_uid,
            "cached": self._cached(wanted, _number(query.get("from", ""))) if is_uid else Listed(),
            "known": self._known(wanted, _number(query.get("known", ""))) if is_uid else Listed(),
            "max_age": self._service.leading.last_known_max_age,
            "age": partial(age_in_words, language=language_of(request)),
            "dropped": _number(query["dropped"]) if "dropped" in query else None,
            "all": ALL,
            "may_change": request.state.identity.may(Role.ADMINISTRATOR),
        }
        return render(request, "leading_answers.html", context)

    def drop(self, request: Request, form: Form) -> Response:
        """Forget the answers about one study, or all. Raises ValueError for what is no UID."""
        study = one_of(form, "study")
        uid = None if study == ALL else UID(study)
        log_command(request, f"answers of leading archives are to be dropped, study={ALL if uid is None else ref(uid)}")
        query = urlencode({"dropped": self._service.drop_answers(uid)})
        return RedirectResponse(f"{LEADING_ANSWERS}?{query}", status_code=303)

    def _cached(self, wanted: str, start: int) -> Listed:
        found = [study for study in self._service.cached_studies() if wanted in study.study_instance_uid]
        return Listed(rows=found[start : start + LISTED_ANSWERS], start=start, count=len(found))

    def _known(self, wanted: str, start: int) -> Listed:
        try:
            found = self._service.leading.last_known(wanted, start=start, limit=LISTED_ANSWERS)
        except StatusError as err:
            return Listed(failure=str(err))
        return Listed(rows=found.page, start=start, count=found.count)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
