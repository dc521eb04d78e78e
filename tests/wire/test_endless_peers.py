"""Other archives and viewers that never come to an end: whoever waits for them does, with a status."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any

import pytest

from dcm4py_leading.dicom.upper.association import Association
from dcm4py_leading.dicom.upper.command import (
    AFFECTED_SOP_CLASS_UID,
    AFFECTED_SOP_INSTANCE_UID,
    C_STORE_RQ,
    COMMAND_FIELD,
    DATA_SET_TYPE,
    MESSAGE_ID,
    encode,
)
from dcm4py_leading.dicom.upper.failures import AssociationFailed
from dcm4py_leading.dicom.upper.link import Link
from dcm4py_leading.dicom.upper.pace import Pace
from dcm4py_leading.dicom.upper.pdu_codec import data_header
from dcm4py_leading.dicom.upstream import content as upstream_content
from dcm4py_leading.dicom.upstream import find as upstream_find
from tests.fixtures.links import CT, IMPLICIT, associate
from tests.fixtures.pacs import Received, ScriptedPacs, has, make_object, sends, uids_of
from tests.fixtures.proxy import await_rest, stand_in_front_of
from tests.fixtures.scripted import Viewer
from tests.fixtures.scu import find, get, identifier, move
from tests.fixtures.service import CONNECTION, Seed

STUDY = "1.2.826.0.1.3680043.8.498.91"
OBJECTS = [make_object(STUDY, number) for number in range(1, 4)]
KEYS = identifier("STUDY", StudyInstanceUID=STUDY)
StartPacs = Callable[..., ScriptedPacs]
StartViewer = Callable[..., Viewer]


class Pending:
    """The script of an archive that answers a retrieve with pending responses until it is cancelled."""

    def __init__(self, before: Callable[[Received], None] = lambda received: None) -> None:
        self.before = before
        self.was_cancelled = False

    def __call__(self, received: Received) -> None:
        self.before(received)
        with suppress(AssociationFailed):
            while not received.pacs.pause.wait(0.01):
                if received.is_cancelled:
                    self.was_cancelled = True
                    received.respond(0xFE00)
                    return
                received.respond(0xFF00, remaining=3, completed=0, failed=0, warning=0)


def in_front_of(seed: Seed, pacs: ScriptedPacs, **timeouts: str) -> None:
    stand_in_front_of(seed, pacs.port)
    if timeouts:
        seed.set(CONNECTION, **timeouts)
    seed.start()


def test_a_c_move_that_is_pending_for_ever_ends_and_is_cancelled(
    seed: Seed, scripted_pacs: StartPacs, viewer: StartViewer
) -> None:
    script = Pending()
    viewer(seed.viewer_port)
    in_front_of(seed, scripted_pacs(seed.archive_port, move=script), dcmRetrieveTimeout="500")
    final, _ = move(seed.archive_port, KEYS)[-1]
    assert final.Status == 0xC000
    assert final.ErrorComment == "PACS: nothing came in time"
    await_rest(seed)
    assert script.was_cancelled


def test_objects_that_came_before_are_delivered_and_the_others_failed(
    seed: Seed, scripted_pacs: StartPacs, viewer: StartViewer
) -> None:
    def one_object(received: Received) -> None:
        storing = received.pacs.storing(received)
        storing.store(OBJECTS[0])
        storing.release()

    script = Pending(one_object)
    stored = viewer(seed.viewer_port)
    in_front_of(seed, scripted_pacs(seed.archive_port, move=script), dcmRetrieveTimeout="500")
    final, _ = move(seed.archive_port, KEYS)[-1]
    assert (final.Status, final.NumberOfCompletedSuboperations, final.NumberOfFailedSuboperations) == (0xB000, 1, 2)
    await_rest(seed)
    assert script.was_cancelled
    assert uids_of(stored.received) == uids_of(OBJECTS[:1])


def test_a_c_get_that_is_pending_for_ever_ends_and_is_cancelled(
    seed: Seed, scripted_pacs: StartPacs, viewer: StartViewer
) -> None:
    script = Pending()
    row = identifier("STUDY", StudyInstanceUID=STUDY, SOPClassesInStudy=CT)
    pacs = scripted_pacs(seed.archive_port, find=has(row), get=script)
    in_front_of(seed, pacs, dcmRetrieveTimeout="500")
    responses, objects = get(seed.archive_port, KEYS)
    assert responses[-1][0].Status == 0xC000
    assert objects == []
    await_rest(seed)
    assert pacs.gets
    assert script.was_cancelled


def test_a_c_find_that_is_pending_without_identifiers_ends(seed: Seed, scripted_pacs: StartPacs) -> None:
    def script(received: Received) -> None:
        with suppress(AssociationFailed):
            while not received.pacs.pause.is_set():
                received.respond(0xFF00)

    in_front_of(seed, scripted_pacs(seed.archive_port, find=script))
    assert find(seed.archive_port, KEYS) == (0xC000, [])
    await_rest(seed)


def test_a_c_find_whose_answers_cannot_be_read_ends(
    seed: Seed, scripted_pacs: StartPacs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream_find, "UNREADABLE_ANSWERS", 20)
    monkeypatch.setattr(upstream_find.UpstreamFind, "_match", lambda *args: None)
    row = identifier("STUDY", StudyInstanceUID=STUDY)
    was_cancelled: list[bool] = []

    def script(received: Received) -> None:
        while not received.is_cancelled:
            received.respond(0xFF00, row)
        was_cancelled.append(True)
        received.respond(0xFE00)

    in_front_of(seed, scripted_pacs(seed.archive_port, find=script))
    assert find(seed.archive_port, KEYS) == (0xC000, [])
    await_rest(seed)
    assert was_cancelled == [True]


def test_endless_answers_before_a_retrieve_are_given_up(
    seed: Seed, scripted_pacs: StartPacs, viewer: StartViewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream_content, "QUESTION_SECONDS", 0.3)
    row = identifier("STUDY", StudyInstanceUID=STUDY, SOPClassesInStudy=CT)

    def script(received: Received) -> None:
        while not received.is_cancelled:
            received.respond(0xFF00, row)
        received.respond(0xFE00)

    stored = viewer(seed.viewer_port)
    in_front_of(seed, scripted_pacs(seed.archive_port, find=script, move=sends(OBJECTS), get=sends(OBJECTS)))
    assert move(seed.archive_port, KEYS)[-1][0].Status == 0x0000
    assert uids_of(stored.received) == uids_of(OBJECTS)
    await_rest(seed)


def test_loss_of_a_peer_is_noticed_without_idle_timeout(seed: Seed, monkeypatch: pytest.MonkeyPatch) -> None:
    watched: list[int] = []
    notice_loss = Link.notice_loss

    def noticed(link: Link) -> None:
        notice_loss(link)
        watched.append(link._socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))

    monkeypatch.setattr(Link, "notice_loss", noticed)
    seed.set(CONNECTION, dcmIdleTimeout="0")
    seed.start()
    association, _ = associate(seed.archive_port, [(CT, [IMPLICIT])])
    association.release(60)
    assert watched == [1]


@pytest.mark.parametrize("value", [b"", b"ab"], ids=["of zero length", "of two octets"])
def test_a_c_store_that_drips_is_ended_and_leaves_nothing(
    seed: Seed, value: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    defaults: dict[str, Any] | None = Association.data.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "pace", Pace(0.2, 10_000))
    caplog.set_level(logging.INFO)
    pause = threading.Event()
    seed.start()
    association, _ = associate(seed.archive_port, [(CT, [IMPLICIT])])
    command: dict[int, int | str] = {
        AFFECTED_SOP_CLASS_UID: CT,
        COMMAND_FIELD: C_STORE_RQ,
        MESSAGE_ID: 1,
        DATA_SET_TYPE: 1,
    }
    encoded = encode({**command, AFFECTED_SOP_INSTANCE_UID: "1.2.3"})
    with closing(association.link):
        association.link.send_data([data_header(1, 3, len(encoded)) + encoded])
        while association.is_open:
            with suppress(Exception):
                association.link.send_data([data_header(1, 0, len(value)) + value])
            pause.wait(0.01)
    while "C-STORE from=TESTSCU" not in caplog.text:
        pause.wait(0.01)
    assert "bytes of a data set in" in caplog.text
    assert not [path for path in seed.data_dir.rglob("*") if path.is_file() and ".incoming" in path.parts]
