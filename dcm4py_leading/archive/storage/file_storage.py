"""Storage in a directory of a file system, as dcm4chee's file system storage lays it out."""

from __future__ import annotations

import hashlib
import logging
import mmap
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import datetime
from io import FileIO
from pathlib import Path
from typing import BinaryIO, Self, cast

from dcm4py_leading.archive.storage import file_system, in_flight
from dcm4py_leading.archive.storage.path_format import random_digits
from dcm4py_leading.archive.storage.settings import INCOMING, digest_name_of, path_format_of, root_of
from dcm4py_leading.archive.storage.storage import Location
from dcm4py_leading.coercion.formats.attributes_format import Attributes
from dcm4py_leading.dataset.part10 import media_storage_sop_instance_uid
from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.errors import StorageUnavailable
from dcm4py_leading.model.archive import OnStoragePathAlreadyExists, StorageDescriptor

LOG = logging.getLogger(__name__)

_ATTEMPTS = 20
_HEADER_BYTES = 4096
_COPIED_BYTES = 1 << 16
_GATHERED_BYTES = 1 << 18
"""Octets that are written at once, from the start of a page on. In what comes by PDUs, the system would keep the file
in small pieces of memory, which cost time now and again with each retrieve."""
_SPARE_BUFFERS = 4
_ORDERED_FILE_SYSTEMS = frozenset({"ext4", "xfs"})

IsIndexed = Callable[[str, str, str], bool]
"""Test that is True if the index has the object of this SOP Instance UID at this dcmStorageID and path."""


class FileStorage:
    """A dcmStorage with a file: URI.

    An object is written under a temporary name in the same file system, linked to its place in one step that never
    replaces a file, and brought to the disk with that name. Other processes may use the same directory.
    """

    def __init__(
        self,
        descriptor: StorageDescriptor,
        *,
        is_indexed: IsIndexed = lambda sop_instance_uid, storage_id, path: True,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        """Open it, and remove what a crash left half received, or received and not ``is_indexed``.

        Raises ConfigInvalid when it is configured wrongly, StorageUnavailable when the directory cannot be used, and
        what ``is_indexed`` raises.
        """
        self.descriptor = descriptor
        self._now = now
        self._root = root_of(descriptor)
        self._format = path_format_of(descriptor)
        self._digest_name = digest_name_of(descriptor)
        self._is_indexed = is_indexed
        self._incoming = f"{self._root}/{INCOMING}"
        self._spare_buffers: list[memoryview] = []
        if not descriptor.read_only:
            with self._errors():
                incoming = Path(self._incoming)
                made = [directory for directory in (incoming, *incoming.parents) if not directory.exists()]
                incoming.mkdir(parents=True, exist_ok=True)
                self._needs_directory_sync = file_system.type_of(self._root) not in _ORDERED_FILE_SYSTEMS
                if self._needs_directory_sync:
                    for directory in made:
                        file_system.sync(directory.parent)
                in_flight.sweep(incoming, self._settle)

    @property
    def path_attributes(self) -> frozenset[int]:
        """Attributes that a path is made of (see `storage.Storage.path_attributes`)."""
        return self._format.format.reads

    def receive(self) -> IncomingFile:
        """Receive a new object into a file (see `storage.Storage.receive`)."""
        self._require_writable()
        try:
            file, path = in_flight.temporary_file(self._incoming)
        except OSError as err:
            raise self._unavailable(err) from err
        return IncomingFile(self, file, path)

    def _take_buffer(self) -> memoryview:
        try:
            return self._spare_buffers.pop()
        except IndexError:
            return memoryview(bytearray(_GATHERED_BYTES))

    def _give_back(self, buffer: memoryview) -> None:
        if len(self._spare_buffers) < _SPARE_BUFFERS:
            self._spare_buffers.append(buffer)

    def _require_writable(self) -> None:
        if self.descriptor.read_only:
            raise StorageUnavailable(f"storage {self.descriptor.storage_id} is read only (dcmReadOnly)")

    def open(self, location: Location) -> BinaryIO:
        """Open the file of an object (see `storage.Storage.open`)."""
        try:  # not `_errors`, which costs as much as the opening
            return cast(BinaryIO, FileIO(self._path(location.path)))
        except OSError as err:
            raise self._unavailable(err) from err

    def open_descriptor(self, location: Location) -> int:
        """Open the file of an object, at less cost than `open` (see `storage.Storage.open_descriptor`)."""
        try:
            return os.open(self._path(location.path), os.O_RDONLY | os.O_CLOEXEC)
        except OSError as err:
            raise self._unavailable(err) from err

    def has(self, location: Location) -> bool:
        """True if the file of an object is there (see `storage.Storage.has`)."""
        try:
            os.stat(self._path(location.path))  # noqa: PTH116 - a Path costs more than the looking
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as err:
            raise self._unavailable(err) from err
        return True

    def delete(self, location: Location) -> None:
        """Delete the file of an object (see `storage.Storage.delete`)."""
        with self._errors():
            self._remove(self._inside(location.path))

    def version(self, location: Location) -> str | None:
        """Version of the file of an object (see `storage.Storage.version`)."""
        self._require_writable()
        with self._errors():
            return _version(self._inside(location.path))

    def delete_versions(self, versions: Iterable[tuple[str, str]]) -> None:
        """Delete files durably, where they are of these versions (see `storage.Storage.delete_versions`)."""
        self._require_writable()
        directories: set[Path] = set()
        with self._errors():
            for path, version in versions:
                file = self._inside(path)
                if _version(file) == version:
                    self._remove(file)
                    directories.add(file.parent)
            # Also where names reach the disk in order: the index may be on another disk.
            for directory in {next(path for path in (one, *one.parents) if path.is_dir()) for one in directories}:
                file_system.sync(directory)

    def _remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        for directory in path.parents:
            if directory == self._root:
                break
            try:
                directory.rmdir()
            except OSError:  # it holds other objects
                break

    def _settle(self, temporary: Path, path: str) -> None:
        """Remove an object that got its place, and then its process ended before it was indexed."""
        final = self._inside(path)
        try:
            if not final.samefile(temporary):
                return
        except (FileNotFoundError, NotADirectoryError):
            return
        with temporary.open("rb") as file:
            # One that is not whole did not reach the disk before a power cut, so it was not indexed either.
            sop_instance_uid = media_storage_sop_instance_uid(file.read(_HEADER_BYTES))
        if sop_instance_uid is None or not self._is_indexed(sop_instance_uid, self.descriptor.storage_id, path):
            self._remove(final)
            LOG.warning(
                "storage %s: deleted an object that a crash left without an entry in the index",
                self.descriptor.storage_id,
            )

    def _sync_names(self, file: Path) -> None:
        """Sync the name of a new file to disk, if it does not get there with the file.

        ext4 and XFS write their journal in order: with a file, the directories and names made before its last change.
        Elsewhere, the directories above are synced too: another association may have just made them.
        """
        if self._needs_directory_sync:
            for directory in file.parents:
                file_system.sync(directory)
                if directory == self._root:
                    break

    def _inside(self, path: str) -> Path:
        """The file of a relative path; one that leads out of the storage raises StorageUnavailable."""
        return Path(self._path(path))

    def _path(self, path: str) -> str:
        if not path.startswith("/") and "." not in path:
            return f"{self._root}/{path}"
        file = os.path.normpath(os.path.join(self._root, path))  # noqa: PTH118 - a Path costs as much as the reading
        if not file.startswith(f"{self._root}/"):
            raise StorageUnavailable(f"storage {self.descriptor.storage_id}: a path leads out of it")
        return file

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as err:
            raise self._unavailable(err) from err

    def _unavailable(self, err: OSError) -> StorageUnavailable:
        # Paths may contain patient data, so they are not logged.
        reason = os.strerror(err.errno) if err.errno else type(err).__name__
        return StorageUnavailable(f"storage {self.descriptor.storage_id}: {reason}")


class IncomingFile:
    """File of an object that arrives (see `storage.Incoming`). Used by one thread."""

    def __init__(self, storage: FileStorage, file: int, path: str) -> None:
        self._storage = storage
        self._file = file
        self._temporary = path
        self._digest = hashlib.new(storage._digest_name, usedforsecurity=False) if storage._digest_name else None
        self._buffer = storage._take_buffer()
        self._gathered = 0
        """Octets in the buffer, of which the first `_in_file` are in the file too."""
        self._in_file = 0
        self._size = 0
        """Of the file, in octets."""
        self._syncing = 0
        self._final: str | None = None
        """Where the file has its place, as long as it is not kept."""
        self._other: str | None = None
        """Where there was a file already that is taken for this one."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def write(self, data: Buffer, /) -> None:
        """Append to the file (see `storage.Incoming.write`)."""
        end = self._gathered + len(data)
        if end > _GATHERED_BYTES:
            data = self._write_full_buffers(memoryview(data))
            end = self._gathered + len(data)
        self._buffer[self._gathered : end] = data
        self._gathered = end

    def _write_full_buffers(self, data: memoryview) -> memoryview:
        """Write as many full buffers as there are with ``data``, and return the rest of it."""
        while self._gathered + len(data) > _GATHERED_BYTES:
            room = _GATHERED_BYTES - self._gathered
            self._buffer[self._gathered :] = data[:room]
            data = data[room:]
            self._gathered = _GATHERED_BYTES
            self.start_sync()
            self._gathered = self._in_file = 0
        return data

    def _write_gathered(self) -> None:
        """Write to the file what is in the buffer alone."""
        part = self._buffer[self._in_file : self._gathered]
        try:  # not `_errors`, which costs as much as the writing
            written = os.write(self._file, part)
            while written < len(part):
                written += os.write(self._file, part[written:])
        except OSError as err:
            raise self._storage._unavailable(err) from err
        self._in_file = self._gathered
        self._size += written
        if self._digest is not None:
            self._digest.update(part)

    def start_sync(self) -> None:
        """Start to bring the file to the disk (see `storage.Incoming.start_sync`)."""
        self._write_gathered()
        file_system.start_sync(self._file, self._syncing, self._size - self._syncing)
        self._syncing = self._size

    def reader(self) -> BinaryIO:
        """Reader of what was written so far (see `storage.Incoming.reader`)."""
        self._write_gathered()
        with self._storage._errors():
            return Path(self._temporary).open("rb")

    def mapped(self) -> AbstractContextManager[Buffer]:
        """Bytes that were written so far (see `storage.Incoming.mapped`)."""
        if self._size == self._in_file:  # nothing has left the buffer
            gathered = self._buffer[: self._gathered]
            return nullcontext(bytes(gathered) if len(gathered) <= _COPIED_BYTES else gathered)
        self._write_gathered()
        try:
            return _view(mmap.mmap(self._file, self._size, prot=mmap.PROT_READ))
        except OSError as err:
            raise self._storage._unavailable(err) from err

    def finish(self, attributes: Attributes) -> Location:
        """Give the file its place (see `storage.Incoming.finish`)."""
        storage = self._storage
        self._write_gathered()
        path = storage._format.path(attributes, storage._now())
        try:
            path = self._link(path)
            if self._final is not None:
                os.fsync(self._file)
            if storage._needs_directory_sync:
                storage._sync_names(storage._inside(path))
        except OSError as err:
            raise storage._unavailable(err) from err
        return Location(
            storage_id=storage.descriptor.storage_id,
            path=path,
            size=self._size,
            digest=self._digest.hexdigest() if self._digest is not None else None,
        )

    def _link(self, path: str) -> str:
        """Link the file to its place in the storage, and return the path. A path that is taken is left alone."""
        storage = self._storage
        for _ in range(_ATTEMPTS):
            try:
                self._temporary = in_flight.record(self._temporary, path)
                os.link(self._temporary, f"{storage._root}/{path}")
            except FileNotFoundError:
                with suppress(FileNotFoundError):  # somebody deletes those that became empty
                    storage._inside(path).parent.mkdir(parents=True, exist_ok=True)
                continue
            except (FileExistsError, NotADirectoryError) as err:
                path = self._other_place(path, err)
                if storage.descriptor.on_storage_path_already_exists is OnStoragePathAlreadyExists.NOOP:
                    # Another association that is storing it may be about to take it away.
                    if not in_flight.settled(storage._path(path)):
                        continue
                    self._other = path
                    return path
                continue
            self._final = path
            return path
        raise StorageUnavailable(f"storage {storage.descriptor.storage_id}: no free path found")

    def _other_place(self, path: str, taken: OSError) -> str:
        """Path to try when ``path`` is taken, or leads through a file, as dcmOnStoragePathAlreadyExists says.

        Raises ``taken``.
        """
        policy = self._storage.descriptor.on_storage_path_already_exists
        if policy is OnStoragePathAlreadyExists.NOOP and self._storage._inside(path).is_file():
            return path
        if policy is not OnStoragePathAlreadyExists.RANDOM_PATH:
            raise taken
        elements = path.split("/")
        for number in range(1, len(elements)):
            if self._storage._inside("/".join(elements[:number])).is_file():
                elements[number - 1] = random_digits()
                return "/".join(elements)
        return "/".join([*elements[:-1], random_digits()])

    def keep(self) -> None:
        """Keep the file (see `storage.Incoming.keep`)."""
        if self._other is not None:
            # That file may have been one of a deleted study, and deleted before the index had this object.
            with self._storage._errors(), suppress(FileExistsError):
                self._place_again(self._other)
        self._final = None

    def _place_again(self, path: str) -> None:
        file = self._storage._inside(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        os.link(self._temporary, file)
        os.fsync(self._file)
        self._storage._sync_names(file)

    def close(self) -> None:
        """Remove the file unless it is kept."""
        try:
            if self._final is not None:
                self._storage._remove(self._storage._inside(self._final))
            in_flight.forget(self._temporary)
        except OSError as err:  # the request has its answer already
            LOG.warning(
                "storage %s: the file of an object that was not stored cannot be deleted until the next start: %s",
                self._storage.descriptor.storage_id,
                err.strerror,
            )
        finally:
            os.close(self._file)
            self._storage._give_back(self._buffer)


@contextmanager
def _view(mapping: mmap.mmap) -> Iterator[Buffer]:
    with mapping, memoryview(mapping) as view:
        yield view


def _version(file: Path) -> str | None:
    """Moment of its last change: two files that have one place after the other were not written at the same."""
    try:
        return str(file.stat().st_mtime_ns)
    except (FileNotFoundError, NotADirectoryError):
        return None
