"""CPU time and memory of a server and its children, as the kernel tells (proc(5))."""

from __future__ import annotations

import os
import threading
import time
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuTime:
    """Seconds of CPU time; ``system`` is the part of the kernel."""

    total: float
    system: float

    def __sub__(self, other: CpuTime) -> CpuTime:
        return CpuTime(total=self.total - other.total, system=self.system - other.system)

    def __truediv__(self, number: int) -> CpuTime:
        return CpuTime(total=self.total / number, system=self.system / number)


def cpu_time(pid: int) -> CpuTime:
    """CPU time of the process, its living descendants and those that have been waited for."""
    total = system = 0.0
    for member in family(pid):
        try:
            text = (_PROC / str(member) / "stat").read_text()
            # The clock of a process is exact, where its times in stat are multiples of 10 ms (clock_getcpuclockid(3)).
            running = time.clock_gettime(~member << 3 | 2)
        except OSError:
            continue
        # The name in parentheses may hold spaces; utime, stime, cutime, cstime are fields 14 to 17.
        _, stime, cutime, cstime = (int(ticks) / _TICKS_PER_SECOND for ticks in text.rpartition(")")[2].split()[11:15])
        total += running + cutime + cstime
        system += stime + cstime
    return CpuTime(total=total, system=system)


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
