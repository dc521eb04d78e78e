"""Comparisons of the running service, for display: those possible, the latest of each AE, and its outcome."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from dcm4py_leading.service.drift.comparison import Outcome
from dcm4py_leading.service.drift.order import ELSEWHERE_RATE, RATE
from dcm4py_leading.service.drift.state import SavedState
from dcm4py_leading.service.drift.summary import Summary
from dcm4py_leading.service.jobs.job import Job, State

KIND = "drift"
"""Kind of the jobs."""
_CHUNK_BYTES = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftRequest:
    """A comparison as somebody wants it."""

    ae_title: str
    leading: str | None = None
    """The leading archive; None: the only one that the rules name."""
    since: date | None = None
    rate: float = RATE
    elsewhere_rate: float = ELSEWHERE_RATE
    has_values: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftChoice:
    """An AE of ours that can be compared."""

    ae_title: str
    leading: tuple[str, ...]
    """Leading archives that its rules name."""
    elsewhere: tuple[str, ...]
    """Archives that it stands in front of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestComparison:
    """The latest comparison of an AE: its saved state, and its job."""

    ae_title: str
    kept: SavedState | None
    """None before its first page."""
    job: Job | None
    """The job that makes it or did so; None after the service was started again."""
    before: int = 0
    """Studies that had been compared before that job."""

    @property
    def leading(self) -> str:
        """The leading archive, by AE title."""
        return self.job.subject["leading"] if self.job is not None else str(self.kept and self.kept.subject["leading"])

    @property
    def begun_at(self) -> datetime | None:
        """Time at which it was begun."""
        return None if self.kept is None else datetime.fromisoformat(self.kept.begun_at)

    @property
    def saved_at(self) -> datetime | None:
        """Time of its latest page."""
        return None if self.kept is None else datetime.fromisoformat(self.kept.saved_at)

    @property
    def is_running(self) -> bool:
        """True if it is being made."""
        return self.job is not None and self.job.state is State.RUNNING

    @property
    def can_go_on(self) -> bool:
        """True if it has ended before its end."""
        return self.kept is not None and not self.kept.is_complete and not self.is_running

    def seconds_left(self, now: datetime) -> float | None:
        """Estimated time to its end; None if that is not known, or it is not running."""
        if self.job is None or not self.is_running or self.job.progress.of is None:
            return None
        done = self.job.progress.done - self.before
        left = self.job.progress.of - self.job.progress.done
        return left * (now - self.job.started_at).total_seconds() / done if done > 0 and left > 0 else None

    @property
    def summary(self) -> Summary:
        """Counts so far."""
        return Summary() if self.kept is None else self.kept.state.summary


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleStudy:
    """A study that is not as the leading archive says."""

    study_instance_uid: str
    archive: str
    """AE title; HERE for the archive of this service."""
    attributes: tuple[str, ...]


def stale_studies(lines: Iterable[str], attribute: str, most: int) -> list[StaleStudy]:
    """The first studies of a CSV file in which an attribute is stale."""
    found: list[StaleStudy] = []
    for row in csv.DictReader(lines):
        attributes = tuple((row["attributes"] or "").split())
        if row["outcome"] == Outcome.STALE.value and attribute in attributes:
            uid, archive = row["StudyInstanceUID"], row["archive"]
            found.append(StaleStudy(study_instance_uid=uid, archive=archive, attributes=attributes))
            if len(found) == most:
                break
    return found


def chunks(path: Path, most: int) -> Iterator[bytes]:
    """The first ``most`` bytes of a file. Raises OSError."""
    with path.open("rb") as file:
        while most > 0 and (chunk := file.read(min(most, _CHUNK_BYTES))):
            most -= len(chunk)
            yield chunk


def lines(parts: Iterable[bytes]) -> Iterator[str]:
    """Their lines, one at a time."""
    rest = b""
    for part in parts:
        *whole, rest = (rest + part).split(b"\n")
        yield from io.StringIO("".join(f"{line.decode('utf-8', 'replace')}\n" for line in whole))
