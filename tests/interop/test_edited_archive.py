"""A patient or a study is edited over HTTP; what DCMTK finds and retrieves afterwards has the edit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from pydicom import Dataset

from tests.fixtures.datasets import make_instance, make_study
from tests.fixtures.dcmtk import DcmQrScp, StoreScp, findscu, movescu, storescu
from tests.fixtures.dcmtk import Peer as Destination
from tests.fixtures.pages import Page
from tests.fixtures.service import AE, DEVICE, Seed
from tests.fixtures.workers import Serve

pytestmark = pytest.mark.peers

STUDY = "1.2.826.0.1.3680043.8.498.77"
RS = "/dcm4chee-arc/aets/DCM4CHEE/rs"
OLD = {"StudyDescription": "Old description", "AccessionNumber": "OLD"}
PATIENT = {
    "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Größe^Änne"}]},
    "00100020": {"vr": "LO", "Value": ["P-1"]},
    "00100040": {"vr": "CS", "Value": ["F"]},
}
STUDY_EDIT = {
    "00100020": {"vr": "LO", "Value": ["P-1"]},
    "0020000D": {"vr": "UI", "Value": [STUDY]},
    "00081030": {"vr": "LO", "Value": ["New description"]},
}


def store(seed: Seed, folder: Path, *, name: str = "Old^Name", patient: str = "P-1", uid: str = STUDY) -> None:
    files = make_study(folder, patient_id=patient, patient_name=name, study_uid=uid, attributes=OLD)
    assert storescu(seed.archive_port, files, called_ae_title="DCM4CHEE").returncode == 0


def moved(seed: Seed, folder: Path, uid: str = STUDY) -> list[Dataset]:
    """The objects of the study, as the viewer gets them."""
    with StoreScp(folder, port=seed.viewer_port, options=("+xa", "+B", "+uf")) as viewer:
        outcome = movescu(
            seed.archive_port,
            called_ae_title="DCM4CHEE",
            destination="STORESCP",
            level="STUDY",
            keys={"StudyInstanceUID": uid},
        )
        assert outcome.status == 0
        return viewer.datasets()


def found(seed: Seed) -> Sequence[Dataset]:
    keys = {"StudyInstanceUID": "", "PatientName": "", "PatientID": "", "StudyDescription": "", "AccessionNumber": ""}
    return findscu(seed.archive_port, called_ae_title="DCM4CHEE", level="STUDY", keys=keys).matches


def put(http: httpx.Client, path: str, attributes: object, **query: str) -> httpx.Response:
    return http.put(f"{RS}/{path}", json=attributes, params=query, headers={"Content-Type": "application/dicom+json"})


@pytest.mark.parametrize("policy", ["PRESERVE", "SUPPLEMENT", "MERGE", "OVERWRITE"])
def test_an_edited_patient_is_found_and_delivered_with_what_it_was_before(
    seed: Seed, http: httpx.Client, tmp_path: Path, policy: str
) -> None:
    for entity in ("Patient", "Study"):
        seed.set(f"dcmEntity={entity},{DEVICE}", dcmAttributeUpdatePolicy=policy)
    seed.service.reload()
    store(seed, tmp_path / "sent")
    stored = [path.read_bytes() for path in seed.objects]

    assert put(http, "patients/P-1", PATIENT, sourceOfPreviousValues="HIS").status_code == 204

    assert [str(match.PatientName) for match in found(seed)] == ["Größe^Änne"]
    objects = moved(seed, tmp_path / "viewer")
    assert len(objects) == 3
    for ds in objects:
        assert (str(ds.PatientName), ds.PatientID, ds.PatientSex) == ("Größe^Änne", "P-1", "F")
        assert ds.StudyDescription == "Old description"
        (item,) = ds.OriginalAttributesSequence
        assert item.ReasonForTheAttributeModification == "CORRECT"
        assert (item.ModifyingSystem, item.SourceOfPreviousValues) == ("DCM4CHEE", "HIS")
        assert item.ModifiedAttributesSequence[0].PatientName == "Old^Name"
    assert [path.read_bytes() for path in seed.objects] == stored


def test_an_edited_study_is_delivered_and_what_was_not_sent_is_empty(
    seed: Seed, http: httpx.Client, tmp_path: Path
) -> None:
    store(seed, tmp_path / "sent")
    answer = put(http, f"studies/{STUDY}", STUDY_EDIT, reasonForModification="COERCE")
    assert (answer.status_code, answer.json()) == (200, STUDY_EDIT)
    (match,) = found(seed)
    assert (match.StudyDescription, match.AccessionNumber) == ("New description", "")
    objects = moved(seed, tmp_path / "viewer")
    assert {(ds.StudyDescription, ds.AccessionNumber, str(ds.PatientName)) for ds in objects} == {
        ("New description", "", "Old^Name")
    }
    (item,) = objects[0].OriginalAttributesSequence
    previous = item.ModifiedAttributesSequence[0]
    assert item.ReasonForTheAttributeModification == "COERCE"
    assert (previous.StudyDescription, previous.AccessionNumber) == ("Old description", "OLD")


def test_each_edit_is_told_and_the_same_once_more_is_none(seed: Seed, http: httpx.Client, tmp_path: Path) -> None:
    store(seed, tmp_path / "sent")
    for name in ("First", "Second", "Second"):
        edited = {**PATIENT, "00100010": {"vr": "PN", "Value": [{"Alphabetic": name}]}}
        assert put(http, "patients/P-1", edited).status_code == 204
    ds = moved(seed, tmp_path / "viewer")[0]
    assert ds.PatientName == "Second"
    told = [item.ModifiedAttributesSequence[0].PatientName for item in ds.OriginalAttributesSequence]
    assert told == ["Old^Name", "First"]


def test_the_leading_archive_has_the_last_word(seed: Seed, http: httpx.Client, tmp_path: Path) -> None:
    seed.lead()
    seed.service.reload()
    store(seed, tmp_path / "sent")
    assert put(http, "patients/P-1", PATIENT).status_code == 204
    right = make_study(tmp_path / "right", patient_id="RIGHT", patient_name="Right^Name", study_uid=STUDY)
    ours = Destination(ae_title="DCM4CHEE", port=seed.archive_port)
    with DcmQrScp(tmp_path / "leading", port=seed.leading_port, destinations=[ours]) as leading:
        leading.store(right)
        objects = moved(seed, tmp_path / "viewer")
    assert {(str(ds.PatientName), ds.PatientID) for ds in objects} == {("Right^Name", "RIGHT")}


def test_another_patient_id_is_taken_and_objects_with_the_old_one_have_it_too(
    seed: Seed, http: httpx.Client, tmp_path: Path
) -> None:
    store(seed, tmp_path / "sent")
    edited = {**PATIENT, "00100020": {"vr": "LO", "Value": ["P-2"]}}
    assert put(http, "patients/P-1", edited).status_code == 204
    store(seed, tmp_path / "again", patient="P-2", uid=f"{STUDY}.2")
    assert put(http, "patients/P-1", edited).status_code == 404
    assert {ds.PatientID for ds in moved(seed, tmp_path / "viewer")} == {"P-2"}


@pytest.mark.parametrize("policy", ["PRESERVE", "SUPPLEMENT", "MERGE", "OVERWRITE"])
def test_an_object_that_comes_after_the_edit_is_of_the_same_patient_and_carries_it(
    seed: Seed, http: httpx.Client, tmp_path: Path, policy: str
) -> None:
    seed.set(f"dcmEntity=Patient,{DEVICE}", dcmAttributeUpdatePolicy=policy)
    seed.service.reload()
    store(seed, tmp_path / "sent")
    assert put(http, "patients/P-1", PATIENT).status_code == 204
    store(seed, tmp_path / "later", uid=f"{STUDY}.2")
    matches = findscu(
        seed.archive_port,
        called_ae_title="DCM4CHEE",
        level="PATIENT",
        model="PATIENT",
        keys={"PatientID": "P-1", "PatientName": ""},
    ).matches
    assert [str(match.PatientName) for match in matches] == ["Größe^Änne"]
    assert {str(ds.PatientName) for ds in moved(seed, tmp_path / "viewer", f"{STUDY}.2")} == {"Größe^Änne"}


def test_object_of_another_patient_does_not_get_the_edit_of_the_patient(
    seed: Seed, http: httpx.Client, tmp_path: Path
) -> None:
    store(seed, tmp_path / "sent")
    foreign = make_instance(
        tmp_path / "foreign.dcm",
        study_uid=STUDY,
        series_uid=f"{STUDY}.9",
        sop_instance_uid=f"{STUDY}.9.1",
        attributes={"PatientID": "P-9", "PatientName": "Somebody^Else"},
    )
    assert storescu(seed.archive_port, [foreign], called_ae_title="DCM4CHEE").returncode == 0
    assert put(http, "patients/P-1", PATIENT).status_code == 204
    names = sorted(str(ds.PatientName) for ds in moved(seed, tmp_path / "viewer"))
    assert names == ["Größe^Änne"] * 3 + ["Somebody^Else"]


def test_impossible_edit_has_a_status_and_changes_nothing(seed: Seed, http: httpx.Client, tmp_path: Path) -> None:
    store(seed, tmp_path / "one")
    store(seed, tmp_path / "two", patient="P-2", name="Other", uid=f"{STUDY}.2")
    study = f"studies/{STUDY}"

    def wrong(**values: object) -> dict[str, Any]:
        return {**STUDY_EDIT, **{tag.removeprefix("x"): {"Value": [value]} for tag, value in values.items()}}

    for path, attributes, status in (
        ("patients/P-3", PATIENT, 404),
        ("patients/P-1%5E%5E%5EELSEWHERE", PATIENT, 404),
        ("patients/P-1", {"00100010": PATIENT["00100010"]}, 400),
        ("patients/P-1", {**PATIENT, "00100020": {"vr": "LO", "Value": ["P-2"]}}, 409),
        ("patients/%5E%5E%5EX", PATIENT, 400),
        ("studies/1.2.3", wrong(x0020000D="1.2.3"), 404),
        (study, wrong(x0020000D="1.2.3"), 400),
        (study, wrong(x00100020="P-2"), 400),
        (study, wrong(x00080020="Secret^Name"), 400),
        (study, wrong(x7FE00010="AAAA"), 400),
        (study, {**STUDY_EDIT, "00081030": {"vr": "PN", "Value": []}}, 400),
        (study, [], 400),
    ):
        answer = put(http, path, attributes)
        assert answer.status_code == status, (path, answer.text)
        assert "Secret" not in answer.json()["errorMessage"]
    assert put(http, "patients/P-1", PATIENT, merge="true").status_code == 400
    assert put(http, "patients/P-1", PATIENT, reasonForModification="WHIM").status_code == 400
    assert http.put(f"{RS}/patients/P-1", content=b"x", headers={"Content-Type": "text/plain"}).status_code == 415
    assert http.put(f"{RS.replace('DCM4CHEE', 'NOBODY')}/patients/P-1", json=PATIENT).status_code == 404
    assert {str(match.PatientName) for match in found(seed)} == {"Old^Name", "Other"}


def test_an_ae_in_front_of_a_pacs_holds_nothing_to_edit(seed: Seed, http: httpx.Client) -> None:
    seed.set(AE, dcmSpanningCFindSCP="QRSCP", dcmSpanningCFindSCPPolicy="REPLACE", dcmFallbackCMoveSCP="QRSCP")
    seed.service.reload()
    answer = put(http, "patients/P-1", PATIENT)
    assert answer.status_code == 409
    assert "QRSCP" in answer.json()["errorMessage"]


def test_the_log_has_the_author_and_no_values(
    seed: Seed, http: httpx.Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store(seed, tmp_path / "sent")
    with caplog.at_level("INFO"):
        put(http, "patients/P-1", PATIENT)
        put(http, f"studies/{STUDY}", STUDY_EDIT)
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("dcm4py_leading")]
    told = [line for line in ours if "edited by loopback" in line]
    assert len(told) == 2
    assert "PatientName" in told[0]
    for value in ("Größe", "Old^Name", "P-1", "description", STUDY):
        assert not [line for line in ours if value in line]


def test_one_of_several_workers_edits_and_all_deliver_it(seed: Seed, serve: Serve, tmp_path: Path) -> None:
    service = serve(2)
    service.http.timeout = 120
    store(seed, tmp_path / "sent")
    assert put(service.http, f"patients/{quote('P-1^^^', safe='')}", PATIENT).status_code == 204
    assert put(service.http, "patients/NOBODY", PATIENT).status_code == 404
    assert put(service.http, "patients/P-1", {"00100020": {"vr": "XX"}}).status_code == 400
    for number in range(3):
        assert {str(ds.PatientName) for ds in moved(seed, tmp_path / f"viewer{number}")} == {"Größe^Änne"}


def test_patient_is_edited_and_values_are_compared_on_the_pages_of_several_workers(
    seed: Seed, serve: Serve, tmp_path: Path
) -> None:
    seed.lead()
    service = serve(2)
    service.http.timeout, service.http.follow_redirects = httpx.Timeout(120), True
    store(seed, tmp_path / "sent")
    place = f"/ui/studies/DCM4CHEE/{STUDY}"
    form = Page(service.http, service.http.get(f"{place}/patient"))
    assert form.send("preview", **{"00100040": "female"}).status == 422
    preview = form.send("preview", **{"00100010.Alphabetic": "Größe^Änne"})
    assert "QRSCP, rule Leading DCMQRSCP: STORESCP" in preview.text
    saved = preview.send("save")
    assert (saved.status, saved.answer.url.path) == (200, f"{place}/values")
    assert "Größe^Änne edited" in saved.text
    assert "Leading archive QRSCP gives no answer: " in saved.text
    stale = form.send("preview", **{"00100010.Alphabetic": "Mine"})
    assert (stale.status, "Somebody else was faster" in stale.text) == (409, True)
    assert service.http.get("/ui/studies/DCM4CHEE/1.2.3/patient").status_code == 404
    assert service.http.get("/ui/studies/DCM4CHEE/1.2.3/values").status_code == 404
    assert {str(match.PatientName) for match in found(seed)} == {"Größe^Änne"}
    for value in ("Größe", "Mine", STUDY):
        assert value not in service.told()
