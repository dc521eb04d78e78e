"""Storage: where the bytes of stored objects are kept. Implementations: `file_storage`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import BinaryIO, NamedTuple, Protocol

from dcm4py_leading.coercion.formats.attributes_format import Attributes
from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.errors import StorageUnavailable
from dcm4py_leading.model.archive import StorageDescriptor


class Location(NamedTuple):
    """Where one stored object is: a storage of the device (dcmStorageID) and a path below its URI."""

    storage_id: str
    path: str
    size: int
    """In bytes."""
    digest: str | None
    """Hexadecimal, by dcmDigestAlgorithm, over the whole file; None: the storage computes none."""


class Incoming(Protocol):
    """An object on its way into a storage."""

    def write(self, data: Buffer, /) -> None:
        """Append to the object. Raises StorageUnavailable."""
        ...

    def start_sync(self) -> None:
        """Start syncing a completely written object to disk while it is being checked."""
        ...

    def mapped(self) -> AbstractContextManager[Buffer]:
        """The bytes written so far, at least one; valid in the block. Raises StorageUnavailable."""
        ...

    def reader(self) -> BinaryIO:
        """A file with the bytes written so far; the caller closes it. Raises StorageUnavailable."""
        ...

    def finish(self, attributes: Attributes) -> Location:
        """Move the object durably to the path that ``attributes`` and dcmStoragePathFormat give.

        Of the attributes, those of `Storage.path_attributes` count.

        It is removed at the end of the block, unless `keep` is called. Raises StorageUnavailable.
        """
        ...

    def keep(self) -> None:
        """Leave the finished object in the storage: call it once the index knows the location."""
        ...


class Storage(Protocol):
    """A dcmStorage at work; safe for use by many threads and processes."""

    @property
    def descriptor(self) -> StorageDescriptor:
        """The configuration that it was made from."""
        ...

    @property
    def path_attributes(self) -> frozenset[int]:
        """Tags at the top of the data set that dcmStoragePathFormat uses."""
        ...

    def receive(self) -> AbstractContextManager[Incoming]:
        """Receive one object; it is removed after the block, unless `keep` was called. Raises StorageUnavailable."""
        ...

    def open(self, location: Location) -> BinaryIO:
        """The stored object, to be read; unbuffered, with a file descriptor. Raises StorageUnavailable."""
        ...

    def open_descriptor(self, location: Location) -> int:
        """A file descriptor of the stored object, which the caller closes. Raises StorageUnavailable."""
        ...

    def has(self, location: Location) -> bool:
        """True if the object is still there. Raises StorageUnavailable if that is not known."""
        ...

    def delete(self, location: Location) -> None:
        """Delete a stored object; one that is already gone is no error. Raises StorageUnavailable."""
        ...

    def version(self, location: Location) -> str | None:
        """Version of a stored object, which distinguishes it from a later one at the same place; None if it is gone.

        Raises StorageUnavailable if that cannot be told, or where objects cannot be deleted.
        """
        ...

    def delete_versions(self, versions: Iterable[tuple[str, str]]) -> None:
        """Delete the files at these paths durably, if they still have the given versions.

        No other process may delete these paths at the same time. Raises StorageUnavailable.
        """
        ...


def storage_of(storages: Mapping[str, Storage], storage_id: str) -> Storage:
    """The storage of that dcmStorageID. Raises StorageUnavailable when the configuration no longer has it."""
    try:
        return storages[storage_id]
    except KeyError:
        raise StorageUnavailable(f"there is no dcmStorage {storage_id} to be served") from None
