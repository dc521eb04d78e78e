"""Routes that are not operations, for the OpenAPI document: method, path, roles, purpose."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from starlette.routing import BaseRoute, Route

from dcm4py_leading.web.gate.access import roles_needed
from dcm4py_leading.web.http.answers import PAGES
from dcm4py_leading.web.rest.operations import JsonSchema

_RS = "/dcm4chee-arc/aets/{aet}/rs"
_INSTANCE = _RS + "/studies/{study}/series/{series}/instances/{instance}"
SUMMARIES = {
    _RS + "/instances": "QIDO-RS: instances; see docs/dicomweb.md.",
    _RS + "/instances/count": "Number of matches of such a search.",
    _RS + "/patients": "QIDO-RS: patients; see docs/dicomweb.md.",
    _RS + "/patients/count": "Number of matches of such a search.",
    _RS + "/series": "QIDO-RS: series; see docs/dicomweb.md.",
    _RS + "/series/count": "Number of matches of such a search.",
    _RS + "/studies": "QIDO-RS: studies; see docs/dicomweb.md.",
    "POST " + _RS + "/studies": "STOW-RS: store objects; see docs/dicomweb.md.",
    _RS + "/studies/count": "Number of matches of such a search.",
    _RS + "/studies/{study}": "WADO-RS: the objects of a study; see docs/dicomweb.md.",
    "POST " + _RS + "/studies/{study}": "STOW-RS: store objects of a study.",
    _RS + "/studies/{study}/instances": "QIDO-RS: the instances of a study; see docs/dicomweb.md.",
    _RS + "/studies/{study}/instances/count": "Number of matches of such a search.",
    _RS + "/studies/{study}/series": "QIDO-RS: the series of a study; see docs/dicomweb.md.",
    _RS + "/studies/{study}/series/count": "Number of matches of such a search.",
    _RS + "/studies/{study}/series/{series}": "WADO-RS: the objects of a series; see docs/dicomweb.md.",
    _RS + "/studies/{study}/series/{series}/instances": "QIDO-RS: the instances of a series; see docs/dicomweb.md.",
    _RS + "/studies/{study}/series/{series}/instances/count": "Number of matches of such a search.",
    _INSTANCE: "WADO-RS: one object; see docs/dicomweb.md.",
    _INSTANCE + "/bulkdata/{path}": "WADO-RS: one large value.",
    _INSTANCE + "/frames/{list}": "WADO-RS: frames of an image.",
    _INSTANCE + "/frames/{list}/rendered": "WADO-RS: frames as pictures.",
    _INSTANCE + "/frames/{list}/thumbnail": "WADO-RS: a frame as a small picture.",
    _INSTANCE + "/metadata": "WADO-RS: its attributes.",
    _INSTANCE + "/rendered": "WADO-RS: an object as a picture or document.",
    _INSTANCE + "/thumbnail": "WADO-RS: an object as a small picture.",
    _RS + "/studies/{study}/series/{series}/metadata": "WADO-RS: attributes of the objects of a series.",
    _RS + "/studies/{study}/metadata": "WADO-RS: attributes of the objects of a study.",
    _RS + "/studies/{study}/rendered": "WADO-RS: the images of a study as pictures.",
    _RS + "/studies/{study}/series/{series}/rendered": "WADO-RS: the images of a series as pictures.",
    _RS + "/studies/{study}/series/{series}/thumbnail": "WADO-RS: a small picture of a series.",
    _RS + "/studies/{study}/thumbnail": "WADO-RS: a small picture of a study.",
    "/dcm4chee-arc/aets/{aet}/wado": "WADO-URI: one object, as it is or as a picture; see docs/dicomweb.md.",
    "/dcm4py-leading/configuration": "The configuration in force.",
    "/dcm4py-leading/configuration/pending": "What a reload would change.",
    "/dcm4py-leading/listeners": "The listeners for DICOM.",
    "/dcm4py-leading/workers": "The processes that take associations.",
    "/explain/{study}": "The same as /dcm4py-leading/explain/{study}.",
    "/health/live": "Whether the process lives.",
    "/health/ready": "Readiness of the service, and what is wrong with it.",
    "/leading-cache": "The answers of leading archives that are remembered.",
    "/leading-cache/{study}": "Forget the answer about one study.",
    "/log-reference/{uid}": "By which reference the log names a study.",
    "/metrics": "Numbers for Prometheus, as text.",
}


def others(routes: Iterable[BaseRoute]) -> dict[str, dict[str, Any]]:
    """The path items of these routes, pages left out."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        if isinstance(route, Route) and not route.path.startswith(PAGES):
            for method in sorted((route.methods or set()) - {"HEAD"}):
                paths.setdefault(route.path_format, {})[method.lower()] = _operation(route, method)
    return paths


def _operation(route: Route, method: str) -> dict[str, Any]:
    roles = " or ".join(sorted(role.value for role in roles_needed(route)))
    string: JsonSchema = {"type": "string", "minLength": 1}
    return {
        "summary": SUMMARIES.get(f"{method} {route.path_format}") or SUMMARIES.get(route.path_format, ""),
        "description": f"Role: {roles}." if roles else "For everybody.",
        "tags": ["service"],
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": string} for name in route.param_convertors
        ],
        "responses": {"default": {"description": "see docs/operations.md"}},
    }
