"""CPU time and memory of a server and its children, as the kernel tells (proc(5))."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

_PROC = Path("/proc")
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> Iterator[int]:
    """The process and all its living descendants."""
    yield pid
    try:
        children = " ".join(task.read_text() for task in (_PROC / str(pid) / "task").glob("*/children"))
    except OSError:  # ended meanwhile
        return
    for child in children.split():
        yield from family(int(child))


def cpu_seconds(pid: int) -> float:
    """User and system time of the process, its living descendants and those that have been waited for."""
    ticks = 0
    for member in family(pid):
        try:
            text = (_PROC / str(member) / "stat").read_text()
        except OSError:
            continue
        # The name in parentheses may hold spaces; utime, stime, cutime, cstime are fields 14 to 17.
        ticks += sum(map(int, text.rpartition(")")[2].split()[11:15]))
    return ticks / _TICKS_PER_SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Peaks in bytes, each of the process where it is highest."""

    anonymous: int = 0
    file: int = 0
    high_water: int = 0


def memory(pid: int) -> Memory:
    """Memory at present, of the largest of the process and its descendants; the high water mark is the kernel's."""
    peak = Memory()
    for member in family(pid):
        fields: dict[str, int] = {}
        try:
            for line in (_PROC / str(member) / "status").read_text().splitlines():
                name, _, value = line.partition(":")
                if name in ("RssAnon", "RssFile", "VmHWM"):
                    fields[name] = int(value.split()[0]) * 1024
        except OSError:
            continue
        now = Memory(
            anonymous=fields.get("RssAnon", 0), file=fields.get("RssFile", 0), high_water=fields.get("VmHWM", 0)
        )
        peak = _larger(peak, now)
    return peak


class PeakMemory:
    """Looks every few milliseconds while it is entered; not to be used while something is timed."""

    def __init__(self, pid: int, *, interval_seconds: float = 0.01) -> None:
        self._pid = pid
        self._interval = interval_seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name="memory")
        self.peak = Memory()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while True:
            self.peak = _larger(self.peak, memory(self._pid))
            if self._ended.wait(self._interval):
                return


def _larger(one: Memory, other: Memory) -> Memory:
    return Memory(
        anonymous=max(one.anonymous, other.anonymous),
        file=max(one.file, other.file),
        high_water=max(one.high_water, other.high_water),
    )
