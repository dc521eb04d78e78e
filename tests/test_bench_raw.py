"""The benchmark's own reader of messages, and its sink."""

from __future__ import annotations

import socket
import struct
import threading

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE

from scripts.benchmark.raw import messages, sink
from scripts.benchmark.raw.messages import COMMAND, CT_IMAGE, LAST, command_fields, fragment, response
from scripts.benchmark.raw.stream import StoreResponses, Stream, WireError
from tests.fixtures.links import VERIFICATION, tcp_pair


def store_rq(message_id: int, uid: bytes, *, originator: bytes = b"") -> bytes:
    values = {
        0x0002: CT_IMAGE.encode() + b"\0" * (len(CT_IMAGE) % 2),
        0x0100: struct.pack("<H", messages.C_STORE_RQ),
        0x0110: struct.pack("<H", message_id),
        0x0700: b"\0\0",
        0x0800: b"\1\0",
        0x1000: uid,
        **({0x1030: originator} if originator else {}),
    }
    group = b"".join(struct.pack("<HHL", 0, number, len(value)) + value for number, value in values.items())
    return struct.pack("<HHLL", 0, 0, 4, len(group)) + group


def test_a_response_made_before_is_the_same_as_one_made_anew() -> None:
    responses = StoreResponses()
    for message_id, uid, originator in (
        (1, b"1.2.34", b""),
        (2, b"1.2.35", b""),
        (0x0110, b"1.2.36", b""),
        (3, b"1.2.3456", b""),
        (4, b"1.2.37", b"AE"),
        (5, b"1.2.3\0", b""),
        (6, b"1.2.38", b""),
    ):
        command = store_rq(message_id, uid, originator=originator)
        expected = fragment(response(command_fields(command)), COMMAND | LAST, 3)
        assert bytes(responses.of(3, command)) == expected
        assert command_fields(expected[12:])[0x0120] == struct.pack("<H", message_id)


@pytest.mark.parametrize("size", (1, 7, 4096, 3_000_000))
def test_messages_are_found_however_they_are_cut_into_segments(size: int) -> None:
    """Octets come in pieces of ``size``; one PDU has two fragments, and one is longer than a segment."""
    command, data = store_rq(1, b"1.2.34"), bytes(range(256)) * (10 if size < 4096 else 3000)
    two = struct.pack(">LBB", 12, 1, 0) + data[:10] + struct.pack(">LBB", 2 + len(data) - 10, 1, LAST) + data[10:]
    sent = (
        fragment(command[:20], COMMAND)
        + fragment(command[20:], COMMAND | LAST)
        + struct.pack(">BBL", 4, 0, len(two))
        + two
        + fragment(command, COMMAND | LAST)
        + fragment(data, LAST)
        + messages.RELEASE_RQ
    )
    ours, theirs = tcp_pair()

    def send() -> None:
        for at in range(0, len(sent), size):
            theirs.sendall(sent[at : at + size])

    with ours, theirs:
        stream = Stream(ours)
        thread = threading.Thread(target=send)
        thread.start()
        assert stream.command() == (1, command)
        assert stream.data() == data
        assert stream.command() == (1, command)
        stream.skip_data()
        assert stream.command() is None
        thread.join()
        assert theirs.recv(10) == messages.RELEASE_RP


def test_an_end_in_the_middle_is_an_error() -> None:
    ours, theirs = tcp_pair()
    with ours:
        with theirs:
            theirs.sendall(fragment(store_rq(1, b"1.2.34"), COMMAND | LAST) + fragment(b"abcd", LAST)[:-1])
        stream = Stream(ours)
        assert stream.command() is not None
        with pytest.raises(WireError, match="closed the connection"):
            stream.skip_data()


def test_the_sink_takes_what_pynetdicom_sends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                sink.take(Stream(connection))

        thread = threading.Thread(target=serve)
        thread.start()
        ae = AE("BENCH")
        ae.add_requested_context(CTImageStorage, [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
        ae.add_requested_context(VERIFICATION, ImplicitVRLittleEndian)
        assoc = ae.associate("127.0.0.1", listening.getsockname()[1])
        assert {one.transfer_syntax[0] for one in assoc.accepted_contexts} == {
            ExplicitVRLittleEndian,
            ImplicitVRLittleEndian,
        }
        assert assoc.send_c_echo().Status == 0
        for number in range(3):
            ds = Dataset()
            ds.SOPClassUID, ds.SOPInstanceUID, ds.PixelData = CTImageStorage, f"1.2.{number}", bytes(300_000)
            ds["PixelData"].VR = "OW"
            ds.file_meta = FileMetaDataset()
            ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            assert assoc.send_c_store(ds).Status == 0
        assoc.release()
        thread.join()
        assert assoc.is_released
