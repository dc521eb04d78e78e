"""The folder in which the workers of one supervisor listen for each other.

It is a temporary folder of the system, as the path of a Unix socket must be short. A killed supervisor leaves it
behind; the next supervisor of any service of this user removes it.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

LOG = logging.getLogger(__name__)

_PREFIX = "dcm4py-"
_LOCK = "supervisor.lock"


class HandoverFolder:
    """A folder that exists while the supervisor runs; only this user may enter it."""

    def __init__(self) -> None:
        """Create the folder, after removing unused ones. Raises OSError."""
        _sweep(Path(tempfile.gettempdir()))
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._lock = os.open(self.path / _LOCK, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def remove(self) -> None:
        """Remove the folder and its contents."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _sweep(directory: Path) -> None:
    """Remove the folders of supervisors that have ended, whose lock is therefore free."""
    for lock in directory.glob(f"{_PREFIX}*/{_LOCK}"):
        with suppress(OSError):  # another user's, or another supervisor was faster
            descriptor = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if os.fstat(descriptor).st_uid == os.getuid():
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(lock.parent)
                    LOG.info("removed %s, which a supervisor left that was killed", lock.parent)
            finally:
                os.close(descriptor)
