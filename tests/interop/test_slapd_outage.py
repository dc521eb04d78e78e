"""The slapd of the tests can be taken away and given back."""

from __future__ import annotations

import socket

import pytest

from tests.fixtures.slapd import BASE_DN, OUR_LDIF, Slapd, SlapdFactory

pytestmark = pytest.mark.peers

ANONYMOUS_BIND = bytes.fromhex("300c 0201 01 60 07 0201 03 04 00 80 00".replace(" ", ""))


@pytest.fixture
def slapd(slapd_factory: SlapdFactory) -> Slapd:
    return slapd_factory(content=[OUR_LDIF / "quickstart.ldif"])


def test_stopped_server_refuses_connections(slapd: Slapd) -> None:
    slapd.stop()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", slapd.port), timeout=5)


def test_restarted_server_has_its_port_and_its_entries_again(slapd: Slapd) -> None:
    before, url = slapd.ldapsearch("dn"), slapd.url
    slapd.stop()
    slapd.start()

    assert slapd.url == url
    assert slapd.ldapsearch("dn") == before


def test_frozen_server_answers_when_it_thaws(slapd: Slapd) -> None:
    with slapd.frozen():
        connection = socket.create_connection(("127.0.0.1", slapd.port), timeout=0.3)
        connection.sendall(ANONYMOUS_BIND)
        with pytest.raises(TimeoutError):
            connection.recv(1)

    connection.settimeout(10)
    with connection:
        assert connection.recv(1)


def test_writing_takes_the_password(slapd: Slapd) -> None:
    slapd.password_file.write_text("wrong")

    refused = slapd.ldapmodify(f"dn: {BASE_DN}\nchangetype: delete\n")

    assert refused.returncode == 49, refused.stderr
