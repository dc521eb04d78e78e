"""Messages between supervisor and worker: frames of JSON and file descriptors over a Unix socket.

A frame is four octets of length, big endian, and a JSON object. A request has ``id``, ``kind`` and ``body``; its answer
the same ``id`` and ``answer`` or ``error``. Answers come in any order. A worker sends no requests.
"""

from __future__ import annotations

import contextlib
import enum
import json
import logging
import socket
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from dcm4py_leading.errors import Dcm4pyError

_LENGTH = struct.Struct(">I")
_TIMEVAL = struct.Struct("ll")
_MAX_DESCRIPTORS = 250
"""Linux passes at most 253 with one message."""
Json = Any
"""A JSON value; who takes one knows its shape."""

LOG = logging.getLogger(__name__)


class Kind(enum.Enum):
    """Kind of request to a worker."""

    PREPARE = "prepare"
    """Get ready for a configuration; with the sockets that are new. The first one is put in force at once."""
    COMMIT = "commit"
    CANCEL = "cancel"
    MEASURE = "measure"
    CACHED = "cached"
    DROP = "drop"
    CALL = "call"
    """Answer one of `calls.table.CALLS`."""
    STREAM = "stream"
    """Answer one of `calls.table.STREAM_CALLS`, over the socket that comes with it."""
    LOOKED_UP = "looked-up"
    """Answers of the directory about the remote AEs that were looked up."""
    FORGET = "forget"
    """Look these remote AEs up anew."""
    ASSOCIATIONS = "associations"
    """The associations under way."""
    ABORT = "abort"
    """Abort one, by its serial number."""
    PAUSE = "pause"
    """Close the listeners and let associations end for so many seconds; the answer comes when they have."""
    RESUME = "resume"
    """Listen again, on the sockets that come with it."""
    STOP = "stop"


class WorkerSilent(Dcm4pyError):
    """A worker does not answer, or has ended."""


class RequestRefused(Dcm4pyError):
    """A worker answered with an error, which is in ``error``."""

    def __init__(self, error: Mapping[str, Json]) -> None:
        super().__init__(str(error["message"]))
        self.error = error


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One received message."""

    content: Mapping[str, Json]
    descriptors: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Taken:
    """Answer to a request that is only begun: the same thread goes on with it."""

    go_on: Callable[[], None]


class Channel:
    """One end of the socket. One thread reads; any may write."""

    def __init__(self, sock: socket.socket, *, send_seconds: float | None = None) -> None:
        """``send_seconds`` limits how long the other end may stop reading."""
        self._socket = sock
        self._writing = threading.Lock()
        if send_seconds is not None:
            self.limit_sending(send_seconds)

    def limit_sending(self, seconds: float) -> None:
        """Set how long the other end may stop reading."""
        whole, fraction = divmod(seconds, 1)
        limit = _TIMEVAL.pack(int(whole), int(fraction * 1_000_000))
        with contextlib.suppress(OSError):  # closed: the next message raises
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)

    def send(self, content: Mapping[str, Json], descriptors: Sequence[int] = ()) -> None:
        """Send one message. Raises OSError; then the channel is unusable."""
        if len(descriptors) > _MAX_DESCRIPTORS:
            raise OSError(f"at most {_MAX_DESCRIPTORS} sockets can be handed over at once")
        payload = json.dumps(content).encode()
        with self._writing:
            try:
                socket.send_fds(self._socket, [_LENGTH.pack(len(payload))], descriptors)
                self._socket.sendall(payload)
            except OSError:
                # No other message may follow half a message.
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
                raise

    def receive(self) -> Frame | None:
        """The next message; None when the other end is closed."""
        try:
            head, descriptors, _, _ = socket.recv_fds(self._socket, _LENGTH.size, _MAX_DESCRIPTORS)
            while head and len(head) < _LENGTH.size:
                head += self._read(_LENGTH.size - len(head))
            if not head:
                return None
            return Frame(content=json.loads(self._read(*_LENGTH.unpack(head))), descriptors=tuple(descriptors))
        except (OSError, EOFError):
            return None

    def _read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            part = self._socket.recv(size - len(data))
            if not part:
                raise EOFError
            data += part
        return bytes(data)

    def close(self) -> None:
        """Close the channel; a thread that reads gets None."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            LOG.debug("the other end was closed before")
        self._socket.close()


class ControlClient:
    """The supervisor's end: sends requests and waits for the answers."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._lock = threading.Lock()
        self._pending: dict[int, Future[Json]] = {}
        self._last_id = 0
        self._is_closed = False
        threading.Thread(target=self._read, name="worker's answers", daemon=True).start()

    def ask(self, kind: Kind, body: Json = None, descriptors: Sequence[int] = ()) -> Future[Json]:
        """Send a request. The future gets the answer, RequestRefused or WorkerSilent."""
        future: Future[Json] = Future()
        with self._lock:
            self._last_id += 1
            number = self._last_id
            if not self._is_closed:
                self._pending[number] = future
        try:
            if self._is_closed:
                raise OSError
            self._channel.send({"id": number, "kind": kind.value, "body": body}, descriptors)
        except OSError:
            self._settle(number, future, WorkerSilent("the worker has ended"))
        return future

    def limit_sending(self, seconds: float) -> None:
        """Set how long the other end may stop reading (see `Channel`)."""
        self._channel.limit_sending(seconds)

    def forget(self, future: Future[Json]) -> None:
        """Drop a request whose answer is no longer awaited."""
        with self._lock:
            self._pending = {number: other for number, other in self._pending.items() if other is not future}

    def _settle(self, number: int, future: Future[Json], error: Exception) -> None:
        with self._lock:
            self._pending.pop(number, None)
            if not future.done():
                future.set_exception(error)

    def _read(self) -> None:
        while (frame := self._channel.receive()) is not None:
            with self._lock:
                future = self._pending.pop(frame.content["id"], None)
            if future is not None and "error" in frame.content:
                future.set_exception(RequestRefused(frame.content["error"]))
            elif future is not None:
                future.set_result(frame.content["answer"])
        with self._lock:
            self._is_closed = True
            pending = list(self._pending.items())
        for number, future in pending:
            self._settle(number, future, WorkerSilent("the worker has ended"))

    def close(self) -> None:
        """Close the channel, which the worker notices."""
        self._channel.close()


def answer_requests(
    channel: Channel,
    answer: Callable[[Kind, Json, tuple[int, ...]], Json],
    error: Callable[[Exception], Mapping[str, Json]],
) -> None:
    """The worker's end: answer every request in its own thread, until the supervisor has gone.

    ``answer`` returns JSON, or `Taken`; ``error`` makes the JSON form of an exception.
    """

    def reply(frame: Frame) -> None:
        content: dict[str, Json] = {"id": frame.content["id"]}
        taken = None
        try:
            answered = answer(Kind(frame.content["kind"]), frame.content["body"], frame.descriptors)
            taken = answered if isinstance(answered, Taken) else None
            content["answer"] = None if isinstance(answered, Taken) else answered
        except Exception as err:  # noqa: BLE001 - every request has an answer; the supervisor logs the error
            content["error"] = error(err)
        try:
            channel.send(content)
        except OSError:
            LOG.warning("the supervisor has ended: its request gets no answer")
        if taken is not None:
            taken.go_on()

    while (frame := channel.receive()) is not None:
        threading.Thread(target=reply, args=(frame,), name=frame.content["kind"], daemon=True).start()
