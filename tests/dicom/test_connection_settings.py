"""What the attributes of a dicomNetworkConnection do, on real sockets of this machine."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from dcm4py_leading.dicom.scp.listener import bind_listener
from dcm4py_leading.dicom.scu.requestor import AssociationFailed, RequestedAssociation
from dcm4py_leading.dicom.upper.command import C_FIND_RQ, COMMAND_FIELD, DATA_SET_TYPE, MESSAGE_ID
from dcm4py_leading.dicom.upper.link import Link, LinkEnded
from dcm4py_leading.dicom.upper.pdu import AssociateAccept, AssociateRequest, ContextResult
from dcm4py_leading.dicom.upper.state import Event
from dcm4py_leading.model.device import ApplicationEntity, Connection, RemoteAE
from dcm4py_leading.model.values import AETitle
from tests.fixtures.links import CT, IMPLICIT, USER

SHORT = timedelta(milliseconds=200)
LONGEST = 4096
"""The longest PDU that the peer takes."""


class Peer:
    """Accepts one association, and then neither reads nor answers until it is let go."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.address = ""
        self.request: AssociateRequest | None = None
        self.let_go = threading.Event()
        self.pdu_lengths: list[int] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @property
    def remote(self) -> RemoteAE:
        """Where it is called."""
        target = Connection(dn="cn=peer", hostname="127.0.0.1", port=self.listening.getsockname()[1])
        return RemoteAE(dn="dicomAETitle=PEER", ae_title=AETitle("PEER"), device_name="peer", connections=(target,))

    def _run(self) -> None:
        try:
            sock, address = self.listening.accept()
        except OSError:
            return  # nobody called
        self.address = address[0]
        link = Link(sock, is_requestor=False, maximum_length=LONGEST)
        with contextlib.suppress(LinkEnded), contextlib.closing(link):
            request = link.receive(10)
            assert isinstance(request, AssociateRequest)
            self.request = request
            link.send(
                Event.ACCEPT,
                AssociateAccept(
                    called_ae_title=request.called_ae_title,
                    calling_ae_title=request.calling_ae_title,
                    contexts=tuple(ContextResult(found.context_id, 0, IMPLICIT) for found in request.contexts),
                    user=replace(USER, maximum_length=LONGEST),
                ),
            )
            self.let_go.wait(60)
            with sock:
                self.pdu_lengths = _pdu_lengths(sock)

    def close(self) -> None:
        """Let it go, and wait for its end."""
        self.let_go.set()
        if self._thread.is_alive():
            # Whoever waits in accept() is woken by this.
            with contextlib.suppress(OSError):
                self.listening.shutdown(socket.SHUT_RDWR)
            self._thread.join(20)
        self.listening.close()


def _pdu_lengths(sock: socket.socket) -> list[int]:
    """The lengths of the PDUs that still come, until the peer closes."""
    sock.settimeout(10)
    received = bytearray()
    with contextlib.suppress(OSError):
        while piece := sock.recv(1 << 16):
            received += piece
    lengths = []
    while len(received) >= 6:
        (length,) = struct.unpack_from(">L", received, 2)
        lengths.append(length)
        del received[: 6 + length]
    return lengths


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.close()


def local(**settings: object) -> ApplicationEntity:
    """Our AE on a connection with these settings."""
    fields: dict[str, object] = {"dn": "cn=dicom", "hostname": "localhost", **settings}
    return ApplicationEntity(
        dn="dicomAETitle=OURS",
        ae_title=AETitle("OURS"),
        association_initiator=True,
        association_acceptor=False,
        connections=(Connection(**fields),),  # type: ignore[arg-type]
    )


@contextlib.contextmanager
def called(peer: Peer, *, for_storage: bool = False, **settings: object) -> Iterator[RequestedAssociation]:
    """An association of ours with the peer, aborted in the end."""
    association = RequestedAssociation(local(**settings), peer.remote, [(CT, [IMPLICIT])], for_storage=for_storage)
    try:
        yield association
    finally:
        association.abort()


def send(association: RequestedAssociation, length: int) -> None:
    """Send one request with so many bytes of data."""
    (context,) = association.contexts
    association.send(context, {COMMAND_FIELD: C_FIND_RQ, MESSAGE_ID: 1, DATA_SET_TYPE: 1}, bytes(length))


@pytest.mark.ldap("dicomHostname")
@pytest.mark.ldap("dicomPort")
def test_a_remote_ae_is_called_at_its_host_name_and_port(peer: Peer) -> None:
    with called(peer):
        assert peer.address == "127.0.0.1"


@pytest.mark.ldap("dcmClientBindAddress")
def test_a_call_comes_from_the_address_that_is_configured(peer: Peer) -> None:
    with called(peer, client_bind_address="127.0.0.2"):
        assert peer.address == "127.0.0.2"


@pytest.mark.ldap("dcmReceivePDULength")
def test_called_peer_gets_our_maximum_length(peer: Peer) -> None:
    with called(peer, receive_pdu_length=16384):
        assert peer.request is not None
        assert peer.request.user.maximum_length == 16384


@pytest.mark.ldap("dcmSendPDULength")
@pytest.mark.parametrize(("configured", "longest"), [(1024, 1024), (100_000, LONGEST), (0, LONGEST)])
def test_pdus_are_as_long_as_both_sides_allow(peer: Peer, configured: int, longest: int) -> None:
    peer.let_go.set()
    with called(peer, send_pdu_length=configured) as association:
        send(association, 100_000)
    peer.close()
    assert max(peer.pdu_lengths) == longest


@pytest.mark.ldap("dcmStoreTimeout")
def test_peer_that_does_not_read_an_object_is_given_up(peer: Peer) -> None:
    with (
        called(peer, for_storage=True, store_timeout=SHORT, send_timeout=None) as association,
        pytest.raises(AssociationFailed),
    ):
        send(association, 1 << 24)


@pytest.mark.ldap("dcmSendTimeout")
def test_peer_that_does_not_read_a_request_is_given_up(peer: Peer) -> None:
    with called(peer, store_timeout=None, send_timeout=SHORT) as association, pytest.raises(AssociationFailed):
        send(association, 1 << 24)


@pytest.mark.ldap("dcmARRPTimeout")
def test_a_peer_that_does_not_answer_a_release_is_not_waited_for_longer(peer: Peer) -> None:
    with called(peer, arrp_timeout=SHORT) as association:
        association.release()
        assert not association.is_open


@pytest.mark.ldap("dcmTCPConnectTimeout")
def test_a_host_that_does_not_take_the_connection_in_time_is_given_up(peer: Peer) -> None:
    with contextlib.ExitStack() as full:
        listening = full.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        full.enter_context(socket.create_connection(listening.getsockname()))
        target = Connection(dn="cn=full", hostname="127.0.0.1", port=listening.getsockname()[1])
        remote = replace(peer.remote, connections=(target,))
        with pytest.raises(AssociationFailed, match="cannot connect"):
            RequestedAssociation(local(tcp_connect_timeout=SHORT), remote, [(CT, [IMPLICIT])])


@pytest.mark.ldap("dcmBindAddress")
@pytest.mark.ldap("dicomHostname")
@pytest.mark.parametrize(("bind_address", "address"), [("127.0.0.2", "127.0.0.2"), (None, "127.0.0.1")])
def test_a_connection_listens_on_its_bind_address_else_on_its_host_name(bind_address: str | None, address: str) -> None:
    connection = Connection(dn="cn=dicom", hostname="127.0.0.1", bind_address=bind_address, port=0)
    with bind_listener(connection) as listening:
        assert listening.getsockname()[0] == address


@pytest.mark.ldap("dcmTCPBacklog")
def test_backlog_of_connections_is_as_configured() -> None:
    connection = Connection(dn="cn=dicom", hostname="127.0.0.1", port=0, tcp_backlog=7)
    with bind_listener(connection) as listening:
        # Of a listening socket, tcpi_sacked of Linux is the length of its queue.
        info = listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32)
        assert struct.unpack_from("=I", info, 28) == (7,)
