"""Answers that say no: JSON to programs, a small page to people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from html import escape

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from dcm4py_leading.config.report.problem_json import problem_json
from dcm4py_leading.errors import Problem

PAGES = "/ui/"
"""Pages stand below this path."""
VIEWER = "/viewer/"
"""The viewer of the site stands below this path."""

RefusalPage = Callable[[Request, int, str], Response]
"""A page with status and message."""
_PAGE = "refusal_page"


def is_page(path: str) -> bool:
    """True for a path of the pages or of the viewer, which are for people."""
    return path.startswith((PAGES, VIEWER)) or path == VIEWER.rstrip("/")


def is_for_people(request: Request) -> bool:
    """True if the path is that of a page."""
    return is_page(request.url.path)


def error(
    status: int, message: str, problems: Iterable[Problem] = (), *, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """``errorMessage`` as dcm4chee has it, but as JSON that can be read; with problems where there are some."""
    body: dict[str, object] = {"errorMessage": message}
    if told := [problem_json(problem) for problem in problems]:
        body["problems"] = told
    return JSONResponse(body, status_code=status, headers=headers)


def refusal(request: Request, status: int, message: str, *, headers: Mapping[str, str] | None = None) -> Response:
    """The same for programs; for people the page of the application (`refuse_by`), or a plain one."""
    if not is_for_people(request):
        return error(status, message, headers=headers)
    page: RefusalPage = getattr(request.app.state, _PAGE, _plain)
    response = page(request, status, message)
    response.headers.update(headers or {})
    return response


def refuse_by(app: Starlette, page: RefusalPage) -> None:
    """Let the application say no to people by this page."""
    setattr(app.state, _PAGE, page)


def _plain(_: Request, status: int, message: str) -> Response:
    page = f'<!doctype html>\n<html lang="en">\n<title>{status}</title>\n<h1>{status}</h1>\n<p>{escape(message)}</p>\n'
    return HTMLResponse(page, status_code=status)
