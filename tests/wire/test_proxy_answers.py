"""Answers of an archive behind the proxy: one that is odd costs no other, and what it says is not logged."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable

import pytest

from dcm4py_leading import log
from dcm4py_leading.dicom.upper import command as dimse
from tests.fixtures.pacs import Received, ScriptedPacs
from tests.fixtures.proxy import stand_in_front_of
from tests.fixtures.scu import STUDY_FIND, associated, identifier
from tests.fixtures.service import Seed

STUDY = "1.2.826.0.1.3680043.8.498.231"
KEYS = identifier("STUDY", StudyInstanceUID="", PatientName="")


def raw(received: Received, data: bytes) -> None:
    """A pending response with these octets."""
    command: dict[int, int | str] = {
        dimse.AFFECTED_SOP_CLASS_UID: STUDY_FIND,
        dimse.COMMAND_FIELD: dimse.C_FIND_RQ | dimse.RESPONSE,
        dimse.MESSAGE_ID_BEING_RESPONDED_TO: received.message_id,
        dimse.STATUS: 0xFF00,
    }
    received._assoc.send([(received._message.context.context_id, command, data)])


def test_an_answer_that_cannot_be_read_is_left_out_and_told(
    seed: Seed, scripted_pacs: Callable[..., ScriptedPacs], caplog: pytest.LogCaptureFixture
) -> None:
    def script(received: Received) -> None:
        for number in range(3):
            received.respond(0xFF00, identifier("STUDY", StudyInstanceUID=f"{STUDY}.{number}", PatientName="N"))
            raw(received, b"\x10\x00\x10\x00PN\xff\x00A")
        received.respond(0x0000)

    pacs = scripted_pacs(seed.archive_port, find=script)
    stand_in_front_of(seed, pacs.port)
    seed.start()
    with associated(seed.archive_port, [STUDY_FIND]) as assoc:
        responses = list(assoc.send_c_find(KEYS, STUDY_FIND))
    assert [status.Status for status, _ in responses] == [0xFF00] * 3 + [0x0000]
    assert [ds.StudyInstanceUID for _, ds in responses[:-1]] == [f"{STUDY}.{number}" for number in range(3)]
    assert "3 answers of PACS cannot be read, and are left out" in caplog.text


def test_an_error_comment_is_passed_on_and_not_logged(
    seed: Seed, scripted_pacs: Callable[..., ScriptedPacs], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def script(received: Received) -> None:
        received.respond(0xA700, comment="no SECRET^NAME\nhere")

    pacs = scripted_pacs(seed.archive_port, find=script)
    stand_in_front_of(seed, pacs.port)
    seed.start()
    with associated(seed.archive_port, [STUDY_FIND]) as assoc:
        (final, _) = list(assoc.send_c_find(KEYS, STUDY_FIND))[-1]
    assert final.Status == 0xA700
    assert final.ErrorComment == "PACS: C-FIND ended with status 0xA700: no SECRET^NAME?here"
    assert "C-FIND ended with status 0xA700" in caplog.text
    assert "SECRET" not in caplog.text


def test_nothing_in_a_message_can_pass_for_another_line_of_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        log.configure("INFO")
        logging.getLogger("test").info("it says %s", "X\n2026-01-01 00:00:00,000 INFO EVIL\r\x1b[2J\x85")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    first, second = stream.getvalue().splitlines()
    assert first.endswith("it says X")
    assert second == "    2026-01-01 00:00:00,000 INFO EVIL\\r\\x1b[2J\\x85"
