"""``dcm4py-leading drift``, of an index on the disk and a leading archive on the wire."""

from __future__ import annotations

import csv
import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from pydicom import Dataset

from dcm4py_leading.__main__ import main
from dcm4py_leading.archive.data_directory import open_index
from dcm4py_leading.archive.index.querying.query import Query
from dcm4py_leading.composition.check import check
from dcm4py_leading.drifting import run
from dcm4py_leading.model.values import Level
from dcm4py_leading.service.drift.state import save
from tests.fixtures.archive import make_header, store
from tests.fixtures.drifted import ANSWERS, EXPECTED, STUDIES, fill, said, uids
from tests.fixtures.scripted import Answer, LeadingScp, knows
from tests.fixtures.service import Seed

FAST = ("--rate", "1000")


@pytest.fixture
def filled(seed: Seed) -> Seed:
    """The seed's archive with studies, and the rule for its leading archive."""
    fill(seed)
    return seed


def command(seed: Seed, *arguments: str | Path) -> list[str]:
    """The command line, without the name of the program."""
    source = [item for name in ("tree", "changes") for item in ("--ldif", str(seed.directory / f"{name}.ldif"))]
    common = [*source, "--data-dir", str(seed.data_dir), "--set", "leading-deadline=PT1M"]
    return ["drift", *common, "--ae", "DCM4CHEE", *map(str, arguments)]


def drift(seed: Seed, *arguments: str | Path) -> Result:
    return CliRunner().invoke(main, command(seed, *arguments))


def rows(path: Path) -> list[tuple[str, str, str]]:
    with path.open(newline="") as file:
        return [(row["StudyInstanceUID"], row["outcome"], row["attributes"]) for row in csv.DictReader(file)]


def counts(result: Result) -> dict[str, int]:
    """By the first word of a line."""
    words = [line.split() for line in result.stdout.splitlines()]
    return {first: int(number) for first, number, *_ in (w for w in words if len(w) > 1) if number.isdigit()}


def test_studies_are_compared_by_one_list_and_told_by_outcome_attribute_and_month(
    filled: Seed, tmp_path: Path, leading_scp: Callable[..., LeadingScp]
) -> None:
    leading = leading_scp(filled.leading_port, knows(*ANSWERS))
    path = tmp_path / "drift.csv"
    result = drift(filled, *FAST, "--csv", path)
    assert result.exit_code == 0, result.output
    assert rows(path) == EXPECTED
    told = counts(result)
    assert (told["current"], told["stale"], told["unknown"], told["unusable"], told["unasked"]) == (2, 3, 2, 0, 0)
    assert (told["PatientName"], told["StudyDescription"], told["PatientID"]) == (2, 1, 1)
    assert {month: told[month] for month in told if month[:1] == "2"} == {"2026-03": 1, "2026-04": 1, "2026-05": 1}
    assert leading.callers[0] == "DCM4CHEE"
    assert len(leading.queries[0].StudyInstanceUID) == STUDIES
    assert len(leading.queries) == 2  # and one for a missing study: does the archive understand lists?
    assert "%" not in result.stderr and "Roe" not in result.output


def test_it_runs_beside_the_service_and_changes_nothing(filled: Seed, leading_scp: Callable[..., LeadingScp]) -> None:
    leading_scp(filled.leading_port, knows(*ANSWERS))
    filled.start()
    before = content(filled)
    assert drift(filled, *FAST).exit_code == 0
    assert content(filled) == before


def content(seed: Seed) -> tuple[list[str], list[str]]:
    """The studies of the index and the names of the files."""
    index = open_index(seed.data_dir, may_upgrade=False)
    try:
        studies = [repr(match.encoded_attributes) for match in index.matches(Query(level=Level.STUDY))]
    finally:
        index.close()
    files = sorted(str(path) for path in seed.data_dir.rglob("*") if not path.name.endswith(("-wal", "-shm")))
    return [hashlib.sha256(study.encode()).hexdigest() for study in studies], files


def test_killed_in_the_middle_and_resumed_asks_for_no_study_twice(
    filled: Seed, tmp_path: Path, leading_scp: Callable[..., LeadingScp], monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = [said(number, PatientName="Roe^Jane") for number in range(1, STUDIES + 1)]
    leading = leading_scp(filled.leading_port, knows(*everything))
    path, state = tmp_path / "drift.csv", tmp_path / "state"
    arguments = (*FAST, "--csv", path, "--resume", state, "--set", "leading-page-size=2")
    saved: list[tuple[Any, ...]] = []

    def save_and_die(*what: Any) -> None:
        save(*what)
        saved.append(what)
        if len(saved) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(run, "save", save_and_die)
    assert drift(filled, *arguments).exit_code == 1
    assert state.stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr(run, "save", save)
    result = drift(filled, *arguments)
    assert result.exit_code == 0, result.output
    assert counts(result)["stale"] == STUDIES
    assert rows(path) == [(f"1.2.{number}", "stale", "PatientName") for number in range(1, STUDIES + 1)]
    asked = [uid for query in leading.queries for uid in uids(query)]
    assert asked == [f"1.2.{number}" for number in range(1, STUDIES + 1)]
    assert not state.exists()


def test_kill_9_repeats_only_the_question_under_way(
    filled: Seed, tmp_path: Path, leading_scp: Callable[..., LeadingScp]
) -> None:
    everything = [said(number) for number in range(1, STUDIES + 1)]
    knowing, third, killed = knows(*everything), threading.Event(), threading.Event()

    def script(event: Any) -> Iterable[Answer]:
        if "1.2.5" in uids(event.identifier) and not third.is_set():
            third.set()
            killed.wait(60)
            event.assoc.abort()
            return
        yield from knowing(event)

    leading = leading_scp(filled.leading_port, script)
    path, state = tmp_path / "drift.csv", tmp_path / "state"
    arguments = (*FAST, "--csv", path, "--resume", state, "--set", "leading-page-size=2")
    process = subprocess.Popen(
        [sys.executable, "-m", "dcm4py_leading", *command(filled, *arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert third.wait(120)
    finally:
        process.kill()
        process.wait()
        killed.set()
    result = drift(filled, *arguments)
    assert result.exit_code == 0, result.output
    assert rows(path) == [(f"1.2.{number}", "current", "") for number in range(1, STUDIES + 1)]
    asked = [uid for query in leading.queries for uid in uids(query)]
    assert asked == [f"1.2.{number}" for number in (1, 2, 3, 4, 5, 6, 5, 6, 7)]


def test_archive_that_aborts_for_a_while_costs_no_study_its_answer(
    filled: Seed, tmp_path: Path, leading_scp: Callable[..., LeadingScp], monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter([True, True, False])
    knowing = knows(*ANSWERS)

    def script(event: Any) -> Iterable[Answer]:
        if next(failures, False):
            event.assoc.abort()
            return
        yield from knowing(event)

    leading_scp(filled.leading_port, script)
    monkeypatch.setattr("dcm4py_leading.service.drift.pace._FIRST_PAUSE_SECONDS", 0.0)
    path = tmp_path / "drift.csv"
    result = drift(filled, *FAST, "--csv", path)
    assert result.exit_code == 0, result.output
    assert rows(path) == EXPECTED
    assert "will be asked again" in result.stderr


def test_archive_that_stays_away_is_exit_3_and_keeps_the_state(
    filled: Seed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dcm4py_leading.service.drift.pace.DRIFT_PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr("dcm4py_leading.service.drift.pace._FIRST_PAUSE_SECONDS", 0.0)
    result = drift(filled, *FAST, "--resume", tmp_path / "state")
    assert result.exit_code == 3
    assert "QRSCP" in result.stderr and "goes on from" in result.stderr


def test_since_and_leading_are_options(filled: Seed, tmp_path: Path, leading_scp: Callable[..., LeadingScp]) -> None:
    leading_scp(filled.leading_port, knows(*ANSWERS))
    path = tmp_path / "drift.csv"
    assert drift(filled, *FAST, "--since", "2026-04-01", "--leading", "QRSCP", "--csv", path).exit_code == 0
    assert rows(path) == EXPECTED[3:]


def test_counts_are_told_as_json(filled: Seed, leading_scp: Callable[..., LeadingScp]) -> None:
    leading_scp(filled.leading_port, knows(*ANSWERS))
    assert json.loads(drift(filled, *FAST, "--json").stdout) == {
        "outcomes": {"current": 2, "stale": 3, "unknown": 2, "unusable": 0, "unasked": 0},
        "staleByMonth": {"2026-03": 1, "2026-04": 1, "2026-05": 1},
        "staleByAttribute": {
            "PatientName": {"2026-03": 1, "2026-04": 1},
            "StudyDescription": {"2026-04": 1},
            "PatientID": {"2026-05": 1},
        },
        "byArchive": {"": STUDIES},
        "leftOut": {},
        "gaps": [],
    }


def test_progress_is_shown_on_a_terminal_alone(
    filled: Seed, leading_scp: Callable[..., LeadingScp], monkeypatch: pytest.MonkeyPatch
) -> None:
    leading_scp(filled.leading_port, knows(*ANSWERS))
    assert "studies to compare" not in drift(filled, *FAST).output
    isatty = "click.testing._NamedTextIOWrapper.isatty"
    monkeypatch.setattr(isatty, lambda _: True, raising=False)
    result = drift(filled, *FAST)
    assert f"{STUDIES}/{STUDIES}" in result.stderr
    assert "studies to compare" not in result.stdout


def test_same_name_in_another_character_set_is_no_difference(
    seed: Seed, tmp_path: Path, leading_scp: Callable[..., LeadingScp]
) -> None:
    seed.lead()
    name = "Müller^Jörg"
    index = open_index(seed.data_dir, may_upgrade=True)
    header = make_header("1.2.1", SpecificCharacterSet="ISO_IR 100", PatientID="P1", PatientName=name)
    store(index, header, filters=dict(check(seed.site).snapshot.device.archive.attribute_filters))
    index.close()
    answer = Dataset()
    answer.SpecificCharacterSet, answer.StudyInstanceUID = "ISO_IR 192", "1.2.1"
    answer.PatientName, answer.PatientID, answer.StudyDescription = name, "P1", "Schädel"
    leading_scp(seed.leading_port, knows(answer))
    path = tmp_path / "drift.csv"
    assert drift(seed, *FAST, "--csv", path, "--values").exit_code == 0
    assert rows(path) == [("1.2.1", "stale", "StudyDescription")]
    assert '{""StudyDescription"": ""Schädel""}' in path.read_text("utf-8")


def test_wrong_usage_is_told(filled: Seed, tmp_path: Path) -> None:
    unknown = drift(filled, "--leading", "NOBODY")
    assert (unknown.exit_code, "NOBODY is not in the directory" in unknown.stderr) == (1, True)
    assert drift(filled, "--values").exit_code == 2
    source = ["--ldif", str(filled.directory / "tree.ldif"), "--data-dir", str(tmp_path / "elsewhere")]
    without_rule = CliRunner().invoke(main, ["drift", *source, "--ae", "DCM4CHEE"])
    assert (without_rule.exit_code, "name no leading archive" in without_rule.stderr) == (2, True)
    no_ae = CliRunner().invoke(main, ["drift", *source, "--ae", "NOBODY"])
    assert (no_ae.exit_code, "the device has no NOBODY" in no_ae.stderr) == (2, True)
    no_index = CliRunner().invoke(main, ["drift", *source, "--ae", "DCM4CHEE", "--leading", "QRSCP"])
    assert (no_index.exit_code, "there is no index" in no_index.stderr) == (1, True)
    assert not (tmp_path / "elsewhere").exists()
