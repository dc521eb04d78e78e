"""No server holds up a read for longer than its bounds, and every error tells where and at which step."""

import logging
import socket
import threading
from contextlib import ExitStack, suppress

import pytest

from dcm4py_leading.config.ldap import session as ldap_session
from dcm4py_leading.config.ldap import source as ldap_source
from dcm4py_leading.config.ldap.source import LdapSource
from dcm4py_leading.errors import ConfigUnavailable
from tests.fixtures.clock import Clock
from tests.fixtures.slapd import BASE_DN
from tests.fixtures.trees import DEVICE, TREE

LONG_MESSAGE = bytes.fromhex("30840010000002")
"""Begins an LDAP message of a megabyte."""


@pytest.fixture
def slapd(slapd_factory, upstream):
    return slapd_factory(schema=upstream.schema, content=[TREE])


@pytest.fixture
def running():
    with ExitStack() as stack:
        yield stack


def listener(running, backlog=10):
    """A socket that takes connections; nobody accepts them."""
    sock = running.enter_context(socket.create_server(("127.0.0.1", 0), backlog=backlog))
    return sock, f"ldap://127.0.0.1:{sock.getsockname()[1]}/{BASE_DN}"


def test_server_that_drops_packets_costs_the_connect_timeout(running):
    sock, url = listener(running, backlog=0)
    running.enter_context(socket.create_connection(sock.getsockname()))  # fills the backlog: the next SYN is dropped
    with pytest.raises(ConfigUnavailable, match=rf"{sock.getsockname()[1]}/.*: cannot connect: .*timed out"):
        LdapSource([url], connect_timeout_seconds=0.2).read_ae("DCM4CHEE")


def test_server_that_says_nothing_costs_the_receive_timeout(running):
    _, url = listener(running)
    with pytest.raises(ConfigUnavailable, match=r": cannot bind: .*timed out"):
        LdapSource([url], receive_timeout_seconds=1).read_ae("DCM4CHEE")


def test_server_that_never_comes_to_an_end_costs_the_read_timeout(running):
    sock, url = listener(running)
    is_over = threading.Event()

    def dribble():
        connection, _ = sock.accept()
        with connection, suppress(OSError):
            connection.recv(100)
            connection.sendall(LONG_MESSAGE)
            while not is_over.wait(0.05):  # always before the receive timeout
                connection.sendall(b"\x00")

    server = threading.Thread(target=dribble)
    server.start()
    running.callback(server.join)
    running.callback(is_over.set)
    with pytest.raises(ConfigUnavailable, match="cannot bind: gave up after 1 s"):
        LdapSource([url], receive_timeout_seconds=10, read_timeout_seconds=1).read_ae("DCM4CHEE")


def answering(running, octets):
    """URL of a server that answers whatever comes with these octets."""
    sock, url = listener(running)

    def answer():
        connection, _ = sock.accept()
        with connection, suppress(OSError):
            connection.recv(100)
            connection.sendall(octets)
            connection.recv(100)

    server = threading.Thread(target=answer)
    server.start()
    running.callback(server.join)
    return url


def test_server_that_tells_without_end_is_given_up(running, monkeypatch):
    monkeypatch.setattr(ldap_session, "DIRECTORY_BYTES", 100_000)
    url = answering(running, LONG_MESSAGE + bytes(1_000_000))
    with pytest.raises(ConfigUnavailable, match=r"cannot bind: .*more than 100000 bytes"):
        LdapSource([url]).read_ae("DCM4CHEE")


def nested(depth):
    """An LDAP message of sequences in each other."""
    octets = b""
    for _ in range(depth):
        octets = b"\x30\x84" + len(octets).to_bytes(4) + octets
    return octets


@pytest.mark.parametrize("octets", [nested(5000), b"\x30\x00", b"\x30\x03\x02\x01\x01", b"\x30\x02\x05\x00"])
def test_message_that_cannot_be_decoded_is_told(running, octets):
    url = answering(running, octets)
    with pytest.raises(ConfigUnavailable, match="cannot bind"):
        LdapSource([url], receive_timeout_seconds=1, read_timeout_seconds=20).read_ae("DCM4CHEE")


def test_directory_with_more_entries_than_anybody_has_is_refused(slapd, monkeypatch):
    monkeypatch.setattr(ldap_source, "DIRECTORY_ENTRIES", 1)
    with pytest.raises(ConfigUnavailable, match="more than 1 entries below"):
        LdapSource([f"{slapd.url}/{BASE_DN}"]).read_device("dcm4chee-arc")


def test_given_up_connection_is_closed(running):
    sock, url = listener(running)
    with pytest.raises(ConfigUnavailable, match="gave up"):
        LdapSource([url], read_timeout_seconds=0.2).read_ae("DCM4CHEE")
    connection, _ = sock.accept()
    connection.settimeout(10)
    with connection:
        while connection.recv(100):
            pass


def test_name_that_nobody_resolves_costs_the_read_timeout(running, monkeypatch):
    resolved = threading.Event()
    running.callback(resolved.set)

    def resolve(*_, **__):
        resolved.wait()
        raise socket.gaierror("too late")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    source = LdapSource([f"ldap://ldap.example/{BASE_DN}"], read_timeout_seconds=0.2)
    with pytest.raises(ConfigUnavailable, match=r"ldap\.example.*: cannot resolve the host name: gave up after 0\.2 s"):
        source.read_ae("DCM4CHEE")


def test_unknown_host_name_is_unavailable():
    with pytest.raises(ConfigUnavailable, match=r"ldap\.invalid.*: cannot resolve the host name: "):
        LdapSource([f"ldap://ldap.invalid/{BASE_DN}"]).read_ae("DCM4CHEE")


def test_server_frozen_between_two_reads_is_unavailable_and_serves_again_when_it_thaws(slapd):
    source = LdapSource([f"{slapd.url}/{BASE_DN}"], receive_timeout_seconds=1)
    assert source.read_ae("DCM4CHEE")
    with slapd.frozen(), pytest.raises(ConfigUnavailable, match=f"{slapd.port}/.*: cannot bind: "):
        source.read_ae("DCM4CHEE")
    assert source.read_ae("DCM4CHEE")[0].dn == DEVICE


def test_frozen_first_server_costs_its_timeout_once_in_a_while(slapd, slapd_factory, upstream, caplog):
    second = slapd_factory(schema=upstream.schema, content=[TREE])
    clock = Clock(1000.0)
    urls = [f"{slapd.url}/{BASE_DN}", f"{second.url}/{BASE_DN}"]
    both = LdapSource(urls, receive_timeout_seconds=1, clock=clock)
    caplog.set_level(logging.WARNING)

    def failures():
        return sum(str(slapd.port) in record.getMessage() for record in caplog.records)

    with slapd.frozen():
        for _ in range(5):
            assert both.read_ae("DCM4CHEE")
        assert failures() == 1
        clock.now += 10
        for _ in range(5):
            assert both.read_ae("DCM4CHEE")
        assert failures() == 2
    second.stop()
    assert both.read_ae("DCM4CHEE")  # in its pause, and asked all the same
    assert failures() == 2


def test_each_of_several_frozen_servers_gets_its_share_of_the_read_timeout(slapd, running):
    _, first = listener(running)
    _, second = listener(running)
    source = LdapSource([first, second, f"{slapd.url}/{BASE_DN}"], read_timeout_seconds=3)
    assert source.read_ae("DCM4CHEE")
