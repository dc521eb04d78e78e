"""Servers and tools as processes: started, awaited, timed, and ended with all their children."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.fixtures.processes import find_program

TOOL_SECONDS = 600.0
_LAST_LINES = 15


class BenchmarkError(Exception):
    """A program is missing, ended, refused or took too long; the message has the end of what it printed."""


def program(name: str, package: str) -> str:
    """The path of an installed program. Raises BenchmarkError."""
    found = find_program(name)
    if found is None:
        raise BenchmarkError(f"{name} is not installed (Debian package {package})")
    return found


def environment(*, nodelay: bool) -> Mapping[str, str]:
    """DCMTK and Orthanc switch Nagle's algorithm off by TCP_NODELAY; as shipped it is on."""
    inherited = {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"}
    return {**inherited, "TCP_NODELAY": "1"} if nodelay else inherited


class Server:
    """A program that serves until it is stopped, in a session of its own; what it prints goes to ``log``."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        serves: Callable[[], bool],
        nodelay: bool = True,
        start_seconds: float = 60,
        cwd: Path | None = None,
    ) -> None:
        self._log = log
        self._name = " ".join(command[:4])
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment(nodelay=nodelay),
                cwd=cwd,
                start_new_session=True,
            )
        try:
            self._await(serves, time.monotonic() + start_seconds)
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        return self._popen.pid

    def stop(self, *, grace_seconds: float = 0) -> None:
        """End it and its children; SIGTERM and a while first where there is something to be completed."""
        if grace_seconds and self._popen.poll() is None:
            self._popen.terminate()
            try:
                self._popen.wait(grace_seconds)
            except subprocess.TimeoutExpired:
                self._kill()
                raise BenchmarkError(f"{self._name} does not stop\n{_end_of(self._log)}") from None
        self._kill()
        self._popen.wait()

    def _await(self, serves: Callable[[], bool], deadline: float) -> None:
        while not serves():
            try:
                self._popen.wait(0.05)
            except subprocess.TimeoutExpired:
                pass
            else:
                raise BenchmarkError(f"{self._name} ended with {self._popen.returncode}\n{_end_of(self._log)}")
            if time.monotonic() > deadline:
                raise BenchmarkError(f"{self._name} does not serve\n{_end_of(self._log)}")

    def _kill(self) -> None:
        try:
            os.killpg(self._popen.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def run(command: Sequence[str], *, seconds: float = TOOL_SECONDS) -> float:
    """Run a tool of DCMTK to its end: wall seconds. Raises BenchmarkError when it fails, warns or takes too long."""
    name = Path(command[0]).name
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(nodelay=True),
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"{name} took more than {seconds:.0f} s") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    taken = time.perf_counter() - began
    # The retrieving tools end with 0 when the status is a failure, and print it as warning or error.
    lines = printed.decode(errors="replace").splitlines()
    if process.returncode or any(line.startswith(("W:", "E:", "F:")) for line in lines):
        raise BenchmarkError("\n".join([f"{name} ended with {process.returncode}", *lines[-_LAST_LINES:]]))
    return taken


def _end_of(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-_LAST_LINES:])
