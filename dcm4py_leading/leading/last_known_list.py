"""List of the last known answers: studies and ages, nothing of their content.

Uses its own connection, so that reading the list does not delay lookups.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from dcm4py_leading.errors import StatusError

_SECONDS = 5.0
"""Time for which a writer is waited for."""
_WHERE = "WHERE instr(study_instance_uid, ?) > 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownStudy:
    """A study with a last known answer."""

    leading_cfind_scp: str
    study_instance_uid: str
    age: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownStudies:
    """One page of studies with a last known answer."""

    count: int = 0
    """Number of all, on all pages."""
    oldest: timedelta | None = None
    """Age of the oldest of all."""
    newest: timedelta | None = None
    page: tuple[KnownStudy, ...] = ()
    """The oldest first."""


def known_studies(path: Path, *, containing: str, start: int, limit: int, now: Callable[[], float]) -> KnownStudies:
    """List studies whose UID contains ``containing``: ``limit`` of them from ``start`` on.

    ``now`` is the time of day, in seconds. Raises StatusError when the file cannot be read.
    """
    if not path.exists():
        return KnownStudies()
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_SECONDS)) as db:
            # Answers to different return keys count as one study, as old as the newest of them.
            studies = (
                "SELECT leading_cfind_scp AS scp, study_instance_uid AS uid, max(answered_at) AS at FROM last_known "
                f"{_WHERE} GROUP BY scp, uid"
            )
            count, first, last = db.execute(
                f"SELECT count(*), min(at), max(at) FROM ({studies})", (containing,)
            ).fetchone()
            rows = db.execute(f"{studies} ORDER BY at, uid LIMIT ? OFFSET ?", (containing, limit, start)).fetchall()
    except sqlite3.Error as err:
        raise StatusError(f"the last known answers cannot be read: {path}: {err}") from err
    at = now()

    def age(moment: float) -> timedelta:
        return timedelta(seconds=max(0.0, at - moment))

    return KnownStudies(
        count=count,
        oldest=None if first is None else age(first),
        newest=None if last is None else age(last),
        page=tuple(KnownStudy(leading_cfind_scp=scp, study_instance_uid=uid, age=age(when)) for scp, uid, when in rows),
    )
