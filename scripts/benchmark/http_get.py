"""GET on a connection of its own, read at once and looked at as little as can be: the archive is what is measured."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message

from scripts.benchmark.process import BenchmarkError

_PIECE = 2**20
_TIMEOUT_SECONDS = 120.0
_LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """An answer as it was read: its header fields, and all octets of its body."""

    headers: Message
    content: bytes


def get(port: int, path: str, accept: str) -> int:
    """The octets of the answer, from connecting to the end of the connection; chunks are not looked into.

    Raises BenchmarkError where it is not 200, or ends before its end.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_SECONDS) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
        sock.sendall(request.encode("ascii"))
        piece = bytearray(_PIECE)
        view = memoryview(piece)
        begin = tail = b""
        size = 0
        while count := sock.recv_into(piece):
            if len(begin) < 4096:
                begin += view[: min(count, 4096)]
            tail = (tail + view[max(0, count - 64) : count])[-64:]
            size += count
    head, _, _ = begin.partition(b"\r\n\r\n")
    if not head.startswith((b"HTTP/1.1 200 ", b"HTTP/1.0 200 ")):
        raise BenchmarkError(f"{path} is answered with {head.partition(bytes((13,)))[0].decode('latin-1')}")
    if not _is_whole(head, size - len(head) - 4, tail):
        raise BenchmarkError(f"{path} ended after {size} octets, and not as it should")
    return size


def read(port: int, path: str, accept: str) -> Body:
    """The answer as a library reads it, for those who look into it. Raises OSError."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:
        return Body(headers=answer.headers, content=answer.read())


def _is_whole(head: bytes, length: int, tail: bytes) -> bool:
    fields: Mapping[bytes, bytes] = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
    }
    if (told := fields.get(b"content-length")) is not None:
        return int(told) == length
    if fields.get(b"transfer-encoding") == b"chunked":
        return tail.endswith(_LAST_CHUNK)
    # The end of the connection is the end of the body: only that of the last part tells that it is whole.
    return tail.rstrip().endswith(b"--")
