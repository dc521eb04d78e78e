"""Which kind of file system a directory is in; what a sync promises depends on that."""

from __future__ import annotations

import os
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")


def type_of(directory: Path) -> str | None:
    """As in ``mount -t``; None where it cannot be told."""
    try:
        device = directory.stat().st_dev
        wanted = f"{os.major(device)}:{os.minor(device)}"
        for line in _MOUNTS.read_text().splitlines():  # proc_pid_mountinfo(5)
            before, _, after = line.partition(" - ")
            if before.split()[2] == wanted:
                return after.split()[0]
    except OSError:
        return None
    return None
