"""Progress of long work, shown on a terminal only."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Protocol

import click

_PATIENCE_SECONDS = 2.0
"""Nobody wonders before."""
_STEP_SECONDS = 1.0
_CLEAR_LINE = "\r\x1b[K"


class _Shown(Protocol):
    length: int | None
    pos: int

    def update(self, n_steps: int) -> None: ...

    def render_progress(self) -> None: ...


class Bar:
    """Progress bar, or none where there is no terminal."""

    def __init__(self, shown: _Shown | None) -> None:
        self._shown = shown

    def step(self, count: int = 1) -> None:
        """So many more are done."""
        if self._shown is not None:
            self._shown.update(count)

    def reach(self, done: int, of: int) -> None:
        """So many are done, of so many: where it is only known on the way how many there are."""
        if self._shown is not None:
            self._shown.length = max(done, of)
            self._shown.update(done - self._shown.pos)

    def say(self, text: str) -> None:
        """Print a line to stderr, above the bar."""
        click.echo(f"{_CLEAR_LINE}{text}" if self._shown is not None else text, err=True)
        if self._shown is not None:
            self._shown.render_progress()


@contextmanager
def bar(length: int, label: str) -> Iterator[Bar]:
    """Bar over ``length`` steps, with the time that those that are left will take."""
    if not _is_shown():
        yield Bar(None)
        return
    with click.progressbar(length=length, label=label, show_pos=True, file=sys.stderr) as shown:
        yield Bar(shown)


@contextmanager
def waiting(label: str, *, patience_seconds: float = _PATIENCE_SECONDS) -> Iterator[None]:
    """Show ``label`` and how long it has taken, once it has taken a while: for work that has no number of steps."""
    if not _is_shown():
        yield
        return
    began, is_over = monotonic(), threading.Event()

    def show() -> None:
        seconds = patience_seconds
        while not is_over.wait(seconds):
            # At the beginning of the line, so that a line of the log takes its place.
            sys.stderr.write(f"{_CLEAR_LINE}{label}: {monotonic() - began:.0f} s\r")
            sys.stderr.flush()
            seconds = _STEP_SECONDS

    thread = threading.Thread(target=show, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        if monotonic() - began >= patience_seconds:
            sys.stderr.write(_CLEAR_LINE)
            sys.stderr.flush()


def _is_shown() -> bool:
    return sys.stderr.isatty()
