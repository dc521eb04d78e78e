"""Deletions of studies: first all rows, in one transaction; then the files and cached data.

The same transaction writes notes about the files to delete into two tables of the index. A journal in files would have
to be compared with the rows after a crash; these notes exist exactly when the rows are gone. So after a crash, a study
is complete, or its deletion can be finished at the next start or deletion.

A new object may get the path of a noted file. Such a file is not deleted: a note has the version of the file, and files
are only deleted within the writing transaction, so a file cannot be replaced between check and deletion. If the new
object uses the old file (dcmOnStoragePathAlreadyExists NOOP), it has a row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select

from dcm4py_leading.archive.index.database import Database
from dcm4py_leading.archive.index.tables import deleted_file, deletion, instance, patient, series, study
from dcm4py_leading.archive.index.writing.storing import is_stored
from dcm4py_leading.archive.index.writing.writer import Writer
from dcm4py_leading.archive.storage.storage import Location, Storage

_FILES_AT_ONCE = 100
"""Nobody stores while they are deleted."""

VersionOf = Callable[[Location], str | None]
"""Version of a stored object (see `storage.Storage.version`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedCounts:
    """Number of deleted objects of a study, and of their files."""

    objects: int
    files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingDeletion:
    """An unfinished deletion."""

    pk: int
    study_instance_uid: str


class Deletions:
    """The deletions of an index; see `index.Index.deletions`. Safe for threads. All methods raise IndexUnavailable."""

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database = database
        self._writer = writer

    def begin(self, study_instance_uid: str, version_of: VersionOf) -> DeletedCounts | None:
        """Delete a study, and a patient without other studies; note the files. None: no such study.

        Raises the errors of ``version_of``; then nothing is deleted.
        """
        return self._writer.write(lambda connection: _begin(connection, study_instance_uid, version_of))

    def pending(self) -> Sequence[PendingDeletion]:
        """Unfinished deletions, in the order in which they began."""
        with self._database.reading() as connection:
            rows = connection.execute(select(deletion.c.pk, deletion.c.study_instance_uid).order_by(deletion.c.pk))
            return [PendingDeletion(pk=pk, study_instance_uid=uid) for pk, uid in rows]

    def delete_files(self, storage: Storage) -> None:
        """Delete the noted files of a storage. Raises StorageUnavailable."""
        while self._writer.write(lambda connection: _delete_next_files(connection, storage)):
            pass  # in steps, so that others can store in between

    def end(self, one: PendingDeletion) -> bool:
        """Remove a finished deletion; False if files are left."""
        return self._writer.write(lambda connection: _end(connection, one))


def _begin(connection: Connection, study_instance_uid: str, version_of: VersionOf) -> DeletedCounts | None:
    row = connection.execute(
        select(study.c.pk, study.c.patient_fk).where(study.c.study_instance_uid == study_instance_uid).with_for_update()
    ).one_or_none()
    if row is None:
        return None
    number = connection.execute(insert(deletion).values(study_instance_uid=study_instance_uid)).inserted_primary_key
    assert number is not None
    objects = connection.execute(
        select(
            instance.c.sop_instance_uid,
            instance.c.storage_id,
            instance.c.storage_path,
            instance.c.size,
            instance.c.digest,
        )
        .join_from(instance, series)
        .where(series.c.study_fk == row.pk)
    ).all()
    files = [
        {
            "deletion_fk": number[0],
            "sop_instance_uid": uid,
            "storage_id": location.storage_id,
            "storage_path": location.path,
            "version": version,
        }
        for uid, location in ((one[0], Location(*one[1:])) for one in objects)
        if (version := version_of(location)) is not None
    ]
    if files:
        connection.execute(insert(deleted_file), files)
    _delete_rows(connection, row.pk, row.patient_fk)
    return DeletedCounts(objects=len(objects), files=len(files))


def _delete_rows(connection: Connection, study_pk: int, patient_pk: int) -> None:
    of_study = select(series.c.pk).where(series.c.study_fk == study_pk)
    connection.execute(delete(instance).where(instance.c.series_fk.in_(of_study)))
    connection.execute(delete(series).where(series.c.study_fk == study_pk))
    connection.execute(delete(study).where(study.c.pk == study_pk))
    if not connection.scalar(select(func.count()).select_from(study).where(study.c.patient_fk == patient_pk)):
        connection.execute(delete(patient).where(patient.c.pk == patient_pk))


def _delete_next_files(connection: Connection, storage: Storage) -> int:
    """Delete some noted files and their notes; return the number of notes. Raises StorageUnavailable.

    A file that was already deleted before a crash is not an error.
    """
    notes = connection.execute(
        select(deleted_file)
        .where(deleted_file.c.storage_id == storage.descriptor.storage_id)
        .order_by(deleted_file.c.pk)
        .limit(_FILES_AT_ONCE)
        .with_for_update()
    ).all()
    if not notes:
        return 0
    storage.delete_versions(
        (note.storage_path, note.version)
        for note in notes
        if not is_stored(connection, note.sop_instance_uid, note.storage_id, note.storage_path)
    )
    connection.execute(delete(deleted_file).where(deleted_file.c.pk.in_([note.pk for note in notes])))
    return len(notes)


def _end(connection: Connection, one: PendingDeletion) -> bool:
    if connection.scalar(select(func.count()).select_from(deleted_file).where(deleted_file.c.deletion_fk == one.pk)):
        return False
    # SQLite may have reused its key, if another process has finished the deletion.
    is_same = (deletion.c.pk == one.pk) & (deletion.c.study_instance_uid == one.study_instance_uid)
    connection.execute(delete(deletion).where(is_same))
    return True
