"""A cached study of another archive: while it is written, and while it is open to be sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple, Protocol

from dcm4py_leading.archive.proxy_cache.study_file import FilePart, StudyFile
from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.errors import StorageUnavailable


class CachedObject(NamedTuple):
    """One object of a cached study."""

    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    length: int
    """Of its data set, in bytes."""


@dataclass(frozen=True, slots=True)
class StudyState:
    """State of a study in the other archive."""

    instances: int
    """Number of its instances."""
    digest: str
    """Stands for its patient and study attributes: it is another one when they are."""


class CachedStudy:
    """A study in the cache; not removed until closed or unreferenced. Reading is safe under threads."""

    def __init__(
        self,
        pk: int,
        scp: str,
        study_instance_uid: str,
        file: StudyFile,
        objects: Sequence[CachedObject],
        digest: str | None = None,
    ) -> None:
        """``pk`` is its key in the cache, ``scp`` the archive that sent it; ``file`` has the objects in their order.

        ``digest`` is that of its `StudyState` when it was kept, where the archive told.
        """
        self.pk = pk
        self.digest = digest
        self.scp = scp
        self.study_instance_uid = study_instance_uid
        self.objects = tuple(objects)
        self._file = file
        self._offsets = tuple(accumulate((one.length for one in objects), initial=0))

    def part(self, number: int) -> FilePart:
        """The data set of one of `objects`, as it came; its descriptor is the caller's. Raises StorageUnavailable."""
        try:
            return self._file.part(self._offsets[number], self.objects[number].length)
        except OSError as err:
            raise StorageUnavailable("a kept object cannot be read") from err

    def close(self) -> None:
        """Release the study. May be called again."""
        self._file.close()


class CacheSpace(Protocol):
    """The cache, as a writer uses it. All methods raise StorageUnavailable."""

    def more_room(self, pk: int, least: int) -> int:
        """Reserve at least ``least`` more bytes, and return how many were granted."""
        ...

    def complete(self, writer: StudyWriter) -> None:
        """Publish the study, which is on disk, so that `find` returns it."""
        ...

    def abandon(self, pk: int) -> None:
        """Stop writing a study, and close its file."""
        ...


class StudyWriter:
    """Writer of a study to the cache, for one thread at a time. An incomplete study is removed on close."""

    def __init__(self, room: CacheSpace, pk: int, scp: str, study_instance_uid: str, file: StudyFile) -> None:
        self.pk = pk
        self.scp = scp
        self.study_instance_uid = study_instance_uid
        self.file = file
        self.objects: list[CachedObject] = []
        self.digest: str | None = None
        self.size = 0
        """In bytes."""
        self._room = room
        self._granted = 0
        self._is_complete = False

    def append(self, one: CachedObject, data: Buffer) -> None:
        """Write one more object. Raises StorageUnavailable: the disk or the cache is full."""
        if self.size + one.length > self._granted:
            self._granted += self._room.more_room(self.pk, self.size + one.length - self._granted)
        try:
            if self.file.room < one.length:
                raise StorageUnavailable("the disk is nearly full")
            self.file.append(data)
        except OSError as err:
            raise StorageUnavailable(f"it cannot be written: {err.strerror}") from err
        self.objects.append(one)
        self.size += one.length

    def complete(self, digest: str | None = None) -> None:
        """Write the complete study to disk and publish it. Raises StorageUnavailable.

        ``digest`` is that of the `StudyState` now, where it is known.
        """
        self.digest = digest
        try:
            self.file.sync()
        except OSError as err:
            raise StorageUnavailable(f"it cannot be written: {err.strerror}") from err
        self._room.complete(self)
        self._is_complete = True

    def close(self) -> None:
        """Stop writing. Raises StorageUnavailable when an incomplete study cannot be removed."""
        self.file.close()
        if not self._is_complete:
            self._room.abandon(self.pk)
