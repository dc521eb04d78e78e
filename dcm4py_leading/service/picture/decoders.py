"""Decoder processes: pixel data of others is decoded there alone, within bounds of memory and time.

What a decoder does not survive ends one process and the job it had. They are started when there is a job, without a
fork of this process and its threads, and end when there is none.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from functools import cache

from dcm4py_leading.errors import DependencyError, SubOperationFailed
from dcm4py_leading.log import Repeated
from dcm4py_leading.model.bounds import (
    DECODED_BYTES,
    DECODER_IDLE_SECONDS,
    DECODERS,
    DECODING_SECONDS,
    DECODING_WAITING,
)
from dcm4py_leading.service.picture.job import Job, receive_message, send_message

LOG = logging.getLogger(__name__)

_COMMAND = (sys.executable, "-m", "dcm4py_leading.service.picture.child")
_KEPT = ("PATH", "PYTHONPATH", "LANG", "LD_LIBRARY_PATH")
"""Variables of the environment that a decoder gets; the others may hold secrets."""
_ENDING_SECONDS = 10.0


class DecodersBusy(DependencyError):
    """There are more images to be decoded than can be."""

    status = 0xA700


class Decoders:
    """So many processes at the most. Safe under threads."""

    def __init__(
        self,
        *,
        most: int = DECODERS,
        waiting: int = DECODING_WAITING,
        seconds: float = DECODING_SECONDS,
        idle_seconds: float = DECODER_IDLE_SECONDS,
    ) -> None:
        self._most = most
        self._most_waiting = waiting
        self._seconds = seconds
        self._idle_seconds = idle_seconds
        self._changed = threading.Condition()
        self._idle: list[_Decoder] = []
        self._busy = 0
        self._waiting = 0
        self._is_tidied = False
        self._refused = Repeated(LOG)

    def run(self, job: Job) -> bytes:
        """The native frame, or the picture. Raises DecodersBusy, and SubOperationFailed where there is none."""
        if len(job.data) > DECODED_BYTES:
            raise SubOperationFailed(f"one frame takes {len(job.data) >> 20} MB, more than is decoded")
        decoder = self._take()
        answered = False
        try:
            if decoder is None:
                decoder = _Decoder()
            result = decoder.run(job, self._seconds)
            answered = True
        finally:
            self._give_back(decoder, is_sound=answered)
        if isinstance(result, str):
            raise SubOperationFailed(result)
        return result

    def close(self) -> None:
        """End those that are idle."""
        with self._changed:
            idle, self._idle = self._idle, []
        for decoder in idle:
            decoder.end()

    def _take(self) -> _Decoder | None:
        """A decoder that is idle; None if one may be started. Raises DecodersBusy."""
        until = time.monotonic() + self._seconds
        with self._changed:
            if self._busy >= self._most and self._waiting >= self._most_waiting:
                self._refuse()
            self._waiting += 1
            try:
                while self._busy >= self._most:
                    if not self._changed.wait(max(0, until - time.monotonic())) and self._busy >= self._most:
                        self._refuse()
            finally:
                self._waiting -= 1
            self._busy += 1
            while self._idle:
                decoder = self._idle.pop()
                if decoder.is_alive:
                    return decoder
            return None

    def _refuse(self) -> None:
        self._refused.warning("an image is not decoded, as %d are being decoded and %d wait", self._busy, self._waiting)
        raise DecodersBusy("too many images are being decoded at once")

    def _give_back(self, decoder: _Decoder | None, *, is_sound: bool) -> None:
        if decoder is not None and not (is_sound and decoder.is_sound):
            decoder.end()
            decoder = None
        with self._changed:
            self._busy -= 1
            if decoder is not None:
                decoder.idle_since = time.monotonic()
                self._idle.append(decoder)
                if not self._is_tidied:
                    self._is_tidied = True
                    threading.Thread(target=self._tidy, name="idle decoders", daemon=True).start()
            self._changed.notify()

    def _tidy(self) -> None:
        """End each that has been idle for long, until there is none; the one that has been for longest stands first."""
        while True:
            with self._changed:
                if not self._idle and not self._busy:
                    self._is_tidied = False
                    return
            time.sleep(self._idle_seconds / 2)
            with self._changed:
                before = time.monotonic() - self._idle_seconds
                old = [decoder for decoder in self._idle if decoder.idle_since <= before]
                self._idle = [decoder for decoder in self._idle if decoder.idle_since > before]
            for decoder in old:
                decoder.end()


@cache
def decoders() -> Decoders:
    """Those of this process."""
    return Decoders()


class _Decoder:
    """One process, for one thread at a time."""

    def __init__(self) -> None:
        """Start it. Raises SubOperationFailed."""
        self.idle_since = 0.0
        self.is_sound = True
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = subprocess.Popen(
                    _COMMAND,
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=environment(),
                    start_new_session=True,  # the terminal's interrupt is not for it
                )
        except OSError as err:
            ours.close()
            LOG.error("a decoder cannot be started: %s", err.strerror)
            raise SubOperationFailed(f"the decoder cannot be started: {err.strerror}") from err
        self._socket = ours

    @property
    def is_alive(self) -> bool:
        """True if the process has not ended."""
        if self._process.poll() is None:
            return True
        self._socket.close()
        return False

    def run(self, job: Job, seconds: float) -> bytes | str:
        """The answer, or the reason why there is none; then it may not be sound any more."""
        until = time.monotonic() + seconds
        try:
            send_message(self._socket, job.head(), job.data, until=until)
            head, body = receive_message(self._socket, until=until)
        except TimeoutError:
            self.is_sound = False
            LOG.warning("a decoder was ended: it has not decoded an image within %g s", seconds)
            return f"the image was not decoded within {seconds:g} s"
        except (OSError, EOFError, ValueError):
            self.is_sound = False
            return self._reason()
        return str(head["why_not"]) if "why_not" in head else body

    def end(self) -> None:
        """End the process."""
        self._socket.close()
        self._process.kill()
        self._process.wait()

    def _reason(self) -> str:
        try:
            code = self._process.wait(timeout=_ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        LOG.warning("a decoder has ended with %s while it decoded an image; another one is started when needed", how)
        return f"the decoder was ended by {how}: the image is broken, or too large"


def environment() -> Mapping[str, str]:
    """The environment of a decoder."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    # Each thread of numpy's would take address space, which is bounded.
    return {**kept, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
