"""Jobs of a decoder process, and the messages in which they and their results pass a socket.

A message is a head in JSON and a body, each after its length in four octets, big endian.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from dcm4py_leading.model.bounds import DECODED_BYTES

JPEG: Final = "image/jpeg"
PNG: Final = "image/png"
GIF: Final = "image/gif"
LINEAR, LINEAR_EXACT, SIGMOID = "linear", "linear-exact", "sigmoid"
_LENGTHS = struct.Struct(">II")
_MOST_HEAD: Final = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Grey levels that are shown (PS3.3 C.11.2.1.2)."""

    center: float
    width: float
    function: str = LINEAR


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewport:
    """The size in which a region of an image is shown, in pixels (PS3.18 8.3.5.1.3)."""

    width: int
    height: int
    region: tuple[int, int, int, int] | None = None
    """Left, top, width and height; a negative width or height is shown mirrored. None for the whole image."""
    enlarges: bool = True
    """True if a smaller image fills the viewport."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """Way from an image to a picture (PS3.18 8.3.5)."""

    media_type: str = JPEG
    part: tuple[float, float, float, float] | None = None
    """Left, top, right and bottom of a region, as shares of width and height (PS3.18 9.4.1.2.7); None for all."""
    viewport: Viewport | None = None
    window: Window | None = None
    """None for that of the object."""
    quality: int = 90
    """Of a JPEG, from 1 to 100."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Rendering:
        """The same out of what `dataclasses.asdict` made."""
        viewport, window = value["viewport"], value["window"]
        if viewport is not None:
            region = viewport["region"]
            viewport = Viewport(**{**viewport, "region": None if region is None else tuple(region)})
        part = None if value["part"] is None else tuple(value["part"])
        return cls(
            **{**value, "part": part, "viewport": viewport, "window": None if window is None else Window(**window)}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A frame to be decoded; or, with ``words``, a picture of these."""

    transfer_syntax_uid: str = ""
    rendering: Rendering | None = None
    """None for the native frame."""
    words: str = ""
    data: bytes = b""
    """Data set with the frame alone, in Explicit VR Little Endian but for the frame."""

    def head(self) -> dict[str, Any]:
        """All but the data, as JSON."""
        rendering = None if self.rendering is None else asdict(self.rendering)
        return {"syntax": self.transfer_syntax_uid, "rendering": rendering, "words": self.words}

    @classmethod
    def of(cls, head: Mapping[str, Any], data: bytes) -> Job:
        """The job out of its message."""
        rendering = None if head["rendering"] is None else Rendering.from_json(head["rendering"])
        return cls(transfer_syntax_uid=head["syntax"], rendering=rendering, words=head["words"], data=data)


def send_message(sock: socket.socket, head: Mapping[str, Any], body: bytes, *, until: float | None = None) -> None:
    """Send a message until a monotonic time. Raises OSError, also TimeoutError."""
    encoded = json.dumps(head).encode()
    _limit(sock, until)
    sock.sendall(_LENGTHS.pack(len(encoded), len(body)) + encoded)
    sock.sendall(body)


def receive_message(sock: socket.socket, *, until: float | None = None) -> tuple[dict[str, Any], bytes]:
    """A message. Raises OSError, also TimeoutError; EOFError where it ends early, or is longer than any."""
    head_length, body_length = _LENGTHS.unpack(_received(sock, _LENGTHS.size, until))
    if head_length > _MOST_HEAD or body_length > DECODED_BYTES:
        raise EOFError("the message is longer than any")
    head = json.loads(_received(sock, head_length, until))
    return head, _received(sock, body_length, until)


def _received(sock: socket.socket, size: int, until: float | None) -> bytes:
    data = bytearray(size)
    view, at = memoryview(data), 0
    while at < size:
        _limit(sock, until)
        count = sock.recv_into(view[at:])
        if not count:
            raise EOFError("the other side has ended")
        at += count
    view.release()
    return bytes(data)


def _limit(sock: socket.socket, until: float | None) -> None:
    if until is not None:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        sock.settimeout(left)
