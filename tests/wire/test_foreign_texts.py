"""Texts of peers and directories in the log: on one line, escaped, and short, wherever they stand."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing

import pytest

from dcm4py_leading.config.ldap.source import _check
from dcm4py_leading.config.ldap.url import LdapUrl
from dcm4py_leading.dicom.upper import command as dimse
from dcm4py_leading.dicom.upper.association import Association
from dcm4py_leading.dicom.upper.command import Command
from dcm4py_leading.errors import ConfigUnavailable
from dcm4py_leading.service.retrieve.encode import encoded
from tests.fixtures.links import CT, IMPLICIT, associate
from tests.fixtures.pacs import make_object
from tests.fixtures.scu import STUDY_FIND, STUDY_GET, STUDY_MOVE, identifier
from tests.fixtures.service import Seed

EVIL = "X\r\n2026-01-01 00:00:00,000 INFO forged status=0x0000\x1b[2J"
LONG = EVIL + "A" * 30_000
LONGEST_LINE = 1000
KEYS = identifier("STUDY", StudyInstanceUID="1.2.3")


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What is logged until the end of the test, which is looked at then."""
    caplog.set_level(logging.INFO)
    yield
    lines = [record.getMessage() for record in caplog.get_records("call")]
    assert lines
    for line in lines:
        assert line.isprintable(), line
        assert len(line) < LONGEST_LINE


def ask(association: Association, context_id: int, command: Command, data: bytes | None) -> tuple[int, str]:
    """Status and Error Comment of the last response."""
    with closing(association.link):
        association.send([(context_id, command, data)])
        while True:
            response = association.receive(60)
            list(association.data(60))
            code = response.number(dimse.STATUS)
            assert code is not None
            if code not in (0xFF00, 0xFF01):
                comment = response.text(dimse.ERROR_COMMENT)
                association.release(60)
                return code, comment


@pytest.mark.parametrize("title", [EVIL[:16], "A B", LONG], ids=["line end", "blank", "long"])
def test_a_move_destination(seed: Seed, title: str, logged: None) -> None:
    seed.start()
    association, _ = associate(seed.archive_port, [(str(STUDY_MOVE), [IMPLICIT])])
    command: dict[int, int | str] = {
        dimse.AFFECTED_SOP_CLASS_UID: str(STUDY_MOVE),
        dimse.COMMAND_FIELD: dimse.C_MOVE_RQ,
        dimse.MESSAGE_ID: 1,
        dimse.PRIORITY: 0,
        dimse.MOVE_DESTINATION: title,
    }
    code, comment = ask(association, 1, command, encoded(KEYS, IMPLICIT))
    assert code == 0xA801
    assert comment.isprintable()
    assert len(comment) <= 64


@pytest.mark.parametrize("element", [dimse.MOVE_ORIGINATOR_AE_TITLE, dimse.AFFECTED_SOP_INSTANCE_UID])
@pytest.mark.parametrize("text", [EVIL, LONG], ids=["line end", "long"])
def test_a_c_store_command(seed: Seed, element: int, text: str, logged: None) -> None:
    seed.start()
    association, _ = associate(seed.archive_port, [(CT, [IMPLICIT])])
    command: dict[int, int | str] = {
        dimse.AFFECTED_SOP_CLASS_UID: CT,
        dimse.COMMAND_FIELD: dimse.C_STORE_RQ,
        dimse.MESSAGE_ID: 1,
        dimse.PRIORITY: 0,
        dimse.AFFECTED_SOP_INSTANCE_UID: "1.2.3.1.1",
        dimse.MOVE_ORIGINATOR_MESSAGE_ID: 7,
        element: text,
    }
    code, _ = ask(association, 1, command, encoded(make_object("1.2.3", 1), IMPLICIT))
    assert code == (0x0000 if element == dimse.MOVE_ORIGINATOR_AE_TITLE else 0xA900)


@pytest.mark.parametrize("model", [STUDY_FIND, STUDY_GET])
def test_a_sop_class_that_is_none(seed: Seed, model: str, logged: None) -> None:
    seed.start()
    association, _ = associate(seed.archive_port, [(str(model), [IMPLICIT])])
    command: dict[int, int | str] = {
        dimse.AFFECTED_SOP_CLASS_UID: LONG,
        dimse.COMMAND_FIELD: dimse.C_FIND_RQ if model == STUDY_FIND else dimse.C_GET_RQ,
        dimse.MESSAGE_ID: 1,
        dimse.PRIORITY: 0,
    }
    code, comment = ask(association, 1, command, encoded(KEYS, IMPLICIT))
    assert code == 0x0122
    assert comment.isprintable()


def test_calling_and_called_ae_titles(seed: Seed, logged: None) -> None:
    seed.start()
    for calling, called in ((EVIL[:16], "DCM4CHEE"), ("A B\x1b", "DCM4CHEE"), ("OK", EVIL[:16])):
        association, _ = associate(seed.archive_port, [(CT, [IMPLICIT])], calling=calling, called=called)
        association.link.close()


def test_refusals_of_a_directory_are_told() -> None:
    result = {"result": 53, "description": "unwillingToPerform", "message": LONG}
    with pytest.raises(ConfigUnavailable) as raised:
        _check(LdapUrl.parse("ldap://ldap.example.org/dc=org"), result, "refuses the search")
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < LONGEST_LINE
