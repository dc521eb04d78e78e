"""Progress on a terminal, and silence elsewhere."""

from __future__ import annotations

import io
import time

import pytest

from dcm4py_leading import progress


class Terminal(io.StringIO):
    """A terminal that keeps what is written."""

    def isatty(self) -> bool:
        return True


def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """From now on, stderr."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    return terminal


def test_bar_counts_on_a_terminal_and_lines_stand_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = terminal(monkeypatch)
    with progress.bar(3, "files") as bar:
        bar.step()
        bar.say("one is none")
        bar.step(2)
    shown = stderr.getvalue()
    assert "files" in shown and "3/3" in shown
    line = next(line for line in shown.split("\n") if "one is none" in line)
    assert line.endswith("\r\x1b[Kone is none")


def test_bar_grows_where_it_is_only_known_on_the_way_how_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = terminal(monkeypatch)
    with progress.bar(0, "studies") as bar:
        bar.reach(1, 2)
        bar.reach(4, 3)
    assert "1/2" in stderr.getvalue()
    assert "4/4" in stderr.getvalue()


def test_waiting_is_shown_once_it_takes_a_while_and_then_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = terminal(monkeypatch)
    with progress.waiting("ApacheDS starts", patience_seconds=0.01):
        deadline = time.monotonic() + 60
        while "ApacheDS starts: 0 s" not in stderr.getvalue():
            assert time.monotonic() < deadline
            time.sleep(0.01)  # between two looks at what another thread writes
    assert stderr.getvalue().endswith("\r\x1b[K")


def test_nothing_is_shown_of_what_is_soon_done(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = terminal(monkeypatch)
    with progress.waiting("ApacheDS starts", patience_seconds=600):
        pass
    assert stderr.getvalue() == ""


def test_nothing_but_lines_is_printed_to_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.waiting("ApacheDS starts", patience_seconds=0), progress.bar(2, "files") as bar:
        bar.step()
        bar.say("one is none")
        bar.step()
    assert capsys.readouterr() == ("", "one is none\n")


def test_failure_ends_the_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = terminal(monkeypatch)
    with pytest.raises(ValueError, match="no"), progress.waiting("work", patience_seconds=0):
        raise ValueError("no")
    assert stderr.getvalue().endswith("\r\x1b[K")
