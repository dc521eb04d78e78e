"""The latest comparison as others see it: the time that is left, stale studies out of the CSV file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dcm4py_leading.service.drift.comparison import Compared, Outcome
from dcm4py_leading.service.drift.report import Report
from dcm4py_leading.service.drift.shown import LatestComparison, chunks, lines, stale_studies
from dcm4py_leading.service.jobs.job import Job, Progress, State

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


def latest(done: int, of: int | None, *, before: int = 0, state: State = State.RUNNING) -> LatestComparison:
    job = Job(
        job_id="1",
        kind="drift",
        subject={"ae": "DCM4CHEE", "leading": "QRSCP"},
        author="anna",
        started_at=NOON,
        state=state,
        progress=Progress(done=done, of=of),
    )
    return LatestComparison(ae_title="DCM4CHEE", kept=None, job=job, before=before)


@pytest.mark.parametrize(
    ("found", "seconds"),
    [
        (latest(25, 100), 30.0),
        (latest(75, 100, before=50), 10.0),
        (latest(50, 100, before=50), None),
        (latest(25, None), None),
        (latest(100, 100), None),
        (latest(25, 100, state=State.CANCELLED), None),
    ],
)
def test_time_that_is_left_is_told_by_the_pace_of_this_run(found: LatestComparison, seconds: float | None) -> None:
    assert found.seconds_left(NOON + timedelta(seconds=10)) == seconds


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """Every second of 10 studies has a stale name, every third a stale ID."""
    path = tmp_path / "drift.csv"
    with Report(path, has_values=False, at=0) as written:
        for number in range(1, 11):
            stale = [*(["PatientName"] if number % 2 == 0 else []), *(["PatientID"] if number % 3 == 0 else [])]
            outcome = Outcome.STALE if stale else Outcome.CURRENT
            written.add([(f"1.2.{number}", Compared(outcome=outcome, attributes=tuple(stale)))], "PACS")
    return path


def test_first_studies_of_an_attribute_are_found_in_the_csv_file(report: Path) -> None:
    def read() -> Iterator[str]:
        return lines(chunks(report, 100_000))

    found = stale_studies(read(), "PatientID", 100)
    assert [(one.study_instance_uid, one.archive, one.attributes) for one in found] == [
        ("1.2.3", "PACS", ("PatientID",)),
        ("1.2.6", "PACS", ("PatientName", "PatientID")),
        ("1.2.9", "PACS", ("PatientID",)),
    ]
    assert [one.study_instance_uid for one in stale_studies(read(), "PatientName", 2)] == ["1.2.2", "1.2.4"]
    assert stale_studies(read(), "Patient", 100) == []


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_lines_are_whole_however_they_come(report: Path, size: int) -> None:
    data = report.read_bytes()
    parts = [data[first : first + size] for first in range(0, len(data), size)]
    assert "".join(lines(parts)).splitlines() == data.decode().splitlines()


def test_only_what_counts_of_a_file_is_read(report: Path) -> None:
    assert b"".join(chunks(report, 10)) == report.read_bytes()[:10]
