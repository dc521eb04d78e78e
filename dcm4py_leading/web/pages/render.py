"""Rendering of templates: what every page has in common."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache, partial
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from dcm4py_leading.web.pages import assets
from dcm4py_leading.web.pages.fields.field import label_of
from dcm4py_leading.web.pages.language import COOKIE, PARAMETER, chosen, language_of
from dcm4py_leading.web.pages.texts import Language, translate
from dcm4py_leading.web.viewer.links import links_of

_YEAR = 365 * 24 * 3600
_HTMX = json.dumps(
    {
        "allowEval": False,
        "includeIndicatorStyles": False,
        "selfRequestsOnly": True,
        # What is loaded is a part of a page, cut out of another one, whose title is not this one's.
        "ignoreTitle": True,
        "responseHandling": [
            {"code": "204", "swap": False},
            {"code": "[23]..|422", "swap": True},
            {"code": "[45]..", "swap": False, "error": True},
        ],
    }
)
"""htmx neither evaluates text nor writes style elements: the Content-Security-Policy would refuse both. A form that is
refused (422) is answered with the reason, which is shown."""


@cache
def environment() -> Environment:
    """The templates. Values are escaped, and a name that is not given is an error."""
    made = Environment(
        loader=PackageLoader("dcm4py_leading.web.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["asset"] = assets.address
    made.globals["htmx_settings"] = _HTMX
    return made


_UNDECODED = re.compile("[\ud800-\udfff]")
"""Octets of a value that its Specific Character Set does not have, as decoding leaves them. UTF-8 has them neither."""


def render(
    request: Request, template: str, context: Mapping[str, object] | None = None, *, status_code: int = 200
) -> HTMLResponse:
    """The page of a template.

    Beside ``context`` it knows ``t`` (texts), ``label`` (of attributes), ``time``, ``language``, ``nonce``,
    ``identity``, ``path``, and ``in_viewer`` (the address of a study, where there is a viewer).

    A language that was chosen by the query is remembered in a cookie.
    """
    language = language_of(request)
    shown = {
        "t": partial(translate, language),
        "language": language.value,
        "languages": [(other.value, _in_language(request, other)) for other in Language],
        "nonce": request.state.nonce,
        "identity": getattr(request.state, "identity", None),
        "label": partial(label_of, language=language),
        "time": _moment,
        "path": request.url.path,
        "in_viewer": links_of(request),
        **(context or {}),
    }
    page = _UNDECODED.sub("\N{REPLACEMENT CHARACTER}", environment().get_template(template).render(shown))
    response = HTMLResponse(page, status_code=status_code)
    response.headers["Content-Language"] = language.value
    response.headers["Vary"] = "Accept-Language, Cookie"
    if chosen(request) is not None:
        response.set_cookie(COOKIE, language.value, max_age=_YEAR, path="/ui", samesite="strict")
    return response


def _in_language(request: Request, language: Language) -> str:
    """The address of this page in another language."""
    others = [(name, value) for name, value in request.query_params.multi_items() if name != PARAMETER]
    return "?" + urlencode([*others, (PARAMETER, language.value)])


def _moment(at: datetime) -> str:
    """A time of this machine, as the log writes it."""
    return at.astimezone().isoformat(sep=" ", timespec="seconds")
