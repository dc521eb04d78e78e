"""The search of the pages: the archive's own values, of whichever archive the AE stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from dcm4py_leading.app import Service
from dcm4py_leading.errors import ArchiveUnavailable, IdentifierMismatch
from dcm4py_leading.model.values import Level
from dcm4py_leading.service.editing.edit import Edit
from dcm4py_leading.service.monitor.echo import UnknownAE
from dcm4py_leading.service.studies.found import FoundStudy, StudySearch, text_of
from tests.fixtures.datasets import make_study
from tests.fixtures.pacs import Received, ScriptedPacs, has
from tests.fixtures.proxy import stand_in_front_of
from tests.fixtures.scu import identifier, store
from tests.fixtures.service import Seed

STUDY = "1.2.826.0.1.3680043.8.498.55"
StartPacs = Callable[..., ScriptedPacs]


def search_for(**keys: str) -> StudySearch:
    return StudySearch(ae_title="DCM4CHEE", keys=keys, most=10)


def found(service: Service, **keys: str) -> list[FoundStudy]:
    return list(service.find_studies(search_for(**keys)).studies)


def fill(seed: Seed, sent: Path) -> Service:
    """The archive with three studies of two patients."""
    service = seed.start()
    for number, name, date in [(1, "Größe^Anna", "20240101"), (2, "Größe^Anna", "20240301"), (3, "Smith^Bob", "")]:
        files = make_study(
            sent / str(number),
            patient_id=f"P-{name[:2]}",
            patient_name=name,
            study_uid=f"{STUDY}.{number}",
            attributes={"StudyDate": date, "AccessionNumber": f"A{number}", "SpecificCharacterSet": "ISO_IR 192"},
        )
        assert set(store(seed.archive_port, files)) == {0}
    return service


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One archive for the tests that only read it."""
    folder = tmp_path_factory.mktemp("filled")
    with ExitStack() as running:
        yield fill(Seed(folder, running), folder / "sent")


def test_studies_come_with_the_values_of_the_archive_the_newest_first(filled: Service) -> None:
    first, second, last = found(filled)
    assert [one.text("StudyDate") for one in (first, second, last)] == ["20240301", "20240101", ""]
    assert (first.study_instance_uid, first.at, first.edited) == (f"{STUDY}.2", "", ())
    assert first.text("PatientName") == "Größe^Anna"
    assert first.text("ModalitiesInStudy") != ""
    assert first.text("NumberOfStudyRelatedInstances") == "3"


@pytest.mark.parametrize(
    ("keys", "numbers"),
    [
        ({"PatientName": "grösse*"}, [2, 1]),
        ({"PatientName": "*^bob"}, [3]),
        ({"PatientID": "P-Sm"}, [3]),
        ({"StudyDate": "20240201-"}, [2]),
        ({"StudyDate": "-20240201"}, [1]),
        ({"AccessionNumber": "A1"}, [1]),
        ({"AccessionNumber": "a1"}, []),
        ({"StudyInstanceUID": f"{STUDY}.3\\{STUDY}.1"}, [1, 3]),
    ],
    ids=repr,
)
def test_keys_match_as_in_a_cfind(filled: Service, keys: dict[str, str], numbers: list[int]) -> None:
    assert [one.study_instance_uid for one in found(filled, **keys)] == [f"{STUDY}.{number}" for number in numbers]


def test_pages_go_on_where_the_last_one_ended(filled: Service) -> None:
    uids: list[str] = []
    after: str | None = None
    for _ in range(3):
        page = filled.find_studies(StudySearch(ae_title="DCM4CHEE", keys={}, most=1, after=after))
        uids += [one.study_instance_uid for one in page.studies]
        after = page.next
    assert after is None
    assert uids == [f"{STUDY}.2", f"{STUDY}.1", f"{STUDY}.3"]


@pytest.mark.parametrize("after", ["", "x", "2024.1", "20240101.", "20240101.-1", "20240101.99999999999999999999"])
def test_a_position_that_is_none_is_refused(filled: Service, after: str) -> None:
    with pytest.raises(IdentifierMismatch, match="no page"):
        filled.find_studies(StudySearch(ae_title="DCM4CHEE", keys={}, most=1, after=after))


def test_an_unknown_ae_and_an_unknown_key_are_named(filled: Service) -> None:
    with pytest.raises(UnknownAE, match="NOBODY"):
        filled.find_studies(StudySearch(ae_title="NOBODY", keys={}, most=1))
    with pytest.raises(IdentifierMismatch, match="PatientsName"):
        filled.find_studies(search_for(PatientsName="x"))


def test_a_study_tells_what_was_edited(seed: Seed, tmp_path: Path) -> None:
    service = fill(seed, tmp_path / "sent")
    patient = {
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "New^Name"}]},
        "00100020": {"vr": "LO", "Value": ["P-Sm"]},
    }
    service.edit(Edit(ae_title="DCM4CHEE", level=Level.PATIENT, identifier="P-Sm", attributes=patient))
    study = service.study("DCM4CHEE", f"{STUDY}.3")
    assert study is not None
    assert study.text("PatientName") == "New^Name"
    assert "00100010" in study.edited
    assert found(service, PatientName="NEW*") != []


def test_series_and_instances_of_a_study(filled: Service) -> None:
    series = filled.series("DCM4CHEE", f"{STUDY}.1")
    assert series
    counts = [int(one.text("NumberOfSeriesRelatedInstances")) for one in series]
    assert sum(counts) == 3
    for one, count in zip(series, counts, strict=True):
        instances = filled.instances("DCM4CHEE", f"{STUDY}.1", one.series_instance_uid)
        assert len(instances) == count
        assert all(text_of(instance.attributes, "SOPClassUID") for instance in instances)


@pytest.mark.parametrize(
    "uid", ["", "*", "1.2.*", f"{STUDY}.1\\{STUDY}.2", f"{STUDY}.9", "?", "\0", " ", "\\", "\r\n", "1" * 5000]
)
def test_no_study_is_found_by_what_is_not_its_uid(filled: Service, uid: str) -> None:
    assert filled.study("DCM4CHEE", uid) is None
    assert filled.series("DCM4CHEE", uid) == []
    assert filled.instances("DCM4CHEE", f"{STUDY}.1", uid) == []


def test_a_pacs_that_answers_with_another_study_is_not_believed(seed: Seed, scripted_pacs: StartPacs) -> None:
    def answer(received: Received) -> None:
        received.respond(0xFF00, row(2))
        received.respond(0x0000)

    stand_in_front_of(seed, scripted_pacs(seed.archive_port, find=answer).port)
    service = seed.start()
    assert service.study("DCM4CHEE", f"{STUDY}.1") is None
    assert service.series("DCM4CHEE", f"{STUDY}.1") == []
    assert service.study("DCM4CHEE", f"{STUDY}.2") is not None


def row(number: int, **attributes: Any) -> Dataset:
    return identifier(
        "STUDY", StudyInstanceUID=f"{STUDY}.{number}", PatientID="OLD", PatientName="Of^Pacs", **attributes
    )


def test_studies_of_a_pacs_come_with_its_name(seed: Seed, scripted_pacs: StartPacs) -> None:
    rows = [row(number, StudyDate=f"2024010{number}") for number in range(1, 5)]
    pacs = scripted_pacs(seed.archive_port, find=has(*rows))
    stand_in_front_of(seed, pacs.port)
    service = seed.start()
    page = service.find_studies(StudySearch(ae_title="DCM4CHEE", keys={"PatientName": "OF*"}, most=3))
    assert page.is_cut
    assert page.next is None
    assert {one.at for one in page.studies} == {"PACS"}
    dates = [one.text("StudyDate") for one in page.studies]
    assert dates == sorted(dates, reverse=True)
    study = service.study("DCM4CHEE", f"{STUDY}.2")
    assert study is not None
    assert (study.at, study.text("PatientName")) == ("PACS", "Of^Pacs")


@pytest.mark.parametrize("policy", ["SUPPLEMENT", "MERGE"])
def test_study_of_two_archives_is_listed_with_the_one_that_has_it(
    seed: Seed, scripted_pacs: StartPacs, tmp_path: Path, policy: str
) -> None:
    pacs = scripted_pacs(seed.archive_port, find=has(row(1), row(2)))
    stand_in_front_of(seed, pacs.port, dcmSpanningCFindSCPPolicy=policy)
    service = seed.start()
    files = make_study(tmp_path / "own", patient_id="OLD", patient_name="Of^Here", study_uid=f"{STUDY}.1")
    assert set(store(seed.archive_port, files)) == {0}
    told = {one.study_instance_uid: (one.at, one.text("PatientName")) for one in found(service)}
    assert told == {f"{STUDY}.1": ("", "Of^Here"), f"{STUDY}.2": ("PACS", "Of^Pacs")}


def test_a_pacs_that_fails_is_named(seed: Seed, scripted_pacs: StartPacs) -> None:
    def refuse(received: Received) -> None:
        received.respond(0xC001, comment="out of order")

    pacs = scripted_pacs(seed.archive_port, find=refuse)
    stand_in_front_of(seed, pacs.port)
    service = seed.start()
    with pytest.raises(ArchiveUnavailable, match="PACS"):
        found(service)
