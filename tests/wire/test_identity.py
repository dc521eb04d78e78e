"""Whose object it is, says the object: two people under one Patient ID, and what the index keeps of a series."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import UID

from dcm4py_leading.config.ldif.source import LdifSource
from dcm4py_leading.config.loader import load_device
from dcm4py_leading.model.archive import Entity
from tests.fixtures.datasets import make_study
from tests.fixtures.scripted import LeadingScp, knows
from tests.fixtures.scu import PATIENT_FIND, PATIENT_GET, find, get, identifier, store
from tests.fixtures.service import DEVICE, Seed
from tests.fixtures.slapd import Upstream

STUDY = "1.2.826.0.1.3680043.8.498.51"
JOHN = {"PatientName": "Doe^John", "PatientBirthDate": "19700101", "PatientSex": "M"}
JANE = {"PatientName": "Roe^Jane", "PatientBirthDate": "19800202", "PatientSex": "F"}
PATIENT_FILTER, SERIES_FILTER, INSTANCE_FILTER = (
    f"dcmEntity={entity},{DEVICE}" for entity in ("Patient", "Series", "Instance")
)


class Scene:
    """An archive, and what goes into it and comes out."""

    def __init__(self, seed: Seed, directory: Path) -> None:
        self.seed, self._directory, self._made = seed, directory, 0

    def store(self, study: int, *objects: dict[str, Any]) -> list[Dataset]:
        """Objects of one series with these attributes, all under one Patient ID; accepted."""
        self._made += 1
        files = make_study(
            self._directory / str(self._made),
            patient_id="P1",
            patient_name="",
            study_uid=f"{STUDY}.{study}",
            instances=len(objects),
        )
        made: list[Dataset] = []
        for path, attributes in zip(files, objects, strict=True):
            ds = pydicom.dcmread(path)
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(f"{STUDY}.9.{self._made}.{len(made)}")
            for keyword, value in attributes.items():
                setattr(ds, keyword, value)
            made.append(ds)
        assert set(store(self.seed.archive_port, made)) == {0x0000}
        return made

    def got(self, *, level: str = "STUDY", **keys: Any) -> list[Dataset]:
        """What a C-GET delivers, as it was stored in this order."""
        model = {"model": PATIENT_GET} if level == "PATIENT" else {}
        responses, received = get(self.seed.archive_port, identifier(level, **keys), calling="STORESCP", **model)
        assert responses[-1][0].Status == 0x0000
        return sorted(received, key=lambda ds: [int(part) for part in ds.SOPInstanceUID.split(".")])

    def people(self) -> list[tuple[str, str, str]]:
        """Who has the Patient ID."""
        keys = {"PatientID": "P1", "PatientName": "", "PatientBirthDate": "", "PatientSex": ""}
        _, matches = find(self.seed.archive_port, identifier("PATIENT", **keys), PATIENT_FIND)
        return [who(match) for match in matches]

    def studies(self) -> dict[str, tuple[str, str, str]]:
        """Whose study it is, by the last component of its UID."""
        keys = {"PatientID": "P1", "StudyInstanceUID": "", "PatientName": "", "PatientBirthDate": "", "PatientSex": ""}
        _, matches = find(self.seed.archive_port, identifier("STUDY", **keys))
        return {match.StudyInstanceUID.rpartition(".")[2]: who(match) for match in matches}


def who(ds: Dataset) -> tuple[str, str, str]:
    return str(ds.PatientName), ds.PatientBirthDate, ds.PatientSex


A, B = tuple(JOHN.values()), tuple(JANE.values())


@pytest.fixture
def scene(seed: Seed, tmp_path: Path) -> Scene:
    return Scene(seed, tmp_path)


@pytest.mark.parametrize("policy", ["SUPPLEMENT", "MERGE", "OVERWRITE", "PRESERVE"])
def test_two_patients_with_one_id_are_never_mixed_up(
    scene: Scene, policy: str, caplog: pytest.LogCaptureFixture
) -> None:
    scene.seed.set(PATIENT_FILTER, dcmAttributeUpdatePolicy=policy)
    scene.seed.start()
    scene.store(1, JOHN, JOHN)
    scene.store(2, JANE, JANE)
    scene.store(3, JOHN)
    assert scene.people() == [A, B]
    assert scene.studies() == {"1": A, "2": B, "3": A}
    for study, person in (("1", A), ("2", B), ("3", A)):
        assert {who(ds) for ds in scene.got(StudyInstanceUID=f"{STUDY}.{study}")} == {person}
    assert [who(ds) for ds in scene.got(level="PATIENT", PatientID="P1")] == [A, A, B, B, A]
    told = [record for record in caplog.records if record.levelname == "WARNING"]
    assert ["is that of another patient" in record.getMessage() for record in told] == [True]
    assert not any(text in told[0].getMessage() for text in ("Doe", "Roe", "P1", "1970", "1980", STUDY))


@pytest.mark.parametrize("policy", ["SUPPLEMENT", "MERGE", "OVERWRITE", "PRESERVE"])
def test_one_object_of_somebody_else_in_a_study_keeps_its_own_name(scene: Scene, policy: str) -> None:
    scene.seed.set(PATIENT_FILTER, dcmAttributeUpdatePolicy=policy)
    scene.seed.start()
    scene.store(1, JOHN, JANE, JOHN)
    assert [who(ds) for ds in scene.got(StudyInstanceUID=f"{STUDY}.1")] == [A, B, A]
    assert scene.studies() == {"1": A}


def test_an_object_of_another_patient_id_in_a_study_keeps_its_own(scene: Scene) -> None:
    scene.seed.set(PATIENT_FILTER, dcmAttributeUpdatePolicy="OVERWRITE")
    scene.seed.start()
    scene.store(1, JOHN, {**JANE, "PatientID": "P2"})
    assert [(ds.PatientID, who(ds)) for ds in scene.got(StudyInstanceUID=f"{STUDY}.1")] == [("P1", A), ("P2", B)]


def test_correction_applies_to_earlier_objects_by_policy(scene: Scene) -> None:
    later = {**JOHN, "PatientName": "Doe^Jonathan"}
    scene.seed.set(PATIENT_FILTER, dcmAttributeUpdatePolicy="MERGE")
    scene.seed.start()
    scene.store(1, JOHN)
    scene.store(2, later)
    assert scene.people() == [tuple(later.values())]
    assert [who(ds) for ds in scene.got(StudyInstanceUID=f"{STUDY}.1")] == [tuple(later.values())]


@pytest.mark.ldap("dcmIdentifyPatientByIDAndName")
def test_a_new_name_is_a_new_patient_where_the_name_identifies(scene: Scene) -> None:
    later = {**JOHN, "PatientName": "Doe^Jonathan"}
    scene.seed.set(PATIENT_FILTER, dcmAttributeUpdatePolicy="MERGE")
    scene.seed.set(DEVICE, dcmIdentifyPatientByIDAndName="TRUE")
    scene.seed.start()
    scene.store(1, JOHN)
    scene.store(2, later)
    assert scene.people() == [A, tuple(later.values())]
    assert [who(ds) for ds in scene.got(StudyInstanceUID=f"{STUDY}.1")] == [A]


@pytest.mark.ldap("dcmIdentifyPatientByAllAttributes")
def test_any_other_attribute_is_a_new_patient_where_all_identify(scene: Scene) -> None:
    scene.seed.set(DEVICE, dcmIdentifyPatientByAllAttributes="TRUE")
    scene.seed.start()
    scene.store(1, JOHN)
    scene.store(2, {**JOHN, "PatientBirthDate": ""})
    assert scene.people() == [A, (A[0], "", A[2])]
    assert [who(ds) for ds in scene.got(StudyInstanceUID=f"{STUDY}.2")] == [(A[0], "", A[2])]


def test_the_same_id_of_two_issuers_is_two_patients(scene: Scene) -> None:
    scene.seed.start()
    scene.store(1, {**JOHN, "IssuerOfPatientID": "ONE"})
    scene.store(2, {**JOHN, "IssuerOfPatientID": "TWO"})
    assert scene.people() == [A, A]
    assert [ds.IssuerOfPatientID for ds in scene.got(level="PATIENT", PatientID="P1")] == ["ONE", "TWO"]


def test_attributes_absent_in_an_object_come_from_its_patient(scene: Scene) -> None:
    scene.seed.start()
    scene.store(1, {**JOHN, "PatientBirthDate": ""})
    scene.store(2, JOHN)
    assert [who(ds) for ds in scene.got(StudyInstanceUID=f"{STUDY}.1")] == [A]


def test_leading_archive_distinguishes_two_patients_with_one_id(
    scene: Scene, leading_scp: Callable[..., LeadingScp]
) -> None:
    scene.seed.lead()
    scene.seed.start()
    scene.store(1, JOHN)
    scene.store(2, JANE)
    studies = []
    for number, name in (("1", "Doe^Jonathan"), ("2", "Roe^Janet")):
        ds = Dataset()
        ds.StudyInstanceUID, ds.PatientName, ds.PatientID = f"{STUDY}.{number}", name, f"NEW-{number}"
        studies.append(ds)
    leading_scp(scene.seed.leading_port, knows(*studies))
    received = [*scene.got(StudyInstanceUID=f"{STUDY}.1"), *scene.got(StudyInstanceUID=f"{STUDY}.2")]
    assert [(ds.PatientID, str(ds.PatientName)) for ds in received] == [
        ("NEW-1", "Doe^Jonathan"),
        ("NEW-2", "Roe^Janet"),
    ]


# -- what is kept of a series ----------------------------------------------------------------------------------------

TIMES = [{**JOHN, "AcquisitionDate": "20200101", "AcquisitionTime": f"10000{number}"} for number in range(3)]


def acquired(objects: Sequence[Dataset]) -> list[str]:
    return [ds.AcquisitionTime for ds in objects]


def keep_acquisition_of_a_series(seed: Seed, policy: str) -> None:
    """As upstream's stock filters do."""
    for action, filter_dn in (("add", SERIES_FILTER), ("delete", INSTANCE_FILTER)):
        tags = "dcmTag: 00080022\ndcmTag: 00080032"
        seed.change(f"dn: {filter_dn}\nchangetype: modify\n{action}: dcmTag\n{tags}\n-")
    seed.set(SERIES_FILTER, dcmAttributeUpdatePolicy=policy)


@pytest.mark.parametrize("policy", ["SUPPLEMENT", "PRESERVE"])
def test_an_instance_keeps_what_is_kept_of_its_series_otherwise(scene: Scene, policy: str) -> None:
    keep_acquisition_of_a_series(scene.seed, policy)
    scene.seed.start()
    scene.store(1, *TIMES)
    assert acquired(scene.got(StudyInstanceUID=f"{STUDY}.1")) == ["100000", "100001", "100002"]


def test_an_instance_gets_what_its_series_has_where_the_policy_says_so(scene: Scene) -> None:
    keep_acquisition_of_a_series(scene.seed, "MERGE")
    scene.seed.start()
    scene.store(1, *TIMES)
    assert acquired(scene.got(StudyInstanceUID=f"{STUDY}.1")) == ["100002"] * 3


def test_the_stock_filters_of_upstream_change_nothing_of_an_instance(scene: Scene, upstream: Upstream) -> None:
    source = LdifSource(upstream.stock_content)
    device, _ = load_device(source.read_device("dcm4chee-arc"), "dcm4chee-arc")
    assert device is not None
    assert {0x00080022, 0x00080032} <= set(device.archive.attribute_filters[Entity.SERIES].tags)
    for entity, stock in device.archive.attribute_filters.items():
        scene.seed.set(
            f"dcmEntity={entity.value},{DEVICE}",
            dcmTag=[f"{tag:08X}" for tag in stock.tags],
            dcmAttributeUpdatePolicy=stock.attribute_update_policy.value,
        )
    scene.seed.start()
    stored = scene.store(1, *TIMES)
    received = scene.got(StudyInstanceUID=f"{STUDY}.1")
    assert acquired(received) == ["100000", "100001", "100002"]
    assert received == stored
