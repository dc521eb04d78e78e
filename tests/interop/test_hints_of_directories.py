"""What 389 Directory Server and ApacheDS tell besides their entries: that something changed, when, and by whom."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

import pytest

from dcm4py_leading.config.following.push import Push
from dcm4py_leading.config.ldap.hints import LdapHints
from dcm4py_leading.config.ldap.source import LdapSource
from tests.fixtures.directories import SERVERS, DirectoryOf
from tests.fixtures.directory import BASE_DN, DirectoryServer
from tests.fixtures.service import AE, DEVICE

pytestmark = pytest.mark.peers

RULE = f"cn=Heard,{DEVICE}"
ADD = (
    f"dn: {RULE}\nchangetype: add\nobjectClass: dcmArchiveAttributeCoercion\ncn: Heard\n"
    "dcmDIMSE: C_STORE_RQ\ndicomTransferRole: SCP\n"
)
DELETE = f"dn: {RULE}\nchangetype: delete\n"


def describe(dn: str, text: str) -> str:
    return f"dn: {dn}\nchangetype: modify\nreplace: dicomDescription\ndicomDescription: {text}\n"


@pytest.fixture(params=[server for server in ("389", "apacheds") if server in SERVERS])
def directory(request: pytest.FixtureRequest, directory_of: DirectoryOf) -> Iterator[DirectoryServer]:
    """A server that others use too: left as it was."""
    found = directory_of(request.param, "ours")
    before = {dn: found.entry(dn, "dicomDescription")["dicomdescription"][0] for dn in (DEVICE, AE)}
    yield found
    for dn, text in before.items():
        assert found.ldapmodify(describe(dn, text)).returncode == 0


@pytest.fixture
def hints(directory: DirectoryServer) -> LdapHints:
    source = LdapSource([f"{directory.url}/{BASE_DN}"], bind_dn=directory.bind_dn, password=directory.password)
    return LdapHints(source)


def change(directory: DirectoryServer, record: str) -> None:
    done = directory.ldapmodify(record)
    assert done.returncode == 0, done.stderr


@contextmanager
def listening(hints: LdapHints, directory: DirectoryServer, heard: Event) -> Iterator[None]:
    """Within it, the server has told of a change: until then it may not have begun to."""
    push = Push(hints, "dcm4chee-arc", heard.set)
    push.start()
    try:
        for number in range(100):
            change(directory, describe(DEVICE, f"are you there {number}"))
            if push.is_listening.wait(0.3):
                break
        assert push.is_listening.is_set()
        yield
    finally:
        push.stop()


def test_every_kind_of_change_is_heard(directory: DirectoryServer, hints: LdapHints) -> None:
    heard = Event()
    with listening(hints, directory, heard):
        for record in (describe(AE, "new"), ADD, DELETE):
            heard.clear()
            change(directory, record)
            assert heard.wait(60), record


def test_mark_moves_with_every_kind_of_change_and_only_then(directory: DirectoryServer, hints: LdapHints) -> None:
    marks = [hints.mark(["dcm4chee-arc"], ["QRSCP"])]
    for record in (describe(AE, "another"), ADD, DELETE):
        assert hints.mark(["dcm4chee-arc"], ["QRSCP"]) == marks[-1]
        change(directory, record)
        marks.append(hints.mark(["dcm4chee-arc"], ["QRSCP"]))
        assert marks[-1] != marks[-2]


def test_author_of_a_change_is_reported(directory: DirectoryServer, hints: LdapHints) -> None:
    change(directory, describe(AE, "by whom"))
    (author,) = hints.authors([AE, f"cn=nobody,{DEVICE}"])
    # ApacheDS writes the names of attributes as OIDs.
    who = directory.bind_dn.partition(",")[0].partition("=")[2]
    assert author.dn == AE and who.lower() in author.name.lower()
    assert author.at.year >= 2024
