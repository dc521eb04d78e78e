"""Requests that are not as they should be, and peers that are not: what they are answered, and what the log tells."""

from __future__ import annotations

import logging
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE, AllStoragePresentationContexts, build_context

from dcm4py_leading.dicom.upper import command as dimse
from dcm4py_leading.dicom.upper.association import Association
from dcm4py_leading.dicom.upper.dimse_message import PresentationContext
from dcm4py_leading.dicom.upper.link import Link, PeerAborted
from dcm4py_leading.dicom.upper.pdu import (
    AssociateAccept,
    ReleaseRequest,
    ReleaseResponse,
    UserIdentity,
    UserInformation,
    numbered,
)
from dcm4py_leading.dicom.upper.pdu_codec import encode
from dcm4py_leading.dicom.upper.state import Event
from dcm4py_leading.log import ref
from tests.fixtures.datasets import make_study, read_sample
from tests.fixtures.links import CT, IMPLICIT, REQUEST, VERIFICATION, associate, prepared, read_all, store_object
from tests.fixtures.scripted import Viewer, listening
from tests.fixtures.scu import STUDY_FIND, STUDY_GET, STUDY_MOVE, identifier, store
from tests.fixtures.service import Seed
from tests.wire.test_upper_layer import encoded, everybody_has_left, request

STUDY = "1.2.826.0.1.3680043.8.498.72"
EXPLICIT = "1.2.840.10008.1.2.1"
FIND, MOVE, GET = str(STUDY_FIND), str(STUDY_MOVE), str(STUDY_GET)
QUERY = encoded(identifier("STUDY", StudyInstanceUID=STUDY))
CONTEXTS = [(CT, [IMPLICIT]), (FIND, [IMPLICIT]), (MOVE, [IMPLICIT]), (GET, [IMPLICIT]), (VERIFICATION, [IMPLICIT])]
IDS = {CT: 1, FIND: 3, MOVE: 5, GET: 7, VERIFICATION: 9}


@pytest.fixture
def archive(seed: Seed, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Seed]:
    """The service, with a study of three instances; what it logs from then on is in ``caplog``."""
    service = seed.start()
    files = make_study(tmp_path / "s", patient_id="P", patient_name="A^B", study_uid=STUDY, series=1, instances=3)
    assert store(seed.archive_port, files) == [0x0000] * 3
    assert everybody_has_left(service)
    caplog.set_level(logging.INFO)
    caplog.clear()
    yield seed
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def asked(association: Association, sop_class: str, field: int, data: bytes | None = QUERY, **more: Any) -> int | None:
    """The status of the response to a request in the context of its SOP class."""
    destination = {"destination": "STORESCP"} if field == dimse.C_MOVE_RQ else {}
    command = {**request(sop_class, field, **destination), **more.pop("command", {})}
    association.send([(IDS[more.pop("context", sop_class)], command, data)])
    return association.receive(20).number(dimse.STATUS)


def line_of(service: Any, caplog: pytest.LogCaptureFixture, command: str) -> str:
    """The log line of the only request of that name, when all associations have ended."""
    assert everybody_has_left(service)
    (line,) = [message for message in caplog.messages if message.startswith(f"{command} from=")]
    return line


# -- commands --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("context", "field"),
    [
        *((MOVE, dimse.C_FIND_RQ), (FIND, dimse.C_GET_RQ), (GET, dimse.C_MOVE_RQ), (CT, dimse.C_FIND_RQ)),
        *((FIND, dimse.C_STORE_RQ), (VERIFICATION, dimse.C_STORE_RQ), (CT, dimse.C_ECHO_RQ)),
        *((FIND, 0x0110), (VERIFICATION, 0x0140), (CT, 0x0100), (GET, 0x7777)),
    ],
)
def test_a_command_of_another_service_is_not_recognized(archive: Seed, context: str, field: int) -> None:
    association, _ = associate(archive.archive_port, CONTEXTS)
    data = None if field == dimse.C_ECHO_RQ else QUERY
    more = {dimse.AFFECTED_SOP_INSTANCE_UID: "1.2.3"}
    assert asked(association, context, field, data, command=more) == 0x0211
    assert asked(association, VERIFICATION, dimse.C_ECHO_RQ, None) == 0x0000
    association.release(20)
    assert len(archive.objects) == 3


@pytest.mark.parametrize(
    ("sop_class", "field", "data", "change", "status"),
    [
        (VERIFICATION, dimse.C_ECHO_RQ, None, {dimse.AFFECTED_SOP_CLASS_UID: CT}, 0x0122),
        (VERIFICATION, dimse.C_ECHO_RQ, None, {dimse.AFFECTED_SOP_CLASS_UID: ""}, 0x0122),
        (VERIFICATION, dimse.C_ECHO_RQ, b"abcd", {}, 0x0212),
        (CT, dimse.C_STORE_RQ, QUERY, {}, 0x0117),
        (CT, dimse.C_STORE_RQ, None, {dimse.AFFECTED_SOP_INSTANCE_UID: "1.2.3"}, 0xC000),
        (FIND, dimse.C_FIND_RQ, None, {}, 0xA900),
        (GET, dimse.C_GET_RQ, None, {}, 0xA900),
        (MOVE, dimse.C_MOVE_RQ, None, {}, 0xA900),
        (MOVE, dimse.C_MOVE_RQ, QUERY, {dimse.MOVE_DESTINATION: ""}, 0xA801),
        (MOVE, dimse.C_MOVE_RQ, QUERY, {dimse.MOVE_DESTINATION: "  "}, 0xA801),
        (MOVE, dimse.C_MOVE_RQ, QUERY, {dimse.MOVE_DESTINATION: "A\\B"}, 0xA801),
        (MOVE, dimse.C_MOVE_RQ, QUERY, {dimse.MOVE_DESTINATION: "NO TITLE AS LONG AS THIS"}, 0xA801),
    ],
)
def test_a_defective_request_has_its_status_each_time(
    archive: Seed, sop_class: str, field: int, data: bytes | None, change: dict[int, str], status: int
) -> None:
    association, _ = associate(archive.archive_port, CONTEXTS)
    answers = [asked(association, sop_class, field, data, command=change) for _ in range(3)]
    assert answers == [status] * 3
    assert asked(association, VERIFICATION, dimse.C_ECHO_RQ, None) == 0x0000
    association.release(20)
    assert len(archive.objects) == 3


@pytest.mark.parametrize(
    "change",
    [{dimse.COMMAND_FIELD: dimse.C_ECHO_RQ | dimse.RESPONSE}, {dimse.MESSAGE_ID: "text"}],
    ids=["a response", "no Message ID"],
)
def test_request_without_possible_answer_is_aborted(archive: Seed, change: dict[int, Any]) -> None:
    association, _ = associate(archive.archive_port, CONTEXTS)
    association.send([(9, {**request(VERIFICATION, dimse.C_ECHO_RQ), **change}, None)])
    with pytest.raises(PeerAborted):
        association.link.receive(20)


# -- what is proposed ------------------------------------------------------------------------------------------------


def answer_to(port: int, pdu: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
        sock.sendall(pdu)
        kind_and_length = sock.recv(6, socket.MSG_WAITALL)
        return kind_and_length[:1] + sock.recv(int.from_bytes(kind_and_length[2:]), socket.MSG_WAITALL)


def proposal(calling: bytes, called: bytes = b"DCM4CHEE".ljust(16), reserved: bytes = bytes(32)) -> bytes:
    data = encode(REQUEST)
    return data[:10] + called + calling + reserved + data[74:]


@pytest.mark.parametrize("calling", [b"ANY".ljust(16, b"\0"), b" ANY".ljust(16), b"ANY STATION".ljust(16)])
def test_reserved_octets_of_an_acceptance_are_those_received(archive: Seed, calling: bytes) -> None:
    called, reserved = b"  DCM4CHEE".ljust(16), bytes(range(32))
    answer = answer_to(archive.archive_port, proposal(calling, called, reserved))
    assert answer[0] == 2
    assert answer[5:69] == called + calling + reserved


@pytest.mark.parametrize(
    "calling", [b" " * 16, bytes(16), b"M\xdcLLER".ljust(16), b"A\nB".ljust(16), b"A\\B".ljust(16)]
)
def test_invalid_ae_title_is_not_recognized(archive: Seed, caplog: pytest.LogCaptureFixture, calling: bytes) -> None:
    assert answer_to(archive.archive_port, proposal(calling.ljust(16))) == b"\x03\0\x01\x01\x03"
    (line,) = [message for message in caplog.messages if "rejected" in message]
    assert line.isascii() and line.isprintable()


def test_a_user_identity_that_nobody_verifies_has_no_response(archive: Seed) -> None:
    identity = UserIdentity(kind=2, wants_response=True, primary=b"NAME", secondary=b"PASSCODE")
    user = UserInformation(maximum_length=16384, implementation_class_uid="1.2.3", identity=identity)
    answer = answer_to(archive.archive_port, encode(replace(REQUEST, called_ae_title="DCM4CHEE", user=user)))
    assert answer[0] == 2
    assert b"\x59\0" not in answer[69:]


# -- a maximum length that is too short ------------------------------------------------------------------------------


def with_maximum(port: int, maximum: int) -> Association:
    """An association on which we take no longer P-DATA-TF than that."""
    link = Link(socket.create_connection(("127.0.0.1", port)), is_requestor=True, maximum_length=131072)
    user = UserInformation(maximum_length=maximum, implementation_class_uid="1.2.3")
    link.request(replace(REQUEST, called_ae_title="DCM4CHEE", contexts=numbered(CONTEXTS), user=user))
    answer = link.receive(20)
    assert isinstance(answer, AssociateAccept)
    contexts = [
        PresentationContext(2 * n + 1, sop_class, IMPLICIT, True, True) for n, (sop_class, _) in enumerate(CONTEXTS)
    ]
    return Association(link, contexts, answer.user.maximum_length)


@pytest.mark.parametrize("maximum", [8, 100, 1023])
def test_a_peer_that_takes_only_short_pdus_gets_no_data_sets(archive: Seed, maximum: int) -> None:
    association = with_maximum(archive.archive_port, maximum)
    assert asked(association, FIND, dimse.C_FIND_RQ) == 0xC000
    assert asked(association, MOVE, dimse.C_MOVE_RQ) == 0xC000
    assert asked(association, GET, dimse.C_GET_RQ) == 0xC000
    assert asked(association, VERIFICATION, dimse.C_ECHO_RQ, None) == 0x0000
    ds = read_sample("CT_small.dcm")
    assert store_object(association, prepared(encoded(ds), uid=ds.SOPInstanceUID), 1, None, 20) == 0x0000
    association.release(20)


def test_a_peer_that_takes_1024_octets_is_sent_data_sets(archive: Seed) -> None:
    association = with_maximum(archive.archive_port, 1024)
    assert asked(association, FIND, dimse.C_FIND_RQ) == 0xFF00
    association.abort()
    association.link.close()


def test_destination_with_too_short_pdus_is_reported(archive: Seed, caplog: pytest.LogCaptureFixture) -> None:
    ae = AE("STORESCP")
    ae.supported_contexts = AllStoragePresentationContexts
    ae.maximum_pdu_size = 512
    server = listening(ae, archive.viewer_port)
    try:
        association, _ = associate(archive.archive_port, CONTEXTS)
        assert asked(association, MOVE, dimse.C_MOVE_RQ) == 0xA702
        association.release(20)
    finally:
        server.shutdown()
    assert "a maximum length of 512 is too short" in caplog.text


# -- release and loss ------------------------------------------------------------------------------------------------


class Waiting:
    """A viewer that answers when it is let go on."""

    def __init__(self, port: int) -> None:
        self.go_on = threading.Event()
        self.viewer = Viewer(port, script=self._wait)

    def _wait(self, _: Any) -> int:
        assert self.go_on.wait(20)
        return 0x0000

    def stop(self) -> None:
        self.go_on.set()
        self.viewer.stop()


@pytest.fixture
def waiting(archive: Seed) -> Iterator[Waiting]:
    waiting = Waiting(archive.viewer_port)
    yield waiting
    waiting.stop()


def test_a_release_during_a_c_move_waits_for_its_end(
    archive: Seed, waiting: Waiting, caplog: pytest.LogCaptureFixture
) -> None:
    association, _ = associate(archive.archive_port, CONTEXTS)
    association.send([(5, request(MOVE, dimse.C_MOVE_RQ, destination="STORESCP"), QUERY)])
    assert waiting.viewer.asked.wait(20)
    association.link.send(Event.RELEASE, ReleaseRequest())
    waiting.go_on.set()
    # PS3.8 table 9-10, AR-6: the answers come in this state too.
    responses = b""
    while not isinstance(told := association.link.receive(20), ReleaseResponse):
        assert isinstance(told, memoryview)
        responses += bytes(told)
    association.link.close()
    final = struct.pack("<HHLH", 0, dimse.STATUS, 2, 0x0000)
    completed = struct.pack("<HHLH", 0, dimse.COMPLETED, 2, 3)
    assert final in responses and completed in responses
    line = line_of(archive.service, caplog, "C-MOVE")
    assert f"status=0x0000 dest=STORESCP study={ref(STUDY)} matches=3 completed=3 failed=0" in line
    assert "ended=" not in line


def test_a_release_during_a_c_find_waits_for_its_end(archive: Seed, caplog: pytest.LogCaptureFixture) -> None:
    association, _ = associate(archive.archive_port, CONTEXTS)
    query = encoded(identifier("IMAGE", StudyInstanceUID=STUDY, SeriesInstanceUID="", SOPInstanceUID=""))
    association.send([(3, request(FIND, dimse.C_FIND_RQ), query)])
    association.link.send(Event.RELEASE, ReleaseRequest())
    while not isinstance(association.link.receive(20), ReleaseResponse):
        pass
    association.link.close()
    assert "ended=" not in line_of(archive.service, caplog, "C-FIND")


def test_release_during_c_get_fails_unanswered_objects(archive: Seed, caplog: pytest.LogCaptureFixture) -> None:
    association, _ = associate(archive.archive_port, [(GET, [IMPLICIT]), (CT, [EXPLICIT])], roles=[CT])
    association.send([(1, request(GET, dimse.C_GET_RQ), QUERY)])
    assert association.receive(20).number(dimse.COMMAND_FIELD) == dimse.C_STORE_RQ
    association.link.send(Event.RELEASE, ReleaseRequest())
    responses = b""
    while not isinstance(told := association.link.receive(20), ReleaseResponse):
        assert isinstance(told, memoryview)
        responses += bytes(told)
    association.link.close()
    assert struct.pack("<HHLH", 0, dimse.STATUS, 2, 0xA702) in responses
    line = line_of(archive.service, caplog, "C-GET")
    assert "status=0xA702" in line and 'ended="released by the peer"' in line and f"study={ref(STUDY)} " in line


@pytest.mark.parametrize(
    ("leave", "ended"),
    [
        (lambda association: association.link.close(), 'ended="connection lost: closed by the peer"'),
        (lambda association: association.abort(), 'ended="association aborted"'),
    ],
    ids=["closed", "aborted"],
)
def test_client_lost_during_c_move_is_logged(
    archive: Seed,
    waiting: Waiting,
    caplog: pytest.LogCaptureFixture,
    leave: Callable[[Association], None],
    ended: str,
) -> None:
    association, _ = associate(archive.archive_port, CONTEXTS)
    association.send([(5, request(MOVE, dimse.C_MOVE_RQ, destination="STORESCP"), QUERY)])
    assert waiting.viewer.asked.wait(20)
    leave(association)
    association.link.close()
    waiting.go_on.set()
    line = line_of(archive.service, caplog, "C-MOVE")
    assert "status=0xC000" in line and ended in line


def test_a_cancel_of_a_c_move_is_told(archive: Seed, waiting: Waiting, caplog: pytest.LogCaptureFixture) -> None:
    association, _ = associate(archive.archive_port, CONTEXTS)
    association.send([(5, request(MOVE, dimse.C_MOVE_RQ, destination="STORESCP"), QUERY)])
    assert waiting.viewer.asked.wait(20)
    cancel = {dimse.COMMAND_FIELD: dimse.C_CANCEL_RQ, dimse.MESSAGE_ID_BEING_RESPONDED_TO: 1}
    association.send([(5, cancel, None)])
    waiting.go_on.set()
    assert association.receive(20).number(dimse.STATUS) == 0xFE00
    association.release(20)
    line = line_of(archive.service, caplog, "C-MOVE")
    assert "status=0xFE00" in line and "ended=cancelled" in line


def test_a_viewer_that_is_killed_is_a_lost_connection(archive: Seed, caplog: pytest.LogCaptureFixture) -> None:
    def kill(event: Any) -> int:
        event.assoc.dul.socket.socket.shutdown(socket.SHUT_RDWR)
        return 0x0000

    viewer = Viewer(archive.viewer_port, script=kill)
    try:
        association, _ = associate(archive.archive_port, CONTEXTS)
        assert asked(association, MOVE, dimse.C_MOVE_RQ) == 0xA702
        association.release(20)
    finally:
        viewer.stop()
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert told and all("connection lost" in line for line in told if "not sent" in line)
    assert "no response" not in caplog.text


# -- what the log tells ----------------------------------------------------------------------------------------------


def test_refused_object_is_logged_by_study_and_instance(archive: Seed, caplog: pytest.LogCaptureFixture) -> None:
    ds = read_sample("CT_small.dcm")
    association, _ = associate(archive.archive_port, CONTEXTS)
    assert store_object(association, prepared(encoded(ds)[:-3], uid=ds.SOPInstanceUID), 1, None, 20) == 0xC000
    association.release(20)
    study, instance = ref(ds.StudyInstanceUID), ref(ds.SOPInstanceUID)
    assert f"status=0xC000 study={study} instance={instance} " in line_of(archive.service, caplog, "C-STORE")
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warning.startswith(f"C-STORE from TESTSCU, study {study}, instance {instance}: ")


def test_a_sop_class_that_the_destination_refuses_is_called_that(
    archive: Seed, caplog: pytest.LogCaptureFixture
) -> None:
    viewer = Viewer(archive.viewer_port, contexts=[build_context("1.2.840.10008.5.1.4.1.1.4")])
    try:
        association, _ = associate(archive.archive_port, CONTEXTS)
        assert asked(association, MOVE, dimse.C_MOVE_RQ) == 0xA702
        association.release(20)
    finally:
        viewer.stop()
    assert "STORESCP does not take SOP class CT Image Storage" in caplog.text


def test_an_ae_title_with_blanks_is_quoted(archive: Seed, caplog: pytest.LogCaptureFixture) -> None:
    association, _ = associate(archive.archive_port, CONTEXTS, calling="CT ROOM 2")
    assert asked(association, VERIFICATION, dimse.C_ECHO_RQ, None) == 0x0000
    association.release(20)
    assert line_of(archive.service, caplog, "C-ECHO").startswith('C-ECHO from="CT ROOM 2" to=DCM4CHEE status=')


@pytest.mark.parametrize(
    ("sent", "protocol"),
    [(bytes.fromhex("1603010200010001fc0303") + bytes(500), "TLS"), (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP")],
)
def test_foreign_protocol_is_logged_once_and_then_by_count(
    archive: Seed, caplog: pytest.LogCaptureFixture, sent: bytes, protocol: str
) -> None:
    with ExitStack() as connected:
        # All at once, since we keep each connection for a second.
        opened = [
            connected.enter_context(socket.create_connection(("127.0.0.1", archive.archive_port), timeout=60))
            for _ in range(12)
        ]
        for sock in opened:
            sock.sendall(sent)
        for sock in opened:
            read_all(sock)
    assert everybody_has_left(archive.service)
    told = sorted(record.getMessage() for record in caplog.records if record.levelno == logging.WARNING)
    assert len(told) == 2
    assert all(f"127.0.0.1 speaks {protocol} on a DICOM port" in line for line in told)
    assert "(1 so far)" in told[0] and "(10 so far)" in told[1]
