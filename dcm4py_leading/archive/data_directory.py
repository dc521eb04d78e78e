"""Sharing of the data directory by services: locks, upgrades of the index, and protection against a missing index.

Each service, not each of its workers, holds a lock (flock) on the file ``service.lock``: an exclusive one, if possible,
while it starts, and a shared one from then on. So a service with the exclusive lock is the only user of the index.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from dcm4py_leading.archive.index.index import Index
from dcm4py_leading.archive.storage.settings import has_files
from dcm4py_leading.errors import IndexUnavailable, StorageUnavailable
from dcm4py_leading.model.archive import StorageDescriptor
from dcm4py_leading.model.bounds import START_OF_ANOTHER_SERVICE_SECONDS

LOG = logging.getLogger(__name__)

_LOCK, _INDEX = "service.lock", "index.sqlite"
_LOOK_SECONDS = 0.1
_OWNER_BYTES = 200


class DataDirectory:
    """A data directory that this service uses, until it is closed or the process ends."""

    def __init__(self, directory: Path, service: str) -> None:
        """Lock the directory; other services see the name ``service``.

        Logs a WARNING if another service uses it, and waits for a service that is starting. Raises StorageUnavailable
        if that service does not finish its start, OSError.
        """
        self._path = directory
        self._lock = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            self._is_alone = self._locked(fcntl.LOCK_EX)
            if self._is_alone:
                os.ftruncate(self._lock, 0)
                os.pwrite(self._lock, f"{service}, process {os.getpid()}".encode()[:_OWNER_BYTES], 0)
            else:
                self._share()
        except BaseException:  # cleans up and raises on, whatever it was
            os.close(self._lock)
            raise

    def _locked(self, operation: int) -> bool:
        try:
            fcntl.flock(self._lock, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _share(self) -> None:
        other = os.pread(self._lock, _OWNER_BYTES, 0).decode(errors="replace")
        LOG.warning("the data directory %s is used by another service too: %s", self._path, other)
        ends_at = time.monotonic() + START_OF_ANOTHER_SERVICE_SECONDS
        while not self._locked(fcntl.LOCK_SH):
            if time.monotonic() > ends_at:
                raise StorageUnavailable(f"{self._path}: another service has been starting for too long: {other}")
            time.sleep(_LOOK_SECONDS)

    def open_index(self, storages: Iterable[StorageDescriptor], *, may_be_new: bool) -> Index:
        """Open the index; create or upgrade it if no other service uses it.

        Raises IndexUnavailable if it needs an upgrade while another service uses it, or if it is missing although one
        of ``storages`` has files, unless it ``may_be_new``.
        """
        if not may_be_new and not has_index(self._path):
            for storage in storages:
                if has_files(storage):
                    raise IndexUnavailable(
                        f"there is no index at {self._path / _INDEX}, but storage {storage.storage_id} at "
                        f"{storage.uri} has files, which a new index would not know: put the index back "
                        "from its backup, or begin with an empty one: serve --new-index"
                    )
        return open_index(self._path, may_upgrade=self._is_alone)

    def share(self) -> None:
        """Let other services start, as this one has started."""
        if self._is_alone:
            fcntl.flock(self._lock, fcntl.LOCK_SH)
            self._is_alone = False

    def close(self) -> None:
        """Release the directory; may be called again."""
        lock, self._lock = self._lock, -1
        if lock >= 0:
            os.close(lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()


def has_index(directory: Path) -> bool:
    """True if an index was ever created there. Raises OSError."""
    try:
        return (directory / _INDEX).stat().st_size > 0
    except FileNotFoundError:
        return False


def open_index(directory: Path, *, may_upgrade: bool) -> Index:
    """The index of a data directory. Raises IndexUnavailable."""
    return Index.open(f"sqlite:///{directory / _INDEX}", may_upgrade=may_upgrade)
