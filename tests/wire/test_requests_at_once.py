"""Several requests of a peer outstanding on one association (PS3.7 D.3.3.3): granted, served in order, cancelled."""

from __future__ import annotations

import logging
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from dcm4py_leading.dicom.message import store_response
from dcm4py_leading.dicom.scp import acceptor
from dcm4py_leading.dicom.upper import command as dimse
from dcm4py_leading.dicom.upper.association import Association
from dcm4py_leading.dicom.upper.command import Command
from dcm4py_leading.dicom.upper.dimse_message import DimseMessage
from dcm4py_leading.dicom.upper.failures import AssociationFailed
from dcm4py_leading.dicom.upper.pdu import AssociateAccept, ReleaseRequest, ReleaseResponse
from dcm4py_leading.dicom.upper.state import Event
from dcm4py_leading.model.bounds import OPERATIONS_AT_ONCE
from tests.fixtures.datasets import make_study, read_sample
from tests.fixtures.links import CT, IMPLICIT, VERIFICATION, associate, prepared
from tests.fixtures.scu import STUDY_FIND, STUDY_GET, STUDY_MOVE, identifier, store
from tests.fixtures.service import CONNECTION, Seed
from tests.fixtures.windowed_sink import Script, Talk, WindowedSink
from tests.wire.test_upper_layer import encoded, everybody_has_left

STUDY = "1.2.826.0.1.3680043.8.498.42"
OBJECTS = 6
FIND, GET, MOVE = str(STUDY_FIND), str(STUDY_GET), str(STUDY_MOVE)
CONTEXTS = [(uid, [IMPLICIT]) for uid in (CT, FIND, GET, MOVE, VERIFICATION)]
IDS = {CT: 1, FIND: 3, GET: 5, MOVE: 7, VERIFICATION: 9}
StartSink = Callable[[int, Script, tuple[int, int] | None], WindowedSink]
QUERY = encoded(identifier("STUDY", StudyInstanceUID=STUDY))


@pytest.fixture
def archive(seed: Seed) -> Iterator[Seed]:
    """The service, with a study; peers may have four requests outstanding."""
    seed.set(CONNECTION, dcmMaxOpsPerformed="4")
    service = seed.start()
    files = make_study(seed.directory / "s", patient_id="P", patient_name="A^B", study_uid=STUDY, instances=OBJECTS)
    assert store(seed.archive_port, files) == [0x0000] * OBJECTS
    assert everybody_has_left(service)
    yield seed


def opened(archive: Seed, operations: tuple[int, int] | None = (4, 1)) -> Association:
    association, answer = associate(archive.archive_port, CONTEXTS, roles=[CT], operations=operations)
    assert isinstance(answer, AssociateAccept)
    return association


def asking(message_id: int, sop_class: str = FIND, field: int = dimse.C_FIND_RQ) -> tuple[int, Command, bytes | None]:
    command: Command = {
        dimse.AFFECTED_SOP_CLASS_UID: sop_class,
        dimse.COMMAND_FIELD: field,
        dimse.MESSAGE_ID: message_id,
    }
    return IDS[sop_class], command, None if field == dimse.C_ECHO_RQ else QUERY


def cancelling(message_id: int) -> tuple[int, Command, bytes | None]:
    command: Command = {dimse.COMMAND_FIELD: dimse.C_CANCEL_RQ, dimse.MESSAGE_ID_BEING_RESPONDED_TO: message_id}
    return IDS[FIND], command, None


def final(association: Association) -> tuple[int | None, int | None]:
    """Message ID and status of the next response that is not pending."""
    while True:
        response = association.receive(60)
        status = response.number(dimse.STATUS)
        if status not in (0xFF00, 0xFF01):
            return response.number(dimse.MESSAGE_ID_BEING_RESPONDED_TO), status


@pytest.mark.ldap("dcmMaxOpsPerformed")
@pytest.mark.parametrize(
    ("ours", "proposed", "answered"),
    [
        (("1", "4"), (9, 9), (4, 1)),
        (("5", "4"), (9, 9), (4, 5)),
        (("5", "4"), (2, 3), (2, 3)),
        (("5", "4"), (0, 0), (4, 5)),
        (("0", "0"), (9, 0), (9, OPERATIONS_AT_ONCE)),
        (("0", "0"), (0, 1), (OPERATIONS_AT_ONCE, 1)),
        (("5", "4"), None, None),
    ],
)
def test_a_window_is_granted_as_far_as_our_connection_allows(
    seed: Seed, ours: tuple[str, str], proposed: tuple[int, int] | None, answered: tuple[int, int] | None
) -> None:
    seed.set(CONNECTION, dcmMaxOpsInvoked=ours[0], dcmMaxOpsPerformed=ours[1])
    seed.start()
    association, answer = associate(seed.archive_port, CONTEXTS, operations=proposed)
    assert isinstance(answer, AssociateAccept)
    assert answer.user.asynchronous_operations == answered
    association.release(20)


def test_requests_at_once_are_answered_in_their_order(archive: Seed) -> None:
    association = opened(archive)
    association.send([asking(1), asking(2, VERIFICATION, dimse.C_ECHO_RQ), asking(3), asking(4)])
    assert [final(association) for _ in range(4)] == [(number, 0x0000) for number in (1, 2, 3, 4)]
    association.send([asking(5)])
    assert final(association) == (5, 0x0000)
    assert association.release(20)


def test_objects_at_once_are_stored_and_answered_in_their_order(archive: Seed) -> None:
    association = opened(archive)
    ds = read_sample("CT_small.dcm")
    for number in range(1, 5):
        ds.SOPInstanceUID = f"1.2.3.{number}"
        association.begin_store(prepared(encoded(ds), uid=ds.SOPInstanceUID), number, None)
    assert [association.store_response(60) for _ in range(4)] == [(number, 0x0000) for number in (1, 2, 3, 4)]
    association.release(20)
    assert len(archive.objects) == OBJECTS + 4


class Moving:
    """A C-MOVE with Message ID 1 that is served: its destination has the first object, and answers when it may."""

    def __init__(self, archive: Seed, windowed_sink: StartSink) -> None:
        self.has_begun, self.go_on = threading.Event(), threading.Event()
        self.sink = windowed_sink(archive.viewer_port, self._script, None)
        self.association = opened(archive)
        command = {**asking(1, MOVE, dimse.C_MOVE_RQ)[1], dimse.MOVE_DESTINATION: "STORESCP"}
        self.association.send([(IDS[MOVE], command, QUERY)])
        assert self.has_begun.wait(60)

    def _script(self, talk: Talk) -> None:
        taken = talk.take()
        self.has_begun.set()
        assert self.go_on.wait(60)
        talk.answer(*taken)
        while True:
            talk.answer(*talk.take())


@pytest.fixture
def moving(archive: Seed, windowed_sink: StartSink, monkeypatch: pytest.MonkeyPatch) -> Iterator[Moving]:
    """Such a C-MOVE, which looks for a C-CANCEL before each object, however fast the objects go."""
    monkeypatch.setattr(acceptor, "_BETWEEN_LOOKS", 0.0)
    moving = Moving(archive, windowed_sink)
    yield moving
    moving.go_on.set()
    moving.association.abort()
    moving.association.link.close()


def test_a_cancel_counts_also_behind_requests_that_wait(moving: Moving) -> None:
    moving.association.send([asking(2), asking(3), cancelling(3), cancelling(1)])
    moving.go_on.set()
    assert [final(moving.association) for _ in range(3)] == [(1, 0xFE00), (2, 0x0000), (3, 0xFE00)]
    assert moving.association.release(20)


def test_a_cancel_of_what_has_ended_does_not_cancel_a_later_request(archive: Seed) -> None:
    association = opened(archive)
    association.send([asking(1)])
    assert final(association) == (1, 0x0000)
    association.send([cancelling(1), asking(1)])
    assert final(association) == (1, 0x0000)
    assert association.release(20)


def test_more_requests_than_were_granted_end_in_an_abort(
    archive: Seed, moving: Moving, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    moving.association.send([asking(number) for number in range(2, 7)])
    moving.go_on.set()
    with pytest.raises(AssociationFailed, match="aborted"):
        final(moving.association)
    assert everybody_has_left(archive.service)
    assert "more than the 4 requests at once that were granted: aborted" in caplog.text


def test_requests_that_wait_are_answered_before_a_release(moving: Moving) -> None:
    moving.association.send([asking(2), asking(3)])
    moving.association.link.send(Event.RELEASE, ReleaseRequest())
    moving.go_on.set()
    octets = b""
    while not isinstance(told := moving.association.link.receive(60), ReleaseResponse):
        assert isinstance(told, memoryview)
        octets += bytes(told)
    for message_id in (1, 2, 3):
        assert element(dimse.MESSAGE_ID_BEING_RESPONDED_TO, message_id) in octets
    assert octets.count(element(dimse.STATUS, 0x0000)) == 3


def test_requests_that_wait_are_dropped_with_their_association(
    archive: Seed, moving: Moving, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    moving.association.send([asking(2), asking(3)])
    moving.association.abort()
    moving.go_on.set()
    assert everybody_has_left(archive.service)
    assert "C-MOVE from=" in caplog.text and "C-FIND from=" not in caplog.text


def element(number: int, value: int) -> bytes:
    return struct.pack("<HHLH", 0, number, 2, value)


def next_object(association: Association) -> DimseMessage:
    """The next C-STORE-RQ of a C-GET, whose progress may be told before."""
    while (message := association.receive(60)).number(dimse.COMMAND_FIELD) != dimse.C_STORE_RQ:
        assert message.number(dimse.STATUS) == 0xFF00
    assert b"".join(association.data(60))
    return message


@pytest.mark.ldap("dcmMaxOpsInvoked")
def test_a_c_get_has_as_many_objects_under_way_as_both_sides_allow(archive: Seed) -> None:
    archive.set(CONNECTION, dcmMaxOpsInvoked="3")
    archive.service.reload()
    association = opened(archive, (2, 9))
    association.send([asking(1, GET, dimse.C_GET_RQ), asking(2, VERIFICATION, dimse.C_ECHO_RQ)])
    for _ in range(OBJECTS // 3):
        taken = [next_object(association) for _ in range(3)]
        for one in reversed(taken):
            association.send([(one.context.context_id, store_response(one, 0x0000), None)])
    assert [final(association) for _ in range(2)] == [(1, 0x0000), (2, 0x0000)]
    assert association.release(20)
