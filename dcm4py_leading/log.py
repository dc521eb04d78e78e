"""Logging: one line format, the association on every record, and references that tell no patient data.

What is logged at which level is a contract: docs/operations.md.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import re
import secrets
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import pydicom.config

from dcm4py_leading.model.bounds import FOREIGN_TEXT_CHARACTERS, LOG_RECORD_CHARACTERS

_association: ContextVar[str] = ContextVar("association", default="-")
_KEY_FILE = "log-reference.key"


class _References:
    """The key of `ref`, set once at start-up; random until then, so that nothing can be guessed from a log."""

    def __init__(self) -> None:
        self.key = secrets.token_bytes(16)


_references = _References()


def ref(uid: str) -> str:
    """A short keyed hash that stands for a UID in the log: the same within an installation, meaningless outside."""
    return hashlib.blake2s(uid.encode(), key=_references.key, digest_size=5).hexdigest()


_WORD = re.compile(r"[!#-~]+")
"""Printable ASCII without blanks and quotation marks."""


def word(text: str) -> str:
    """``text`` as one word of a line: in quotation marks, odd characters escaped, where it is not one by itself.

    Cut as `foreign` has it.
    """
    if len(text) > FOREIGN_TEXT_CHARACTERS:
        text = _cut(text, FOREIGN_TEXT_CHARACTERS)
    return text if _WORD.fullmatch(text) else json.dumps(text)


def foreign(text: str) -> str:
    """``text`` of a peer or a directory within a message: odd characters escaped, cut where it is too long."""
    if len(text) > FOREIGN_TEXT_CHARACTERS:
        text = _cut(text, FOREIGN_TEXT_CHARACTERS)
    return text if text.isprintable() else "".join(map(_printable, text))


def _cut(text: str, most: int) -> str:
    return f"{text[:most]}... ({len(text)} characters)"


def _printable(char: str) -> str:
    return char if char.isprintable() else char.encode("unicode_escape").decode("ascii")


@contextmanager
def association_id(value: str) -> Iterator[None]:
    """Put ``value`` on every record that this thread logs inside the block."""
    token = _association.set(value)
    try:
        yield
    finally:
        _association.reset(token)


_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, and those that end a line or turn the direction of writing."""


def _escaped(match: re.Match[str]) -> str:
    """A line that goes on is indented, what cannot be printed is escaped."""
    char = match.group()
    return "\n    " if char == "\n" else _printable(char)


class _Formatter(logging.Formatter):
    """Local time with its offset from UTC. Makes the text of a second once: many records share it."""

    def __init__(self, form: str) -> None:
        super().__init__(form)
        self._second: tuple[int, str, str] = (-1, "", "")

    def format(self, record: logging.LogRecord) -> str:
        """The record, of which nothing that a peer sent can pass for another line, or move a cursor."""
        record.assoc = _association.get()
        text = super().format(record)
        if len(text) > LOG_RECORD_CHARACTERS:
            text = _cut(text, LOG_RECORD_CHARACTERS)
        return text if text.isprintable() else _UNPRINTABLE.sub(_escaped, text)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        second = int(record.created)
        known, text, offset = self._second
        if known != second:
            local = time.localtime(second)
            text, offset = time.strftime("%Y-%m-%d %H:%M:%S", local), time.strftime("%z", local)
            self._second = (second, text, offset)
        return f"{text},{int(record.msecs):03d}{offset}"


def configure(level: str) -> None:
    """Send the log to stderr at ``level``. Warns at DEBUG, which may show the content of data sets."""
    # Nothing that the line below tells: "Optimization" in Python's logging HOWTO.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)s assoc=%(assoc)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("alembic", "uvicorn"):  # of a start they tell each step, under names that mean nothing to an operator
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    if root.isEnabledFor(logging.DEBUG):
        logging.getLogger(__name__).warning("log level DEBUG: the log may hold patient data")


class Repeated:
    """Tells what may happen thousands of times a second: the first time, then once a minute with a count.

    Safe under threads. Each kind of thing that is told has one of its own.
    """

    def __init__(
        self, logger: logging.Logger, *, seconds: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``seconds`` are at least between two lines, by ``clock``."""
        self._logger = logger
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._next = -math.inf
        self._untold = 0

    def warning(self, message: str, *args: object) -> None:
        """Log at WARNING, or count."""
        self.log(logging.WARNING, message, *args)

    def log(self, level: int, message: str, *args: object) -> None:
        """Log at ``level``, or count."""
        with self._lock:
            now = self._clock()
            if now < self._next:
                self._untold += 1
                return
            self._next = now + self._seconds
            untold, self._untold = self._untold, 0
        more = f" (and {untold} times more since it was last told)" if untold else ""
        self._logger.log(level, message + more, *args)


def quieten_pydicom() -> None:
    """Let pydicom take odd values as they are: by default it quotes them in warnings and in its log.

    Process-wide. An archive must take what modalities send, and not tell it.
    """
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", category=UserWarning, module="pydicom")


def use_reference_key(data_dir: Path) -> None:
    """Read the installation's key for `ref` from ``data_dir``, or make one (mode 0600). Raises OSError."""
    path = data_dir / _KEY_FILE
    try:
        _references.key = path.read_bytes()
    except FileNotFoundError:
        key = secrets.token_bytes(16)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(key)
        _references.key = key


def trace(err: BaseException) -> str:
    """Type and stack of an unexpected exception, without its message: that may quote a patient's data."""
    frames = "".join(traceback.format_tb(err.__traceback__))
    return f"{type(err).__name__}\n{frames}".rstrip()
