"""What every index does."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from pydicom.uid import UID, CTImageStorage, MRImageStorage

from dcm4py_leading.archive.index import index as module
from dcm4py_leading.archive.index.identity import Identification
from dcm4py_leading.archive.index.index import Index
from dcm4py_leading.archive.index.querying.query import parse_query, parse_retrieve
from dcm4py_leading.archive.index.tables import instance as instance_table
from dcm4py_leading.errors import ObjectMismatch, ObjectRefused
from dcm4py_leading.model.archive import Entity, OverwritePolicy, RelationalMismatchPolicy
from dcm4py_leading.model.coercion import UpdatePolicy
from dcm4py_leading.model.values import InformationModel
from tests.fixtures.archive import find, make_filter, make_header, make_identifier, make_location, store

PATIENT_ROOT, STUDY_ROOT = InformationModel.PATIENT_ROOT, InformationModel.STUDY_ROOT
ALWAYS = OverwritePolicy.ALWAYS


def instances(index: Index, level: str = "STUDY", **keys: object) -> list[str]:
    found = index.instances(parse_retrieve(make_identifier(level, **keys), STUDY_ROOT, relational=True))
    return [str(instance.sop_instance_uid) for instance in found]


def test_stored_object_is_found_at_every_level(index: Index) -> None:
    assert store(index, make_header()).stored
    assert [ds.PatientID for ds in find(index, "PATIENT")] == ["P1"]
    assert [ds.StudyInstanceUID for ds in find(index)] == ["1.2.1"]
    assert [ds.SeriesInstanceUID for ds in find(index, "SERIES", StudyInstanceUID="1.2.1")] == ["1.2.1.1"]
    (image,) = find(index, "IMAGE", StudyInstanceUID="1.2.1", SeriesInstanceUID="1.2.1.1")
    assert image.SOPInstanceUID == "1.2.1.1.1"
    assert image.PatientName == "Doe^John"
    assert image.Modality == "CT"


def test_objects_survive_closing_and_opening(index_url: str) -> None:
    index = Index.open(index_url)
    store(index, make_header())
    index.close()
    index = Index.open(index_url)
    assert len(find(index)) == 1
    index.close()


def test_retrieve_knows_all_that_sending_takes(index: Index) -> None:
    location = make_location("p", digest="d")
    store(index, make_header(StudyDescription="Head"), location)
    (instance,) = index.instances(
        parse_retrieve(make_identifier("STUDY", StudyInstanceUID="1.2.1"), STUDY_ROOT, relational=False)
    )
    assert instance.study_instance_uid == "1.2.1"
    assert instance.series_instance_uid == "1.2.1.1"
    assert instance.sop_instance_uid == "1.2.1.1.1"
    assert UID(instance.sop_class_uid) == CTImageStorage
    assert instance.transfer_syntax_uid == "1.2.840.10008.1.2.1"
    assert instance.location == location
    assert instance.attributes.StudyDescription == "Head"
    assert instance.attributes is not instance.attributes


def test_retrieve_at_each_level(index: Index) -> None:
    uids = {}
    for study, series, sop in itertools.product("12", "12", "12"):
        uids[study, series, sop] = f"1.{study}.{series}.{sop}"
        store(index, make_header(f"1.{study}", f"1.{study}.{series}", uids[study, series, sop], PatientID=f"P{study}"))
    assert instances(index, StudyInstanceUID="1.1") == ["1.1.1.1", "1.1.1.2", "1.1.2.1", "1.1.2.2"]
    assert len(instances(index, StudyInstanceUID=["1.1", "1.2"])) == 8
    assert instances(index, "SERIES", StudyInstanceUID="1.1", SeriesInstanceUID="1.1.2") == ["1.1.2.1", "1.1.2.2"]
    assert instances(index, "IMAGE", SOPInstanceUID=["1.2.1.1", "1.1.2.2"]) == ["1.1.2.2", "1.2.1.1"]
    assert instances(index, "SERIES", StudyInstanceUID="1.1", SeriesInstanceUID="1.2.1") == []
    keys = parse_retrieve(make_identifier("PATIENT", PatientID="P2"), InformationModel.PATIENT_ROOT, relational=False)
    assert len(index.instances(keys)) == 4


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"])
@pytest.mark.parametrize("value", [None, ""])
def test_object_without_one_of_its_uids_is_refused(index: Index, keyword: str, value: str | None) -> None:
    header = make_header()
    delattr(header, keyword)
    if value is not None:
        setattr(header, keyword, value)
    with pytest.raises(ObjectMismatch) as caught:
        store(index, header, make_location())
    assert caught.value.status == 0xA900
    assert find(index, "PATIENT") == []


def test_patient_is_an_id_with_its_issuer(index: Index) -> None:
    store(index, make_header("1.1", "1.1.1", "1.1.1.1", IssuerOfPatientID="A"))
    store(index, make_header("1.2", "1.2.1", "1.2.1.1", IssuerOfPatientID="B"))
    store(index, make_header("1.3", "1.3.1", "1.3.1.1"))
    store(index, make_header("1.4", "1.4.1", "1.4.1.1", PatientID=" P1 "))
    patients = find(index, "PATIENT", PatientID="P1", NumberOfPatientRelatedStudies=None)
    assert [(p.get("IssuerOfPatientID"), p.NumberOfPatientRelatedStudies) for p in patients] == [
        ("A", 1),
        ("B", 1),
        (None, 2),
    ]
    assert len(find(index, "PATIENT", PatientID="P1", IssuerOfPatientID="B")) == 1


def people(index: Index, **keys: Any) -> list[tuple[str, int]]:
    found = find(index, "PATIENT", PatientID="P1", NumberOfPatientRelatedStudies=None, **keys)
    return [(str(ds.get("PatientName", "")), ds.NumberOfPatientRelatedStudies) for ds in found]


def test_two_people_under_one_patient_id_are_two_patients(index: Index, caplog: pytest.LogCaptureFixture) -> None:
    for number, name in enumerate(("Doe^John", "Roe^Jane", "DOE^JOHN", "Roe^Jane", "Poe^Jim"), 1):
        store(index, make_header(f"1.{number}", f"1.{number}.1", f"1.{number}.1.1", PatientName=name))
    assert people(index) == [("Doe^John", 2), ("Roe^Jane", 2), ("Poe^Jim", 1)]
    assert people(index, PatientName="ROE*") == [("Roe^Jane", 2)]
    assert caplog.text.count("is that of another patient") == 2
    assert not {"Roe^Jane", "Poe^Jim", "P1", "1.2", "1.5"} & set(caplog.text.replace(":", " ").split())


def test_object_without_name_is_separate_from_several_patients(index: Index) -> None:
    for number, name in enumerate(("Doe^John", "", "Roe^Jane", "", "Doe^John"), 1):
        store(index, make_header(f"1.{number}", f"1.{number}.1", f"1.{number}.1.1", PatientName=name))
    assert people(index) == [("Doe^John", 3), ("Roe^Jane", 1), ("", 1)]


def test_a_patient_who_loses_the_last_study_leaves_the_id_to_others(index: Index) -> None:
    for number, name in enumerate(("Doe^John", "Roe^Jane", "Poe^Jim"), 1):
        header = make_header(f"1.{number}", f"1.{number}.1", "1.9", PatientName=name)
        store(index, header, overwrite=OverwritePolicy.ALWAYS, mismatch=RelationalMismatchPolicy.OVERWRITE)
        assert people(index) == [(name, 1)]


@pytest.mark.parametrize("policy", [UpdatePolicy.MERGE, UpdatePolicy.OVERWRITE])
def test_a_correction_is_one_of_all_studies_where_the_policy_says_so(index: Index, policy: UpdatePolicy) -> None:
    tags = (0x00100010, 0x00100030, 0x00100040)
    latest = {Entity.PATIENT: make_filter(Entity.PATIENT, *tags, policy=policy)}
    for number, name in enumerate(("Smith^Jon", "Smith^John"), 1):
        header = make_header(f"1.{number}", f"1.{number}.1", f"1.{number}.1.1", PatientName=name)
        header.PatientBirthDate = "19700101"
        store(index, header, filters=latest)
    assert people(index) == [("Smith^John", 2)]
    strict = Identification(by_id_and_name=True)
    header = make_header("1.3", "1.3.1", "1.3.1.1", PatientName="Smith^Johnny")
    header.PatientBirthDate = "19700101"
    store(index, header, filters=latest, identification=strict)
    assert people(index) == [("Smith^John", 2), ("Smith^Johnny", 1)]


@pytest.mark.ldap("dcmIdentifyPatientByAllAttributes")
@pytest.mark.parametrize("issuer", ["", "A"])
def test_all_attributes_identify_a_patient_whose_id_has_no_issuer(index: Index, issuer: str) -> None:
    kept = {Entity.PATIENT: make_filter(Entity.PATIENT, 0x00100010, 0x00101040)}
    for number, address in enumerate(("Here", "There", "Here"), 1):
        header = make_header(f"1.{number}", f"1.{number}.1", f"1.{number}.1.1", IssuerOfPatientID=issuer)
        header.PatientAddress = address
        store(index, header, filters=kept, identification=Identification(by_all_attributes=True))
    assert [count for _, count in people(index)] == ([3] if issuer else [2, 1])


@pytest.mark.ldap("dcmIdentifyPatientByIDAndName")
@pytest.mark.parametrize("by_id_and_name", [True, False])
def test_patient_without_name_is_unknown_where_the_name_identifies(index: Index, by_id_and_name: bool) -> None:
    for number, name in enumerate(("Doe^John", "", "Doe^John"), 1):
        header = make_header(f"1.{number}", f"1.{number}.1", f"1.{number}.1.1", PatientName=name)
        store(index, header, identification=Identification(by_id_and_name=by_id_and_name))
    assert [count for _, count in people(index)] == ([2, 1] if by_id_and_name else [3])


def test_a_study_has_one_patient_though_an_object_names_another_of_that_id(
    index: Index, caplog: pytest.LogCaptureFixture
) -> None:
    store(index, make_header("1.1", "1.1.1", "1.1.1.1", PatientName="Doe^John"))
    store(index, make_header("1.1", "1.1.1", "1.1.1.2", PatientName="Roe^Jane"))
    assert people(index) == [("Doe^John", 1)]
    assert "another patient than its study has, under the same Patient ID" in caplog.text


@pytest.mark.parametrize("patient_id", [None, "", " "])
def test_study_without_patient_id_has_a_patient_of_its_own(index: Index, patient_id: str | None) -> None:
    for number in (1, 2):
        for instance in (1, 2):
            header = make_header(f"1.{number}", f"1.{number}.1", f"1.{number}.1.{instance}", PatientID=patient_id)
            store(index, header)
    assert len(find(index, "PATIENT")) == 2


def test_study_stays_with_its_patient(index: Index, caplog: pytest.LogCaptureFixture) -> None:
    overwrite = {Entity.PATIENT: make_filter(Entity.PATIENT, 0x00100010, policy=UpdatePolicy.OVERWRITE)}
    store(index, make_header(), filters=overwrite)
    store(index, make_header(sop="1.2.1.1.2", PatientID="P2", PatientName="SECRET"), filters=overwrite)
    assert [str(ds.PatientName) for ds in find(index, "PATIENT")] == ["Doe^John"]
    assert "another patient" in caplog.text
    assert not {"SECRET", "P2", "1.2.1"} & set(caplog.text.split())


@pytest.mark.ldap("dcmAttributeFilter")
def test_index_keeps_the_attributes_of_the_filter_and_the_unique_keys(index: Index) -> None:
    filters = {
        Entity.PATIENT: make_filter(Entity.PATIENT, 0x00100010),
        Entity.STUDY: make_filter(Entity.STUDY, 0x00081030, 0x00104000),
        Entity.SERIES: make_filter(Entity.SERIES, 0x00080060),
        Entity.INSTANCE: make_filter(Entity.INSTANCE, 0x00200013),
    }
    header = make_header(
        StudyDescription="Head", PatientComments="C", AccessionNumber="A1", SeriesNumber=1, InstanceNumber=2
    )
    store(index, header, filters=filters)
    (image,) = find(index, "IMAGE", StudyInstanceUID="1.2.1", SeriesInstanceUID="1.2.1.1")
    assert {element.keyword for element in image} == {
        "PatientName",
        "PatientID",
        "StudyDescription",
        "PatientComments",
        "StudyInstanceUID",
        "Modality",
        "SeriesInstanceUID",
        "InstanceNumber",
        "SOPClassUID",
        "SOPInstanceUID",
        "RetrieveAETitle",
        "InstanceAvailability",
    }
    assert find(index, AccessionNumber="A1") == []


@pytest.mark.ldap("dcmAttributeUpdatePolicy")
@pytest.mark.parametrize(
    ("policy", "description", "study_id"),
    [
        (UpdatePolicy.PRESERVE, "first", ""),
        (UpdatePolicy.SUPPLEMENT, "first", "S2"),
        (UpdatePolicy.MERGE, "second", "S2"),
        (UpdatePolicy.OVERWRITE, "second", "S2"),
    ],
)
def test_further_object_updates_the_levels_above_by_the_policy_of_their_filter(
    index: Index, policy: UpdatePolicy, description: str, study_id: str
) -> None:
    filters = {Entity.STUDY: make_filter(Entity.STUDY, 0x00081030, 0x00200010, policy=policy)}
    store(index, make_header(StudyDescription="first"), filters=filters)
    store(index, make_header(sop="1.2.1.1.2", StudyDescription="second", StudyID="S2"), filters=filters)
    (study,) = find(index)
    assert (study.StudyDescription, study.StudyID or "") == (description, study_id)
    assert len(find(index, StudyDescription=description)) == 1


def test_ignored_duplicate_changes_nothing(index: Index) -> None:
    filters = {Entity.STUDY: make_filter(Entity.STUDY, 0x00081030, policy=UpdatePolicy.OVERWRITE)}
    store(index, make_header(StudyDescription="first"), make_location("a"), filters=filters)
    outcome = store(index, make_header(StudyDescription="second"), make_location("b"), filters=filters)
    assert (outcome.stored, outcome.replaced_location) == (False, None)
    assert find(index)[0].StudyDescription == "first"
    (instance,) = index.instances(
        parse_retrieve(make_identifier("STUDY", StudyInstanceUID="1.2.1"), STUDY_ROOT, relational=False)
    )
    assert instance.location.path == "a"


@pytest.mark.ldap("dcmOverwritePolicy")
def test_overwritten_object_is_replaced_and_its_file_told(index: Index) -> None:
    store(index, make_header(InstanceNumber=1), make_location("a"))
    outcome = store(index, make_header(InstanceNumber=2), make_location("b"), overwrite=ALWAYS)
    assert outcome.stored
    assert outcome.replaced_location == make_location("a")
    images = find(index, "IMAGE", StudyInstanceUID="1.2.1", SeriesInstanceUID="1.2.1.1")
    assert [image.InstanceNumber for image in images] == [2]


def test_file_that_the_new_object_shares_with_the_old_is_not_told_as_replaced(index: Index) -> None:
    store(index, make_header(), make_location("a"))
    outcome = store(index, make_header(), make_location("a"), overwrite=ALWAYS)
    assert (outcome.stored, outcome.replaced_location) == (True, None)


def test_same_source_is_the_ae_that_sent_the_series(index: Index) -> None:
    policy = OverwritePolicy.SAME_SOURCE
    store(index, make_header(), make_location("a"), sending_ae_title="CT1")
    assert not store(index, make_header(), make_location("b"), sending_ae_title="CT2", overwrite=policy).stored
    assert store(index, make_header(), make_location("c"), sending_ae_title="CT1", overwrite=policy).stored


@pytest.mark.ldap("dcmRelationalMismatchPolicy")
@pytest.mark.parametrize(
    ("mismatch", "studies"),
    [
        (RelationalMismatchPolicy.IGNORE, {"1.2.1": 1}),
        (RelationalMismatchPolicy.OVERWRITE, {"1.2.2": 1}),
        (RelationalMismatchPolicy.STORE_ADDITIONALLY, {"1.2.1": 1, "1.2.2": 1}),
    ],
)
def test_same_sop_instance_uid_in_another_study(
    index: Index, mismatch: RelationalMismatchPolicy, studies: dict[str, int]
) -> None:
    sop = "1.2.3.4"
    store(index, make_header("1.2.1", "1.2.1.1", sop), make_location("a"))
    other = make_header("1.2.2", "1.2.2.1", sop, PatientID="P2")
    outcome = store(index, other, make_location("b"), overwrite=ALWAYS, mismatch=mismatch)
    assert outcome.stored == ("1.2.2" in studies)
    found = find(index, NumberOfStudyRelatedInstances=None)
    assert {str(ds.StudyInstanceUID): ds.NumberOfStudyRelatedInstances for ds in found} == studies
    patients = {ds.PatientID for ds in find(index, "PATIENT")}
    assert patients == {"P1" if study == "1.2.1" else "P2" for study in studies}


def test_rejected_mismatch_leaves_the_index_as_it_was(index: Index) -> None:
    store(index, make_header("1.2.1", "1.2.1.1", "1.2.3.4"))
    with pytest.raises(ObjectRefused):
        store(
            index,
            make_header("1.2.2", "1.2.2.1", "1.2.3.4"),
            overwrite=ALWAYS,
            mismatch=RelationalMismatchPolicy.REJECT,
        )
    assert [ds.StudyInstanceUID for ds in find(index)] == ["1.2.1"]


def test_series_of_the_same_uid_in_two_studies_are_two(index: Index) -> None:
    store(index, make_header("1.2.1", "1.9", "1.2.1.1"))
    store(index, make_header("1.2.2", "1.9", "1.2.2.1"))
    assert len(find(index, "SERIES", relational=True, SeriesInstanceUID="1.9")) == 2
    assert instances(index, "SERIES", StudyInstanceUID="1.2.2", SeriesInstanceUID="1.9") == ["1.2.2.1"]


def test_requested_keys_are_counted_and_collected(index: Index) -> None:
    for study, series, sop in itertools.product((1, 2), (1, 2, 3), (1, 2)):
        modality, sop_class = ("MR", MRImageStorage) if series == 3 else ("CT", CTImageStorage)
        header = make_header(
            f"1.{study}", f"1.{study}.{series}", f"1.{study}.{series}.{sop}", Modality=modality, SOPClassUID=sop_class
        )
        store(index, header)
    store(index, make_header("1.9", "1.9.1", "1.9.1.1", PatientID="P9"))
    asked: dict[str, Any] = {
        "NumberOfPatientRelatedStudies": 2,
        "NumberOfPatientRelatedSeries": 6,
        "NumberOfPatientRelatedInstances": 12,
        "NumberOfStudyRelatedSeries": 3,
        "NumberOfStudyRelatedInstances": 6,
        "NumberOfSeriesRelatedInstances": 2,
        "ModalitiesInStudy": ["CT", "MR"],
        "SOPClassesInStudy": [CTImageStorage, MRImageStorage],
    }
    empty: dict[str, Any] = dict.fromkeys(asked)
    (series_ds,) = find(index, "SERIES", StudyInstanceUID="1.2", SeriesInstanceUID="1.2.2", **empty)
    assert {keyword: series_ds[keyword].value for keyword in asked} == asked
    (patient,) = find(index, "PATIENT", PatientID="P1", **empty)
    assert patient.NumberOfPatientRelatedInstances == 12
    assert "NumberOfStudyRelatedSeries" not in patient
    assert "ModalitiesInStudy" not in find(index, StudyInstanceUID="1.1")[0]


@pytest.mark.parametrize(
    ("modalities", "studies"),
    [("CT", ["1.1", "1.2"]), ("SR", ["1.2"]), (["SR", "MR"], ["1.2", "1.3"]), ("C*", ["1.1", "1.2"]), ("US", [])],
)
def test_modalities_in_study_matches_when_one_series_does(index: Index, modalities: object, studies: list[str]) -> None:
    for study, modality in (("1.1", "CT"), ("1.2", "CT"), ("1.2", "SR"), ("1.3", "MR")):
        store(
            index, make_header(study, f"{study}.{ord(modality[0])}", f"{study}.{ord(modality[0])}.1", Modality=modality)
        )
    assert [ds.StudyInstanceUID for ds in find(index, ModalitiesInStudy=modalities)] == studies


def test_sop_classes_in_study_matches_when_one_object_does(index: Index) -> None:
    store(index, make_header("1.1", "1.1.1", "1.1.1.1"))
    store(index, make_header("1.2", "1.2.1", "1.2.1.1", SOPClassUID=MRImageStorage))
    assert [ds.StudyInstanceUID for ds in find(index, SOPClassesInStudy=MRImageStorage)] == ["1.2"]


@pytest.mark.ldap("dcmRetrieveAET")
def test_retrieve_ae_titles_are_those_of_all_stored_objects(index: Index) -> None:
    store(index, make_header(), retrieve_aets=("DCM4CHEE", "AS_RECEIVED"))
    store(index, make_header(sop="1.2.1.1.2"), retrieve_aets=("DCM4CHEE", "OTHER"))
    (study,) = find(index)
    assert study.RetrieveAETitle == ["DCM4CHEE", "AS_RECEIVED", "OTHER"]
    assert study.InstanceAvailability == "ONLINE"


@pytest.mark.parametrize("level", ["PATIENT", "STUDY", "SERIES", "IMAGE"])
def test_matches_come_in_a_stable_order_whatever_the_page(index: Index, level: str) -> None:
    for number in range(7):
        store(index, make_header(f"1.{number}", f"1.{number}.1", f"1.{number}.1.1", PatientID=f"P{number}"))
    query = parse_query(make_identifier(level), InformationModel.PATIENT_ROOT, relational=True)
    pages = [
        [match.attributes.PatientID for match in index.matches(query, fetch_size=size)] for size in (1, 2, 3, 7, 100)
    ]
    assert pages == [[f"P{number}" for number in range(7)]] * 5
    assert index.count(query) == 7


def test_matches_show_one_state_and_keep_nobody_from_storing(index: Index) -> None:
    for number in range(3):
        store(index, make_header(f"1.{number}", f"1.{number}.1", f"1.{number}.1.1"))
    query = parse_query(make_identifier("STUDY", NumberOfStudyRelatedInstances=None), STUDY_ROOT, relational=False)
    matches = index.matches(query, fetch_size=1)
    next(matches)
    store(index, make_header("1.2", "1.2.1", "1.2.1.2"))
    store(index, make_header("1.9", "1.9.1", "1.9.1.1"))
    assert [match.attributes.NumberOfStudyRelatedInstances for match in matches] == [1, 1]
    assert [match.attributes.NumberOfStudyRelatedInstances for match in index.matches(query)] == [1, 1, 2, 1]


def test_query_given_up_half_way_leaves_the_index_usable(index: Index) -> None:
    for number in range(3):
        store(index, make_header(f"1.{number}", f"1.{number}.1", f"1.{number}.1.1"))
    query = parse_query(make_identifier("STUDY"), STUDY_ROOT, relational=False)
    for _ in range(50):
        matches = index.matches(query, fetch_size=1)
        next(matches)
        matches.close()  # type: ignore[attr-defined]
    assert index.count(query) == 3


@pytest.mark.parametrize("same_series", [True, False])
def test_threads_that_store_at_once_lose_nothing(index: Index, same_series: bool) -> None:
    barrier = threading.Barrier(8)

    def work(number: int) -> None:
        barrier.wait()
        study = "1.2" if same_series else f"1.{number}"
        for instance in range(10):
            assert store(index, make_header(study, f"{study}.1", f"1.{number}.1.{instance}")).stored

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(work, number) for number in range(8)]:
            future.result()
    (patient,) = find(
        index,
        "PATIENT",
        NumberOfPatientRelatedStudies=None,
        NumberOfPatientRelatedSeries=None,
        NumberOfPatientRelatedInstances=None,
    )
    entities = 1 if same_series else 8
    assert patient.NumberOfPatientRelatedStudies == entities
    assert patient.NumberOfPatientRelatedSeries == entities
    assert patient.NumberOfPatientRelatedInstances == 80


def test_one_of_many_equal_objects_at_once_is_stored(index: Index) -> None:
    barrier = threading.Barrier(8)

    def work(number: int) -> bool:
        barrier.wait()
        return store(index, make_header(), make_location(str(number))).stored

    with ThreadPoolExecutor(8) as pool:
        stored = list(pool.map(work, range(8)))
    assert stored.count(True) == 1


def test_failure_inside_of_a_store_leaves_the_index_as_it_was(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    store(index, make_header(StudyDescription="first"))

    class Fails:
        def rows(self, *args: object) -> None:
            raise RuntimeError

    monkeypatch.setattr("dcm4py_leading.archive.index.writing.storing._INSERT_INSTANCE", Fails())
    overwrite = {Entity.STUDY: make_filter(Entity.STUDY, 0x00081030, policy=UpdatePolicy.OVERWRITE)}
    with pytest.raises(RuntimeError):
        store(index, make_header(StudyDescription="second"), filters=overwrite, overwrite=ALWAYS)
    monkeypatch.undo()
    assert [ds.StudyDescription for ds in find(index)] == ["first"]
    assert instances(index, StudyInstanceUID="1.2.1") == ["1.2.1.1.1"]


@pytest.mark.parametrize("level", ["PATIENT", "STUDY", "SERIES", "IMAGE"])
def test_matches_that_are_read_slowly_do_not_hold_a_state_of_the_index(
    index: Index, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 8):
        study = f"1.2.{number}"
        store(index, make_header(study, f"{study}.1", f"{study}.1.1", PatientID=f"P{number}"))
    query = parse_query(make_identifier(level, NumberOfStudyRelatedInstances=""), PATIENT_ROOT, relational=True)
    monkeypatch.setattr(module, "FIND_SNAPSHOT_SECONDS", 3600)
    expected = list(index.matches(query, fetch_size=2))
    assert len(expected) == 7
    open_now: list[int] = []
    monkeypatch.setattr(module, "FIND_SNAPSHOT_SECONDS", -1)
    reading = index._database.reading

    @contextmanager
    def counted() -> Iterator[Any]:
        open_now.append(1)
        with reading() as connection:
            yield connection
        open_now.pop()

    monkeypatch.setattr(index._database, "reading", counted)
    found, held = [], []
    for match in index.matches(query, fetch_size=2):
        found.append(match)
        held.append(len(open_now))
    assert found == expected
    assert held == [1, 1, 0, 0, 0, 0, 0]


def test_entities_gone_while_matches_are_read_slowly_are_not_told(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIND_SNAPSHOT_SECONDS", -1)
    for number in range(1, 5):
        store(index, make_header(f"1.2.{number}", f"1.2.{number}.1", f"1.2.{number}.1.1"))
    matches = index.matches(parse_query(make_identifier("STUDY"), STUDY_ROOT, relational=False), fetch_size=1)
    assert [next(matches), next(matches)]
    with index._database.writing() as connection:
        for table in ("instance", "series", "study"):
            column = "study_instance_uid" if table == "study" else None
            where = f"{column} = '1.2.3'" if column else "pk = 3"
            connection.exec_driver_sql(f"DELETE FROM {table} WHERE {where}")
    (last,) = matches
    assert last.attributes.StudyInstanceUID == "1.2.4"


def test_study_with_the_key_of_a_deleted_one_is_not_a_late_match(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIND_SNAPSHOT_SECONDS", -1)
    for number in range(1, 4):
        store(index, make_header(f"1.2.{number}", f"1.2.{number}.1", f"1.2.{number}.1.1", PatientID="P1"))
    query = parse_query(make_identifier("STUDY", PatientID="P1"), STUDY_ROOT, relational=False)
    matches = index.matches(query, fetch_size=1)
    assert [next(matches), next(matches)]
    assert index.deletions.begin("1.2.3", lambda _: None) is not None
    store(index, make_header("1.2.4", "1.2.4.1", "1.2.4.1.1", PatientID="P2"))
    assert list(matches) == []


def test_every_storage_where_an_object_is_is_known(index: Index) -> None:
    assert index.storage_ids() == frozenset()
    store(index, make_header())
    with index._database.writing() as connection:
        row = dict(connection.execute(instance_table.select()).one()._mapping)
        connection.execute(
            instance_table.insert(),
            [
                {**row, "pk": pk, "sop_instance_uid": f"1.2.{pk}", "storage_id": "only-one" if pk == 3333 else "many"}
                for pk in range(1000, 6000)
            ],
        )
    assert index.storage_ids() == {make_location("p").storage_id, "many", "only-one"}
