"""The feature on the wire: what is delivered carries the leading archive's values, and when it does not."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import Dataset

from tests.fixtures.datasets import data_set_of, make_study, read_sample
from tests.fixtures.scripted import LeadingScp, Viewer, knows, silent_listener
from tests.fixtures.scu import get, identifier, move, store
from tests.fixtures.service import AE, CONNECTION, DEVICE, Seed

STUDY = "1.2.826.0.1.3680043.8.498.1"
OTHER_STUDY = "1.2.826.0.1.3680043.8.498.2"


def leading_study(study_uid: str = STUDY, **attributes: Any) -> Dataset:
    ds = Dataset()
    ds.StudyInstanceUID = study_uid
    ds.PatientName = "Right^Name"
    ds.PatientID = "RIGHT-ID"
    ds.StudyDescription = "Right description"
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


@pytest.fixture
def stale(tmp_path: Path) -> list[Path]:
    """A study of three objects with stale values."""
    return make_study(
        tmp_path / "stale",
        patient_id="STALE-ID",
        patient_name="Stale^Name",
        study_uid=STUDY,
        attributes={"StudyDescription": "Stale description", "IssuerOfPatientID": "STALE-ISSUER"},
    )


def moved(seed: Seed, study_uid: str = STUDY) -> Dataset:
    """C-MOVE the study to STORESCP; the status of the final response."""
    return move(seed.archive_port, identifier("STUDY", StudyInstanceUID=study_uid))[-1][0]


@pytest.mark.ldap("dcmLeadingCFindSCP")
def test_delivered_objects_carry_the_leading_values_and_stored_ones_do_not(
    seed: Seed, stale: list[Path], leading_scp: Callable[..., LeadingScp], viewer: Callable[..., Viewer]
) -> None:
    seed.lead()
    seed.start()
    store(seed.archive_port, stale)
    stored = [path.read_bytes() for path in seed.objects]
    leading = leading_scp(seed.leading_port, knows(leading_study()))
    station = viewer(seed.viewer_port)

    final = moved(seed)

    assert final.Status == 0x0000
    assert (final.NumberOfCompletedSuboperations, final.NumberOfFailedSuboperations) == (3, 0)
    assert len(station.received) == 3
    for ds in station.received:
        assert (ds.PatientName, ds.PatientID, ds.StudyDescription) == ("Right^Name", "RIGHT-ID", "Right description")
        assert "IssuerOfPatientID" not in ds  # the ID of one archive never meets the issuer of the other
        assert ds.StudyInstanceUID == STUDY
    assert [path.read_bytes() for path in seed.objects] == stored
    assert len(leading.queries) == 1
    assert leading.callers == ["DCM4CHEE"]


def test_pixels_are_untouched(
    seed: Seed, stale: list[Path], leading_scp: Callable[..., LeadingScp], viewer: Callable[..., Viewer]
) -> None:
    seed.lead()
    seed.start()
    store(seed.archive_port, stale)
    leading_scp(seed.leading_port, knows(leading_study()))
    station = viewer(seed.viewer_port)
    moved(seed)
    pixels = {pydicom.dcmread(path).PixelData for path in stale}
    assert {ds.PixelData for ds in station.received} == pixels


@pytest.mark.ldap("dcmProperty")
def test_a_destination_that_the_rule_does_not_name_gets_the_object_byte_by_byte(
    seed: Seed, stale: list[Path], leading_scp: Callable[..., LeadingScp], viewer: Callable[..., Viewer]
) -> None:
    seed.lead(dcmProperty="ReceivingApplicationEntityTitle=SOMEONE_ELSE")
    seed.start()
    store(seed.archive_port, stale)
    leading = leading_scp(seed.leading_port, knows(leading_study()))
    station = viewer(seed.viewer_port)
    assert moved(seed).Status == 0x0000
    sent = {data_set_of(path) for path in seed.objects}
    assert set(station.encoded) == sent
    assert leading.queries == []


@pytest.mark.ldap("dcmAttributeSetType")
@pytest.mark.ldap("dcmAttributeSetID")
@pytest.mark.ldap("dcmTag")
def test_only_the_attribute_set_is_asked_for_and_merged(
    seed: Seed, stale: list[Path], leading_scp: Callable[..., LeadingScp], viewer: Callable[..., Viewer]
) -> None:
    seed.lead()
    seed.set(f"dcmAttributeSetID=*+dcmAttributeSetType=LEADING_CFIND_SCP,{DEVICE}", dcmTag=["00100010", "0020000D"])
    seed.start()
    store(seed.archive_port, stale)

    def more_than_asked(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        answer = leading_study(RetrieveAETitle="QRSCP", InstanceAvailability="NEARLINE", QueryRetrieveLevel="STUDY")
        yield 0xFF00, answer

    leading = leading_scp(seed.leading_port, more_than_asked)
    station = viewer(seed.viewer_port)
    moved(seed)
    (query,) = leading.queries
    asked = {int(tag) for tag in query.keys()}
    assert asked == {0x00080005, 0x00080052, 0x00100010, 0x0020000D}
    for ds in station.received:
        assert (ds.PatientName, ds.PatientID, ds.StudyDescription) == ("Right^Name", "STALE-ID", "Stale description")
        assert "RetrieveAETitle" not in ds and "InstanceAvailability" not in ds and "QueryRetrieveLevel" not in ds


@pytest.mark.ldap("dcmAttributeUpdatePolicy")
def test_the_policy_of_the_rule_decides_what_is_kept(
    seed: Seed, stale: list[Path], leading_scp: Callable[..., LeadingScp], viewer: Callable[..., Viewer]
) -> None:
    seed.lead(dcmAttributeUpdatePolicy="SUPPLEMENT")
    seed.start()
    store(seed.archive_port, stale)
    leading_scp(seed.leading_port, knows(leading_study(ReferringPhysicianName="Doctor^New")))
    station = viewer(seed.viewer_port)
    moved(seed)
    for ds in station.received:
        assert ds.PatientName == "Stale^Name"
        assert ds.ReferringPhysicianName == "Doctor^New"


def test_a_c_get_is_coerced_for_the_caller(
    seed: Seed, stale: list[Path], leading_scp: Callable[..., LeadingScp]
) -> None:
    seed.lead()
    seed.start()
    store(seed.archive_port, stale)
    leading_scp(seed.leading_port, knows(leading_study()))
    keys = identifier("STUDY", StudyInstanceUID=STUDY)
    responses, received = get(seed.archive_port, keys, calling="STORESCP")
    assert responses[-1][0].Status == 0x0000
    assert {str(ds.PatientName) for ds in received} == {"Right^Name"}
    _, received = get(seed.archive_port, keys, calling="ANOTHER")
    assert {str(ds.PatientName) for ds in received} == {"Stale^Name"}


def test_character_sets_are_unified(
    seed: Seed, stale: list[Path], leading_scp: Callable[..., LeadingScp], viewer: Callable[..., Viewer]
) -> None:
    seed.lead()
    seed.start()
    store(seed.archive_port, stale)
    name = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    study = leading_study(SpecificCharacterSet="ISO_IR 192", PatientName=name)
    leading_scp(seed.leading_port, knows(study))
    station = viewer(seed.viewer_port)
    moved(seed)
    for ds in station.received:
        assert ds.PatientName == name
        assert ds.SpecificCharacterSet == "ISO_IR 192"


# The cache.


@pytest.mark.ldap("dcmLeadingCFindSCPQueryCacheStaleTimeout")
@pytest.mark.ldap("dcmLeadingCFindSCPQueryCacheSize")
def test_a_second_retrieve_asks_no_second_time_and_a_reload_forgets(
    seed: Seed, stale: list[Path], leading_scp: Callable[..., LeadingScp], viewer: Callable[..., Viewer]
) -> None:
    seed.lead()
    service = seed.start()
    store(seed.archive_port, stale)
    leading = leading_scp(seed.leading_port, knows(leading_study()))
    viewer(seed.viewer_port)
    moved(seed)
    moved(seed)
    assert len(leading.queries) == 1
    service.reload()
    moved(seed)
    assert len(leading.queries) == 2


def test_a_patient_with_many_studies_costs_one_query(
    seed: Seed, tmp_path: Path, leading_scp: Callable[..., LeadingScp], viewer: Callable[..., Viewer]
) -> None:
    seed.lead()
    seed.start()
    uids = [f"{STUDY}.{number}" for number in range(1, 6)]
    for number, uid in enumerate(uids):
        files = make_study(
            tmp_path / str(number), patient_id="P", patient_name="Stale^Name", study_uid=uid, instances=1
        )
        store(seed.archive_port, files)
    leading = leading_scp(seed.leading_port, knows(*(leading_study(uid, PatientName=f"N{uid[-1]}") for uid in uids)))
    station = viewer(seed.viewer_port)
    final = moved(seed, uids)  # type: ignore[arg-type]
    assert final.NumberOfCompletedSuboperations == 5
    assert {str(ds.PatientName) for ds in station.received} == {"N1", "N2", "N3", "N4", "N5"}
    assert len(leading.queries) == 1


def test_study_unknown_to_leading_archive_is_sent_unchanged_and_queried_once(
    seed: Seed, stale: list[Path], leading_scp: Callable[..., LeadingScp], viewer: Callable[..., Viewer]
) -> None:
    seed.lead()
    seed.start()
    store(seed.archive_port, stale)
    leading = leading_scp(seed.leading_port, knows())
    station = viewer(seed.viewer_port)
    for _ in range(2):
        assert moved(seed).Status == 0x0000
    assert {str(ds.PatientName) for ds in station.received} == {"Stale^Name"}
    assert len(leading.queries) == 1


# The leading archive fails: the object is sent with the archive's own values, a WARNING says so, nothing is remembered.


def aborts(event: Any) -> Iterator[tuple[int, Dataset | None]]:
    yield 0xFF00, leading_study()
    event.assoc.abort()


def answers_another_study(event: Any) -> Iterator[tuple[int, Dataset | None]]:
    yield 0xFF00, leading_study(OTHER_STUDY)


def answers_twice(event: Any) -> Iterator[tuple[int, Dataset | None]]:
    yield 0xFF00, leading_study()
    yield 0xFF00, leading_study(PatientName="Other^Name")


def ends_with_an_error(event: Any) -> Iterator[tuple[int, Dataset | None]]:
    yield 0xFF00, leading_study()
    yield 0xA700, None


def answers_without_end(event: Any) -> Iterator[tuple[int, Dataset | None]]:
    for number in range(1000):
        yield 0xFF00, leading_study(f"{OTHER_STUDY}.{number}")


@pytest.mark.parametrize(
    "script", [aborts, answers_another_study, answers_twice, ends_with_an_error, answers_without_end]
)
def test_an_answer_that_cannot_be_trusted_is_not_used_and_not_remembered(
    seed: Seed,
    stale: list[Path],
    leading_scp: Callable[..., LeadingScp],
    viewer: Callable[..., Viewer],
    caplog: pytest.LogCaptureFixture,
    script: Callable[[Any], Iterable[tuple[int, Dataset | None]]],
) -> None:
    seed.lead()
    seed.start()
    store(seed.archive_port, stale)
    behaviour = {"script": script}
    leading = leading_scp(seed.leading_port, lambda event: behaviour["script"](event))
    station = viewer(seed.viewer_port)

    with caplog.at_level(logging.INFO):
        assert moved(seed).Status == 0x0000
    assert {str(ds.PatientName) for ds in station.received} == {"Stale^Name"}
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert any("QRSCP" in record.getMessage() for record in warnings)
    assert len(leading.queries) == 1  # once for the study, not once for each of its objects

    behaviour["script"] = knows(leading_study())
    station.received.clear()
    moved(seed)
    assert {str(ds.PatientName) for ds in station.received} == {"Right^Name"}


def test_a_leading_archive_that_is_down_costs_one_attempt_a_retrieve(
    seed: Seed, stale: list[Path], viewer: Callable[..., Viewer], caplog: pytest.LogCaptureFixture
) -> None:
    seed.lead()
    seed.start()
    store(seed.archive_port, stale)
    station = viewer(seed.viewer_port)
    with caplog.at_level(logging.WARNING):
        assert moved(seed).Status == 0x0000
    assert {str(ds.PatientName) for ds in station.received} == {"Stale^Name"}
    told = [record for record in caplog.records if "QRSCP" in record.getMessage()]
    assert len(told) == 1


@pytest.mark.ldap("dcmAAACTimeout")
def test_a_silent_leading_archive_is_given_up_after_the_timeout(
    seed: Seed, stale: list[Path], viewer: Callable[..., Viewer]
) -> None:
    seed.lead()
    seed.set(CONNECTION, dcmAAACTimeout="3000")
    seed.start()
    store(seed.archive_port, stale)
    station = viewer(seed.viewer_port)
    with silent_listener(seed.leading_port):
        assert moved(seed).Status == 0x0000
    assert {str(ds.PatientName) for ds in station.received} == {"Stale^Name"}


@pytest.mark.ldap("dcmResponseTimeout")
def test_a_leading_archive_that_accepts_and_never_answers_is_given_up_too(
    seed: Seed, stale: list[Path], leading_scp: Callable[..., LeadingScp], viewer: Callable[..., Viewer]
) -> None:
    seed.lead()
    seed.set(CONNECTION, dcmResponseTimeout="3000")
    seed.start()
    store(seed.archive_port, stale)
    done = threading.Event()

    def never(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        done.wait(60)
        yield 0x0000, None

    leading_scp(seed.leading_port, never)
    station = viewer(seed.viewer_port)
    try:
        assert moved(seed).Status == 0x0000
    finally:
        done.set()
    assert {str(ds.PatientName) for ds in station.received} == {"Stale^Name"}


def test_a_leading_archive_that_is_not_in_the_directory_is_a_warning_at_load_and_at_retrieve(
    seed: Seed, stale: list[Path], viewer: Callable[..., Viewer], caplog: pytest.LogCaptureFixture
) -> None:
    seed.lead(dcmLeadingCFindSCP="NOWHERE")
    with caplog.at_level(logging.WARNING):
        seed.start()
    assert any("NOWHERE" in record.getMessage() for record in caplog.records)
    store(seed.archive_port, stale)
    station = viewer(seed.viewer_port)
    assert moved(seed).Status == 0x0000
    assert {str(ds.PatientName) for ds in station.received} == {"Stale^Name"}


@pytest.mark.ldap("dcmRetrieveAsReceived")
def test_retrieve_as_received_keeps_the_attributes_of_the_index_out(
    seed: Seed, tmp_path: Path, viewer: Callable[..., Viewer]
) -> None:
    """Two objects of a study differ in a study attribute; the index keeps the latest value, and gives it to both."""
    seed.set(f"dcmEntity=Study,{DEVICE}", dcmAttributeUpdatePolicy="MERGE")
    service = seed.start()
    first, second = make_study(tmp_path / "s", patient_id="P", patient_name="A^B", study_uid=STUDY, instances=2)
    late = pydicom.dcmread(second)
    late.StudyDescription = "Second value"
    early = pydicom.dcmread(first)
    early.StudyDescription = "First value"
    store(seed.archive_port, [early, late])
    station = viewer(seed.viewer_port)
    moved(seed)
    assert {ds.StudyDescription for ds in station.received} == {"Second value"}

    seed.change(
        f"dn: cn=As received,{DEVICE}\nchangetype: add\nobjectClass: dcmArchiveAttributeCoercion\ncn: As received\n"
        "dcmDIMSE: C_STORE_RQ\ndicomTransferRole: SCP\ndcmRetrieveAsReceived: TRUE"
    )
    service.reload()
    station.received.clear()
    moved(seed)
    assert {ds.StudyDescription for ds in station.received} == {"First value", "Second value"}


@pytest.mark.ldap("dcmNullifyTag")
@pytest.mark.ldap("dcmMergeAttribute")
def test_nullified_and_merged_attributes_are_delivered_so(
    seed: Seed, stale: list[Path], viewer: Callable[..., Viewer]
) -> None:
    seed.change(
        f"dn: cn=merge,{DEVICE}\nchangetype: add\nobjectClass: dcmArchiveAttributeCoercion\ncn: merge\n"
        "dcmDIMSE: C_STORE_RQ\ndicomTransferRole: SCP\n"
        "dcmNullifyTag: 00100010\ndcmMergeAttribute: StudyDescription=Sent to {PatientID}"
    )
    seed.start()
    store(seed.archive_port, stale)
    station = viewer(seed.viewer_port)
    assert moved(seed).Status == 0x0000
    for ds in station.received:
        assert not ds.PatientName
        assert ds.StudyDescription == "Sent to STALE-ID"


@pytest.mark.ldap("dcmNullifyTag")
@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small_RLE.dcm"])
def test_an_object_without_its_pixel_data_is_delivered_unencapsulated(
    seed: Seed, viewer: Callable[..., Viewer], name: str
) -> None:
    seed.change(
        f"dn: cn=nullify,{DEVICE}\nchangetype: add\nobjectClass: dcmArchiveAttributeCoercion\ncn: nullify\n"
        "dcmDIMSE: C_STORE_RQ\ndicomTransferRole: SCP\ndcmNullifyTag: 7FE00010"
    )
    seed.start()
    ds = read_sample(name)
    store(seed.archive_port, [ds])
    station = viewer(seed.viewer_port)
    assert moved(seed, ds.StudyInstanceUID).Status == 0x0000
    (received,) = station.received
    assert "PixelData" in received and not received.PixelData
    assert received.PatientID == ds.PatientID


@pytest.mark.ldap("dcmDefaultCharacterSet")
def test_text_of_an_object_that_names_no_character_set_is_read_in_the_default_one(
    seed: Seed, tmp_path: Path, leading_scp: Callable[..., LeadingScp], viewer: Callable[..., Viewer]
) -> None:
    seed.lead()
    seed.set(AE, dcmDefaultCharacterSet="ISO_IR 100")
    seed.start()
    ds = read_sample("CT_small.dcm")
    ds.StudyInstanceUID, ds.SpecificCharacterSet = STUDY, "ISO_IR 100"
    ds.InstitutionName = "Universitätsklinik"
    silent = pydicom.dcmread(BytesIO(written(ds)))
    del silent.SpecificCharacterSet  # the bytes of the text stay what they are
    store(seed.archive_port, [silent])
    leading_scp(seed.leading_port, knows(leading_study(SpecificCharacterSet="ISO_IR 192", PatientName="Иванов^Иван")))
    station = viewer(seed.viewer_port)
    assert moved(seed).Status == 0x0000
    (received,) = station.received
    assert received.InstitutionName == "Universitätsklinik"
    assert received.PatientName == "Иванов^Иван"


def written(ds: Dataset) -> bytes:
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


@pytest.mark.ldap("dicomAssociationInitiator")
def test_an_ae_that_must_not_initiate_sends_nothing(
    seed: Seed, stale: list[Path], viewer: Callable[..., Viewer]
) -> None:
    seed.set(AE, dicomAssociationInitiator="FALSE")
    seed.start()
    store(seed.archive_port, stale)
    station = viewer(seed.viewer_port)
    assert moved(seed).Status == 0xA702
    assert station.requests == []
