"""Conditional requests (RFC 9110 13): whoever has the answer already is told so, and gets no body.

An answer is another one as soon as the leading archive has another value, though the archive here has not changed.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from email.utils import formatdate, parsedate_to_datetime
from http import HTTPStatus
from typing import NamedTuple

from starlette.requests import Request

from dcm4py_leading.bounded_cache import BoundedCache
from dcm4py_leading.model.bounds import WEB_VALIDATORS

_ENTITY_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_SETTLED_SECONDS = 2.0
"""Since Last-Modified is told in seconds, it is not told of what has changed just now (RFC 9110 8.8.2.2)."""


class _Known(NamedTuple):
    validator: str
    since: int
    """Whole seconds, never before the change: whoever was answered in the same second may have what was before."""


class Judged(NamedTuple):
    """Outcome of the conditions of a request."""

    headers: Mapping[str, str]
    status: HTTPStatus | None
    """304 or 412, which has no body; None where the answer is to be sent."""


class Validators:
    """The last validator of each answer, and since when it is so. Safe under threads."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._known: BoundedCache[tuple[str, ...], _Known] = BoundedCache(WEB_VALIDATORS)

    def judge(self, request: Request, validator: str) -> Judged:
        """The conditions of a request; without a ``validator`` none of them holds."""
        if not validator:
            fails = "if-match" in request.headers or "if-unmodified-since" in request.headers
            return Judged({"Cache-Control": "no-store"}, HTTPStatus.PRECONDITION_FAILED if fails else None)
        since = self._since(request, validator)
        headers = {"ETag": f'W/"{validator}"', "Cache-Control": "private, no-cache"}
        if self._clock() - since >= _SETTLED_SECONDS:
            headers["Last-Modified"] = formatdate(since, usegmt=True)
        return Judged(headers, _status(request, f'"{validator}"', since, self._clock()))

    def _since(self, request: Request, validator: str) -> int:
        key = (request.url.path, request.url.query, request.headers.get("accept", ""))
        known = self._known.get(key)
        if known is None or known.validator != validator:
            known = _Known(validator, math.ceil(self._clock()))
            self._known.put(key, known)
        return known.since


def _status(request: Request, tag: str, since: int, now: float) -> HTTPStatus | None:
    """RFC 9110 13.2.2. Entity tags are weak here, so If-Match holds for ``*`` alone (RFC 9110 13.1.1).

    If-Modified-Since of the future is by a clock that is wrong, and tells nothing about what the client has.
    """
    headers = request.headers
    if "if-match" in headers:
        if headers["if-match"].strip() != "*":
            return HTTPStatus.PRECONDITION_FAILED
    elif (moment := _moment(headers.get("if-unmodified-since"))) is not None and since > moment:
        return HTTPStatus.PRECONDITION_FAILED
    if "if-none-match" in headers:
        known = headers["if-none-match"]
        return HTTPStatus.NOT_MODIFIED if known.strip() == "*" or tag in _ENTITY_TAG.findall(known) else None
    if (moment := _moment(headers.get("if-modified-since"))) is not None and since <= moment <= now:
        return HTTPStatus.NOT_MODIFIED
    return None


def _moment(text: str | None) -> float | None:
    """Seconds of an HTTP date; None where there is none, or it is wrong, which is ignored (RFC 9110 13.1.3)."""
    if text is None:
        return None
    try:
        return parsedate_to_datetime(text).timestamp()
    except ValueError:
        return None
