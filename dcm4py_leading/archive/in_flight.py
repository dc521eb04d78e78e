"""The files of a storage that are in flight: apart from the others, locked by their writer, told from orphans later.

A file begins in the directory ``.incoming`` under a token. Before it gets its place, its name there says which that
will be; it keeps this name until the index knows the object. So what a crash leaves can be judged by these names
alone, however large the archive: a file that has its place but no entry in the index is an orphan, nobody was told
that it is stored.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

_MAX_NAME_BYTES = 255
_MARK = "="
_LONG = ".to"


def temporary_file(directory: Path) -> tuple[int, Path]:
    """The descriptor and name of a new file that is locked while it is open. Raises OSError."""
    while True:
        path = directory / secrets.token_hex(8)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:  # else another process took it for a leftover before it was locked
            return descriptor, path
        os.close(descriptor)


def record(temporary: Path, place: str) -> Path:
    """Note that the file is about to get ``place``, a path below the storage; its new name. Raises OSError.

    A file system with a journal makes it durable no later than the link at ``place``, which comes after it.
    """
    token = temporary.name.partition(_MARK)[0]
    name = token + _MARK + place.replace("%", "%25").replace("/", "%2F")
    is_long = len(os.fsencode(name)) > _MAX_NAME_BYTES
    if is_long:
        link = temporary.with_name(token + _LONG)
        link.unlink(missing_ok=True)
        link.symlink_to(place)
    renamed = temporary.with_name(token if is_long else name)
    if renamed != temporary:
        temporary.rename(renamed)
    return renamed


def forget(temporary: Path) -> None:
    """Remove the name of a file in flight. Raises OSError."""
    if _MARK not in temporary.name:
        temporary.with_name(temporary.name + _LONG).unlink(missing_ok=True)
    temporary.unlink(missing_ok=True)


def sweep(directory: Path, settle: Callable[[Path, str], None]) -> None:
    """Remove what no living process has in flight; before that, ``settle`` each that may have got its place.

    ``settle`` takes the file and the place. Raises OSError, and what ``settle`` raises.
    """
    for path in list(directory.iterdir()):
        if path.name.endswith(_LONG):
            continue  # goes with its file
        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not os.fstat(file.fileno()).st_nlink:
                    continue
                place = _place(path)
                if place is not None:
                    settle(path, place)
                forget(path)
        except (BlockingIOError, FileNotFoundError):
            continue  # another process is receiving it, or done


def _place(path: Path) -> str | None:
    _, mark, quoted = path.name.partition(_MARK)
    if mark:
        return unquote(quoted)
    try:
        return str(path.with_name(path.name + _LONG).readlink())
    except FileNotFoundError:
        return None
