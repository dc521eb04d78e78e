"""Storage in a directory of a file system, as dcm4chee's file system storage lays it out."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from pydicom import Dataset

from dcm4py_leading.archive.path_format import PathFormat, compile_path_format, random_digits
from dcm4py_leading.archive.storage import Location
from dcm4py_leading.errors import ConfigInvalid, Problem, StorageUnavailable
from dcm4py_leading.model.archive import OnStoragePathAlreadyExists, StorageDescriptor

LOG = logging.getLogger(__name__)

_INCOMING = ".incoming"
_ATTEMPTS = 20


class FileStorage:
    """A dcmStorage with a file: URI.

    An object is written under a temporary name in the same file system, brought to the disk, and linked to its place
    in one step that never replaces a file. Other processes may use the same directory.
    """

    def __init__(self, descriptor: StorageDescriptor, *, now: Callable[[], datetime] = datetime.now) -> None:
        """Open it, and remove what a crash left half received.

        Raises ConfigInvalid when it is configured wrongly, StorageUnavailable when the directory cannot be used.
        """
        self.descriptor = descriptor
        self._now = now
        self._root = _root(descriptor)
        self._format = _path_format(descriptor)
        self._digest_name = _digest_name(descriptor)
        if not descriptor.read_only:
            with self._errors():
                (self._root / _INCOMING).mkdir(parents=True, exist_ok=True)
                _remove_leftovers(self._root / _INCOMING)

    @contextmanager
    def receive(self) -> Iterator[IncomingFile]:
        """See `storage.Storage.receive`."""
        if self.descriptor.read_only:
            raise StorageUnavailable(f"storage {self.descriptor.storage_id} is read only (dcmReadOnly)")
        with self._errors():
            file, path = _temporary_file(self._root / _INCOMING)
        incoming = IncomingFile(self, file, path)
        try:
            yield incoming
        finally:
            incoming.close()

    def open(self, location: Location) -> BinaryIO:
        """See `storage.Storage.open`."""
        with self._errors():
            return self._inside(location.path).open("rb")

    def delete(self, location: Location) -> None:
        """See `storage.Storage.delete`."""
        with self._errors():
            self._remove(self._inside(location.path))

    def _remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        for directory in path.parents:
            if directory == self._root:
                break
            try:
                directory.rmdir()
            except OSError:  # it holds other objects
                break

    def _inside(self, path: str) -> Path:
        """The file of a relative path; one that leads out of the storage raises StorageUnavailable."""
        file = Path(os.path.normpath(self._root / path))
        if self._root not in file.parents:
            raise StorageUnavailable(f"storage {self.descriptor.storage_id}: a path leads out of it")
        return file

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as err:
            # Paths may be made of patient data, so they are not told.
            reason = os.strerror(err.errno) if err.errno else type(err).__name__
            raise StorageUnavailable(f"storage {self.descriptor.storage_id}: {reason}") from err


class IncomingFile:
    """See `storage.Incoming`. Used by one thread."""

    def __init__(self, storage: FileStorage, file: BinaryIO, path: Path) -> None:
        self._storage = storage
        self._file = file
        self._temporary = path
        self._digest = hashlib.new(storage._digest_name, usedforsecurity=False) if storage._digest_name else None
        self._size = 0
        self._final: Path | None = None

    def write(self, data: bytes, /) -> int:
        """See `storage.Incoming.write`."""
        with self._storage._errors():
            self._file.write(data)
        if self._digest is not None:
            self._digest.update(data)
        self._size += len(data)
        return len(data)

    def reader(self) -> BinaryIO:
        """See `storage.Incoming.reader`."""
        with self._storage._errors():
            self._file.flush()
            return self._temporary.open("rb")

    def finish(self, attributes: Dataset) -> Location:
        """See `storage.Incoming.finish`."""
        storage = self._storage
        path = storage._inside(storage._format.path(attributes, storage._now()))
        with storage._errors():
            self._file.flush()
            os.fsync(self._file.fileno())
            path = self._link(path)
        return Location(
            storage_id=storage.descriptor.storage_id,
            path=path.relative_to(storage._root).as_posix(),
            size=self._size,
            digest=self._digest.hexdigest() if self._digest is not None else None,
        )

    def _link(self, path: Path) -> Path:
        """Give the file its name, and say which; a name that is taken stays with the file that has it."""
        for _ in range(_ATTEMPTS):
            try:
                _make_directories(path.parent)
                os.link(self._temporary, path)
            except FileNotFoundError:
                continue  # someone removed the last object of that directory, and the directory
            except FileExistsError:
                match self._storage.descriptor.on_storage_path_already_exists:
                    case OnStoragePathAlreadyExists.NOOP:
                        return path
                    case OnStoragePathAlreadyExists.FAILURE:
                        raise
                    case OnStoragePathAlreadyExists.RANDOM_PATH:
                        path = path.with_name(random_digits())
                continue
            self._final = path
            _fsync_directory(path.parent)
            return path
        raise StorageUnavailable(f"storage {self._storage.descriptor.storage_id}: no free path found")

    def keep(self) -> None:
        """See `storage.Incoming.keep`."""
        self._final = None

    def close(self) -> None:
        """Remove what is not kept."""
        try:
            self._temporary.unlink(missing_ok=True)
            if self._final is not None:
                self._storage._remove(self._final)
        except OSError as err:  # the request has its answer already
            LOG.warning("storage %s: an object not stored stays: %s", self._storage.descriptor.storage_id, err.strerror)
        finally:
            with suppress(OSError):  # on a full disk, what is given up cannot even be flushed
                self._file.close()


def _temporary_file(directory: Path) -> tuple[BinaryIO, Path]:
    """A new file that is locked as long as it is open, which tells it from the leftovers of a crash."""
    while True:
        path = directory / secrets.token_hex(8)
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640), "w+b")
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:  # else another process took it for a leftover before it was locked
            return file, path
        file.close()


def _remove_leftovers(directory: Path) -> None:
    for path in directory.iterdir():
        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
        except (BlockingIOError, FileNotFoundError):
            continue  # another process is receiving it, or done


def _make_directories(directory: Path) -> None:
    """Make the directory and those above it, each durably known to its parent."""
    if directory.is_dir():
        return
    _make_directories(directory.parent)
    directory.mkdir(exist_ok=True)
    _fsync_directory(directory.parent)


def _fsync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_descriptor(descriptor: StorageDescriptor) -> None:
    """Tell whether a `FileStorage` could be made of it, without touching the disk. Raises ConfigInvalid."""
    _root(descriptor)
    _path_format(descriptor)
    _digest_name(descriptor)


def _root(descriptor: StorageDescriptor) -> Path:
    uri = urlsplit(descriptor.uri)
    path = unquote(uri.path)
    if uri.scheme != "file" or uri.netloc not in ("", "localhost") or not path.startswith("/"):
        raise _wrong(descriptor, "dcmURI", descriptor.uri, "expected a file: URI of an absolute path on this machine")
    return Path(os.path.normpath(path))


def _path_format(descriptor: StorageDescriptor) -> PathFormat:
    try:
        return compile_path_format(descriptor.storage_path_format)
    except ValueError as err:
        raise _wrong(descriptor, "dcmStoragePathFormat", descriptor.storage_path_format, str(err)) from err


def _digest_name(descriptor: StorageDescriptor) -> str | None:
    """Python's name of a message digest of Java."""
    if descriptor.digest_algorithm is None:
        return None
    name = descriptor.digest_algorithm.lower().replace("sha-", "sha")
    if name not in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512"):
        raise _wrong(descriptor, "dcmDigestAlgorithm", descriptor.digest_algorithm, "expected MD5, SHA-1 or SHA-256")
    return name


def _wrong(descriptor: StorageDescriptor, attribute: str, value: str, reason: str) -> ConfigInvalid:
    return ConfigInvalid([Problem(dn=descriptor.dn, attribute=attribute, value=value, reason=reason)])
