"""State of a comparison, in a file that is replaced as a whole: a killed one goes on from there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dcm4py_leading.config.durable_file import replace_file
from dcm4py_leading.errors import DriftNotResumed
from dcm4py_leading.log import foreign
from dcm4py_leading.service.drift.summary import Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The state after a page."""

    after: int
    """Primary key of the last study that was compared; 0 before the first."""
    report_bytes: int
    """The length of the CSV file with all studies up to that one; 0 where there is none."""
    summary: Summary


Subject = Mapping[str, str | bool | None]
"""Subject of a comparison, and how it is made: a state is of use for the same only."""


def beginning() -> State:
    """The state before the first page."""
    return State(after=0, report_bytes=0, summary=Summary())


def load(path: Path, subject: Subject) -> State:
    """The state in a file, or the beginning where there is none. Raises DriftNotResumed."""
    try:
        said = json.loads(path.read_bytes())
        for name, value in subject.items():
            if said["subject"][name] != value:
                raise DriftNotResumed(
                    f"{path}: it is of another comparison: {name} {foreign(repr(said['subject'][name]))}"
                )
        return State(
            after=int(said["after"]),
            report_bytes=int(said["reportBytes"]),
            summary=Summary.from_json(said["summary"]),
        )
    except FileNotFoundError:
        return beginning()
    except OSError as err:
        raise DriftNotResumed(f"{path}: {err.strerror}") from err
    except (ValueError, KeyError, TypeError, AttributeError) as err:
        raise DriftNotResumed(f"{path}: it is not the state of a comparison") from err


def save(path: Path, subject: Subject, state: State) -> None:
    """Write the state, durably. Raises OSError."""
    said = {
        "subject": subject,
        "after": state.after,
        "reportBytes": state.report_bytes,
        "summary": state.summary.to_json(),
    }
    replace_file(path, json.dumps(said, indent=1).encode())
