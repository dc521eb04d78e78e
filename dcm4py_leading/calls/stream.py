"""Kind of call whose answer is long: a head, and then bytes while they are made.

A socket carries it between processes; the reader's pace is that of the writer, and a reader that is gone ends the work.
On the socket are frames: an octet that tells the kind, four octets of length, big endian, and the content. The body of
a question, where it has one, goes before the answer in such frames. The reader answers the frame HEAD with an octet:
either it reads the chunks as frames, or it hands over the socket of an HTTP client, to which they are written, or the
head is enough. Only the frame END makes an answer whole.
"""

from __future__ import annotations

import json
import logging
import select
import socket
import struct
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from dcm4py_leading.calls.call import Form, Here, Json
from dcm4py_leading.calls.chunked_body import ChunkedBody, pieces, reading_maps
from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.errors import RequestBrokenOff, StatusError
from dcm4py_leading.model.bounds import HTTP_STALLED_SECONDS, STREAM_SILENT_SECONDS
from dcm4py_leading.service.dicomweb.chunks import Chunks, HeadSuffices

LOG = logging.getLogger(__name__)

Q = TypeVar("Q")
H = TypeVar("H")
IsGone = Callable[[], bool]
Error = Callable[[Exception], Json]

_FRAME = struct.Struct(">cI")
_HEAD, _CHUNK, _FAILURE, _END = b"H", b"C", b"F", b"E"
_HERE, _TO_CLIENT, _NOWHERE = b"R", b"D", b"N"
"""Answers of the reader to the frame HEAD."""
_MOST = 1 << 20
"""Octets of the frame CHUNK."""
_DEAD = "the process that answers has ended, or answers no more"


class Asker:
    """Whoever waits for an answer, at the other end of the socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def __call__(self) -> bool:
        """True if nobody waits any more."""
        return _is_gone(self._socket)

    def body(self) -> Generator[bytes]:
        """The body of the question, while it arrives. Raises RequestBrokenOff."""
        while True:
            try:
                kind, content = _receive(self._socket)
            except StatusError as err:
                raise RequestBrokenOff("the client has ended the request before its end") from err
            if kind == _END:
                return
            yield content


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamCall(Generic[Q, H]):
    """A kind of question with a long answer."""

    name: str
    do: Callable[[Here, Q, Asker], tuple[H, Chunks]]
    """Head and chunks of the answer."""
    question: Form[Q]
    head: Form[H]


class Stream(Generic[H]):
    """An answer: its head, and its chunks, to be read by one thread at a time and closed."""

    def __init__(self, head: H, chunks: Generator[bytes], sock: socket.socket) -> None:
        self.head = head
        self._chunks = chunks
        self._socket = sock
        self._is_asked_for = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        """The next chunk. Raises StatusError where the answer ends before it is whole."""
        if not self._is_asked_for:
            self._ask_for(_HERE)
        return next(self._chunks)

    def hand_over(self, client: socket.socket) -> None:
        """Have the chunks written to the client of HTTP; here there is only the end, to be waited for and read.

        Raises StatusError.
        """
        self._ask_for(_TO_CLIENT, client.fileno())

    def end_with_head(self) -> None:
        """Close it where the head is all that is wanted."""
        if not self._is_asked_for:
            self._ask_for(_NOWHERE)
        self.close()

    def fileno(self) -> int:
        """Descriptor that is readable when there is something to be read."""
        return self._socket.fileno()

    def _ask_for(self, where: bytes, *descriptors: int) -> None:
        self._is_asked_for = True
        try:
            socket.send_fds(self._socket, [where], descriptors)
        except OSError as err:
            raise StatusError(_DEAD) from err

    def give_up(self) -> None:
        """Let the side that answers know, from any thread, that nobody waits any more."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End it, at whatever place."""
        self._chunks.close()
        self._socket.close()


def stream_here(
    call: StreamCall[Q, H],
    question: Q,
    answer: Callable[[str, Json, socket.socket, Error], None],
    body: Iterable[bytes] | None = None,
) -> Stream[H]:
    """The answer of this process, which ``answer`` writes on a thread of its own."""
    ours, theirs = socket.socketpair()
    raised: list[Exception] = []

    def error(err: Exception) -> Json:
        raised.append(err)
        return None

    threading.Thread(
        target=answer, args=(call.name, call.question.to_json(question), theirs, error), name=call.name, daemon=True
    ).start()
    return read_stream(ours, call, lambda _: raised[0], body)


def write_stream(sock: socket.socket, call: StreamCall[Q, H], here: Here, question: Json, error: Error) -> None:
    """Answer over a socket, which is closed at the end. Nothing is raised: the frame tells, or the lack of one."""
    with sock:
        sock.settimeout(HTTP_STALLED_SECONDS)
        try:
            head, chunks = call.do(here, call.question.from_json(question), Asker(sock))
        except Exception as err:  # noqa: BLE001 - every question has an answer
            with suppress(OSError):
                _send(sock, _FAILURE, json.dumps(error(err)).encode())
            return
        try:
            _send(sock, _HEAD, json.dumps(call.head.to_json(head)).encode())
            where, descriptors, _, _ = socket.recv_fds(sock, 1, 1)
            if descriptors:
                with ChunkedBody(socket.socket(fileno=descriptors[0]), sock) as body:
                    for chunk in chunks:
                        body.write(chunk)
            elif where == _NOWHERE:
                with suppress(HeadSuffices, StopIteration):
                    chunks.throw(HeadSuffices)
                return
            elif where:
                for chunk in chunks:
                    for piece, size in pieces(chunk, _MOST):
                        _send_buffers(sock, _CHUNK, piece, size)
            else:
                return
            _send(sock, _END, b"")
        except OSError:
            LOG.debug("%s: the answer is not waited for any more", call.name)
        except Exception as err:  # noqa: BLE001 - every question has an answer
            with suppress(OSError):
                _send(sock, _FAILURE, json.dumps(error(err)).encode())
        finally:
            chunks.close()


def read_stream(
    sock: socket.socket,
    call: StreamCall[Any, H],
    failure: Callable[[Json], Exception],
    body: Iterable[bytes] | None = None,
) -> Stream[H]:
    """The answer that `write_stream` writes, after the body of the question has been sent.

    Raises what ``failure`` makes of an error, what ``body`` raises, and StatusError for a dead end.
    """
    sock.settimeout(STREAM_SILENT_SECONDS)
    try:
        if body is not None:
            _send_body(sock, body)
        kind, content = _receive(sock)
        if kind == _FAILURE:
            raise failure(json.loads(content))
    except BaseException:  # closes, and raises on whatever it was
        sock.close()
        raise

    def chunks() -> Generator[bytes]:
        while True:
            kind, content = _receive(sock)
            if kind == _END:
                return
            if kind == _FAILURE:
                raise failure(json.loads(content))
            yield content

    return Stream(call.head.from_json(json.loads(content)), chunks(), sock)


def _send_body(sock: socket.socket, body: Iterable[bytes]) -> None:
    """Send the body of a question, up to its end or to the beginning of the answer."""
    poll = select.poll()
    poll.register(sock, select.POLLIN | select.POLLOUT)
    for chunk in body:
        left = memoryview(_FRAME.pack(_CHUNK, len(chunk)) + chunk)
        while left:
            ready = poll.poll(STREAM_SILENT_SECONDS * 1000)
            # Whoever answers reads no more, and could wait for us to read while we wait for it.
            if not ready or ready[0][1] != select.POLLOUT:
                LOG.debug("a question is answered before its end, or never")
                return
            try:
                left = left[sock.send(left) :]
            except OSError:
                LOG.debug("a question is answered before its end, or never")
                return
    with suppress(OSError):
        _send(sock, _END, b"")


def _send(sock: socket.socket, kind: bytes, content: bytes) -> None:
    sock.sendall(_FRAME.pack(kind, len(content)) + content)


def _send_buffers(sock: socket.socket, kind: bytes, buffers: Sequence[Buffer], size: int) -> None:
    with reading_maps():
        sock.sendall(_FRAME.pack(kind, size))
        for buffer in buffers:
            sock.sendall(buffer)


def _receive(sock: socket.socket) -> tuple[bytes, bytes]:
    try:
        kind, length = _FRAME.unpack(_read(sock, _FRAME.size))
        return kind, _read(sock, length)
    except (OSError, EOFError) as err:
        raise StatusError(_DEAD) from err


def _read(sock: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return bytes(data)


def _is_gone(sock: socket.socket) -> bool:
    poll = select.poll()
    poll.register(sock, 0)
    return bool(poll.poll(0))
