"""C-MOVE and C-GET: levels, counts, failures, cancel, who calls whom."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import UID
from pynetdicom import build_context
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation

from dcm4py_leading.composition.check import check
from dcm4py_leading.model.bounds import DESTINATION_TIMEOUTS
from tests.fixtures.datasets import make_study, read_sample
from tests.fixtures.scripted import Viewer, silent_listener
from tests.fixtures.scu import PATIENT_MOVE, STUDY_GET, STUDY_MOVE, associated, get, identifier, move, store
from tests.fixtures.service import AE, CONNECTION, DEVICE, Seed

STUDY = "1.2.826.0.1.3680043.8.498.31"
CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT, EXPLICIT, RLE = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5"

StartViewer = Callable[..., Viewer]


@pytest.fixture
def archive(seed: Seed, tmp_path: Path) -> Iterator[Seed]:
    """One study of two series with two instances each."""
    seed.start()
    seed.files = make_study(  # type: ignore[attr-defined]
        tmp_path / "s", patient_id="P1", patient_name="A^B", study_uid=STUDY, instances=2, series=2
    )
    assert store(seed.archive_port, seed.files) == [0x0000] * 4  # type: ignore[attr-defined]
    yield seed


def files_of(archive: Seed) -> list[Any]:
    return [pydicom.dcmread(path) for path in archive.files]  # type: ignore[attr-defined]


def test_every_level_of_the_study_root(archive: Seed, viewer: StartViewer) -> None:
    station = viewer(archive.viewer_port)
    first = files_of(archive)[0]
    series = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": first.SeriesInstanceUID}
    for keys, count in (
        (identifier("STUDY", StudyInstanceUID=STUDY), 4),
        (identifier("SERIES", **series), 2),
        (identifier("IMAGE", **series, SOPInstanceUID=first.SOPInstanceUID), 1),
        (identifier("STUDY", StudyInstanceUID="1.2.3"), 0),
    ):
        station.received.clear()
        final = move(archive.archive_port, keys)[-1][0]
        assert final.Status == 0x0000
        assert final.NumberOfCompletedSuboperations == len(station.received) == count
        assert "NumberOfRemainingSuboperations" not in final or final.NumberOfRemainingSuboperations == 0


def test_patient_level(archive: Seed, viewer: StartViewer) -> None:
    station = viewer(archive.viewer_port)
    final = move(archive.archive_port, identifier("PATIENT", PatientID="P1"), model=PATIENT_MOVE)[-1][0]
    assert (final.Status, len(station.received)) == (0x0000, 4)


@pytest.mark.parametrize(
    "keys",
    [
        identifier("STUDY"),
        identifier("STUDY", StudyInstanceUID=""),
        identifier("SERIES", StudyInstanceUID=STUDY),
        identifier("SERIES", SeriesInstanceUID="1.2.3"),
        identifier("PATIENT", PatientID="P1"),
        identifier("ELSEWHERE", StudyInstanceUID=STUDY),
    ],
)
def test_a_wrong_level_or_a_missing_unique_key_is_a900(archive: Seed, keys: Any) -> None:
    assert [status.Status for status, _ in move(archive.archive_port, keys)] == [0xA900]
    responses, received = get(archive.archive_port, keys)
    assert [status.Status for status, _ in responses] == [0xA900]
    assert received == []


@pytest.mark.ldap("dcmRelationalRetrieveNegotiationLenient")
def test_relational_retrieve_where_the_ae_is_lenient(archive: Seed, viewer: StartViewer) -> None:
    viewer(archive.viewer_port)
    keys = identifier("IMAGE", SOPInstanceUID=files_of(archive)[0].SOPInstanceUID)
    assert move(archive.archive_port, keys)[-1][0].Status == 0xA900
    archive.set(AE, dcmRelationalRetrieveNegotiationLenient="TRUE")
    archive.service.reload()
    assert move(archive.archive_port, keys)[-1][0].NumberOfCompletedSuboperations == 1


@pytest.mark.ldap("dcmRelationalQueries")
def test_relational_retrieve_where_negotiated(archive: Seed, viewer: StartViewer) -> None:
    (dn,) = [
        capability.dn
        for ae in check(archive.site).snapshot.device.application_entities
        for capability in ae.transfer_capabilities
        if capability.sop_class == STUDY_MOVE
    ]
    archive.set(dn, dcmRelationalQueries="TRUE")
    archive.service.reload()
    viewer(archive.viewer_port)
    item = SOPClassExtendedNegotiation()
    item.sop_class_uid, item.service_class_application_information = STUDY_MOVE, b"\x01"
    keys = identifier("IMAGE", SOPInstanceUID=files_of(archive)[0].SOPInstanceUID)
    assert move(archive.archive_port, keys, ext_neg=[item])[-1][0].NumberOfCompletedSuboperations == 1


def test_archive_sends_to_the_destination_for_the_requesting_ae(archive: Seed, viewer: StartViewer) -> None:
    station = viewer(archive.viewer_port)
    move(archive.archive_port, identifier("STUDY", StudyInstanceUID=STUDY), calling="MODALITY1")
    assert set(station.callers) == {"DCM4CHEE"}
    for request in station.requests:
        assert request.MoveOriginatorApplicationEntityTitle == "MODALITY1"
        assert request.MoveOriginatorMessageID == 1


@pytest.mark.ldap("dcmMasqueradeCallingAETitle")
def test_the_calling_ae_title_can_be_masqueraded(archive: Seed, viewer: StartViewer) -> None:
    archive.set(AE, dcmMasqueradeCallingAETitle="[STORESCP]OLD_NAME")
    archive.service.reload()
    station = viewer(archive.viewer_port)
    move(archive.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))
    assert set(station.callers) == {"OLD_NAME"}


@pytest.mark.ldap("dicomHostname")
def test_a_placeholder_in_a_destination_is_filled_in(archive: Seed, viewer: StartViewer) -> None:
    connection = "cn=dicom,dicomDeviceName=storescp,cn=Devices,cn=DICOM Configuration,dc=dcm4che,dc=org"
    archive.set(connection, dicomHostname="${viewer.host:127.0.0.1}")
    archive.service.reload()
    station = viewer(archive.viewer_port)
    move(archive.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))
    assert station.received


@pytest.mark.ldap("dicomNetworkAE")
def test_an_unknown_destination_is_a801(archive: Seed) -> None:
    responses = move(archive.archive_port, identifier("STUDY", StudyInstanceUID=STUDY), "NOWHERE")
    assert [status.Status for status, _ in responses] == [0xA801]


@pytest.mark.ldap("dcmAcceptedMoveDestination")
def test_a_destination_that_is_not_accepted_is_c801(archive: Seed) -> None:
    archive.set(AE, dcmAcceptedMoveDestination="SOMEONE")
    archive.service.reload()
    responses = move(archive.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))
    assert [status.Status for status, _ in responses] == [0xC801]


def failed_uids(response: tuple[Any, Any]) -> set[str]:
    ds = response[1]
    uids = ds.FailedSOPInstanceUIDList if ds is not None and "FailedSOPInstanceUIDList" in ds else []
    return {uids} if isinstance(uids, str) else set(uids)


def test_a_destination_that_is_down_is_a702_and_every_instance_is_listed(archive: Seed) -> None:
    final = move(archive.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))[-1]
    assert final[0].Status == 0xA702
    assert final[0].NumberOfFailedSuboperations == 4
    assert failed_uids(final) == {ds.SOPInstanceUID for ds in files_of(archive)}


@pytest.mark.ldap("dcmAAACTimeout")
def test_a_silent_destination_is_given_up(archive: Seed) -> None:
    archive.set(CONNECTION, dcmAAACTimeout="300")
    archive.service.reload()
    with silent_listener(archive.viewer_port):
        assert move(archive.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))[-1][0].Status == 0xA702


def test_an_object_that_the_destination_refuses_is_failed_and_the_others_arrive(
    archive: Seed, viewer: StartViewer
) -> None:
    unwanted = files_of(archive)[1].SOPInstanceUID
    station = viewer(
        archive.viewer_port, script=lambda e: 0xA700 if e.request.AffectedSOPInstanceUID == unwanted else 0x0000
    )
    final = move(archive.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))[-1]
    assert final[0].Status == 0xB000
    assert (final[0].NumberOfCompletedSuboperations, final[0].NumberOfFailedSuboperations) == (3, 1)
    assert failed_uids(final) == {unwanted}
    assert len(station.received) == 3


def test_warnings_are_counted_as_such(archive: Seed, viewer: StartViewer) -> None:
    viewer(archive.viewer_port, script=lambda _: 0xB000)
    final = move(archive.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))[-1][0]
    assert (final.Status, final.NumberOfWarningSuboperations) == (0xB000, 4)


def test_a_destination_that_aborts_costs_the_object_in_flight(archive: Seed, viewer: StartViewer) -> None:
    aborted = threading.Event()

    def once(event: Any) -> int:
        if not aborted.is_set():
            aborted.set()
            event.assoc.abort()
        return 0x0000

    station = viewer(archive.viewer_port, script=once)
    final = move(archive.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))[-1][0]
    assert (final.Status, final.NumberOfCompletedSuboperations, final.NumberOfFailedSuboperations) == (0xB000, 3, 1)
    assert len(station.requests) == 4


@pytest.mark.ldap("dcmResponseTimeout")
def test_a_lost_response_is_a_failed_sub_operation(archive: Seed, viewer: StartViewer) -> None:
    archive.set(CONNECTION, dcmResponseTimeout="300")
    archive.service.reload()
    release = threading.Event()
    first = threading.Event()

    def never_the_first(_: Any) -> int:
        if not first.is_set():
            first.set()
            release.wait(60)
        return 0x0000

    viewer(archive.viewer_port, script=never_the_first)
    try:
        final = move(archive.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))[-1][0]
    finally:
        release.set()
    assert (final.Status, final.NumberOfCompletedSuboperations, final.NumberOfFailedSuboperations) == (0xB000, 3, 1)


@pytest.mark.ldap("dcmResponseTimeout")
def test_a_destination_that_never_answers_costs_its_time_out_a_few_times_and_then_the_rest_fails(
    archive: Seed, viewer: StartViewer, caplog: pytest.LogCaptureFixture
) -> None:
    archive.set(CONNECTION, dcmResponseTimeout="300")
    archive.service.reload()
    release = threading.Event()

    def never(_: Any) -> int:
        release.wait(60)
        return 0x0000

    station = viewer(archive.viewer_port, script=never)
    try:
        final = move(archive.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))[-1]
    finally:
        release.set()
    assert final[0].NumberOfFailedSuboperations == 4
    assert failed_uids(final) == {ds.SOPInstanceUID for ds in files_of(archive)}
    assert len(station.requests) == DESTINATION_TIMEOUTS
    assert "no response in time, 3 times in a row" in caplog.text


def test_object_with_missing_file_fails_and_the_others_arrive(archive: Seed, viewer: StartViewer) -> None:
    archive.objects[0].unlink()
    station = viewer(archive.viewer_port)
    final = move(archive.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))[-1][0]
    assert (final.Status, final.NumberOfFailedSuboperations) == (0xB000, 1)
    assert len(station.received) == 3


@pytest.mark.ldap("dcmSendPendingCMoveInterval")
def test_pending_responses_by_time_count_down(archive: Seed, viewer: StartViewer) -> None:
    archive.set(DEVICE, dcmSendPendingCMoveInterval="PT0.05S")
    archive.service.reload()
    viewer(archive.viewer_port, script=lambda _: (threading.Event().wait(0.15) and 0) or 0x0000)
    responses = [status for status, _ in move(archive.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))]
    pending = [status for status in responses if status.Status == 0xFF00]
    assert len(pending) >= 3
    assert responses[-1].Status == 0x0000
    for status in pending:
        assert status.NumberOfRemainingSuboperations + status.NumberOfCompletedSuboperations == 4


@pytest.mark.ldap("dcmSendPendingCGet")
@pytest.mark.parametrize(("value", "count"), [("TRUE", 3), ("FALSE", 0)])
def test_pending_responses_of_a_c_get(archive: Seed, value: str, count: int) -> None:
    archive.set(DEVICE, dcmSendPendingCGet=value)
    archive.service.reload()
    responses, received = get(archive.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))
    assert [status.Status for status, _ in responses] == [0xFF00] * count + [0x0000]
    assert len(received) == 4


def test_a_cancelled_move_stops_and_says_what_remains(archive: Seed, viewer: StartViewer) -> None:
    go_on = threading.Event()
    station = viewer(archive.viewer_port, script=lambda _: (go_on.wait(60) and 0x0000) or 0x0000)
    with associated(archive.archive_port, [STUDY_MOVE]) as assoc:
        responses = assoc.send_c_move(identifier("STUDY", StudyInstanceUID=STUDY), "STORESCP", STUDY_MOVE, msg_id=5)

        def cancel() -> None:
            station.asked.wait(60)
            assoc.send_c_cancel(5, 1)
            threading.Timer(0.3, go_on.set).start()  # the cancel is on its way

        threading.Thread(target=cancel).start()
        final = list(responses)[-1][0]
    assert final.Status == 0xFE00
    assert final.NumberOfCompletedSuboperations == 1
    assert final.NumberOfRemainingSuboperations == 3


@pytest.mark.ldap("dcmMultipleStoreAssociations")
def test_a_retrieve_goes_over_as_many_associations_as_are_configured(seed: Seed, viewer: StartViewer) -> None:
    seed.set(DEVICE, dcmMultipleStoreAssociations=["2", "STORESCP:3"])
    seed.start()
    store(
        seed.archive_port,
        make_study(seed.directory / "s", patient_id="P", patient_name="A^B", study_uid=STUDY, instances=6),
    )
    all_were_asked = threading.Event()
    all_are_asked = threading.Barrier(3, action=all_were_asked.set)

    def wait_for_the_others(_: Any) -> int:
        if not all_were_asked.is_set():  # whoever is first then takes the next objects, perhaps the others get none
            all_are_asked.wait(60)
        return 0x0000

    station = viewer(seed.viewer_port, script=wait_for_the_others)
    final = move(seed.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))[-1][0]
    assert (final.Status, final.NumberOfCompletedSuboperations) == (0x0000, 6)
    assert len({ds.SOPInstanceUID for ds in station.received}) == 6


def test_a_caller_that_leaves_stops_the_move(archive: Seed, viewer: StartViewer) -> None:
    go_on = threading.Event()
    station = viewer(archive.viewer_port, script=lambda _: (go_on.wait(60) and 0x0000) or 0x0000)
    with associated(archive.archive_port, [STUDY_MOVE]) as assoc:
        assoc.send_c_move(identifier("STUDY", StudyInstanceUID=STUDY), "STORESCP", STUDY_MOVE)
        threading.Timer(0.5, go_on.set).start()
        assoc.abort()
    archive.service.stop(10)
    assert len(station.requests) < 4


def test_a_c_get_takes_what_the_caller_negotiated_and_fails_the_rest(archive: Seed) -> None:
    sr = read_sample("test-SR.dcm")
    sr.StudyInstanceUID = STUDY
    store(archive.archive_port, [sr])
    responses, received = get(archive.archive_port, identifier("STUDY", StudyInstanceUID=STUDY), storage=[CT])
    final = responses[-1]
    assert (final[0].Status, len(received)) == (0xB000, 4)
    assert failed_uids(final) == {sr.SOPInstanceUID}


def test_a_c_get_that_the_caller_cannot_store_is_counted(archive: Seed) -> None:
    responses, _ = get(archive.archive_port, identifier("STUDY", StudyInstanceUID=STUDY), status=0xA700)
    assert (responses[-1][0].Status, responses[-1][0].NumberOfFailedSuboperations) == (0xA702, 4)


def test_a_c_get_without_a_storage_role_has_nowhere_to_send(archive: Seed) -> None:
    with associated(archive.archive_port, [STUDY_GET]) as assoc:
        responses = list(assoc.send_c_get(identifier("STUDY", StudyInstanceUID=STUDY), STUDY_GET))
    assert responses[-1][0].Status == 0xA702


def test_an_object_whose_file_lost_its_end_is_not_sent(archive: Seed, viewer: StartViewer) -> None:
    path = archive.objects[0]
    path.write_bytes(path.read_bytes()[:-100])
    station = viewer(archive.viewer_port)
    final = move(archive.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))[-1][0]
    assert (final.Status, final.NumberOfCompletedSuboperations, final.NumberOfFailedSuboperations) == (0xB000, 3, 1)
    assert len(station.received) == 3


# Transfer syntaxes.


def contexts(*syntaxes: str) -> list[Any]:
    return [build_context("1.2.840.10008.5.1.4.1.1.4", list(syntaxes))]


@pytest.mark.parametrize("accepted", [RLE, EXPLICIT, IMPLICIT])
def test_a_compressed_object_goes_out_as_it_is_or_decompressed(
    seed: Seed, viewer: StartViewer, accepted: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    service = seed.start()
    mr = read_sample("MR_small_RLE.dcm")
    assert store(seed.archive_port, [mr]) == [0x0000]
    station = viewer(seed.viewer_port, contexts=contexts(accepted))
    final = move(seed.archive_port, identifier("STUDY", StudyInstanceUID=mr.StudyInstanceUID))[-1][0]
    assert final.Status == 0x0000
    (received,) = station.received
    assert received.file_meta.TransferSyntaxUID == accepted if hasattr(received, "file_meta") else True
    received.file_meta = pydicom.dataset.FileMetaDataset()
    received.file_meta.TransferSyntaxUID = UID(accepted)
    assert (received.pixel_array == mr.pixel_array).all()
    transcoded = int(accepted != RLE)
    assert service.measure().transcoded_objects == transcoded
    assert f"transcoded={transcoded}" in caplog.text


def test_a_destination_that_takes_no_known_syntax_gets_nothing(seed: Seed, viewer: StartViewer) -> None:
    seed.start()
    mr = read_sample("MR_small.dcm")
    store(seed.archive_port, [mr])
    viewer(seed.viewer_port, contexts=contexts("1.2.840.10008.1.2.4.50"))
    final = move(seed.archive_port, identifier("STUDY", StudyInstanceUID=mr.StudyInstanceUID))[-1][0]
    assert (final.Status, final.NumberOfFailedSuboperations) == (0xA702, 1)
