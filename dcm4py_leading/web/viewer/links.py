"""Links of the pages to the viewer."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.requests import Request

from dcm4py_leading.web.http.answers import VIEWER

_IS_OFFERED = "is_viewer_offered"


def offer(app: Starlette) -> None:
    """Let the pages of the application have links to the viewer."""
    setattr(app.state, _IS_OFFERED, True)


def links_of(request: Request) -> Callable[[str, str], str] | None:
    """The function `study_in_viewer`; None where the application has no viewer."""
    return study_in_viewer if getattr(request.app.state, _IS_OFFERED, False) else None


def study_in_viewer(ae_title: str, study_instance_uid: str) -> str:
    """Address of a study of an AE in OHIF's basic mode."""
    return f"{VIEWER}viewer/{quote(ae_title, safe='')}?StudyInstanceUIDs={quote(study_instance_uid, safe='')}"
