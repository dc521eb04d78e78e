"""Some attributes of a study or of its patient are edited: all others stay, and nobody's change is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import UID

from dcm4py_leading.app import Service
from dcm4py_leading.errors import DocumentInvalid, EditRefused
from dcm4py_leading.model.values import Level
from dcm4py_leading.service.editing.amend import Amendment, EditField, Fixed
from tests.fixtures.datasets import make_study
from tests.fixtures.dcmtk import StoreScp, movescu, storescu
from tests.fixtures.service import AE, DEVICE, Seed

pytestmark = pytest.mark.peers

STUDY = "1.2.826.0.1.3680043.8.498.77"
NAME, ID, ISSUER, COMMENTS, OTHER_NAMES = 0x00100010, 0x00100020, 0x00100021, 0x00104000, 0x00101001
DESCRIPTION, ACCESSION, PROCEDURES = 0x00081030, 0x00080050, 0x00081032


@pytest.fixture
def service(seed: Seed, tmp_path: Path) -> Service:
    service = seed.start()
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "K", "99X", "Knee"
    attributes = {"StudyDescription": "Old", "AccessionNumber": "OLD", "ProcedureCodeSequence": [code]}
    for uid, patient, name in ((STUDY, "P-1", "Old^Name"), (f"{STUDY}.2", "P-2", "Other")):
        files = make_study(
            tmp_path / uid, patient_id=patient, patient_name=name, study_uid=UID(uid), attributes=attributes
        )
        assert storescu(seed.archive_port, files, called_ae_title="DCM4CHEE").returncode == 0
    return service


def fields(service: Service, level: Level, uid: str = STUDY) -> dict[int, EditField]:
    return {field.tag: field for field in service.edit_fields("DCM4CHEE", uid, level)}


def amend(service: Service, level: Level, *, author: str = "", **changes: tuple[str, str]) -> None:
    """Change attributes, named like ``x00100010``, from one value to another."""
    lines = {int(name[1:], 16): ((old,) if old else (), (new,) if new else ()) for name, (old, new) in changes.items()}
    amendment = Amendment(
        ae_title="DCM4CHEE",
        study_instance_uid=STUDY,
        level=level,
        shown={tag: old for tag, (old, _) in lines.items()},
        wanted={tag: new for tag, (_, new) in lines.items()},
        author=author,
    )
    service.amend(amendment)


def moved(seed: Seed, folder: Path) -> Dataset:
    with StoreScp(folder, port=seed.viewer_port, options=("+xa", "+B", "+uf")) as viewer:
        outcome = movescu(
            seed.archive_port,
            called_ae_title="DCM4CHEE",
            destination="STORESCP",
            level="STUDY",
            keys={"StudyInstanceUID": STUDY},
        )
        assert outcome.status == 0
        return viewer.datasets()[0]


def test_fields_are_those_of_the_filter_and_sequences_cannot_be_typed(service: Service) -> None:
    patient, study = fields(service, Level.PATIENT), fields(service, Level.STUDY)
    assert (patient[NAME].lines, patient[NAME].vr, patient[NAME].fixed) == (("Old^Name",), "PN", None)
    assert (patient[OTHER_NAMES].is_multiple, patient[NAME].is_multiple) == (True, False)
    assert (study[PROCEDURES].fixed, study[PROCEDURES].shown, study[PROCEDURES].lines) == (
        Fixed.NO_TEXT,
        "(1 item)",
        (),
    )
    assert study[0x0020000D].fixed is Fixed.IDENTITY
    for found in (patient, study):
        assert not {tag for tag in found if tag >> 16 & 1 or tag in (0x00080005, 0x04000561)}


def test_attributes_not_typed_stay_sequences_too(seed: Seed, service: Service, tmp_path: Path) -> None:
    amend(service, Level.STUDY, x00081030=("Old", "New"))
    ds = moved(seed, tmp_path / "viewer")
    assert (ds.StudyDescription, ds.AccessionNumber) == ("New", "OLD")
    assert ds.ProcedureCodeSequence[0].CodeMeaning == "Knee"
    (item,) = ds.OriginalAttributesSequence
    assert (item.ReasonForTheAttributeModification, item.ModifyingSystem) == ("CORRECT", "DCM4CHEE")
    assert set(item.ModifiedAttributesSequence[0].keys()) == {DESCRIPTION}
    assert fields(service, Level.STUDY)[PROCEDURES].shown == "(1 item)"


def test_a_value_that_is_taken_out_is_empty(seed: Seed, service: Service, tmp_path: Path) -> None:
    amend(service, Level.STUDY, x00080050=("OLD", ""))
    assert moved(seed, tmp_path / "viewer").AccessionNumber == ""
    assert fields(service, Level.STUDY)[ACCESSION].lines == ()


def test_edit_based_on_an_older_value_changes_nothing(service: Service) -> None:
    amend(service, Level.PATIENT, x00100010=("Old^Name", "First"))
    with pytest.raises(EditRefused, match="somebody else"):
        amend(service, Level.PATIENT, x00100010=("Old^Name", "Second"), x00104000=("", "noted"))
    patient = fields(service, Level.PATIENT)
    assert (patient[NAME].lines, patient[COMMENTS].lines) == (("First",), ())


def test_two_who_change_different_attributes_both_succeed(service: Service) -> None:
    amend(service, Level.PATIENT, x00100010=("Old^Name", "First"))
    amend(service, Level.PATIENT, x00104000=("", "noted"))
    patient = fields(service, Level.PATIENT)
    assert (patient[NAME].lines, patient[COMMENTS].lines) == (("First",), ("noted",))


def test_patient_id_of_another_patient_is_refused_and_a_free_one_accepted(
    seed: Seed, service: Service, tmp_path: Path
) -> None:
    with pytest.raises(EditRefused, match="another patient"):
        amend(service, Level.PATIENT, x00100020=("P-1", "P-2"))
    with pytest.raises(EditRefused, match="cannot lose"):
        amend(service, Level.PATIENT, x00100020=("P-1", ""))
    amend(service, Level.PATIENT, x00100020=("P-1", "P-2"), x00100021=("", "WARD"))
    ds = moved(seed, tmp_path / "viewer")
    assert (ds.PatientID, ds.IssuerOfPatientID) == ("P-2", "WARD")
    assert fields(service, Level.PATIENT, f"{STUDY}.2")[ISSUER].lines == ()


def test_wrong_value_or_unknown_attribute_is_refused(service: Service) -> None:
    with pytest.raises(DocumentInvalid, match="VR CS"):
        amend(service, Level.PATIENT, x00100040=("M", "female"))
    with pytest.raises(EditRefused, match="none of the attributes"):
        amend(service, Level.STUDY, x00100010=("", "X"))
    with pytest.raises(EditRefused, match="none of the attributes"):
        amend(service, Level.STUDY, x0020000d=(STUDY, "1.2.3"))
    with pytest.raises(EditRefused, match="no such study"):
        service.edit_fields("DCM4CHEE", "1.2.3", Level.STUDY)


def test_nothing_is_edited_in_front_of_a_pacs(seed: Seed) -> None:
    seed.set(AE, dcmSpanningCFindSCP="QRSCP", dcmSpanningCFindSCPPolicy="REPLACE", dcmFallbackCMoveSCP="QRSCP")
    with pytest.raises(EditRefused, match="in front of QRSCP"):
        seed.start().edit_fields("DCM4CHEE", STUDY, Level.PATIENT)


def test_a_filter_with_the_original_attributes_is_refused_before_anything_is_typed(
    seed: Seed, service: Service
) -> None:
    kept = [f"{tag:08X}" for tag in (NAME, ID, 0x04000561)]
    seed.set(f"dcmEntity=Patient,{DEVICE}", dcmTag=kept)
    service.reload()
    with pytest.raises(EditRefused, match="04000561"):
        service.edit_fields("DCM4CHEE", STUDY, Level.PATIENT)


def test_aes_that_would_not_get_the_edit_are_told_by_rule(seed: Seed, service: Service) -> None:
    seed.lead(dcmProperty=["ReceivingApplicationEntityTitle=STORESCP|VIEWER", "PatientID=P-1"])
    service.reload()

    def led(tag: int, old: str, new: str) -> list[tuple[str, tuple[str, ...]]]:
        level = Level.PATIENT if tag >> 16 == 0x0010 else Level.STUDY
        amendment = Amendment(
            ae_title="DCM4CHEE", study_instance_uid=STUDY, level=level, shown={tag: (old,)}, wanted={tag: (new,)}
        )
        groups = service.led_after(amendment, ["OTHER", "STORESCP", "VIEWER"])
        return [(group.leading_cfind_scp, group.receivers) for group in groups]

    assert led(NAME, "Old^Name", "New") == [("QRSCP", ("STORESCP", "VIEWER"))]
    assert led(ID, "P-1", "P-3") == []  # the rule does not apply any more
    seed.set(f"cn=Leading DCMQRSCP,{DEVICE}", dcmAttributeUpdatePolicy="SUPPLEMENT")
    service.reload()
    assert led(NAME, "Old^Name", "New") == []


def test_the_log_has_the_author_and_no_values(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        amend(service, Level.PATIENT, x00100010=("Old^Name", "Secret^Name"), author="anna")
    (line,) = [record.getMessage() for record in caplog.records if "was edited by" in record.getMessage()]
    assert "anna: PatientName" in line
    assert "the patient of study" in line
    assert not any(value in caplog.text for value in ("Secret", "Old^Name", STUDY))
