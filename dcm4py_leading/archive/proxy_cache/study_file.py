"""File with the data sets of one cached study, one after the other.

A writer or reader locks the file (flock(2)), at most until its process ends. So a file in use is not removed, and a
file that a crash left half written has no lock.
"""

from __future__ import annotations

import fcntl
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self

from dcm4py_leading.dataset.scan import Buffer


class FilePart(NamedTuple):
    """A part of an open file."""

    descriptor: int
    """Of its own, which the caller closes."""
    offset: int
    length: int


class StudyFile:
    """An open and locked file, until `close` or until it is unreferenced. Reading is safe under threads."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._close = weakref.finalize(self, os.close, descriptor)

    @classmethod
    def create(cls, path: Path) -> Self:
        """Create a file, for this writer only. Raises OSError."""
        file = cls(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        fcntl.flock(file._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return file

    @classmethod
    def open(cls, path: Path) -> Self | None:
        """Open a file for shared reading; None if it is being written or removed. Raises OSError."""
        file = cls(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        try:
            fcntl.flock(file._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        return file

    @property
    def size(self) -> int:
        """In bytes. Raises OSError."""
        return os.fstat(self._descriptor).st_size

    @property
    def room(self) -> int:
        """Bytes that may be written: a fiftieth of the file system stays free for others.

        Raises OSError.
        """
        system = os.fstatvfs(self._descriptor)
        return max(system.f_bavail - system.f_blocks // 50, 0) * system.f_frsize

    def append(self, data: Buffer) -> None:
        """Append data. Raises OSError."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def share(self) -> None:
        """Let others read the file. Raises OSError."""
        fcntl.flock(self._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)

    def sync(self) -> None:
        """Sync the file to disk. Raises OSError."""
        os.fsync(self._descriptor)

    def part(self, offset: int, length: int) -> FilePart:
        """A part of the file, still valid after it is closed. Raises OSError."""
        return FilePart(os.dup(self._descriptor), offset, length)

    def close(self) -> None:
        """Release the file. May be called again."""
        self._close()
        self._descriptor = -1  # another file may get its number


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold an exclusive lock between processes. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def remove_unless_used(path: Path) -> bool:
    """Remove the file; False if it is being written or read. Raises OSError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
