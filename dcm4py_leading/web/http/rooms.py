"""Threads for HTTP requests, apart for each kind: what waits for another system keeps no health check waiting."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import wraps

from anyio import CapacityLimiter, Semaphore
from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response

from dcm4py_leading.log import Repeated
from dcm4py_leading.web.http.answers import refusal
from dcm4py_leading.web.http.streamed import Streamed

LOG = logging.getLogger(__name__)

Handler = Callable[[Request], Response]
Endpoint = Callable[[Request], Awaitable[Response]]


class Room:
    """So many requests of one kind are served at once, and so many wait; the others are refused with 503.

    An answer that is `Streamed` counts up to its end.
    """

    def __init__(self, what: str, *, threads: int, waiting: int, streams: int | None = None) -> None:
        """``what`` names the kind, for the log; ``streams`` bounds the answers under way, which need no thread."""
        self._what = what
        self._threads = threads
        self._streams = threads + waiting if streams is None else streams
        self._most = max(threads, streams or 0) + waiting
        self._places: Semaphore | None = None
        self._limiter: CapacityLimiter | None = None
        self._count = 0
        self._refused = Repeated(LOG)

    def serves(self, handler: Handler) -> Endpoint:
        """The endpoint that runs ``handler`` here."""

        @wraps(handler)
        async def endpoint(request: Request) -> Response:
            if self._count >= self._most:
                self._refused.warning("HTTP: a request to %s was refused, as %d are waiting", self._what, self._count)
                too_many = f"too many requests to {self._what} at once"
                return refusal(request, 503, too_many, headers={"Retry-After": "5"})
            if self._limiter is None or self._places is None:  # they belong to the event loop, which is there now
                self._limiter = CapacityLimiter(self._threads)
                self._places = Semaphore(self._streams)
            self._count += 1
            try:
                await self._places.acquire()
            except BaseException:  # leaves, and raises on whatever it was
                self._count -= 1
                raise
            try:
                response = await run_sync(handler, request, limiter=self._limiter)
            except BaseException:  # leaves, and raises on whatever it was
                self._leave()
                raise
            if isinstance(response, Streamed):
                response.stay_in(self._limiter, self._leave)
            else:
                self._leave()
            return response

        return endpoint

    def _leave(self) -> None:
        assert self._places is not None
        self._places.release()
        self._count -= 1
