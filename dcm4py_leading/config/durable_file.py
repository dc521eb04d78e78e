"""Replacement of a file as a whole: readers see the old text or the new one, even after a power failure."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def replace_file(path: Path, data: bytes) -> None:
    """Write the whole file, durably, or leave the old one. Raises OSError."""
    put_in_place(write_beside(path, data), path)


def write_beside(path: Path, data: bytes, *, like: os.stat_result | None = None) -> Path:
    """A file in the same folder that is on the disk: with mode 0600, or mode and owner of ``like``. Raises OSError."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if like is not None:
                with suppress(PermissionError):  # not ours to give away; the folder lets us replace it all the same
                    os.fchown(descriptor, like.st_uid, like.st_gid)
                os.fchmod(descriptor, like.st_mode & 0o7777)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except BaseException:  # cleans up and raises on, whatever it was
        throw_away(temporary)
        raise
    return temporary


def put_in_place(temporary: Path, path: Path) -> None:
    """Let a file that was written beside ``path`` take its name. Raises OSError, and then it is gone."""
    try:
        temporary.replace(path)
    except BaseException:  # cleans up and raises on, whatever it was
        throw_away(temporary)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def throw_away(temporary: Path) -> None:
    """Remove a file that turned out not to be needed."""
    with suppress(OSError):
        temporary.unlink()
