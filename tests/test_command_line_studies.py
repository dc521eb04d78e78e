"""``dcm4py-leading studies``, on an index on the disk and against a running service."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pydicom
import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner, Result
from pydicom import Dataset
from pydicom.uid import UID

from dcm4py_leading.__main__ import main
from dcm4py_leading.archive.data_directory import open_index
from dcm4py_leading.archive.index.writing.editing import EditNote
from dcm4py_leading.archive.storage.file_storage import FileStorage
from dcm4py_leading.errors import StorageUnavailable
from dcm4py_leading.web.app import create_app
from tests.fixtures.archive import find, make_header, store
from tests.fixtures.datasets import make_study
from tests.fixtures.http import served
from tests.fixtures.proxy import stand_in_front_of
from tests.fixtures.scripted import LeadingScp, knows
from tests.fixtures.scu import find as find_by_network
from tests.fixtures.scu import identifier
from tests.fixtures.service import AE, DEVICE, Seed

STUDY = "1.2.826.0.1.3680043.8.498.64"
OTHER = "1.2.826.0.1.3680043.8.498.65"


def run(*arguments: str | Path, typed: str = "") -> Result:
    return CliRunner().invoke(main, ["studies", *map(str, arguments)], input=typed)


def import_files(seed: Seed, folder: Path, *arguments: str) -> Result:
    tree, changes = seed.directory / "tree.ldif", seed.directory / "changes.ldif"
    source: list[str | Path] = ["--ldif", tree, "--ldif", changes, "--data-dir", seed.data_dir]
    return run("import", folder, *source, "--ae", "DCM4CHEE", *arguments)


def stored(seed: Seed) -> list[Dataset]:
    index = open_index(seed.data_dir, may_upgrade=False)
    try:
        return find(index, "IMAGE", relational=True)
    finally:
        index.close()


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """A data directory with three studies."""
    index = open_index(tmp_path, may_upgrade=True)
    for number, (name, date, modality) in enumerate(
        [("Doe^Jane", "20250131", "CT"), ("Doering^Max", "20250201", "MR"), ("山田^太郎" * 6, "20240101", "US")], 1
    ):
        for instance in (1, 2):
            header = make_header(
                f"1.2.{number}",
                f"1.2.{number}.1",
                f"1.2.{number}.1.{instance}",
                SpecificCharacterSet="ISO_IR 192",
                PatientID=f"P-{number}",
                PatientName=name,
                StudyDate=date,
                Modality=modality,
                AccessionNumber=f"A\u202e{number}" if number == 2 else f"A{number}",
            )
            store(index, header)
    index.close()
    return tmp_path


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([], ["1.2.1", "1.2.2", "1.2.3"]),
        (["--patient-id", "P-2"], ["1.2.2"]),
        (["--patient-name", "doe*"], ["1.2.1", "1.2.2"]),
        (["--date", "2025-01-31"], ["1.2.1"]),
        (["--date", "20250101-20250131"], ["1.2.1"]),
        (["--date", "2025-02-01-"], ["1.2.2"]),
        (["--date", "-20241231"], ["1.2.3"]),
        (["--modality", "MR"], ["1.2.2"]),
        (["--accession", "A3"], ["1.2.3"]),
        (["--patient-name", "doe*", "--modality", "CT"], ["1.2.1"]),
        (["--patient-id", "nobody"], []),
    ],
)
def test_list_prints_the_studies_that_match(listed: Path, filters: list[str], expected: list[str]) -> None:
    result = run("list", "--data-dir", listed, *filters)
    assert result.exit_code == 0, result.output
    assert [line.strip() for line in result.stdout.splitlines() if line.startswith("  ")] == expected
    as_json = json.loads(run("list", "--data-dir", listed, *filters, "--json").stdout)
    assert [study["StudyInstanceUID"] for study in as_json] == expected
    assert {study["NumberOfStudyRelatedInstances"] for study in as_json} <= {2}


def test_list_fits_80_columns_and_moves_no_cursor(listed: Path) -> None:
    lines = run("list", "--data-dir", listed).stdout.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert "\u202e" not in "".join(lines)
    assert any("2025-01-31" in line and "P-1" in line and "Doe^Jane" in line and line.endswith(" 2") for line in lines)


@pytest.mark.parametrize("dates", ["yesterday", "2025", "20250101-2025"])
def test_wrong_dates_are_wrong_usage(listed: Path, dates: str) -> None:
    assert run("list", "--data-dir", listed, "--date", dates).exit_code == 2


@pytest.mark.parametrize("arguments", [["list"], ["show", "1.2.3"]])
def test_data_directory_without_index_is_told(tmp_path: Path, arguments: list[str]) -> None:
    result = run(*arguments, "--data-dir", tmp_path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "--data-dir" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_show_prints_series_sizes_storages_and_the_last_edit(listed: Path) -> None:
    index = open_index(listed, may_upgrade=False)
    wanted = Dataset()
    wanted.StudyInstanceUID, wanted.PatientID, wanted.AccessionNumber = "1.2.1", "P-1", "A1"
    wanted.StudyDate, wanted.StudyDescription = "20250131", "Knee"
    note = EditNote(
        modifying_system="DCM4CHEE",
        source_of_previous_values="",
        reason="CORRECT",
        now=datetime(2026, 1, 2),
    )
    assert index.edit_study("1.2.1", wanted, keeper=index.keeper({}), note=note)
    index.close()
    result = run("show", "1.2.1", "--data-dir", listed)
    assert result.exit_code == 0, result.output
    for told in ("Doe^Jane", "Knee", "series 1.2.1.1", "CT, 2 objects, 2.0 kB, in storage fs1", "20260102", "CORRECT"):
        assert told in result.stdout
    as_json = json.loads(run("show", "1.2.1", "--data-dir", listed, "--json").stdout)
    (series,) = as_json["series"]
    assert (series["objects"], series["bytes"], series["storages"]) == (2, 2000, ["fs1"])
    (edit,) = as_json["lastEdits"]
    assert (edit["level"], edit["attributes"]) == ("STUDY", ["StudyDescription"])


@pytest.mark.parametrize("uid", ["1.2.9", "*", "", "\\"])
def test_study_that_is_not_there_is_exit_1(listed: Path, uid: str) -> None:
    result = run("show", uid, "--data-dir", listed)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no such study" in result.stderr


def test_shell_completion_knows_the_commands_and_their_options() -> None:
    complete = BashComplete(main, {}, "dcm4py-leading", "_DCM4PY_LEADING_COMPLETE")
    assert {item.value for item in complete.get_completions(["studies"], "")} == {"delete", "import", "list", "show"}
    options = {item.value for item in complete.get_completions(["studies", "list"], "--")}
    assert options >= {"--patient-id", "--patient-name", "--date", "--modality", "--accession", "--json", "--data-dir"}


@pytest.fixture
def service(seed: Seed, tmp_path: Path) -> Iterator[str]:
    """A running service with two studies; its URL."""
    seed.set(DEVICE, dcmAllowDeleteStudyPermanently="ALWAYS")
    for uid in (STUDY, OTHER):
        make_study(tmp_path / "files" / uid, patient_id="P", patient_name="A^B", study_uid=uid)
    assert import_files(seed, tmp_path / "files").exit_code == 0
    with served(app=create_app(seed.start())) as client:
        yield str(client.base_url)


def delete(url: str, *arguments: str, typed: str = "", ae: str = "DCM4CHEE") -> Result:
    return run("delete", STUDY, "--ae", ae, "--http", url, *arguments, typed=typed)


def test_delete_asks_first(seed: Seed, service: str) -> None:
    refused = delete(service, typed="n\n")
    assert refused.exit_code == 1
    assert STUDY in refused.stderr
    assert len(stored(seed)) == 6
    assert delete(service, typed="y\n").exit_code == 0
    assert {ds.StudyInstanceUID for ds in stored(seed)} == {OTHER}
    assert len(seed.objects) == 3


def test_delete_without_asking_and_what_the_service_refuses(seed: Seed, service: str) -> None:
    assert delete(service, "--yes").exit_code == 0
    again = delete(service, "--yes")
    assert again.exit_code == 1
    assert "no such study" in again.stderr
    assert delete(service, "--yes", ae="NO/ONE").exit_code == 1
    assert delete("http://127.0.0.1:1", "--yes").exit_code == 3


def test_import_stores_what_is_dicom_and_names_what_is_not(seed: Seed, tmp_path: Path) -> None:
    folder = tmp_path / "disc"
    make_study(folder / "IMAGES", patient_id="P", patient_name="A^B", study_uid=STUDY)
    (folder / "README.TXT").write_text("Thank you")
    (folder / "empty").touch()
    (folder / "IMAGES" / "to nowhere").symlink_to(tmp_path / "nowhere")
    directory = pydicom.dcmread(next((folder / "IMAGES").glob("*.dcm")))
    directory.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.1.3.10")
    directory.save_as(folder / "DICOMDIR")
    result = import_files(seed, folder)
    assert result.exit_code == 0, result.output
    assert result.stdout == "6 files: 3 new, 1 DICOMDIR, 2 no DICOM\n"
    assert f"{folder / 'README.TXT'}: no DICOM file" in result.stderr
    assert len(stored(seed)) == 3
    assert {path.read_bytes()[-100:] for path in seed.objects} == {
        path.read_bytes()[-100:] for path in (folder / "IMAGES").glob("*.dcm")
    }
    again = import_files(seed, folder)
    assert again.stdout == "6 files: 3 there already, 1 DICOMDIR, 2 no DICOM\n"
    seed.set(AE, dcmOverwritePolicy="EVEN_WITH_EQUAL_DIGEST")
    assert import_files(seed, folder).stdout == "6 files: 3 replaced, 1 DICOMDIR, 2 no DICOM\n"


def test_import_goes_on_after_what_fails_and_ends_with_1(seed: Seed, tmp_path: Path) -> None:
    files = make_study(tmp_path / "study", patient_id="P", patient_name="A^B", study_uid=STUDY)
    files[0].write_bytes(files[0].read_bytes()[:-100])
    other = pydicom.dcmread(files[1])
    other.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    other.save_as(tmp_path / "study" / "other.dcm")
    unknown = pydicom.dcmread(files[1])
    unknown.file_meta.MediaStorageSOPClassUID = unknown.SOPClassUID = UID("1.2.3.4")
    unknown.save_as(tmp_path / "study" / "unknown.dcm")
    (tmp_path / "study" / "half.dcm").write_bytes(files[1].read_bytes()[:150])
    result = import_files(seed, tmp_path / "study")
    assert result.exit_code == 1
    assert result.stdout == "6 files: 2 new, 4 failed\n"
    for name in (files[0].name, "other.dcm", "unknown.dcm", "half.dcm"):
        assert name in result.stderr
    assert "transfer capability" in result.stderr
    assert len(stored(seed)) == 2


def test_import_coerces_as_a_c_store_does(seed: Seed, tmp_path: Path, leading_scp: Callable[..., LeadingScp]) -> None:
    seed.change(
        f"""
dn: cn=Leading on store,{DEVICE}
changetype: add
objectClass: dcmArchiveAttributeCoercion
cn: Leading on store
dcmDIMSE: C_STORE_RQ
dicomTransferRole: SCU
dcmProperty: SendingApplicationEntityTitle=SCANNER
dcmLeadingCFindSCP: QRSCP
"""
    )
    study = Dataset()
    study.StudyInstanceUID, study.PatientName, study.PatientID = STUDY, "Right^Name", "P"
    leading_scp(seed.leading_port, knows(study))
    make_study(tmp_path / "study", patient_id="P", patient_name="Old^Name", study_uid=STUDY)
    assert import_files(seed, tmp_path / "study", "--sending", "SCANNER").exit_code == 0
    assert {str(ds.PatientName) for ds in stored(seed)} == {"Right^Name"}
    assert {str(pydicom.dcmread(path).PatientName) for path in seed.objects} == {"Right^Name"}


def test_import_runs_beside_the_service_which_finds_it_at_once(seed: Seed, tmp_path: Path) -> None:
    seed.start()
    make_study(tmp_path / "study", patient_id="P", patient_name="A^B", study_uid=STUDY)
    assert import_files(seed, tmp_path / "study").exit_code == 0
    _, matches = find_by_network(seed.archive_port, identifier("STUDY", StudyInstanceUID=STUDY, PatientName=""))
    assert [str(match.PatientName) for match in matches] == ["A^B"]


def test_import_stops_where_nothing_can_be_stored(seed: Seed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_study(tmp_path / "study", patient_id="P", patient_name="A^B", study_uid=STUDY)

    def full(_: object) -> None:
        raise StorageUnavailable("storage fs1: No space left on device")

    monkeypatch.setattr(FileStorage, "receive", full)
    result = import_files(seed, tmp_path / "study")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "No space left on device" in result.stderr and "0 of 3 files" in result.stderr


def test_import_names_an_ae_that_stores_nothing_itself(seed: Seed, tmp_path: Path) -> None:
    stand_in_front_of(seed, 1)
    result = import_files(seed, tmp_path)
    assert result.exit_code == 2
    assert "PACS" in result.stderr
    assert import_files(seed, tmp_path, "--ae", "NOBODY").exit_code == 2


def test_import_shows_progress_on_a_terminal_alone(seed: Seed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_study(tmp_path / "study", patient_id="P", patient_name="A^B", study_uid=STUDY)
    assert "3/3" not in import_files(seed, tmp_path / "study").stderr
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _: True, raising=False)
    result = import_files(seed, tmp_path / "study")
    assert "3/3" in result.stderr
    assert result.stdout == "3 files: 3 there already\n"
