"""Body of an HTTP/1.1 answer that goes straight from the process with the archive to the socket of the client.

The process with the web server sends the head of the answer and its end, and nothing between.
"""

from __future__ import annotations

import errno
import select
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType

from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.dicom.upper.pace import OF_PEERS
from dcm4py_leading.errors import ClientGone, StatusError, StorageUnavailable
from dcm4py_leading.model.bounds import HTTP_STALLED_SECONDS

_BUFFERS_AT_ONCE = 1000
"""Fewer than IOV_MAX."""
_MOST = 1 << 24
"""Octets of a chunk: clients keep its length in 32 bits."""


class ChunkedBody:
    """Writer of the chunks (RFC 9112 7.1) but for the last one.

    The socket is that of an event loop, so it never blocks: who waits is here. It is closed at the end of the block.
    ``reader`` leads to the process with the web server, which hangs up when it gives the client up: that may be so
    while the connection still stands, as with a client that has closed its half of it.
    """

    def __init__(self, client: socket.socket, reader: socket.socket) -> None:
        self._client = client
        self._reader = reader
        self._waited, self._taken = 0.0, 0
        self._poll = select.poll()
        self._poll.register(client, select.POLLOUT)
        self._poll.register(reader, 0)  # POLLHUP is told all the same

    def __enter__(self) -> ChunkedBody:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()

    def write(self, buffers: Sequence[Buffer]) -> None:
        """Send buffers, of which some may be maps of a file.

        Raises ClientGone, StatusError where the client takes nothing, StorageUnavailable where a map reaches beyond its
        file.
        """
        for piece, size in pieces(buffers, _MOST):
            self._send([b"%x\r\n" % size, *piece, b"\r\n"])

    def _send(self, buffers: Sequence[Buffer]) -> None:
        waiting = [memoryview(buffer) for buffer in buffers]
        while waiting:
            try:
                with reading_maps():
                    sent = self._client.sendmsg(waiting[:_BUFFERS_AT_ONCE], (), socket.MSG_DONTWAIT)
            except BlockingIOError:
                self._await_client()
                continue
            except OSError as err:
                raise ClientGone("the client has left") from err
            self._taken += sent
            done = 0
            while done < len(waiting) and sent >= len(waiting[done]):
                sent -= len(waiting[done])
                done += 1
            del waiting[:done]
            if sent:
                waiting[0] = waiting[0][sent:]

    def _await_client(self) -> None:
        since = time.monotonic()
        ready = self._poll.poll(HTTP_STALLED_SECONDS * 1000)
        if any(descriptor == self._reader.fileno() for descriptor, _ in ready):
            raise ClientGone("the client has been given up")
        if not ready:
            raise StatusError(f"the client has taken nothing for {HTTP_STALLED_SECONDS:g} s")
        self._waited += time.monotonic() - since
        if OF_PEERS.is_missed(self._waited, self._taken):
            raise StatusError(f"the client takes less than {OF_PEERS.bytes_a_second} octets a second")


@contextmanager
def reading_maps() -> Iterator[None]:
    """Raise StorageUnavailable where the system cannot read a map, of which the file has become shorter."""
    try:
        yield
    except OSError as err:
        if err.errno == errno.EFAULT:
            raise StorageUnavailable("a stored object cannot be read") from err
        raise


def pieces(buffers: Sequence[Buffer], most: int) -> Iterator[tuple[list[Buffer], int]]:
    """The octets of buffers, not read, in lists of at most so many, each with their number."""
    some: list[Buffer] = []
    size = 0
    for buffer in buffers:
        view = memoryview(buffer)
        for at in range(0, len(view), most):
            part = view[at : at + most]
            if size + len(part) > most:
                yield some, size
                some, size = [], 0
            some.append(part)
            size += len(part)
    if some:
        yield some, size
