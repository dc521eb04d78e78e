"""Files of a storage that are being received: separate, locked by their writer, and recognized after a crash.

A file is created in the directory ``.incoming`` under a random name. Before it is linked to its place, it is renamed to
a name with that place, which it keeps until the index has the object. So after a crash only these names need to be
checked, however large the archive: a file in its place without an index entry is an orphan, which was never
acknowledged.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

LOG = logging.getLogger(__name__)

_MAX_NAME_BYTES = 255
_MARK = "="
_LONG = ".to"
_OURS = re.compile(rf"[0-9a-f]{{16}}({_MARK}.*)?", re.DOTALL)


def temporary_file(directory: str) -> tuple[int, str]:
    """The descriptor and path of a new file that is locked while it is open. Raises OSError."""
    while True:
        path = f"{directory}/{secrets.token_hex(8)}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:  # else another process removed it as a leftover before it was locked
            return descriptor, path
        os.close(descriptor)


def record(temporary: str, place: str) -> str:
    """Note that the file is about to get ``place``, a path below the storage; its new path. Raises OSError.

    A file system with a journal makes it durable no later than the link at ``place``, which comes after it.
    """
    directory, _, name = temporary.rpartition("/")
    token = f"{directory}/{name.partition(_MARK)[0]}"
    path = token + _MARK + place.replace("%", "%25").replace("/", "%2F")
    if len(os.fsencode(path)) - path.rindex("/") > _MAX_NAME_BYTES:
        Path(token + _LONG).unlink(missing_ok=True)
        Path(token + _LONG).symlink_to(place)
        path = token
    if path != temporary:
        os.rename(temporary, path)  # noqa: PTH104 - making a Path costs as much as the call
    return path


def settled(path: str) -> bool:
    """True if there is a file, durably, once nobody has it in flight any more. Raises OSError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        os.fsync(descriptor)
        return os.fstat(descriptor).st_nlink > 0
    finally:
        os.close(descriptor)


def forget(temporary: str) -> None:
    """Remove the name of a file in flight. Raises OSError."""
    if _MARK not in temporary.rpartition("/")[2]:
        Path(temporary + _LONG).unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        os.unlink(temporary)  # noqa: PTH108 - as above


def sweep(directory: Path, settle: Callable[[Path, str], None]) -> None:
    """Remove files of dead processes; before that, ``settle`` each file that may have been linked to its place.

    Other files are kept, with a WARNING: an older version may have stored them there.
    ``settle`` takes the file and the place. Raises OSError, and what ``settle`` raises.
    """
    foreign = 0
    for path in list(directory.iterdir()):
        if path.is_symlink():
            continue  # goes with its file
        if _OURS.fullmatch(path.name) is None or not path.is_file():
            foreign += path.exists()
            continue
        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not os.fstat(file.fileno()).st_nlink:
                    continue
                place = _place(path)
                if place is not None:
                    settle(path, place)
                forget(str(path))
        except (BlockingIOError, FileNotFoundError):
            continue  # another process is receiving it, or done
    if foreign:
        LOG.warning(
            "%s: %d files or directories are not ours, and are left alone: move them elsewhere", directory, foreign
        )


def _place(path: Path) -> str | None:
    _, mark, quoted = path.name.partition(_MARK)
    if mark:
        return unquote(quoted)
    try:
        return str(path.with_name(path.name + _LONG).readlink())
    except FileNotFoundError:
        return None
