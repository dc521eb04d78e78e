"""``dcm4py-leading drift`` in front of a real PACS: its studies are walked by C-FIND, and compared."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydicom import Dataset

from dcm4py_leading.__main__ import main
from tests.fixtures.archive import make_header, store
from tests.fixtures.datasets import make_study
from tests.fixtures.dcmtk import DcmQrScp
from tests.fixtures.dcmtk_scu import storescu
from tests.fixtures.ingest import open_index
from tests.fixtures.orthanc import Orthanc
from tests.fixtures.ports import free_port
from tests.fixtures.proxy import stand_in_front_of
from tests.fixtures.scripted import LeadingScp, knows
from tests.fixtures.service import Seed

pytestmark = pytest.mark.peers

STUDIES = 12
FIRST = date(2019, 12, 24)


def uid(number: int) -> str:
    return f"1.2.826.0.1.3680043.8.498.{number}"


def day(number: int) -> str:
    return (FIRST + timedelta(days=40 * number)).strftime("%Y%m%d")


def leading_answer(number: int) -> Dataset:
    """What the leading archive says of a study of the PACS: every third has another name."""
    ds = Dataset()
    ds.StudyInstanceUID, ds.PatientID, ds.StudyDate = uid(number), f"P{number}", day(number)
    ds.PatientName = "Doe^John" if number % 3 else "Roe^Jane"
    return ds


@pytest.fixture(params=["orthanc", "dcmqrscp"])
def filled(
    request: pytest.FixtureRequest,
    seed: Seed,
    orthanc: Callable[..., Orthanc],
    dcmqrscp: Callable[..., DcmQrScp],
    tmp_path: Path,
) -> Seed:
    """The service in front of a PACS with studies; one more is stored here."""
    port = free_port()
    files = [
        file
        for number in range(STUDIES)
        for file in make_study(
            tmp_path / f"study{number}",
            patient_id=f"P{number}",
            patient_name="Doe^John",
            study_uid=uid(number),
            instances=1,
            attributes={"StudyDate": day(number), "StudyTime": "101500"},
        )
    ]
    if request.param == "orthanc":
        orthanc(ae_title="PACS", settings={"DicomPort": port}).store(files)
    else:
        dcmqrscp(ae_title="PACS", port=port)
        assert storescu(port, files, called_ae_title="PACS").returncode == 0
    seed.lead()
    stand_in_front_of(seed, port)
    index = open_index(seed.site)
    store(index, make_header("1.2.1", "1.2.1.1", "1.2.1.1.1", StudyDate="20260101"))
    index.close()
    return seed


def rows(path: Path) -> list[tuple[str, str, str]]:
    with path.open(newline="") as file:
        return sorted((row["StudyInstanceUID"], row["archive"], row["outcome"]) for row in csv.DictReader(file))


def test_studies_of_a_pacs_are_compared_each_once(
    filled: Seed, tmp_path: Path, leading_scp: Callable[..., LeadingScp], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dcm4py_leading.drifting.run.DRIFT_WINDOW_STUDIES", 4)
    leading_scp(filled.leading_port, knows(*map(leading_answer, range(STUDIES))))
    source = [item for name in ("tree", "changes") for item in ("--ldif", str(filled.directory / f"{name}.ldif"))]
    path = tmp_path / "drift.csv"
    arguments = ["--data-dir", filled.data_dir, "--ae", "DCM4CHEE", "--csv", path]
    rates = ["--rate", "1000", "--archive-rate", "1000"]
    result = CliRunner().invoke(main, ["drift", *source, *map(str, arguments), *rates])
    assert result.exit_code == 0, result.output
    in_pacs = [(uid(n), "PACS", "current" if n % 3 else "stale") for n in range(STUDIES)]
    assert rows(path) == sorted([("1.2.1", "", "unknown"), *in_pacs])
    assert f"compared with QRSCP: {STUDIES + 1} studies" in result.stdout
    assert "PACS" in result.stdout and "without a Study Date" in result.stdout
