"""Default number of workers: one for each core that the service may use, limited by memory.

In a container or a systemd unit, the control group has the limits (cgroups(7), versions 1 and 2).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

MOST_BY_DEFAULT = 4
"""More are for an administrator to choose: each has a leading cache and connections to other archives of its own."""
PROCESS_MIB = 108
"""Anonymous memory of a process at work, supervisor or worker; docs/performance.md has the figures."""
_RESERVED_MIB = 150
"""Memory for each process without which there are fewer of them by default: the same with a third more."""
_GROUPS, _OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def default_workers(*, groups: Path = _GROUPS, own_groups: Path = _OWN_GROUPS) -> int:
    """Number of workers if the administrator gives none; 1 is the service in one process."""
    cores = min([len(os.sched_getaffinity(0)), *map(math.ceil, _quotas(groups, own_groups))])
    memory = min([os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), *_memory_limits(groups, own_groups)])
    with_supervisor = memory // (_RESERVED_MIB * 1024 * 1024)
    return max(1, min(cores, MOST_BY_DEFAULT, with_supervisor - 1))


def _quotas(groups: Path, own_groups: Path) -> Iterator[float]:
    """Number of cores of each control group of this process that limits them."""
    for folder in _folders("cpu", groups, own_groups):
        for files in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
            numbers = _numbers(*(folder / file for file in files))
            if len(numbers) == 2:
                yield numbers[0] / max(numbers[1], 1)


def _memory_limits(groups: Path, own_groups: Path) -> Iterator[int]:
    """Octets of memory of each control group of this process that limits them."""
    for folder in _folders("memory", groups, own_groups):
        yield from _numbers(folder / "memory.max")
        yield from _numbers(folder / "memory.limit_in_bytes")


def _folders(controller: str, groups: Path, own_groups: Path) -> Iterator[Path]:
    """Folders of the control groups that limit this process: its own and all parents.

    In a container its own folder may be missing; then the uppermost one is that of the container.
    """
    for line in _lines(own_groups):
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = groups / controller if controllers else groups
        parts = path.strip("/").split("/")
        for depth in range(len(parts), -1, -1):
            yield root.joinpath(*parts[:depth])


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text("ascii", "replace").splitlines()
    except OSError:  # missing, or not readable for us
        return []


def _numbers(*files: Path) -> list[int]:
    """Numbers on the first lines of these files; ``max`` and -1 mean no limit and are left out."""
    return [int(word) for file in files for line in _lines(file)[:1] for word in line.split() if word.isdecimal()]
