"""Language of a page: the reader's choice, else what the browser accepts (RFC 9110 12.5.4)."""

from __future__ import annotations

from starlette.requests import Request

from dcm4py_leading.web.pages.texts import Language

PARAMETER = "lang"
COOKIE = "dcm4py-lang"
"""Holds a language tag and nothing else, so a script may read it."""


def chosen(request: Request) -> Language | None:
    """The language that the query asks for, which is remembered."""
    return _language(request.query_params.get(PARAMETER, ""))


def language_of(request: Request) -> Language:
    """The language of a page."""
    remembered = _language(request.cookies.get(COOKIE, ""))
    return chosen(request) or remembered or accepted(request.headers.get("accept-language", "")) or Language.ENGLISH


def accepted(header: str) -> Language | None:
    """The best one of ours that Accept-Language names; None where it names none."""
    weighted = []
    for part in header.split(","):
        tag, _, parameters = part.partition(";")
        language = _language(tag.strip().lower().partition("-")[0])
        weight = _weight(parameters)
        if language is not None and weight > 0:
            weighted.append((weight, language))
    return max(weighted, key=lambda pair: pair[0])[1] if weighted else None


def _language(tag: str) -> Language | None:
    return next((language for language in Language if language.value == tag), None)


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    try:
        return float(value) if name.strip() == "q" else 1.0
    except ValueError:
        return 0.0
