"""State of a comparison, in a file that is replaced as a whole: a comparison that was killed resumes from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dcm4py_leading.config.durable_file import replace_file
from dcm4py_leading.errors import DriftNotResumed
from dcm4py_leading.log import foreign
from dcm4py_leading.service.drift.pages import Place
from dcm4py_leading.service.drift.summary import HERE, Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The state after a page."""

    at: str
    """The archive that is walked, by AE title; HERE for that of this service."""
    after: Place
    """Place in the walk of that archive."""
    share: float | None = None
    """Estimated share of all studies of that archive up to that place, from 0 to 1."""
    report_bytes: int
    """The length of the CSV file with all studies up to that place; 0 where there is none."""
    summary: Summary


Subject = Mapping[str, str | bool | None]
"""Subject of a comparison, and how it is made: a state is of use for the same only."""


def beginning() -> State:
    """The state before the first page."""
    return State(at=HERE, after=None, report_bytes=0, summary=Summary())


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedState:
    """A state with all that its file says."""

    subject: Mapping[str, Any]
    """At least what a Subject has."""
    state: State
    begun_at: str
    """ISO 8601, as `saved_at`."""
    saved_at: str
    is_complete: bool
    """True if all studies have been compared."""


def read(path: Path) -> SavedState | None:
    """The state in a file; None if there is none. Raises DriftNotResumed."""
    try:
        said = json.loads(path.read_bytes())
        return SavedState(
            subject=dict(said["subject"]),
            state=State(
                at=str(said["at"]),
                after=said["after"],
                share=said["share"],
                report_bytes=int(said["reportBytes"]),
                summary=Summary.from_json(said["summary"]),
            ),
            begun_at=str(said["begunAt"]),
            saved_at=str(said["savedAt"]),
            is_complete=bool(said["isComplete"]),
        )
    except FileNotFoundError:
        return None
    except OSError as err:
        raise DriftNotResumed(f"{path}: {err.strerror}") from err
    except (ValueError, KeyError, TypeError, AttributeError) as err:
        raise DriftNotResumed(f"{path}: it is not the state of a comparison") from err


def load(path: Path, subject: Subject) -> SavedState | None:
    """The state of a comparison of this subject; None if it has not begun. Raises DriftNotResumed."""
    kept = read(path)
    for name, value in subject.items():
        if kept is not None and kept.subject.get(name) != value:
            of = foreign(repr(kept.subject.get(name)))
            raise DriftNotResumed(f"{path}: it is of another comparison: {name} {of}")
    return kept


def save(path: Path, kept: SavedState) -> None:
    """Write the state, durably. Raises OSError."""
    said = {
        "subject": kept.subject,
        "begunAt": kept.begun_at,
        "savedAt": kept.saved_at,
        "isComplete": kept.is_complete,
        "at": kept.state.at,
        "after": kept.state.after,
        "share": kept.state.share,
        "reportBytes": kept.state.report_bytes,
        "summary": kept.state.summary.to_json(),
    }
    replace_file(path, json.dumps(said, indent=1).encode())
