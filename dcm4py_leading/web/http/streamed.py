"""Answers that are sent while they are made: at the pace of the client, and visibly cut where they fail."""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from anyio import CancelScope, CapacityLimiter, create_task_group
from anyio.to_thread import run_sync
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from dcm4py_leading.errors import StatusError
from dcm4py_leading.model.bounds import HTTP_STALLED_SECONDS

LOG = logging.getLogger(__name__)

_GZIP = 16 + zlib.MAX_WBITS
_LEVEL = 1
"""Rows of JSON are much alike; more work saves little."""


class Chunks(Protocol):
    """The body of an answer, read by one thread at a time."""

    def __next__(self) -> bytes: ...

    def give_up(self) -> None:
        """The client is gone; called from another thread."""
        ...

    def close(self) -> None:
        """End, at whatever place."""
        ...


class Streamed(Response):
    """An answer of which each part is made when the client has taken the one before.

    Where it cannot be made to its end, the connection ends without the end of the body: no client takes it for whole.
    """

    def __init__(
        self,
        chunks: Chunks,
        *,
        media_type: str,
        headers: Mapping[str, str] | None = None,
        status_code: int = 200,
        is_compressed: bool = False,
    ) -> None:
        super().__init__(None, status_code=status_code, headers=headers)
        del self.headers["content-length"]
        self.headers["Content-Type"] = media_type
        if is_compressed:
            self.headers["Content-Encoding"] = "gzip"
        self._chunks = chunks
        self._parts = _compressed(chunks) if is_compressed else _parts(chunks)
        self._limiter: CapacityLimiter | None = None
        self._leave: Callable[[], None] = lambda: None

    def stay_in(self, limiter: CapacityLimiter, leave: Callable[[], None]) -> None:
        """Run in the threads of a room; ``leave`` is called at the end."""
        self._limiter, self._leave = limiter, leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            async with create_task_group() as group:

                async def watch() -> None:
                    while (await receive())["type"] != "http.disconnect":
                        pass
                    self._chunks.give_up()
                    group.cancel_scope.cancel()

                group.start_soon(watch)
                await self._send(send)
                group.cancel_scope.cancel()
        finally:
            with CancelScope(shield=True):
                await run_sync(self._chunks.close, limiter=self._limiter)
            self._leave()

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            while (part := await run_sync(next, self._parts, None, limiter=self._limiter)) is not None:
                async with asyncio.timeout(HTTP_STALLED_SECONDS):
                    await send({"type": "http.response.body", "body": part, "more_body": True})
        except StatusError as err:
            LOG.warning("HTTP: an answer is cut off: %s", err)
            return  # without its end, so that uvicorn ends the connection
        except TimeoutError:
            LOG.warning("HTTP: an answer is cut off: the client has taken nothing for %g s", HTTP_STALLED_SECONDS)
            self._chunks.give_up()
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _parts(chunks: Chunks) -> Iterator[bytes]:
    while (chunk := next(chunks, None)) is not None:
        if chunk:
            yield chunk


def _compressed(chunks: Chunks) -> Iterator[bytes]:
    gzip = zlib.compressobj(_LEVEL, wbits=_GZIP)
    for part in _parts(chunks):
        if compressed := gzip.compress(part):
            yield compressed
    yield gzip.flush()
