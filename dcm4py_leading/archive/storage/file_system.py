"""Kind of file system of a directory, which decides what a sync guarantees; and syncing ahead."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")


def type_of(directory: Path) -> str | None:
    """Type as in ``mount -t``; None if unknown."""
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


def start_sync(file: int, offset: int, count: int) -> None:
    """Let the system start writing a number of bytes of a file to disk, without waiting.

    It promises nothing; it only leaves less to a later fsync. Does nothing where the system has no such call.
    """
    if _sync_file_range is not None:
        _sync_file_range(file, offset, count, _SYNC_FILE_RANGE_WRITE)


_SYNC_FILE_RANGE_WRITE = 2  # sync_file_range(2)
_sync_file_range = getattr(ctypes.CDLL(None), "sync_file_range", None)
if _sync_file_range is not None:
    _sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


def sync(directory: Path) -> None:
    """Bring the names of a directory to the disk. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
