"""Several objects under way through us to a PACS (PS3.7 D.3.3.3): none is answered before the PACS has stored it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

import pytest

from dcm4py_leading.dicom.scp import under_way
from dcm4py_leading.dicom.upper import command as dimse
from dcm4py_leading.dicom.upper.association import Association
from dcm4py_leading.dicom.upper.command import Command
from dcm4py_leading.dicom.upper.dimse_message import DimseMessage
from dcm4py_leading.dicom.upper.pdu import AssociateAccept, ReleaseRequest
from dcm4py_leading.dicom.upper.state import Event
from dcm4py_leading.service.retrieve.encode import encoded
from tests.fixtures.links import CT, IMPLICIT, VERIFICATION, associate, prepared
from tests.fixtures.pacs import make_object
from tests.fixtures.ports import free_port
from tests.fixtures.proxy import stand_in_front_of
from tests.fixtures.service import CONNECTION, Seed
from tests.fixtures.windowed_sink import Gone, Script, Talk, WindowedSink
from tests.wire.test_requests_at_once import element
from tests.wire.test_upper_layer import everybody_has_left

STUDY = "1.2.826.0.1.3680043.8.498.92"
StartSink = Callable[[int, Script, tuple[int, int] | None], WindowedSink]
Answered = tuple[int | None, int | None]
"""Message ID and status."""


def answers_each(talk: Talk) -> None:
    while True:
        talk.answer(*talk.take())


def answers_backwards(talk: Talk) -> None:
    """Take four before any is answered."""
    for message_id in reversed(talk.take(4)):
        talk.answer(message_id)
    answers_each(talk)


class Scene:
    """Ours in front of a PACS; a modality has four objects outstanding."""

    def __init__(self, seed: Seed, windowed_sink: StartSink) -> None:
        self.seed, self._start_sink = seed, windowed_sink
        self.go_on = threading.Event()
        """Set when the PACS may answer, where its script waits for it."""

    def start(self, script: Script, grants: tuple[int, int] | None = (4, 1), **settings: str) -> None:
        """Start everything; ``settings`` are attributes of our connection."""
        port = free_port()
        self.pacs = self._start_sink(port, script, grants)
        stand_in_front_of(self.seed, port)
        self.seed.set(CONNECTION, dcmMaxOpsInvoked="4", dcmMaxOpsPerformed="4", **settings)
        self.seed.start()
        proposals = [(CT, [IMPLICIT]), (VERIFICATION, [IMPLICIT])]
        self.modality, answer = associate(self.seed.archive_port, proposals, operations=(4, 1))
        assert isinstance(answer, AssociateAccept) and answer.user.asynchronous_operations == (4, 1)

    def begin(self, *message_ids: int) -> None:
        """Send an object with each of these Message IDs."""
        for number in message_ids:
            ds = make_object(STUDY, number, size=100)
            self.modality.begin_store(prepared(encoded(ds, IMPLICIT), uid=ds.SOPInstanceUID), number, None)

    def response(self) -> DimseMessage:
        return self.modality.receive(60)

    def answers(self, count: int) -> list[Answered]:
        """The next so many answers."""
        told = [self.response() for _ in range(count)]
        return [(one.number(dimse.MESSAGE_ID_BEING_RESPONDED_TO), one.number(dimse.STATUS)) for one in told]


@pytest.fixture
def scene(seed: Seed, windowed_sink: StartSink) -> Iterator[Scene]:
    scene = Scene(seed, windowed_sink)
    yield scene
    scene.go_on.set()
    scene.modality.abort()
    scene.modality.link.close()


def each(status: int, *message_ids: int) -> list[Answered]:
    return [(message_id, status) for message_id in message_ids]


@pytest.mark.ldap("dcmMaxOpsPerformed")
def test_several_are_under_way_and_answered_in_their_turn_with_their_own_status(scene: Scene) -> None:
    def script(talk: Talk) -> None:
        first, second, third, fourth = talk.take(4)
        for message_id, status in ((fourth, 0x0000), (second, 0xA700), (third, 0xB000), (first, 0x0000)):
            talk.answer(message_id, status)
        answers_backwards(talk)

    scene.start(script)
    scene.begin(1, 2, 3, 4)
    assert scene.answers(4) == [(1, 0x0000), (2, 0xA700), (3, 0xB000), (4, 0x0000)]
    scene.begin(5, 6, 7, 8)
    assert scene.answers(4) == each(0x0000, 5, 6, 7, 8)
    assert scene.modality.release(60)
    (talk,) = scene.pacs.talks
    assert (talk.request.user.asynchronous_operations, talk.most_under_way) == ((4, 4), 4)
    assert scene.seed.objects == []


def test_none_is_answered_before_the_archive_has_answered(scene: Scene) -> None:
    def script(talk: Talk) -> None:
        taken = talk.take(4)
        talk.answer(taken[0])
        assert scene.go_on.wait(60)
        for message_id in taken[1:]:
            talk.answer(message_id)
        talk.take()

    scene.start(script)
    scene.begin(1, 2, 3, 4)
    assert scene.answers(1) == each(0x0000, 1)
    assert not scene.modality.has_input
    scene.go_on.set()
    assert scene.answers(3) == each(0x0000, 2, 3, 4)


@pytest.mark.parametrize("grants", [None, (1, 1), (2, 1)])
def test_no_more_are_under_way_than_the_archive_grants(scene: Scene, grants: tuple[int, int] | None) -> None:
    most = 1 if grants is None else grants[0]

    def script(talk: Talk) -> None:
        for _ in range(4 // most):
            for message_id in reversed(talk.take(most)):
                talk.answer(message_id)
        talk.take()

    scene.start(script, grants)
    scene.begin(1, 2, 3, 4)
    assert scene.answers(4) == each(0x0000, 1, 2, 3, 4)
    assert scene.pacs.talks[0].most_under_way == most


def test_no_more_octets_are_under_way_than_there_may_be(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_way, "FORWARDED_AT_ONCE_BYTES", 1)
    scene.start(answers_each)
    scene.begin(1, 2, 3, 4)
    assert scene.answers(4) == each(0x0000, 1, 2, 3, 4)
    assert scene.pacs.talks[0].most_under_way == 1


def test_what_a_lost_association_left_without_answer_is_sent_once_more(scene: Scene) -> None:
    def script(talk: Talk) -> None:
        if len(scene.pacs.talks) > 1:
            answers_each(talk)
        talk.answer(talk.take(4)[0], 0xB000)
        talk.close()

    scene.start(script)
    scene.begin(1, 2, 3, 4)
    assert scene.answers(4) == [(1, 0xB000), *each(0x0000, 2, 3, 4)]
    assert [talk.most_under_way for talk in scene.pacs.talks] == [4, 1]


def test_an_object_at_which_the_archive_ends_associations_harms_no_other_one(scene: Scene) -> None:
    def script(talk: Talk) -> None:
        if len(scene.pacs.talks) == 1:
            talk.answer(talk.take(4)[0])
            talk.close()
        while True:
            (message_id,) = talk.take()
            if talk.under_way[message_id].endswith(".3"):
                raise Gone  # closes the connection
            talk.answer(message_id)

    scene.start(script)
    scene.begin(1, 2, 3, 4)
    assert scene.answers(4) == [*each(0x0000, 1, 2), *each(0xC000, 3), *each(0x0000, 4)]
    assert len(scene.pacs.talks) == 3


def test_an_association_lost_before_any_answer_fails_what_is_under_way(scene: Scene) -> None:
    def script(talk: Talk) -> None:
        if len(scene.pacs.talks) > 1:
            answers_each(talk)
        talk.take(4)
        talk.close()

    scene.start(script)
    scene.begin(1, 2, 3, 4)
    assert scene.answers(4) == each(0xC000, 1, 2, 3, 4)
    scene.begin(5)
    assert scene.answers(1) == each(0x0000, 5)


def test_a_silent_archive_fails_what_is_under_way_and_is_asked_no_second_time(scene: Scene) -> None:
    def script(talk: Talk) -> None:
        talk.answer(talk.take(4)[0])
        talk.take()

    scene.start(script, dcmResponseTimeout="1500")
    scene.begin(1, 2, 3, 4)
    assert scene.answers(1) == each(0x0000, 1)
    failed = [scene.response() for _ in range(3)]
    assert [(one.number(dimse.STATUS), one.text(dimse.ERROR_COMMENT)) for one in failed] == [
        (0xC000, "PACS: no response in time")
    ] * 3
    assert len(scene.pacs.talks) == 1


def test_a_refused_object_and_another_request_are_answered_in_their_turn(scene: Scene) -> None:
    def script(talk: Talk) -> None:
        taken = talk.take(2)
        assert scene.go_on.wait(60)
        for message_id in taken:
            talk.answer(message_id)
        talk.take()

    scene.start(script)
    scene.begin(1, 2)
    scene.modality.begin_store(prepared(b"no data set", uid="1.2.3"), 3, None)
    echo: Command = {
        dimse.AFFECTED_SOP_CLASS_UID: VERIFICATION,
        dimse.COMMAND_FIELD: dimse.C_ECHO_RQ,
        dimse.MESSAGE_ID: 4,
    }
    scene.modality.send([(3, echo, None)])
    scene.go_on.set()
    assert scene.answers(4) == [*each(0x0000, 1, 2), *each(0xC000, 3), *each(0x0000, 4)]


def ending(scene: Scene, end: Callable[[Association], None]) -> None:
    """Let the modality end the association while four are under way."""
    are_there = threading.Event()

    def script(talk: Talk) -> None:
        taken = talk.take(4)
        are_there.set()
        assert scene.go_on.wait(60)
        for message_id in taken:
            talk.answer(message_id)
        talk.take()

    scene.start(script)
    scene.begin(1, 2, 3, 4)
    assert are_there.wait(60)
    end(scene.modality)
    scene.go_on.set()


def test_all_are_answered_before_a_release(scene: Scene) -> None:
    ending(scene, lambda modality: modality.link.send(Event.RELEASE, ReleaseRequest()))
    octets = b""
    while isinstance(told := scene.modality.link.receive(60), memoryview):
        octets += bytes(told)
    assert octets.count(element(dimse.STATUS, 0x0000)) == 4


def test_outcome_of_each_is_in_the_log_when_the_modality_has_gone(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    ending(scene, lambda modality: modality.abort())
    assert everybody_has_left(scene.seed.service)
    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith("C-STORE from=")]
    assert len(lines) == 4
    assert "ended=" in lines[-1]
