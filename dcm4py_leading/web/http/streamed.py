"""Answers that are sent while they are made: at the pace of the client, and visibly cut where they fail."""

from __future__ import annotations

import asyncio
import logging
import socket
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, runtime_checkable

from anyio import CancelScope, CapacityLimiter, create_task_group, wait_readable
from anyio.to_thread import run_sync
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from dcm4py_leading.errors import ClientGone, StatusError
from dcm4py_leading.model.bounds import HTTP_STALLED_SECONDS
from dcm4py_leading.web.http.connection import cut_off, socket_for_chunks

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


@runtime_checkable
class ChunksElsewhere(Chunks, Protocol):
    """The body of an answer that another thread or process makes."""

    def hand_over(self, client: socket.socket) -> None:
        """Have the chunks of HTTP written to the client, but for the last one. What is to be read is the end of them.

        Raises StatusError.
        """
        ...

    def fileno(self) -> int:
        """Descriptor that is readable when there is something to be read."""
        ...


class Streamed(Response):
    """An answer of which each part is made when the client has taken the one before.

    Whoever makes it writes it to the client, where nothing stands between: TLS, or compression.

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
        self._is_as_made = not is_compressed
        self._parts = _compressed(chunks) if is_compressed else _parts(chunks)
        self._is_whole = False
        self._is_handed_over = False
        """No thread is needed then: what is left to be read is short, and there."""
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
                await self._send(scope, send)
                group.cancel_scope.cancel()
        finally:
            if not self._is_whole:
                cut_off(scope)
            with CancelScope(shield=True):
                if self._is_handed_over:
                    self._chunks.close()
                else:
                    await run_sync(self._chunks.close, limiter=self._limiter)
            self._leave()

    async def _send(self, scope: Scope, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            if self._is_as_made and isinstance(self._chunks, ChunksElsewhere):
                self._is_handed_over = await _hand_over(self._chunks, scope)
            while (part := await self._next()) is not None:
                async with asyncio.timeout(HTTP_STALLED_SECONDS):
                    await send({"type": "http.response.body", "body": part, "more_body": True})
        except ClientGone as err:
            LOG.debug("HTTP: %s", err)
            return
        except StatusError as err:
            LOG.warning("HTTP: an answer is cut off: %s", err)
            return  # without its end, so that uvicorn ends the connection
        except TimeoutError:
            LOG.warning("HTTP: an answer is cut off: the client has taken nothing for %g s", HTTP_STALLED_SECONDS)
            self._chunks.give_up()
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        self._is_whole = True

    async def _next(self) -> bytes | None:
        if self._is_handed_over:
            return next(self._parts, None)
        return await run_sync(next, self._parts, None, limiter=self._limiter)


async def _hand_over(chunks: ChunksElsewhere, scope: Scope) -> bool:
    """Let the chunks go to the client by themselves, and wait for their end; false where they cannot."""
    client = socket_for_chunks(scope)
    if client is None:
        return False
    with client:
        chunks.hand_over(client)
    await wait_readable(chunks)
    return True


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
