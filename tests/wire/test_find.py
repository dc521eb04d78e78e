"""C-FIND: matching on the wire at every level and in both models, limits, cancel, refusals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation

from dcm4py_leading.archive.index.index import Index
from tests.fixtures.datasets import make_study
from tests.fixtures.scu import PATIENT_FIND, STUDY_FIND, associated, find, identifier, store
from tests.fixtures.service import AE, DEVICE, Seed

STUDY = "1.2.826.0.1.3680043.8.498.21"


def fill(seed: Seed, sent: Path) -> Seed:
    """Start the archive, with three studies of two patients."""
    seed.start()
    for number, (patient, name, date, modality, description) in enumerate(
        [
            ("P1", "Müller^Änne", "20200110", "CT", "Thorax"),
            ("P1", "Müller^Änne", "20210315", "MR", "Head"),
            ("P2", "Smith^John", "20210316", "CT", "Thorax"),
        ]
    ):
        files = make_study(
            sent / str(number),
            patient_id=patient,
            patient_name=name,
            study_uid=f"{STUDY}.{number}",
            instances=2,
            series=2,
            modality=modality,
            attributes={"StudyDate": date, "StudyTime": f"1{number}0000", "StudyDescription": description},
        )
        assert store(seed.archive_port, files) == [0x0000] * 4
    return seed


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seed]:
    """One archive for the tests that only ask it."""
    folder = tmp_path_factory.mktemp("archive")
    with ExitStack() as running:
        yield fill(Seed(folder, running), folder / "sent")


@pytest.fixture
def own_archive(seed: Seed, tmp_path: Path) -> Seed:
    """An archive for a test that configures it anew."""
    return fill(seed, tmp_path / "sent")


def studies(archive: Seed, **keys: Any) -> list[str]:
    """The last parts of the Study Instance UIDs that match."""
    status, matches = find(archive.archive_port, identifier("STUDY", **{"StudyInstanceUID": "", **keys}))
    assert status == 0x0000
    return sorted(str(match.StudyInstanceUID).rpartition(".")[2] for match in matches)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, ["0", "1", "2"]),
        ({"StudyInstanceUID": f"{STUDY}.1"}, ["1"]),
        ({"StudyInstanceUID": [f"{STUDY}.1", f"{STUDY}.2", "1.2.3"]}, ["1", "2"]),
        ({"PatientName": "Smith^John"}, ["2"]),
        ({"PatientName": "SMITH*"}, ["2"]),
        ({"PatientName": "*^j?hn"}, ["2"]),
        ({"PatientID": "P1"}, ["0", "1"]),
        ({"PatientID": "P*"}, ["0", "1", "2"]),
        ({"StudyDate": "20210315-20210316"}, ["1", "2"]),
        ({"StudyDate": "-20201231"}, ["0"]),
        ({"StudyDate": "20210316-"}, ["2"]),
        ({"StudyTime": "105900-115900"}, ["1"]),
        ({"ModalitiesInStudy": "MR"}, ["1"]),
        ({"ModalitiesInStudy": "XA"}, []),
        ({"PatientID": "P1", "ModalitiesInStudy": "CT"}, ["0"]),
    ],
)
def test_study_level_matching(archive: Seed, keys: dict[str, Any], expected: list[str]) -> None:
    assert studies(archive, **keys) == expected


def test_requested_keys_are_returned_and_nothing_else(archive: Seed) -> None:
    query = identifier(
        "STUDY",
        StudyInstanceUID=f"{STUDY}.0",
        PatientName="",
        StudyDescription="",
        NumberOfStudyRelatedSeries="",
        NumberOfStudyRelatedInstances="",
        ModalitiesInStudy="",
        ReferringPhysicianName="",
        ContentLabel="",
    )
    _, (match,) = find(archive.archive_port, query)
    assert match.PatientName == "Müller^Änne"
    assert match.StudyDescription == "Thorax"
    assert (match.NumberOfStudyRelatedSeries, match.NumberOfStudyRelatedInstances) == (2, 4)
    assert match.ModalitiesInStudy == "CT"
    assert match.RetrieveAETitle == "DCM4CHEE"
    assert match.InstanceAvailability == "ONLINE"
    assert match.QueryRetrieveLevel == "STUDY"
    assert "ContentLabel" in match and not match.ContentLabel
    always = {"SpecificCharacterSet", "RetrieveAETitle", "InstanceAvailability", "QueryRetrieveLevel"}
    asked = {element.keyword for element in query}
    assert {element.keyword for element in match} - always <= asked


def test_every_level_of_both_models(archive: Seed) -> None:
    port = archive.archive_port
    _, patients = find(port, identifier("PATIENT", PatientID="", PatientName=""), PATIENT_FIND)
    assert sorted(match.PatientID for match in patients) == ["P1", "P2"]
    _, found = find(port, identifier("STUDY", PatientID="P1", StudyInstanceUID=""), PATIENT_FIND)
    assert len(found) == 2
    _, series = find(port, identifier("SERIES", StudyInstanceUID=f"{STUDY}.0", SeriesInstanceUID="", Modality="CT"))
    assert len(series) == 2
    keys = {"StudyInstanceUID": f"{STUDY}.0", "SeriesInstanceUID": series[0].SeriesInstanceUID}
    _, images = find(port, identifier("IMAGE", **keys, SOPInstanceUID="", InstanceNumber="2"))
    assert [match.InstanceNumber for match in images] == [2]
    _, images = find(port, identifier("IMAGE", PatientID="P1", **keys, SOPInstanceUID=""), PATIENT_FIND)
    assert len(images) == 2


@pytest.mark.parametrize(
    ("query", "model"),
    [
        (identifier("PATIENT", PatientID=""), STUDY_FIND),
        (identifier("NONSENSE", StudyInstanceUID=""), STUDY_FIND),
        (identifier("SERIES", SeriesInstanceUID=""), STUDY_FIND),
        (identifier("IMAGE", StudyInstanceUID=STUDY, SOPInstanceUID=""), STUDY_FIND),
        (identifier("STUDY", StudyInstanceUID=""), PATIENT_FIND),
    ],
)
def test_a_wrong_level_or_a_missing_unique_key_is_a900(archive: Seed, query: Any, model: Any) -> None:
    assert find(archive.archive_port, query, model) == (0xA900, [])


def test_an_identifier_without_a_level_is_a900(archive: Seed) -> None:
    query = identifier("STUDY", StudyInstanceUID="")
    del query.QueryRetrieveLevel
    assert find(archive.archive_port, query) == (0xA900, [])


def negotiated(sop_class: str) -> SOPClassExtendedNegotiation:
    item = SOPClassExtendedNegotiation()
    item.sop_class_uid = sop_class
    item.service_class_application_information = b"\x01"
    return item


@pytest.mark.ldap("dcmRelationalQueries")
def test_relational_queries_where_negotiated(archive: Seed) -> None:
    query = identifier("SERIES", SeriesInstanceUID="")
    status, matches = find(archive.archive_port, query, ext_neg=[negotiated(STUDY_FIND)])
    assert status == 0x0000
    assert len(matches) == 6


@pytest.mark.ldap("dcmRelationalQueryNegotiationLenient")
def test_relational_queries_where_the_ae_is_lenient(seed: Seed) -> None:
    seed.set(AE, dcmRelationalQueryNegotiationLenient="TRUE")
    seed.start()
    assert find(seed.archive_port, identifier("SERIES", SeriesInstanceUID="")) == (0x0000, [])


@pytest.mark.ldap("dcmQueryMaxNumberOfResults")
def test_more_matches_than_allowed_are_refused(own_archive: Seed) -> None:
    own_archive.set(AE, dcmQueryMaxNumberOfResults="2")
    own_archive.service.reload()
    assert find(own_archive.archive_port, identifier("STUDY", StudyInstanceUID="")) == (0xA700, [])
    status, matches = find(own_archive.archive_port, identifier("STUDY", StudyInstanceUID="", PatientID="P1"))
    assert (status, len(matches)) == (0x0000, 2)


@pytest.mark.ldap("dcmQueryFetchSize")
def test_matches_are_read_in_as_many_pages_as_it_takes(own_archive: Seed, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    matches = Index.matches

    def counted(self: Index, query: Any, *, fetch_size: int) -> Any:
        asked.append(fetch_size)
        return matches(self, query, fetch_size=fetch_size)

    monkeypatch.setattr(Index, "matches", counted)
    _, all_at_once = find(own_archive.archive_port, identifier("STUDY", StudyInstanceUID=""))
    own_archive.set(DEVICE, dcmQueryFetchSize="1")
    own_archive.service.reload()
    status, one_by_one = find(own_archive.archive_port, identifier("STUDY", StudyInstanceUID=""))
    assert status == 0x0000
    assert {match.StudyInstanceUID for match in one_by_one} == {match.StudyInstanceUID for match in all_at_once}
    assert asked[-1] == 1


@pytest.mark.ldap("dcmQueryRetrieveViewID")
@pytest.mark.ldap("dcmHideNotRejectedInstances")
def test_a_view_that_shows_only_rejected_instances_shows_nothing(own_archive: Seed) -> None:
    own_archive.change(
        f"dn: dcmQueryRetrieveViewID=rejected,{DEVICE}\nchangetype: add\nobjectClass: dcmQueryRetrieveView\n"
        "dcmQueryRetrieveViewID: rejected\ndcmHideNotRejectedInstances: TRUE"
    )
    own_archive.set(AE, dcmQueryRetrieveViewID="rejected")
    own_archive.service.reload()
    assert find(own_archive.archive_port, identifier("STUDY", StudyInstanceUID="")) == (0x0000, [])


@pytest.mark.ldap("dcmReturnRetrieveAET")
def test_the_retrieve_ae_title_can_be_configured(seed: Seed, tmp_path: Path) -> None:
    seed.set(DEVICE, dcmReturnRetrieveAET="PROXY")
    seed.start()
    store(seed.archive_port, make_study(tmp_path / "s", patient_id="P", patient_name="A^B", study_uid=STUDY))
    _, (match,) = find(seed.archive_port, identifier("STUDY", StudyInstanceUID=""))
    assert match.RetrieveAETitle == "PROXY"


def test_a_cancelled_query_ends_with_fe00(archive: Seed) -> None:
    with associated(archive.archive_port, [STUDY_FIND]) as assoc:
        responses = assoc.send_c_find(identifier("STUDY", StudyInstanceUID=""), STUDY_FIND, msg_id=7)
        assoc.send_c_cancel(7, 1)
        statuses = [status.Status for status, _ in responses]
    assert statuses[-1] in (0xFE00, 0x0000)
    assert set(statuses[:-1]) <= {0xFF00}
