"""Cache of studies of other archives, kept as they passed through (``--set proxy-keep``).

Separate from the index and the storages: queries do not find cached studies, the size is limited, and the cache can be
deleted at any time. A directory has a file for each study and a SQLite database, which all processes of the service
share. A file is created after its row, and removed before it; so after a crash, the next process removes all files that
are not in the database.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path

from dcm4py_leading.archive.proxy_cache.cached_study import CachedObject, CachedStudy, StudyWriter
from dcm4py_leading.archive.proxy_cache.study_file import StudyFile, locked, remove_unless_used
from dcm4py_leading.errors import StorageUnavailable

_DATABASE = "index.sqlite"
_SUFFIX = ".study"
_STEP = 8 << 20
"""Bytes for which room is made at once, where there is so much."""
_BUSY_SECONDS = 10.0
_SCHEMA = (
    """
    CREATE TABLE IF NOT EXISTS study (
        pk INTEGER PRIMARY KEY AUTOINCREMENT,
        scp TEXT NOT NULL,
        study_instance_uid TEXT NOT NULL,
        state INTEGER NOT NULL,
        size INTEGER NOT NULL,
        digest TEXT,
        last_used INTEGER NOT NULL
    )
    """,
    "CREATE INDEX IF NOT EXISTS ix_study_uid ON study (study_instance_uid)",
    """
    CREATE TABLE IF NOT EXISTS object (
        study_fk INTEGER NOT NULL,
        number INTEGER NOT NULL,
        series_instance_uid TEXT NOT NULL,
        sop_instance_uid TEXT NOT NULL,
        sop_class_uid TEXT NOT NULL,
        transfer_syntax_uid TEXT NOT NULL,
        length INTEGER NOT NULL,
        PRIMARY KEY (study_fk, number)
    ) WITHOUT ROWID
    """,
)


class _State(IntEnum):
    WRITTEN = 0
    """Being written, or left so by a crash; its size is the room that it was given."""
    COMPLETE = 1
    OUTDATED = 2
    """Still being sent, and to be removed after that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyCacheCounts:
    """Counts of the cache, shared by all processes, and of the actions of this process."""

    size: int = 0
    """In bytes."""
    studies: int = 0
    hits: int = 0
    misses: int = 0
    removed: int = 0
    """Studies removed to make room, or because they have changed in the other archive."""

    def plus(self, other: ProxyCacheCounts) -> ProxyCacheCounts:
        """Sum with the counts of another process; both see the same studies."""
        return replace(
            other,
            hits=self.hits + other.hits,
            misses=self.misses + other.misses,
            removed=self.removed + other.removed,
        )


class ProxyCache:
    """The kept studies. Safe under threads and processes. Methods raise StorageUnavailable where nothing else is said.

    Studies that are being written or sent are never removed; of the others, the least recently used ones go first.
    """

    def __init__(self, directory: Path, *, most_bytes: int) -> None:
        """Open the cache, clean up after a crash, and remove studies beyond ``most_bytes``."""
        self._directory = directory
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._writing: set[int] = set()
        """Studies that this process writes."""
        self._hits = self._misses = self._removed = 0
        with _errors():
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with locked(directory):  # SQLite does not wait for others that make the same database
                self._db = _connected(directory / _DATABASE)
        try:
            with self._transaction() as db:
                for statement in _SCHEMA:
                    db.execute(statement)
                self._settle(db)
                self._free(db, 0)
        except BaseException:  # cleans up and raises on, whatever it was
            self._db.close()
            raise

    def close(self) -> None:
        """Close the cache; studies being sent can still be read, those being written are removed."""
        with suppress(StorageUnavailable), self._transaction() as db:
            for pk in self._writing:
                self._path(pk).unlink(missing_ok=True)
                self._remove(db, pk)
        with self._lock:
            self._db.close()

    # -- serving ------------------------------------------------------------------------------------------------

    def find(self, scp: str, study_instance_uid: str) -> CachedStudy | None:
        """The whole study as that archive sent it; it is not removed while the caller holds it."""
        with self._transaction() as db:
            for pk, size, digest in db.execute(
                "SELECT pk, size, digest FROM study WHERE (scp, study_instance_uid, state) = (?, ?, ?)",
                (scp, study_instance_uid, _State.COMPLETE),
            ).fetchall():
                file = self._opened(pk, size)
                if file is None:
                    self._remove(db, pk)
                    continue
                rows = db.execute(
                    "SELECT series_instance_uid, sop_instance_uid, sop_class_uid, transfer_syntax_uid, length"
                    " FROM object WHERE study_fk = ? ORDER BY number",
                    (pk,),
                )
                return CachedStudy(pk, scp, study_instance_uid, file, [CachedObject(*row) for row in rows], digest)
        return None

    def _opened(self, pk: int, size: int) -> StudyFile | None:
        try:
            file = StudyFile.open(self._path(pk))
        except FileNotFoundError:
            return None
        return file if file is not None and file.size == size else None

    def hit(self, study: CachedStudy) -> None:
        """Count a hit, and note the use of the study."""
        self._hits += 1
        with self._transaction() as db:
            db.execute(f"UPDATE study SET last_used = {_NEXT_USE} WHERE pk = ?", (study.pk,))

    def miss(self) -> None:
        """Count a miss: a study that could have been cached has to be fetched."""
        self._misses += 1

    def drop(self, study: CachedStudy) -> None:
        """Remove a study that has changed in the other archive; the caller closes it."""
        study.close()
        with self._transaction() as db:
            self._remove(db, study.pk)
            self._removed += 1

    def forget(self, study_instance_uid: str) -> None:
        """Remove a study, whichever archive has sent it; one that is being sent is removed afterwards."""
        with self._transaction() as db:
            rows = db.execute("SELECT pk FROM study WHERE study_instance_uid = ?", (study_instance_uid,))
            for (pk,) in rows.fetchall():
                self._remove(db, pk)

    def counts(self) -> ProxyCacheCounts:
        """Counts of kept studies and of use; those that cannot be read now are left out."""
        size = studies = 0
        with suppress(StorageUnavailable), self._transaction() as db:
            size, studies = db.execute(
                "SELECT coalesce(sum(size), 0), count(CASE WHEN state = ? THEN 1 END) FROM study", (_State.COMPLETE,)
            ).fetchone()
        return ProxyCacheCounts(size=size, studies=studies, hits=self._hits, misses=self._misses, removed=self._removed)

    # -- keeping ------------------------------------------------------------------------------------------------

    def begin(self, scp: str, study_instance_uid: str) -> StudyWriter | None:
        """Start to cache a study of an archive; None if another retrieve already does."""
        with self._transaction() as db:
            for pk, state in db.execute(
                "SELECT pk, state FROM study WHERE (scp, study_instance_uid, state) = (?, ?, ?) OR state = ?",
                (scp, study_instance_uid, _State.WRITTEN, _State.OUTDATED),
            ).fetchall():
                if not self._remove(db, pk) and state == _State.WRITTEN:
                    return None
            row = db.execute(
                f"INSERT INTO study (scp, study_instance_uid, state, size, last_used) VALUES (?, ?, ?, 0, {_NEXT_USE})",
                (scp, study_instance_uid, _State.WRITTEN),
            )
            pk = row.lastrowid
            assert pk is not None
            remove_unless_used(self._path(pk))  # a crash may have left a file without its row
            file = StudyFile.create(self._path(pk))
            self._writing.add(pk)
        return StudyWriter(self, pk, scp, study_instance_uid, file)

    def more_room(self, pk: int, least: int) -> int:
        """Reserve at least ``least`` more bytes for a study that is being written, and return how many it got."""
        with self._transaction() as db:
            (own,) = db.execute("SELECT coalesce(sum(size), 0) FROM study WHERE pk = ?", (pk,)).fetchone()
            if own + least > self._most_bytes:  # no other study is removed for it
                raise StorageUnavailable("the study is larger than proxy-keep")
            granted = min(self._free(db, least), max(least, min(_STEP, self._most_bytes // 16)))
            if granted < least:
                raise StorageUnavailable("what is being sent or kept leaves no room")
            if not db.execute("UPDATE study SET size = size + ? WHERE pk = ?", (granted, pk)).rowcount:
                raise StorageUnavailable("somebody has removed it")
        return granted

    def complete(self, writer: StudyWriter) -> None:
        """Publish a study, which is on disk, in place of its earlier copy."""
        with self._transaction() as db:
            writer.file.share()  # here, as whatever removes files does it in a transaction
            for (pk,) in db.execute(
                "SELECT pk FROM study WHERE (scp, study_instance_uid, state) = (?, ?, ?)",
                (writer.scp, writer.study_instance_uid, _State.COMPLETE),
            ).fetchall():
                self._remove(db, pk)
            db.executemany(
                "INSERT INTO object VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(writer.pk, number, *one) for number, one in enumerate(writer.objects)],
            )
            if not db.execute(
                f"UPDATE study SET state = ?, size = ?, digest = ?, last_used = {_NEXT_USE} WHERE pk = ?",
                (_State.COMPLETE, writer.size, writer.digest, writer.pk),
            ).rowcount:
                raise StorageUnavailable("somebody has removed it")
            self._writing.discard(writer.pk)

    def abandon(self, pk: int) -> None:
        """Stop writing a study, and close its file."""
        with self._transaction() as db:
            self._writing.discard(pk)
            self._remove(db, pk)

    # -- room ---------------------------------------------------------------------------------------------------

    def _free(self, db: sqlite3.Connection, wanted: int) -> int:
        """Remove studies until ``wanted`` more bytes are free; return the number of free bytes."""
        (used,) = db.execute("SELECT coalesce(sum(size), 0) FROM study").fetchone()
        if used + wanted <= self._most_bytes or wanted > self._most_bytes:
            return self._most_bytes - int(used)
        for pk, size in db.execute(
            "SELECT pk, size FROM study WHERE state <> ? ORDER BY state DESC, last_used", (_State.WRITTEN,)
        ).fetchall():
            if used + wanted <= self._most_bytes:
                break
            if self._remove(db, pk, if_unused=True):
                used -= size
                self._removed += 1
        return self._most_bytes - int(used)

    def _remove(self, db: sqlite3.Connection, pk: int, *, if_unused: bool = False) -> bool:
        """Remove a study; False if it is in use. Unless ``if_unused``, one that is being sent is removed afterwards."""
        if not remove_unless_used(self._path(pk)):
            if not if_unused:
                db.execute(
                    "UPDATE study SET state = ? WHERE pk = ? AND state = ?", (_State.OUTDATED, pk, _State.COMPLETE)
                )
            return False
        db.execute("DELETE FROM object WHERE study_fk = ?", (pk,))
        db.execute("DELETE FROM study WHERE pk = ?", (pk,))
        return True

    def _settle(self, db: sqlite3.Connection) -> None:
        """Clean up after a crash: rows without file, files without row, abandoned studies."""
        known: set[Path] = set()
        for pk, state, size in db.execute("SELECT pk, state, size FROM study").fetchall():
            path = self._path(pk)
            is_whole = state == _State.COMPLETE and path.is_file() and path.stat().st_size == size
            if is_whole or not self._remove(db, pk):
                known.add(path)
        for path in self._directory.glob(f"*{_SUFFIX}"):
            if path not in known:
                remove_unless_used(path)

    def _path(self, pk: int) -> Path:
        return self._directory / f"{pk}{_SUFFIX}"

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with _errors(), self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:  # cleans up and raises on, whatever it was
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def throw_away(directory: Path) -> None:
    """Delete a cache that is not in use; safe if other processes do the same. Raises StorageUnavailable."""
    with _errors():
        while (directory / _DATABASE).exists() or any(directory.glob(f"*{_SUFFIX}")):
            with suppress(FileNotFoundError):
                shutil.rmtree(directory)


_NEXT_USE = "(SELECT coalesce(max(last_used), 0) + 1 FROM study)"


def _connected(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives its other files the mode of this one
    db = sqlite3.connect(path, timeout=_BUSY_SECONDS, check_same_thread=False, isolation_level=None)
    try:
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL"):
            db.execute(f"PRAGMA {pragma}")
    except BaseException:  # cleans up and raises on, whatever it was
        db.close()
        raise
    return db


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except OSError as err:
        raise StorageUnavailable(f"the cache of the proxy: {err.strerror or type(err).__name__}") from err
    except sqlite3.Error as err:
        raise StorageUnavailable(f"the cache of the proxy: {err}") from err
