"""The benchmark: its data, its arithmetic, and once in full with a handful of objects. Nothing here is timed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pydicom
import pytest

from scripts.benchmark import report, results
from scripts.benchmark.__main__ import main, parse
from scripts.benchmark.archives import DICOMWEB_PLUG_IN
from scripts.benchmark.data import LEADING_KEYWORDS, digest, generate
from scripts.benchmark.groups import GROUPS
from scripts.benchmark.machine import BusyError, await_rest
from scripts.benchmark.operations import Operation, measure
from scripts.benchmark.pages import PAGES
from scripts.benchmark.plot import svg
from scripts.benchmark.process import BenchmarkError
from scripts.benchmark.results import Calls, Check, PeakMemory, Results, Sample
from scripts.benchmark.targets import TARGETS, outcomes
from tests.fixtures.peers_required import require
from tests.fixtures.processes import find_program

ROOT = Path(__file__).resolve().parent.parent
MIB = 2**20


def sample(operation: str, contender: str, number: int, seconds: float, objects: int = 100) -> Sample:
    return Sample(
        operation=operation,
        contender=contender,
        round=number,
        seconds=seconds,
        cpu_seconds=0.1,
        system_seconds=0.04,
        objects=objects,
    )


def a_run(*samples: Sample) -> Results:
    found = Results(machine={"machine": "one"}, settings={"rounds": "3"}, samples=list(samples))
    found.checks.append(Check(name="move A, ours", passed=True))
    return found


def outcome_of(found: Results, name: str):
    return next(outcome for outcome in outcomes(found) if outcome.target.name == name)


def test_data_is_the_same_each_time(tmp_path: Path) -> None:
    made = []
    for name in ("one", "other"):
        directory = tmp_path / name
        directory.mkdir()
        generate(directory, scale=0.005, large_bytes=MIB)
        made.append({path.relative_to(directory): path.read_bytes() for path in directory.rglob("*.dcm")})
    assert made[0] == made[1]
    assert len(made[0]) == 2 + 10 + 5 + 1 + (2 + 5 + 1)


def test_data_is_dicom_with_what_the_checks_look_at(tmp_path: Path) -> None:
    data = generate(tmp_path, scale=0.005, large_bytes=MIB)
    for study in (*data.studies, data.large):
        stored = pydicom.dcmread(study.files[0])
        leading = pydicom.dcmread(data.leading_directory / f"{study.label}{study.number:05}.dcm")
        assert stored.StudyInstanceUID == leading.StudyInstanceUID == study.study_uid
        for keyword in LEADING_KEYWORDS:
            assert stored[keyword].value == study.stored[keyword]
            assert leading[keyword].value == study.leading[keyword] != study.stored[keyword]
        if study.digests:
            assert study.digests[stored.SOPInstanceUID] == digest(stored.PixelData)
    assert 60 <= len(pydicom.dcmread(data.a.files[0])) <= 100
    assert data.large.total_bytes - MIB < 4096


def test_a_ratio_is_of_medians_and_pairs_the_rounds() -> None:
    found = a_run(
        *(sample("move_A", "ours", number, seconds) for number, seconds in ((1, 1.0), (2, 2.0), (3, 4.0))),
        *(sample("move_A", "dcmqrscp", number, seconds) for number, seconds in ((1, 4.0), (2, 4.0), (3, 4.0))),
        *(sample("move_A", "orthanc", number, seconds) for number, seconds in ((1, 5.0), (2, 5.0), (3, 5.0))),
    )
    outcome = outcome_of(found, "C-MOVE, A")
    assert (outcome.contender, outcome.ratio, outcome.least, outcome.greatest) == ("dcmqrscp", 2.0, 1.0, 4.0)
    assert outcome.is_reached


def test_different_numbers_of_objects_are_compared_by_the_object() -> None:
    found = a_run(sample("nagle_A", "ours", 1, 0.5, objects=500), sample("nagle_A", "orthanc", 1, 2.0, objects=50))
    assert outcome_of(found, "C-MOVE, A, sink with Nagle on").ratio == 40
    assert not outcome_of(found, "C-MOVE, A, sink with Nagle on").is_reached


def test_less_time_is_better_where_a_target_is_of_time() -> None:
    found = a_run(sample("echo", "ours", 1, 0.003), sample("echo", "orthanc", 1, 0.001))
    outcome = outcome_of(found, "C-ECHO")
    assert outcome.ratio == pytest.approx(3)
    assert not outcome.is_reached


def test_row_without_a_measurement_has_no_outcome() -> None:
    assert list(outcomes(a_run(sample("move_A", "ours", 1, 1.0), sample("move_B", "orthanc", 1, 1.0)))) == []


def test_results_survive_json() -> None:
    found = a_run(sample("echo", "ours", 1, 0.003))
    found.memory.append(PeakMemory(operation="move_A", contender="ours", anonymous=1, file=2, high_water=3))
    found.calls.append(
        Calls(operation="echo", contender="ours", objects=9, calls=8.5, functions=[(1.5, 2.25, "{socket.sendmsg}")])
    )
    assert results.from_json(results.to_json(found)) == found


def test_every_target_is_told_with_its_verdict() -> None:
    contenders = ("ours", "uncoerced", "one", "dcmqrscp", "orthanc")
    operations = {target.operation for target in TARGETS}
    found = a_run(*(sample(operation, name, 1, 1.0) for operation in sorted(operations) for name in contenders))
    found.memory.append(PeakMemory(operation="move_A", contender="ours", anonymous=111 * MIB, file=2, high_water=3))
    found.memory.append(PeakMemory(operation="store_L", contender="ours", anonymous=300 * MIB, file=2, high_water=3))
    for told in (report.as_text(found), report.as_markdown(found)):
        assert [target.name for target in TARGETS if target.name not in told] == []
        assert told.count("reached") - 1 == sum(
            outcome.is_reached for outcome in outcomes(found) if outcome.target.limit is not None
        )
        assert "111 MiB" in told
        assert "All 1 checks good" in told
    drawn = ElementTree.fromstring(svg(list(outcomes(found))))
    text = "".join(drawn.itertext())
    assert [target.name for target in TARGETS if (target.name not in text) != (target.limit is None)] == []


def test_another_revision_is_compared_round_by_round() -> None:
    found = a_run(
        *(sample("get_B", "ours", number, seconds) for number, seconds in enumerate((2.0, 6.0, 3.0), 1)),
        *(sample("get_B", "before", number, seconds) for number, seconds in enumerate((4.0, 4.0, 4.0), 1)),
    )
    assert "C-GET B    3       1.00      1.00 to 1.00   0.75       0.50 to 1.50" in report.as_text(found)


def test_failed_check_is_reported_and_a_missing_check_fails() -> None:
    found = a_run()
    assert found.passed
    found.checks.append(Check(name="get B, ours", passed=False, detail="3 of 9 objects are missing"))
    assert not found.passed
    assert "get B, ours: 3 of 9 objects are missing" in report.as_text(found)
    assert not Results(machine={}, settings={}).passed


def test_figures_of_a_busy_machine_are_marked_in_every_table() -> None:
    found = a_run(sample("echo", "ours", 1, 0.003), sample("echo", "orthanc", 1, 0.001), sample("get_A", "ours", 1, 1))
    assert "BUSY" not in report.as_text(found)
    found.is_busy = True
    for table in report.tables(found):
        assert table.title.endswith("(BUSY MACHINE: not to be compared)")


def test_a_run_is_refused_while_the_machine_has_other_work() -> None:
    said: list[str] = []
    with pytest.raises(BusyError, match=r"load of this machine is 2\.00.*some 42 s.*--wait 52.*--busy"):
        await_rest(0, said.append, load=lambda: 2.0)


def test_a_run_begins_once_the_load_has_fallen() -> None:
    loads, said = [1.5, 1.0], list[str]()
    await_rest(0.01, said.append, load=lambda: loads.pop(0))
    assert loads == []
    assert "the load is 1.50: waiting up to 0 s" in said[0]


def test_user_and_system_time_are_told_apart() -> None:
    assert "| 600 | 400 |" in report.as_markdown(a_run(sample("get_A", "ours", 1, 1.0)))


def test_functions_that_take_most_time_are_told() -> None:
    found = a_run()
    found.calls.append(
        Calls(operation="get_1", contender="ours", objects=9, calls=1234.6, functions=[(2, 3.25, "{socket.sendmsg}")])
    )
    assert "C-GET, one object  ours     9        1,235" in report.as_text(found)
    assert "      2.00       3.25  {socket.sendmsg}" in report.profile(found)


def test_figures_go_between_their_marks(tmp_path: Path) -> None:
    run, document = tmp_path / "run.json", tmp_path / "performance.md"
    run.write_text(results.to_json(a_run(sample("echo", "ours", 1, 0.003))))
    document.write_text((ROOT / "docs/performance.md").read_text("utf-8"))
    for _ in range(2):
        assert main(["--from", str(run), "--markdown", str(document)]) == 0
    told = document.read_text("utf-8")
    assert told.count("| C-ECHO | ours | 100 | 1 | 3 |") == 1
    assert "Not measured yet" not in told
    assert told.startswith("# Performance")


def test_a_document_without_marks_is_left_alone(tmp_path: Path) -> None:
    run, document = tmp_path / "run.json", tmp_path / "notes.md"
    run.write_text(results.to_json(a_run()))
    document.write_text("notes\n")
    assert main(["--from", str(run), "--markdown", str(document)]) == 2
    assert document.read_text() == "notes\n"


def test_groups_are_measured_in_their_own_order() -> None:
    assert parse([]).only == GROUPS
    assert parse(["--only", "store,move"]).only == ("move", "store")


@pytest.mark.parametrize(
    "wrong",
    (
        ["--only", "fly"],
        ["--scale", "0"],
        ["--scale", "2"],
        ["--rounds", "0"],
        ["--against", "HEAD", "--only", "pages"],
        ["--against", "HEAD", "--only", "window"],
        ["--wait", "-1"],
    ),
)
def test_wrong_options_are_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(wrong)
    assert ended.value.code == 2


def test_rounds_go_over_the_contenders_in_turn_after_a_warm_up() -> None:
    asked: list[str] = []

    def do(contender: str) -> Sample:
        asked.append(contender)
        return sample("echo", contender, 0, 1.0)

    found = a_run()
    operation = Operation(name="echo", contenders=("ours", "orthanc"), measure=do)
    measure([operation], found, rounds=2, until=None, say=lambda _: None)
    assert asked == ["ours", "orthanc", "orthanc", "ours", "ours", "orthanc"]
    assert [(one.contender, one.round) for one in found.samples] == [
        ("orthanc", 1),
        ("ours", 1),
        ("ours", 2),
        ("orthanc", 2),
    ]


def test_one_round_is_measured_though_no_time_is_left() -> None:
    found = a_run()
    operation = Operation(name="echo", contenders=("ours",), measure=lambda c: sample("echo", c, 0, 1.0))
    measure([operation], found, rounds=5, until=0.0, say=lambda _: None)
    assert [one.round for one in found.samples] == [1]


def test_a_failed_operation_fails_the_run_and_the_others_go_on() -> None:
    def do(contender: str) -> Sample:
        if contender == "orthanc":
            raise BenchmarkError("movescu ended with 69")
        return sample("move_A", contender, 0, 1.0)

    found = a_run()
    operation = Operation(name="move_A", contenders=("orthanc", "ours"), measure=do, has_warm_up=False)
    measure([operation], found, rounds=1, until=None, say=lambda _: None)
    assert [one.contender for one in found.samples] == ["ours"]
    assert not found.passed


@pytest.mark.peers
def test_another_revision_is_measured_beside_this_one(tmp_path: Path) -> None:
    _require_peers()
    found = _bench(tmp_path, "--against", "HEAD", "--only", "get,several,small,store,calls", "--workers", "1")
    assert {one.contender for one in found.samples} == {"ours", "before"}
    assert {(one.operation, one.contender) for one in found.samples} >= {("get_A", "before"), ("store_B", "before")}
    assert {(one.operation, one.contender) for one in found.samples} >= {("get_B_by_4", "before"), ("move_1", "before")}
    assert {one.contender for one in found.calls} == {"ours", "before"}
    assert found.settings["before"] == "HEAD"


@pytest.mark.peers
def test_everything_is_delivered_and_nothing_is_left(tmp_path: Path) -> None:
    _require_peers()
    found = _bench(tmp_path, "--only", ",".join(GROUPS), "--large", "1")
    measured = {(one.operation, one.contender) for one in found.samples}
    assert measured >= {(target.operation, name) for target in TARGETS for name in ("ours", *target.against)}
    assert measured >= {(page, "ours") for page in PAGES}
    assert {(peak.operation, peak.contender) for peak in found.memory} >= {("move_L", "ours"), ("move_A", "orthanc")}
    assert {calls.operation for calls in found.calls} >= {"get_A", "move_B", "store_B", "find_many", "echo"}
    assert all(calls.calls > 10 and calls.functions for calls in found.calls)
    assert found.machine["Orthanc"]


def _require_peers() -> None:
    for name, package in (("dcmqrscp", "dcmtk"), ("Orthanc", "orthanc"), ("slapd", "slapd")):
        require(find_program(name) is not None, f"{name} (Debian package {package})")
    require(DICOMWEB_PLUG_IN.exists(), "Orthanc's plug-in for DICOMweb (Debian package orthanc-dicomweb)")


def _bench(directory: Path, *options: str) -> Results:
    """One round of a run with a handful of objects, which left nothing where its stores were."""
    stores, run = directory / "stores", directory / "run.json"
    stores.mkdir()
    small = ("--busy", "--quick", "--rounds", "1", "--scale", "0.001")
    done = subprocess.run(
        [sys.executable, "-m", "scripts.benchmark", *small, *options, "--dir", str(stores), "--json", str(run)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    if sys.pycache_prefix is not None:  # that of another revision, which each of its processes has read
        shutil.rmtree(Path(sys.pycache_prefix, *stores.resolve().parts[1:]), ignore_errors=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = results.read(run)
    assert [check for check in found.checks if not check.passed] == []
    assert list(stores.iterdir()) == []
    return found
