"""Sharing of the data directory: the lock of each service, who may upgrade the index, and that there is an index.

Each service, not each of its workers, holds a lock (flock) on the file ``service.lock``: alone while it starts, where
it can, and shared from then on. So who gets it alone knows that nobody else works with the index.
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
        """Take part in it; others are told that it is ``service``.

        Another service that uses it already gets a WARNING; one that starts right now is waited for. Raises
        StorageUnavailable when it does not come to the end of that, OSError.
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
        """The index, created or upgraded where no other service is disturbed.

        Raises IndexUnavailable: when it would have to be brought up to date while another service uses it; and where
        there is none although one of ``storages`` has files, unless it ``may_be_new``.
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
        """This service has started: others may."""
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
    """True if an index was ever made there. Raises OSError."""
    try:
        return (directory / _INDEX).stat().st_size > 0
    except FileNotFoundError:
        return False


def open_index(directory: Path, *, may_upgrade: bool) -> Index:
    """The index of a data directory. Raises IndexUnavailable."""
    return Index.open(f"sqlite:///{directory / _INDEX}", may_upgrade=may_upgrade)
