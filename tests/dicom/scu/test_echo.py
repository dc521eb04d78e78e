"""A C-ECHO of ours: how far it came, whatever the peer does."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import pytest

from dcm4py_leading.dicom.scu import echo as scu_echo
from dcm4py_leading.dicom.scu.echo import echo
from dcm4py_leading.model.device import ApplicationEntity, Connection, RemoteAE
from dcm4py_leading.model.values import AETitle
from dcm4py_leading.service.monitor.echo import EchoResult
from tests.fixtures.ports import free_port
from tests.fixtures.scripted import Viewer, silent_listener

OURS = ApplicationEntity(
    dn="",
    ae_title=AETitle("DCM4CHEE"),
    association_initiator=True,
    association_acceptor=True,
    connections=(Connection(dn="", hostname="localhost"),),
)


def peer_at(port: int | None, **settings: object) -> RemoteAE:
    connection = Connection(dn="", hostname="127.0.0.1", port=port, **settings)  # type: ignore[arg-type]
    return RemoteAE(dn="", ae_title=AETitle("STORESCP"), device_name="", connections=(connection,))


@pytest.mark.parametrize("host", ["..", ".", f"a.{'b' * 300}", "\ud800"])
def test_invalid_host_name_is_not_connected(host: str) -> None:
    peer = RemoteAE(
        dn="", ae_title=AETitle("STORESCP"), device_name="", connections=(Connection(dn="", hostname=host, port=104),)
    )
    outcome = echo(OURS, peer)
    assert outcome.result is EchoResult.NOT_CONNECTED
    assert "expected a host name" in (outcome.error or "")


def test_a_port_without_anybody_is_not_connected() -> None:
    outcome = echo(OURS, peer_at(free_port()))
    assert outcome.result is EchoResult.NOT_CONNECTED
    assert "STORESCP" in (outcome.error or "")


def test_silent_peer_is_given_up_after_the_timeout() -> None:
    port = free_port()
    with silent_listener(port):
        outcome = echo(OURS, peer_at(port), most_seconds=0.2)
    assert outcome.result is EchoResult.NOT_CONNECTED
    assert "in time" in (outcome.error or "")


def test_a_host_name_that_is_looked_up_for_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    going_on = threading.Event()

    def look_up(*_: object, **__: object) -> list[object]:
        going_on.wait(60)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(scu_echo, "_GRACE_SECONDS", 0.1)
    outcome = echo(OURS, peer_at(104), most_seconds=0.1)
    going_on.set()
    assert outcome.result is EchoResult.NOT_CONNECTED
    assert "looked up" in (outcome.error or "")


def test_a_bug_is_not_taken_for_the_peers_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object, **__: object) -> list[object]:
        raise RuntimeError("a bug")

    monkeypatch.setattr(socket, "getaddrinfo", breaks)
    with pytest.raises(RuntimeError, match="a bug"):
        echo(OURS, peer_at(104))


def test_a_peer_without_a_plain_connection_is_incompatible() -> None:
    outcome = echo(OURS, peer_at(104, tls_cipher_suites=("TLS_AES_128_GCM_SHA256",)))
    assert (outcome.result, outcome.connection_ms) == (EchoResult.INCOMPATIBLE, 0)


def test_an_ae_that_must_not_initiate_calls_nobody() -> None:
    acceptor = ApplicationEntity(
        dn="",
        ae_title=AETitle("DCM4CHEE"),
        association_initiator=False,
        association_acceptor=True,
        connections=OURS.connections,
    )
    outcome = echo(acceptor, peer_at(104))
    assert outcome.result is EchoResult.INCOMPATIBLE
    assert "dicomAssociationInitiator" in (outcome.error or "")


def test_a_peer_that_accepts_no_verification_rejects(viewer: Callable[..., Viewer]) -> None:
    port = free_port()
    viewer(port)
    outcome = echo(OURS, peer_at(port))
    assert outcome.result is EchoResult.REJECTED
    assert "Verification" in (outcome.error or "")
