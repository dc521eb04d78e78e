"""Leading-first matching on the wire: what the leading archive says is what is matched."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from dcm4py_leading.app import Service
from dcm4py_leading.leading.outcome import LookupOutcome
from dcm4py_leading.model.options import parse_options
from dcm4py_leading.service.monitor.measured import Measured
from tests.fixtures.datasets import make_study
from tests.fixtures.scripted import LeadingScp, Viewer, matches_keys
from tests.fixtures.scu import PATIENT_FIND, PATIENT_GET, PATIENT_MOVE, find, get, identifier, move, store
from tests.fixtures.service import AE, DEVICE, Seed

STUDY = "1.2.826.0.1.3680043.8.498.31"
QUERY_RULE = f"""
dn: cn=Leading query,{DEVICE}
changetype: add
objectClass: dcmArchiveAttributeCoercion
cn: Leading query
dcmDIMSE: C_FIND_RSP
dicomTransferRole: SCU
dcmLeadingCFindSCP: QRSCP
"""


def leading_study(number: int = 0, **attributes: Any) -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.StudyInstanceUID = f"{STUDY}.{number}"
    ds.PatientName = "New^Name"
    ds.PatientID = "NEW-ID"
    ds.IssuerOfPatientID = None
    ds.StudyDate = "20200101"
    ds.AccessionNumber = f"NEW-{number}"
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


class Scene:
    """An archive with leading-first on, a leading archive, and what goes between them."""

    def __init__(self, seed: Seed, directory: Path, running: list[Service]) -> None:
        self.seed = seed
        self.port = seed.archive_port
        self._directory = directory
        self._running = running

    def start(self, *settings: str) -> None:
        """Start the archive with the rules of retrieve and query, and leading-first."""
        self.seed.lead()
        self.seed.change(QUERY_RULE)
        self.seed.options = parse_options(settings or ["leading-first=true"])
        self._running.append(Service(self.seed.site))

    def measure(self) -> Measured:
        """What the service counted."""
        return self._running[-1].measure()

    def reload(self) -> None:
        """Read the directory anew."""
        self._running[-1].reload()

    def store(self, number: int = 0, patient_id: str = "OLD-ID", name: str = "Old^Name", **attributes: Any) -> None:
        """A study of two objects, with the values that our archive has."""
        files = make_study(
            self._directory / str(number),
            patient_id=patient_id,
            patient_name=name,
            study_uid=f"{STUDY}.{number}",
            instances=2,
            attributes={"AccessionNumber": f"OLD-{number}", "StudyDate": "20200101", **attributes},
        )
        assert set(store(self.port, files)) == {0x0000}

    def studies(self, model: Any = None, **keys: Any) -> list[tuple[str, str, str]]:
        """The studies that a C-FIND finds: number, Patient ID, name."""
        query = identifier("STUDY", **{"StudyInstanceUID": "", "PatientName": "", "PatientID": "", **keys})
        status, matches = find(self.port, query, *([model] if model else []))
        assert status == 0x0000
        return sorted((str(m.StudyInstanceUID).rpartition(".")[2], m.PatientID, str(m.PatientName)) for m in matches)

    def patients(self, **keys: Any) -> list[tuple[str, str]]:
        """The patients that a C-FIND finds: Patient ID, name."""
        status, matches = find(
            self.port, identifier("PATIENT", **{"PatientID": "", "PatientName": "", **keys}), PATIENT_FIND
        )
        assert status == 0x0000
        assert all("StudyInstanceUID" not in match for match in matches)
        return [(match.PatientID, str(match.PatientName)) for match in matches]


@pytest.fixture
def scene(seed: Seed, tmp_path: Path) -> Iterator[Scene]:
    """The scene, nothing of it started."""
    running: list[Service] = []
    yield Scene(seed, tmp_path, running)
    for service in running:
        service.stop(5)


def keyed(leading: LeadingScp) -> list[Dataset]:
    """The queries that were asked by keys, not for attributes of studies."""
    return [query for query in leading.queries if not query.get("StudyInstanceUID")]


@pytest.mark.parametrize(
    "keys",
    [
        {"PatientName": "New^Name"},
        {"PatientName": "new*"},
        {"PatientID": "NEW-ID"},
        {"AccessionNumber": "NEW-0"},
        {"PatientName": "NEW*", "StudyDate": "20200101", "ModalitiesInStudy": "CT"},
    ],
)
def test_query_by_value_of_leading_archive_finds_the_study(
    scene: Scene, leading_scp: Callable[..., LeadingScp], keys: dict[str, str]
) -> None:
    scene.start()
    scene.store()
    leading = leading_scp(scene.seed.leading_port, matches_keys(leading_study(), leading_study(7)))
    assert scene.studies(**keys) == [("0", "NEW-ID", "New^Name")]
    (query,) = keyed(leading)
    assert {tag for tag in query.keys() if query[tag].value} == {
        0x00080052,
        *(element.tag for element in identifier("STUDY", **keys) if element.keyword != "ModalitiesInStudy"),
    }


@pytest.mark.parametrize("keys", [{"PatientName": "Old^Name"}, {"PatientID": "OLD*"}, {"AccessionNumber": "OLD-0"}])
def test_a_query_by_what_it_no_longer_says_does_not(
    scene: Scene, leading_scp: Callable[..., LeadingScp], keys: dict[str, str]
) -> None:
    scene.start()
    scene.store()
    leading_scp(scene.seed.leading_port, matches_keys(leading_study()))
    assert scene.studies(**keys) == []


def test_other_keys_still_count(scene: Scene, leading_scp: Callable[..., LeadingScp]) -> None:
    scene.start()
    scene.store()
    leading_scp(scene.seed.leading_port, matches_keys(leading_study()))
    assert scene.studies(PatientName="New*", ModalitiesInStudy="MR") == []
    assert scene.studies(PatientName="New*", StudyInstanceUID=f"{STUDY}.1") == []
    assert scene.studies(PatientName="New*", StudyInstanceUID=[f"{STUDY}.1", f"{STUDY}.0"]) != []


def test_several_studies_come_once_each_and_strange_ones_not_at_all(
    scene: Scene, leading_scp: Callable[..., LeadingScp]
) -> None:
    scene.start()
    scene.store(0, "ID", "Same^Name")
    scene.store(1, "ID", "Old^Name")
    scene.store(2, "ID-2", "Same^Other")
    scene.store(3, "ID-3", "Same^Unknown")
    scene.store(4, "ID-4", "Nobody")
    leading_scp(
        scene.seed.leading_port,
        matches_keys(
            leading_study(0, PatientID="ID", PatientName="Same^Name"),
            leading_study(1, PatientID="ID", PatientName="Same^Later"),
            leading_study(2, PatientID="ID-2", PatientName="Changed^Other"),
            leading_study(9, PatientID="ID", PatientName="Same^Elsewhere"),
        ),
    )
    assert scene.studies(PatientName="Same*") == [
        ("0", "ID", "Same^Name"),
        ("1", "ID", "Same^Later"),
        ("3", "ID-3", "Same^Unknown"),
    ]


def test_a_name_in_another_character_set(scene: Scene, leading_scp: Callable[..., LeadingScp]) -> None:
    scene.start()
    scene.store()
    name = "Yamada^Tarou=山田^太郎"
    leading_scp(scene.seed.leading_port, matches_keys(leading_study(PatientName=name)))
    assert scene.studies(SpecificCharacterSet="ISO_IR 192", PatientName="*=山田*") == [("0", "NEW-ID", name)]


def test_a_query_without_a_key_of_the_leading_archive_asks_it_for_nothing(
    scene: Scene, leading_scp: Callable[..., LeadingScp]
) -> None:
    scene.start()
    scene.store()
    leading = leading_scp(scene.seed.leading_port, matches_keys(leading_study()))
    assert scene.studies(ModalitiesInStudy="CT") == [("0", "NEW-ID", "New^Name")]
    assert keyed(leading) == []


def test_without_the_option_local_values_are_matched(scene: Scene, leading_scp: Callable[..., LeadingScp]) -> None:
    scene.start("leading-first=true", "DCM4CHEE:leading-first=false")
    scene.store()
    leading = leading_scp(scene.seed.leading_port, matches_keys(leading_study()))
    assert scene.studies(PatientName="New*") == []
    assert scene.studies(PatientName="Old*") == [("0", "NEW-ID", "New^Name")]
    assert keyed(leading) == []


def test_a_rule_for_another_caller_is_not_followed(scene: Scene, leading_scp: Callable[..., LeadingScp]) -> None:
    scene.start()
    scene.seed.set(f"cn=Leading query,{DEVICE}", dcmProperty="SendingApplicationEntityTitle=FRIEND")
    scene.reload()
    scene.store()
    leading = leading_scp(scene.seed.leading_port, matches_keys(leading_study()))
    assert scene.studies(PatientName="New*") == []
    query = identifier("STUDY", StudyInstanceUID="", PatientName="New*")
    assert len(find(scene.port, query, calling="FRIEND")[1]) == 1
    assert len(keyed(leading)) == 1


def test_series_and_images_of_the_new_patient(scene: Scene, leading_scp: Callable[..., LeadingScp]) -> None:
    scene.start()
    scene.store()
    leading_scp(scene.seed.leading_port, matches_keys(leading_study()))
    keys = {"PatientID": "NEW-ID", "StudyInstanceUID": f"{STUDY}.0"}
    assert scene.studies(PATIENT_FIND, PatientID="NEW-ID") == [("0", "NEW-ID", "New^Name")]
    _, (series,) = find(scene.port, identifier("SERIES", **keys, SeriesInstanceUID=""), PATIENT_FIND)
    assert series.PatientID == "NEW-ID"
    keys["SeriesInstanceUID"] = series.SeriesInstanceUID
    _, images = find(scene.port, identifier("IMAGE", **keys, SOPInstanceUID=""), PATIENT_FIND)
    assert len({image.SOPInstanceUID for image in images}) == 2
    _, none = find(scene.port, identifier("SERIES", **{**keys, "PatientID": "OLD-ID"}), PATIENT_FIND)
    assert none == []


# PATIENT level.


def test_patients_carry_the_values_of_the_leading_archive(scene: Scene, leading_scp: Callable[..., LeadingScp]) -> None:
    scene.start()
    scene.store(0)
    scene.store(1)
    scene.store(2, "OTHER", "Other^Name")
    leading_scp(scene.seed.leading_port, matches_keys(leading_study(0), leading_study(1)))
    assert scene.patients() == [("NEW-ID", "New^Name"), ("OTHER", "Other^Name")]
    assert scene.patients(PatientName="New*") == [("NEW-ID", "New^Name")]
    assert scene.patients(PatientID="NEW-ID") == [("NEW-ID", "New^Name")]
    assert scene.patients(PatientName="Old*") == []
    query = identifier("PATIENT", PatientID="NEW-ID", NumberOfPatientRelatedStudies="", StudyDate="")
    _, (patient,) = find(scene.port, query, PATIENT_FIND)
    assert (patient.NumberOfPatientRelatedStudies, patient.StudyDate) == (2, "")


def test_patients_that_were_merged_are_one_and_one_that_was_split_is_two(
    scene: Scene, leading_scp: Callable[..., LeadingScp]
) -> None:
    scene.start()
    scene.store(0, "A", "A")
    scene.store(1, "B", "B")
    scene.store(2, "B", "B")
    leading_scp(
        scene.seed.leading_port,
        matches_keys(
            leading_study(0, PatientID="M", PatientName="Merged"),
            leading_study(1, PatientID="M", PatientName="Merged"),
            leading_study(2, PatientID="S", PatientName="Split"),
        ),
    )
    assert scene.patients() == [("M", "Merged"), ("S", "Split")]
    assert scene.patients(PatientID="S") == [("S", "Split")]
    assert scene.patients(PatientID="B") == []


# Retrieve.


def moved(scene: Scene, level: str = "PATIENT", **keys: Any) -> tuple[int, int]:
    """C-MOVE to STORESCP: status, completed sub-operations."""
    final = move(scene.port, identifier(level, **keys), model=PATIENT_MOVE)[-1][0]
    return final.Status, final.get("NumberOfCompletedSuboperations", 0)


def test_a_c_move_with_the_new_patient_id_delivers_the_objects(
    scene: Scene, leading_scp: Callable[..., LeadingScp], viewer: Callable[..., Viewer]
) -> None:
    scene.start()
    scene.store(0)
    scene.store(1, "OLDER-ID")
    scene.store(2, "OTHER")
    leading_scp(scene.seed.leading_port, matches_keys(leading_study(0), leading_study(1), leading_study(8)))
    station = viewer(scene.seed.viewer_port)
    assert moved(scene, PatientID="NEW-ID") == (0x0000, 4)
    assert {(ds.StudyInstanceUID, ds.PatientID) for ds in station.received} == {
        (f"{STUDY}.0", "NEW-ID"),
        (f"{STUDY}.1", "NEW-ID"),
    }
    station.received.clear()
    assert moved(scene, "STUDY", PatientID="NEW-ID", StudyInstanceUID=f"{STUDY}.1") == (0x0000, 2)
    assert {ds.StudyInstanceUID for ds in station.received} == {f"{STUDY}.1"}
    assert moved(scene, "STUDY", PatientID="NEW-ID", StudyInstanceUID=f"{STUDY}.2") == (0x0000, 0)


def test_a_study_that_now_belongs_to_another_patient_is_not_sent(
    scene: Scene, leading_scp: Callable[..., LeadingScp], viewer: Callable[..., Viewer]
) -> None:
    scene.start()
    scene.store(0, "P")
    scene.store(1, "P")
    scene.store(2, "P")
    leading = [leading_study(0, PatientID="P"), leading_study(1, PatientID="Q")]
    leading_scp(scene.seed.leading_port, matches_keys(*leading))
    station = viewer(scene.seed.viewer_port)
    assert moved(scene, PatientID="P") == (0x0000, 4)
    assert {ds.StudyInstanceUID for ds in station.received} == {f"{STUDY}.0", f"{STUDY}.2"}
    assert {ds.PatientID for ds in station.received} == {"P"}
    station.received.clear()
    assert moved(scene, PatientID="Q") == (0x0000, 2)
    assert {(ds.StudyInstanceUID, ds.PatientID) for ds in station.received} == {(f"{STUDY}.1", "Q")}


def test_a_leading_archive_that_ignores_the_key_gives_no_strange_patient_away(
    scene: Scene, leading_scp: Callable[..., LeadingScp], viewer: Callable[..., Viewer]
) -> None:
    scene.start()
    scene.store(0)
    scene.store(1)
    studies = [leading_study(0), leading_study(1, PatientID="SOMEONE-ELSE")]
    honest = matches_keys(*studies)

    def script(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        if not event.identifier.StudyInstanceUID:
            yield from ((0xFF00, study) for study in studies)
        else:
            yield from honest(event)

    leading_scp(scene.seed.leading_port, script)
    station = viewer(scene.seed.viewer_port)
    assert moved(scene, PatientID="NEW-ID") == (0x0000, 2)
    assert {ds.PatientID for ds in station.received} == {"NEW-ID"}
    assert scene.studies(PatientID="NEW-ID") == [("0", "NEW-ID", "New^Name")]


def test_leading_archive_with_too_many_matches_adds_none_and_still_decides_about_local_studies(
    scene: Scene, leading_scp: Callable[..., LeadingScp], viewer: Callable[..., Viewer]
) -> None:
    scene.start()
    scene.store(0, "P")
    scene.store(1, "P")
    studies = [leading_study(0, PatientID="P"), leading_study(1, PatientID="Q")]
    honest = matches_keys(*studies)

    def script(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        if not event.identifier.StudyInstanceUID:
            yield from ((0xFF00, leading_study(number)) for number in range(501))
        else:
            yield from honest(event)

    leading_scp(scene.seed.leading_port, script)
    station = viewer(scene.seed.viewer_port)
    assert moved(scene, PatientID="P") == (0x0000, 2)
    assert {(ds.StudyInstanceUID, ds.PatientID) for ds in station.received} == {(f"{STUDY}.0", "P")}


def test_a_c_get_with_the_new_patient_id(scene: Scene, leading_scp: Callable[..., LeadingScp]) -> None:
    scene.start()
    scene.store()
    leading_scp(scene.seed.leading_port, matches_keys(leading_study()))
    keys = identifier("PATIENT", PatientID="NEW-ID")
    responses, received = get(scene.port, keys, model=PATIENT_GET, calling="STORESCP")
    assert responses[-1][0].Status == 0x0000
    assert {ds.PatientID for ds in received} == {"NEW-ID"}
    _, received = get(scene.port, keys, model=PATIENT_GET, calling="ANOTHER")  # the rule is not about that one
    assert received == []


# No answer.


def test_while_the_leading_archive_is_down_local_values_are_matched(
    scene: Scene, viewer: Callable[..., Viewer], caplog: pytest.LogCaptureFixture
) -> None:
    scene.start()
    scene.store()
    station = viewer(scene.seed.viewer_port)
    with caplog.at_level(logging.WARNING):
        assert scene.studies(PatientName="Old*") == [("0", "OLD-ID", "Old^Name")]
    told = [record.getMessage() for record in caplog.records if "leading-first" in record.getMessage()]
    assert len(told) == 1 and "QRSCP" in told[0] and "Old" not in told[0]
    assert scene.patients(PatientID="OLD-ID") == [("OLD-ID", "Old^Name")]
    assert moved(scene, PatientID="OLD-ID") == (0x0000, 2)
    assert {ds.PatientID for ds in station.received} == {"OLD-ID"}
    assert scene.studies(PatientName="New*") == []


@pytest.mark.parametrize("code", [0xA700, 0xA900])
def test_an_error_status_is_no_answer(
    scene: Scene, leading_scp: Callable[..., LeadingScp], caplog: pytest.LogCaptureFixture, code: int
) -> None:
    scene.start()
    scene.store()

    def script(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        if event.identifier.get("PatientName"):
            yield code, None
        else:
            yield from matches_keys()(event)

    leading_scp(scene.seed.leading_port, script)
    with caplog.at_level(logging.WARNING):
        assert scene.studies(PatientName="Old*") == [("0", "OLD-ID", "Old^Name")]
    assert any(f"0x{code:04X}" in record.getMessage() for record in caplog.records)


def test_a_query_too_broad_for_leading_first_is_matched_without(
    scene: Scene, leading_scp: Callable[..., LeadingScp], caplog: pytest.LogCaptureFixture
) -> None:
    scene.start()
    scene.store()
    leading_scp(scene.seed.leading_port, matches_keys(*(leading_study(number) for number in range(501))))
    with caplog.at_level(logging.WARNING):
        assert scene.studies(PatientName="New*") == []
    (told,) = [record.getMessage() for record in caplog.records if "too broad" in record.getMessage()]
    assert "QRSCP" in told
    assert scene.studies(AccessionNumber="NEW-0") == [("0", "NEW-ID", "New^Name")]


@pytest.mark.ldap("dcmQueryMaxNumberOfResults")
def test_the_limit_counts_each_match_once(scene: Scene, leading_scp: Callable[..., LeadingScp]) -> None:
    scene.seed.set(AE, dcmQueryMaxNumberOfResults="2")
    scene.start()
    for number, name in enumerate(["Same^A", "Old^B", "Old^C"]):
        scene.store(number, f"P{number}", name)
    same = [leading_study(number, PatientName=f"Same^{number}") for number in range(3)]
    leading_scp(scene.seed.leading_port, matches_keys(*same))
    assert (
        len(scene.studies(PatientName="Same*", AccessionNumber="", StudyInstanceUID=[f"{STUDY}.0", f"{STUDY}.1"])) == 2
    )
    query = identifier("STUDY", StudyInstanceUID="", PatientName="Same*")
    assert find(scene.port, query) == (0xA700, [])


def test_other_rules_on_keys_and_matches_hide_nothing(scene: Scene, leading_scp: Callable[..., LeadingScp]) -> None:
    """The client writes SITE: before each Patient ID; one rule takes it off the keys, one puts it on the matches."""
    rule = "changetype: add\nobjectClass: dcmArchiveAttributeCoercion2\ndicomTransferRole: SCU\ndcmURI: merge-attrs:"
    scene.seed.change(
        f"dn: cn=off,{DEVICE}\n{rule}\ncn: off\ndcmDIMSE: C_FIND_RQ\ndcmMergeAttribute: PatientID={{PatientID,slice,5}}"
        "\ndcmProperty: PatientID=SITE:.*",
        f"dn: cn=on,{DEVICE}\n{rule}\ncn: on\ndcmDIMSE: C_FIND_RSP\ndcmMergeAttribute: PatientID=SITE:{{PatientID}}",
    )
    scene.start()
    scene.store()
    leading_scp(scene.seed.leading_port, matches_keys(leading_study()))
    assert scene.studies(PatientID="SITE:NEW-ID") == [("0", "SITE:NEW-ID", "New^Name")]
    assert scene.studies(PatientID="SITE:OLD-ID") == []


def test_a_version_2_rule_leads_as_well(scene: Scene, leading_scp: Callable[..., LeadingScp]) -> None:
    scene.start()
    scene.store()
    scene.seed.change(
        f"dn: cn=Leading query,{DEVICE}\nchangetype: delete",
        f"dn: cn=second,{DEVICE}\nchangetype: add\nobjectClass: dcmArchiveAttributeCoercion2\ncn: second\n"
        "dcmDIMSE: C_FIND_RSP\ndicomTransferRole: SCU\ndcmURI: leading-arc:QRSCP",
    )
    scene.reload()
    leading_scp(scene.seed.leading_port, matches_keys(leading_study()))
    assert scene.studies(PatientName="new^*") == [("0", "NEW-ID", "New^Name")]
    assert scene.studies(PatientName="old^*") == []


def test_a_value_that_the_policy_keeps_is_the_one_that_is_matched(
    scene: Scene, leading_scp: Callable[..., LeadingScp]
) -> None:
    scene.start()
    scene.seed.set(f"cn=Leading query,{DEVICE}", dcmAttributeUpdatePolicy="SUPPLEMENT")
    scene.reload()
    scene.store()
    leading_scp(scene.seed.leading_port, matches_keys(leading_study()))
    assert scene.studies(PatientName="New*") == []
    assert scene.studies(PatientName="Old*") == [("0", "OLD-ID", "Old^Name")]


def test_the_question_by_keys_is_counted_and_part_of_the_log_line(
    scene: Scene,
    leading_scp: Callable[..., LeadingScp],
    viewer: Callable[..., Viewer],
    caplog: pytest.LogCaptureFixture,
) -> None:
    scene.start()
    scene.store()
    leading_scp(scene.seed.leading_port, matches_keys(leading_study(0)))
    viewer(scene.seed.viewer_port)
    with caplog.at_level(logging.INFO):
        assert scene.studies(PatientName="New*") == [("0", "NEW-ID", "New^Name")]
        assert scene.studies(PatientName="Nobody") == []
        assert moved(scene, PatientID="NEW-ID") == (0x0000, 2)
    lines = [m for r in caplog.records if (m := r.getMessage()).startswith(("C-FIND from", "C-MOVE from"))]
    told = [field for line in lines for field in line.split() if field.startswith("leading=")]
    assert told == ["leading=keys-miss:1/miss:1", "leading=keys-not-found:1", "leading=keys-miss:1/hit:1"]
    assert scene.measure().key_lookups == {"QRSCP": {LookupOutcome.MISS: 2, LookupOutcome.NOT_FOUND: 1}}


def test_the_step_that_fails_a_sub_operation_is_counted(scene: Scene, viewer: Callable[..., Viewer]) -> None:
    scene.start("leading-first=false")
    scene.store()
    scene.seed.change(
        f"dn: cn=second,{DEVICE}\nchangetype: add\nobjectClass: dcmArchiveAttributeCoercion2\ncn: second\n"
        "dcmDIMSE: C_STORE_RQ\ndicomTransferRole: SCP\ndcmURI: leading-arc:QRSCP\ndcmCoercionOnFailure: RETHROW"
    )
    scene.reload()
    station = viewer(scene.seed.viewer_port)
    assert moved(scene, PatientID="OLD-ID")[0] == 0xA702
    assert station.received == []
    assert scene.measure().coercions["second", "leading-arc", "failed"] == 2
