"""Last known answers of leading archives, on disk, used while an archive is down."""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from pydicom import Dataset

from dcm4py_leading.dataset.data_sets import read, write
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE
from dcm4py_leading.dataset.text.character_sets import UTF_8
from dcm4py_leading.dataset.text.charset import SPECIFIC_CHARACTER_SET, character_set, specific_character_set
from dcm4py_leading.dataset.text.unreadable import UNREADABLE
from dcm4py_leading.leading.query import StudyAttributes
from dcm4py_leading.model.values import UID, AETitle, Tag

T = TypeVar("T")

LOG = logging.getLogger(__name__)

FILE_NAME = "leading-last-known.sqlite"
_MAX_PARAMETERS = 500
"""SQLite takes at least 999 in a statement."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS last_known (
    leading_cfind_scp TEXT NOT NULL,
    study_instance_uid TEXT NOT NULL,
    asked TEXT NOT NULL,
    answered_at REAL NOT NULL,
    character_set TEXT,
    attributes BLOB NOT NULL,
    PRIMARY KEY (leading_cfind_scp, study_instance_uid, asked)
) WITHOUT ROWID
"""


@dataclass(frozen=True, slots=True)
class AnswerScope:
    """Scope of an answer: archive and query attributes. Answers of another scope are never used."""

    leading_cfind_scp: AETitle
    return_keys: frozenset[Tag]
    default_character_set: str | None

    @property
    def digest(self) -> str:
        """Digest of the return keys and the character set."""
        text = ",".join(str(int(tag)) for tag in sorted(self.return_keys)) + f";{self.default_character_set}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]


class LastKnown:
    """Store of last known answers, which survive reloads and restarts. Safe under threads and processes.

    A damaged or locked file only loses its answers and logs one WARNING; no method raises for it.
    """

    def __init__(self, path: Path, *, max_rows: int, now: Callable[[], float]) -> None:
        """``path`` need not exist. Keeps the newest ``max_rows``. ``now`` is the time of day in seconds."""
        self._path = path
        self._max_rows = max_rows
        self._now = now
        self._connection: sqlite3.Connection | None = None
        self._rows = 0
        """At least as many as there are."""
        self._has_warned = False
        self._lock = threading.Lock()

    def remember(self, asked: AnswerScope, answers: Mapping[UID, StudyAttributes | None]) -> None:
        """Store these answers; for a study that is now unknown there, remove the old answer."""
        digest, now = asked.digest, self._now()
        rows = [
            (asked.leading_cfind_scp, uid, digest, now, *encoded)
            for uid, study in answers.items()
            if study is not None and (encoded := _encode(study)) is not None
        ]
        gone = [(asked.leading_cfind_scp, uid, digest) for uid, study in answers.items() if study is None]

        def work(db: sqlite3.Connection) -> None:
            db.executemany("INSERT OR REPLACE INTO last_known VALUES (?, ?, ?, ?, ?, ?)", rows)
            db.executemany(
                "DELETE FROM last_known WHERE leading_cfind_scp = ? AND study_instance_uid = ? AND asked = ?", gone
            )
            self._rows += len(rows)
            if self._rows > self._max_rows:
                self._trim(db)

        self._transact(work)

    def _trim(self, db: sqlite3.Connection) -> None:
        (rows,) = db.execute("SELECT count(*) FROM last_known").fetchone()
        if rows > self._max_rows:
            # A tenth more than needed, so that not every new row needs a deletion.
            surplus = rows - self._max_rows + self._max_rows // 10
            db.execute(
                "DELETE FROM last_known WHERE (leading_cfind_scp, study_instance_uid, asked) IN (SELECT "
                "leading_cfind_scp, study_instance_uid, asked FROM last_known ORDER BY answered_at LIMIT ?)",
                (surplus,),
            )
            rows -= surplus
        self._rows = rows

    def recall(self, asked: AnswerScope, uids: Iterable[UID], max_age: timedelta) -> dict[UID, StudyAttributes]:
        """Known answers for these studies, not older than ``max_age``."""
        wanted, oldest = list(uids), self._now() - max_age.total_seconds()

        def work(db: sqlite3.Connection) -> list[tuple[str, str | None, bytes]]:
            rows: list[tuple[str, str | None, bytes]] = []
            for start in range(0, len(wanted), _MAX_PARAMETERS):
                page = wanted[start : start + _MAX_PARAMETERS]
                marks = ", ".join("?" * len(page))
                rows += db.execute(
                    "SELECT study_instance_uid, character_set, attributes FROM last_known WHERE leading_cfind_scp = ?"
                    f" AND asked = ? AND answered_at >= ? AND study_instance_uid IN ({marks})",
                    (asked.leading_cfind_scp, asked.digest, oldest, *page),
                )
            return rows

        rows = self._transact(work) or []
        studies = {UID(uid): _decode(attributes, character_set) for uid, character_set, attributes in rows}
        return {uid: study for uid, study in studies.items() if study is not None}

    def drop(self, study_instance_uid: UID | None) -> bool:
        """Remove one study, or all; False if that is not possible now."""
        where: str
        values: tuple[str, ...]
        where, values = (
            ("", ()) if study_instance_uid is None else (" WHERE study_instance_uid = ?", (study_instance_uid,))
        )
        return self._transact(lambda db: db.execute(f"DELETE FROM last_known{where}", values)) is not None

    def close(self) -> None:
        """Close the file; a later call opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _transact(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Run a function in a transaction; None if the database fails, which is logged once."""
        with self._lock:
            try:
                with self._open() as db:
                    done = work(db)
            except (sqlite3.Error, OSError) as err:
                if not self._has_warned:
                    LOG.warning("last known answers of leading archives cannot be used: %s: %s", self._path, err)
                    self._has_warned = True
                if self._connection is not None:
                    self._connection.close()
                    self._connection = None
                return None
            self._has_warned = False
            return done

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            # It holds patient data; SQLite gives its other files the mode of this one.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            db = sqlite3.connect(self._path, timeout=1.0, check_same_thread=False)
            try:
                for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "secure_delete = ON"):
                    db.execute(f"PRAGMA {pragma}")
                with db:
                    db.execute(_SCHEMA)
                (self._rows,) = db.execute("SELECT count(*) FROM last_known").fetchone()
            except BaseException:  # cleans up and raises on, whatever it was
                db.close()
                raise
            self._connection = db
        return self._connection


def _encode(study: StudyAttributes) -> tuple[str | None, bytes] | None:
    """Encode an answer in UTF-8, with its character set; None if it cannot be encoded."""
    codes = character_set(study)
    copy = Dataset()
    copy.update(deepcopy(study))
    copy[SPECIFIC_CHARACTER_SET] = specific_character_set((UTF_8,))
    try:
        return "\\".join(codes) if SPECIFIC_CHARACTER_SET in study else None, write(copy, EXPLICIT_LITTLE)
    except UNREADABLE:
        return None


def _decode(attributes: bytes, codes: str | None) -> StudyAttributes | None:
    try:
        study = read(attributes, EXPLICIT_LITTLE)
        for _ in study.iterall():
            pass  # decoded here, since it may be shared between threads
    except UNREADABLE:
        return None
    if codes is None:
        del study[SPECIFIC_CHARACTER_SET]
    else:
        study[SPECIFIC_CHARACTER_SET] = specific_character_set(tuple(codes.split("\\")))
    return study
