"""Page for requests that are refused before a handler runs: no role, no such page, a failure."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from dcm4py_leading.web.pages.language import language_of
from dcm4py_leading.web.pages.render import render
from dcm4py_leading.web.pages.texts import translate

_TITLES = {403: "fault.forbidden", 404: "fault.missing", 500: "fault.failed"}


def refused_page(request: Request, status: int, message: str) -> Response:
    """Page that tells people of a refusal (see `answers.RefusalPage`)."""
    title = translate(language_of(request), _TITLES.get(status, "fault.refused"))
    return render(request, "fault.html", {"title": title, "message": message}, status_code=status)
