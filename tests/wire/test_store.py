"""C-STORE: success only when the object is safe; nothing is left of what is refused."""

from __future__ import annotations

import socket
import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import Dataset
from pynetdicom.dimse_primitives import C_STORE

from dcm4py_leading.dicom.upper.pdu_codec import encode
from tests.fixtures.datasets import CHARACTER_SETS, make_study, read_sample
from tests.fixtures.links import REJECT, REQUEST
from tests.fixtures.scu import STUDY_FIND, VERIFICATION, associated, find, identifier, store
from tests.fixtures.service import AE, CONNECTION, DEVICE, Seed

CT = "1.2.840.10008.5.1.4.1.1.2"
STUDY = "1.2.826.0.1.3680043.8.498.11"


@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm",
        "MR_small.dcm",
        "rtplan.dcm",
        "rtdose.dcm",
        "rtstruct.dcm",
        "test-SR.dcm",
        "JPEG2000.dcm",
        "MR_small_RLE.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "SC_rgb_rle_2frame.dcm",
        "waveform_ecg.dcm",
    ],
)
def test_an_object_is_stored_as_received(seed: Seed, name: str) -> None:
    seed.start()
    ds = read_sample(name)
    sent = BytesIO()
    pydicom.dcmwrite(sent, ds, enforce_file_format=True)
    assert store(seed.archive_port, [ds]) == [0x0000]
    (stored,) = seed.objects
    again = pydicom.dcmread(stored)
    assert again.file_meta.TransferSyntaxUID == ds.file_meta.TransferSyntaxUID
    assert again.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
    assert again.file_meta.SourceApplicationEntityTitle == "TESTSCU"
    for tag in ds.keys():
        assert again[tag] == ds[tag]


@pytest.mark.parametrize("name", CHARACTER_SETS)
def test_names_in_every_character_set_are_found_again(seed: Seed, name: str) -> None:
    seed.start()
    ds = read_sample(name)
    ds.decode()
    assert store(seed.archive_port, [ds]) == [0x0000]
    status, matches = find(seed.archive_port, identifier("STUDY", StudyInstanceUID="", PatientName=""))
    assert status == 0x0000
    assert [str(match.PatientName) for match in matches] == [str(ds.PatientName)]


def send_raw(seed: Seed, data: bytes, *, sop_class: str = CT, sop_instance: str = "1.2.3") -> int:
    """C-STORE these bytes as Implicit VR Little Endian; the status."""
    with associated(seed.archive_port, [CT]) as assoc:
        request = C_STORE()
        request.MessageID = 1
        request.AffectedSOPClassUID = sop_class
        request.AffectedSOPInstanceUID = sop_instance
        request.Priority = 0
        request.DataSet = BytesIO(data)
        assoc._reactor_checkpoint.clear()
        while not assoc._is_paused:
            pass
        assoc.dimse.send_msg(request, assoc.accepted_contexts[0].context_id)
        _, response = assoc.dimse.get_msg(block=True)
        assoc._reactor_checkpoint.set()
        return int(response.Status)


def encoded(**attributes: Any) -> bytes:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = CT, "1.2.3"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.1", "1.2.2"
    ds.PatientName, ds.PatientID = "A^B", "P"
    ds.BitsAllocated, ds.PixelData = 16, b"\1\2" * 50
    for keyword, value in attributes.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, ds, implicit_vr=True, little_endian=True)
    return buffer.getvalue()


def nothing_is_left(seed: Seed) -> bool:
    storage = seed.data_dir / "storage" / "fs1"
    files = [path for path in storage.rglob("*") if path.is_file()] if storage.exists() else []
    _, matches = find(seed.archive_port, identifier("STUDY", StudyInstanceUID=""))
    return not files and not matches


def test_a_well_formed_raw_object_is_taken(seed: Seed) -> None:
    seed.start()
    assert send_raw(seed, encoded()) == 0x0000


@pytest.mark.parametrize("cut", [1, 7, 50, 101])
def test_a_data_set_that_ends_early_is_c000(seed: Seed, cut: int) -> None:
    seed.start()
    assert send_raw(seed, encoded()[:-cut]) == 0xC000
    assert nothing_is_left(seed)


@pytest.mark.parametrize("data", [b"\xff" * 40, b"\x08\x00\x16\x00" + struct.pack("<L", 0xFFFFFFF0) + b"1.2"])
def test_a_data_set_that_cannot_be_parsed_is_c000(seed: Seed, data: bytes) -> None:
    seed.start()
    assert send_raw(seed, data) == 0xC000
    assert nothing_is_left(seed)


@pytest.mark.parametrize(
    "attributes",
    [
        {"SOPClassUID": None},
        {"SOPInstanceUID": None},
        {"SOPInstanceUID": "1.2.4"},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"},
        {"SOPInstanceUID": ""},
    ],
)
def test_object_that_differs_from_the_command_is_a900(seed: Seed, attributes: dict[str, Any]) -> None:
    seed.start()
    assert send_raw(seed, encoded(**attributes)) == 0xA900
    assert nothing_is_left(seed)


def test_an_object_of_another_class_than_negotiated_is_0122(seed: Seed) -> None:
    seed.start()
    assert send_raw(seed, encoded(), sop_class="1.2.840.10008.5.1.4.1.1.4") == 0x0122
    assert nothing_is_left(seed)


@pytest.mark.ldap("dcmOverwritePolicy")
@pytest.mark.parametrize(
    ("policy", "second_sender", "kept"),
    [
        ("NEVER", "TESTSCU", "First"),
        ("ALWAYS", "OTHER", "Second"),
        ("SAME_SOURCE", "TESTSCU", "Second"),
        ("SAME_SOURCE", "OTHER", "First"),
    ],
)
def test_a_second_object_of_the_same_uid(
    seed: Seed, tmp_path: Path, policy: str, second_sender: str, kept: str
) -> None:
    seed.set(DEVICE, dcmOverwritePolicy=policy)
    seed.start()
    (file,) = make_study(tmp_path / "s", patient_id="P", patient_name="A^B", study_uid=STUDY, instances=1)
    first, second = pydicom.dcmread(file), pydicom.dcmread(file)
    first.ImageComments, second.ImageComments = "First", "Second"
    assert store(seed.archive_port, [first]) == [0x0000]
    assert store(seed.archive_port, [second], calling=second_sender) == [0x0000]
    (stored,) = seed.objects
    assert pydicom.dcmread(stored).ImageComments == kept


@pytest.mark.ldap("dcmRelationalMismatchPolicy")
def test_the_same_uid_in_another_series_is_refused_where_configured(seed: Seed, tmp_path: Path) -> None:
    seed.set(AE, dcmRelationalMismatchPolicy="REJECT", dcmOverwritePolicy="ALWAYS")
    seed.start()
    (file,) = make_study(tmp_path / "s", patient_id="P", patient_name="A^B", study_uid=STUDY, instances=1)
    other = pydicom.dcmread(file)
    other.SeriesInstanceUID = "1.2.3.4"
    assert store(seed.archive_port, [file]) == [0x0000]
    (status,) = store(seed.archive_port, [other])
    assert status >= 0xA000
    (stored,) = seed.objects
    assert pydicom.dcmread(stored).SeriesInstanceUID != "1.2.3.4"


def test_an_aborted_transfer_leaves_nothing_and_the_next_goes_on(seed: Seed, tmp_path: Path) -> None:
    seed.start()
    with associated(seed.archive_port, [CT]) as assoc:
        sock = assoc.dul.socket.socket
        # A P-DATA-TF PDU that announces more than it brings, then the line is cut.
        sock.sendall(b"\x04\x00" + struct.pack(">L", 1000) + b"\0" * 20)
        sock.shutdown(socket.SHUT_RDWR)
    assert nothing_is_left(seed)
    files = make_study(tmp_path / "s", patient_id="P", patient_name="A^B", study_uid=STUDY, instances=1)
    assert store(seed.archive_port, files) == [0x0000]


def test_garbage_on_the_port_ends_only_that_connection(seed: Seed) -> None:
    seed.set(CONNECTION, dcmAARQTimeout="500")
    seed.start()
    not_an_association_request = b"\x01\x00\x00\x00\x00\x04abcd"
    one_that_ends_early = b"\x01\x00\x00\x00\xff\xff" + bytes(100)
    with associated(seed.archive_port, [VERIFICATION]) as assoc:
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", not_an_association_request, one_that_ends_early):
            with socket.create_connection(("127.0.0.1", seed.archive_port), timeout=60) as sock:
                sock.sendall(garbage)
                sock.settimeout(15)
                while sock.recv(1000):
                    pass
        assert assoc.send_c_echo().Status == 0x0000


@pytest.mark.ldap("dcmAARQTimeout")
def test_a_peer_that_connects_and_says_nothing_is_dropped(seed: Seed) -> None:
    seed.set(f"cn=dicom,{DEVICE}", dcmAARQTimeout="200")
    seed.start()
    with socket.create_connection(("127.0.0.1", seed.archive_port), timeout=60) as sock:
        assert sock.recv(100) == b""


@pytest.mark.ldap("dcmAATimeout")
def test_a_rejected_peer_that_does_not_hang_up_is_dropped(seed: Seed) -> None:
    seed.set(CONNECTION, dcmAATimeout="100")
    seed.start()
    with socket.create_connection(("127.0.0.1", seed.archive_port), timeout=60) as sock:
        sock.sendall(encode(REQUEST))  # of an AE title that is not there
        answer = b""
        while piece := sock.recv(100):
            answer += piece
    assert answer == encode(REJECT)


@pytest.mark.ldap("dcmReceivePDULength")
def test_calling_peer_gets_our_maximum_length(seed: Seed) -> None:
    seed.set(CONNECTION, dcmReceivePDULength="16384")
    seed.start()
    with associated(seed.archive_port, [VERIFICATION]) as assoc:
        assert assoc.acceptor.maximum_length == 16384


@pytest.mark.ldap("dcmIdleTimeout")
def test_an_idle_association_is_aborted(seed: Seed) -> None:
    seed.set(f"cn=dicom,{DEVICE}", dcmIdleTimeout="300")
    seed.start()
    with associated(seed.archive_port, [VERIFICATION]) as assoc:
        assoc.join(10)
        assert assoc.is_aborted


@pytest.mark.ldap("dcmSendTimeout")
def test_a_peer_that_falls_silent_in_the_middle_of_a_message_is_dropped(seed: Seed) -> None:
    seed.set(f"cn=dicom,{DEVICE}", dcmSendTimeout="300")
    seed.start()
    with associated(seed.archive_port, [CT]) as assoc:
        assoc.dul.socket.socket.sendall(b"\x04\x00" + struct.pack(">L", 1000) + b"\0" * 20)
        assoc.join(10)
        assert not assoc.is_established


def test_stored_objects_outlive_the_service(seed: Seed, tmp_path: Path) -> None:
    service = seed.start()
    files = make_study(tmp_path / "s", patient_id="P", patient_name="A^B", study_uid=STUDY)
    assert store(seed.archive_port, files) == [0x0000] * 3
    service.stop(5)
    seed.start()
    _, matches = find(
        seed.archive_port, identifier("STUDY", StudyInstanceUID=STUDY, NumberOfStudyRelatedInstances=""), STUDY_FIND
    )
    assert [match.NumberOfStudyRelatedInstances for match in matches] == [3]


def test_many_modalities_store_at_once(seed: Seed, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    seed.start()
    studies = [
        make_study(tmp_path / str(n), patient_id="P", patient_name="A^B", study_uid=f"{STUDY}.{n}") for n in range(6)
    ]
    with ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(lambda files: store(seed.archive_port, files), studies))
    assert statuses == [[0x0000] * 3] * 6
    _, matches = find(seed.archive_port, identifier("STUDY", StudyInstanceUID=""))
    assert len(matches) == 6
