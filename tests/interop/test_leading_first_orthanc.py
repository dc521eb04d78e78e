"""Leading-first matching with real archives as leading archive."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dcm4py_leading.app import Service
from dcm4py_leading.model.options import parse_options
from tests.fixtures.datasets import make_study
from tests.fixtures.dcmtk import DcmQrScp, StoreScp, dcmsend, findscu, movescu
from tests.fixtures.orthanc import Orthanc
from tests.fixtures.service import DEVICE, Seed

STUDY = "1.2.826.0.1.3680043.8.498.61"
QUERY_RULE = f"""
dn: cn=Leading query,{DEVICE}
changetype: add
objectClass: dcmArchiveAttributeCoercion
cn: Leading query
dcmDIMSE: C_FIND_RSP
dicomTransferRole: SCU
dcmLeadingCFindSCP: QRSCP
"""


@pytest.fixture
def archive(seed: Seed, tmp_path: Path) -> Iterator[Seed]:
    """Ours, with three studies of the patients OLD-1 and OLD-2 and leading-first on."""
    seed.lead()
    seed.change(QUERY_RULE)
    seed.options = parse_options(["leading-first=true"])
    service = Service(seed.site)
    for number, patient in enumerate(("OLD-1", "OLD-1", "OLD-2")):
        files = make_study(
            tmp_path / f"old{number}", patient_id=patient, patient_name="Old^Name", study_uid=f"{STUDY}.{number}"
        )
        assert dcmsend(seed.archive_port, files, called_ae_title="DCM4CHEE").returncode == 0
    yield seed
    service.stop(5)


def merged(directory: Path, second_name: str = "New^Name") -> list[Path]:
    """The same studies as the leading archive has them: those of OLD-1 and OLD-2 are of NEW; and one more."""
    return [
        file
        for number in (0, 1, 2, 3)
        for file in make_study(
            directory / f"new{number}",
            patient_id="NEW",
            patient_name=second_name if number == 1 else "New^Name",
            study_uid=f"{STUDY}.{number}",
            instances=1,
            attributes={"AccessionNumber": f"A{number}"},
        )
    ]


def found(archive: Seed, level: str = "STUDY", **keys: str) -> list[tuple[str, str, str]]:
    query = {"StudyInstanceUID": "", "PatientID": "", "PatientName": "", **keys}
    if level == "PATIENT":
        del query["StudyInstanceUID"]
    outcome = findscu(
        archive.archive_port,
        called_ae_title="DCM4CHEE",
        level=level,
        keys=query,
        model="PATIENT" if level == "PATIENT" else "STUDY",
    )
    assert outcome.status == 0x0000
    return sorted(
        (str(m.get("StudyInstanceUID", "")).rpartition(".")[2], m.PatientID, str(m.PatientName))
        for m in outcome.matches
    )


def moved(archive: Seed, patient_id: str) -> int:
    outcome = movescu(
        archive.archive_port,
        called_ae_title="DCM4CHEE",
        destination="STORESCP",
        level="PATIENT",
        keys={"PatientID": patient_id},
        model="PATIENT",
    )
    assert outcome.status == 0x0000 and outcome.final is not None and outcome.final.completed is not None
    return outcome.final.completed


@pytest.mark.parametrize("leading", ["orthanc", "dcmqrscp"])
def test_the_new_identity_is_found_and_delivered_and_the_old_one_is_not(
    archive: Seed,
    leading: str,
    orthanc: Callable[..., Orthanc],
    dcmqrscp: Callable[..., DcmQrScp],
    storescp: Callable[..., StoreScp],
    tmp_path: Path,
) -> None:
    port = archive.leading_port
    leader = orthanc(ae_title="QRSCP", settings={"DicomPort": port}) if leading == "orthanc" else dcmqrscp(port=port)
    # dcmqrscp does not tell the character set of its answers.
    second_name = "Müller^Änne" if leading == "orthanc" else "Mueller^Anne"
    leader.store(merged(tmp_path, second_name))
    viewer = storescp(port=archive.viewer_port, options=("+xa", "+B", "+uf"))
    new = [("0", "NEW", "New^Name"), ("1", "NEW", second_name), ("2", "NEW", "New^Name")]

    assert found(archive, PatientID="NEW") == new
    assert found(archive, PatientName="New*") == [new[0], new[2]]
    assert found(archive, AccessionNumber="A1") == [new[1]]
    assert found(archive, PatientName="Old*") == []
    assert found(archive, PatientID="OLD-1") == []
    # Two people under one Patient ID, as the leading archive tells of them: both are answered.
    assert found(archive, "PATIENT", PatientID="NEW") == sorted(("", "NEW", name) for name in ("New^Name", second_name))

    assert moved(archive, "NEW") == 9
    assert {(str(ds.StudyInstanceUID), ds.PatientID) for ds in viewer.datasets()} == {
        (f"{STUDY}.{number}", "NEW") for number in range(3)
    }
    assert moved(archive, "OLD-1") == 0


def test_a_leading_archive_that_stops_and_comes_back(
    archive: Seed, orthanc: Callable[..., Orthanc], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    leader = orthanc(ae_title="QRSCP", settings={"DicomPort": archive.leading_port})
    leader.store(merged(tmp_path))
    assert len(found(archive, PatientID="NEW")) == 3
    leader.stop()
    with caplog.at_level(logging.WARNING):
        assert found(archive, PatientID="NEW") == []
    assert any("QRSCP" in record.getMessage() for record in caplog.records)
    leader.start()
    assert len(found(archive, PatientID="NEW")) == 3
