"""A connection with the upper layer on it, on real sockets."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.dicom.upper.link import ForeignProtocol, Link, LinkEnded, LinkTimeout, PeerAborted
from dcm4py_leading.dicom.upper.pdu import Abort, ReleaseRequest
from dcm4py_leading.dicom.upper.pdu_codec import data_header, encode, fragments
from dcm4py_leading.dicom.upper.state import Event, NotAllowed, State
from tests.fixtures.links import (
    ACCEPTOR_STATES,
    REQUEST,
    REQUESTOR_STATES,
    CountingSocket,
    link_in,
    linked,
    read_all,
    tcp_pair,
)

STATES = [*((True, state) for state in REQUESTOR_STATES), *((False, state) for state in ACCEPTOR_STATES)]
every_state = pytest.mark.parametrize(
    ("is_requestor", "state"), STATES, ids=[f"{'requestor' if own else 'acceptor'}-{s.name}" for own, s in STATES]
)
Pair = Callable[..., tuple[socket.socket, socket.socket]]
INVALID_PDU_PARAMETER = encode(Abort(2, 1))
UNEXPECTED_PDU = encode(Abort(2, 2))


@pytest.fixture
def pair() -> Iterator[Pair]:
    with ExitStack() as opened:

        def make(buffer_size: int | None = None) -> tuple[socket.socket, socket.socket]:
            one, other = tcp_pair(buffer_size)
            opened.callback(one.close)
            opened.callback(other.close)
            return one, other

        yield make


def in_thread(call: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Run it beside; the list holds what it returned or raised."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(call())
        except Exception as err:
            outcome.append(err)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, outcome


def ended(thread: threading.Thread) -> bool:
    thread.join(60)
    return not thread.is_alive()


def data_pdu(value: bytes) -> bytes:
    return data_header(1, 2, len(value)) + value


def value_of(received: object) -> bytes:
    assert isinstance(received, memoryview)
    return b"".join(bytes(value) for _, _, value in fragments(received))


# -- receiving -------------------------------------------------------------------------------------------------------


def test_a_pdu_in_single_bytes_is_one_pdu(pair: Pair) -> None:
    ours, peer = pair()
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link = Link(ours, is_requestor=False, maximum_length=131072)
    thread, outcome = in_thread(lambda: link.receive(20))
    for byte in encode(REQUEST):
        peer.sendall(bytes([byte]))
    assert ended(thread)
    assert outcome == [REQUEST]


def test_many_pdus_in_one_piece_are_told_one_by_one(pair: Pair) -> None:
    ours, peer = pair()
    link = link_in(State.STA6, ours, peer, is_requestor=False)
    values = [bytes([number]) * (number * 37 + 1) for number in range(120)]
    peer.sendall(b"".join(map(data_pdu, values)) + encode(ReleaseRequest()))
    assert [value_of(link.receive(20)) for _ in values] == values
    assert link.receive(20) == ReleaseRequest()


def test_a_pdu_longer_than_the_buffer_and_what_follows_it_come_whole(pair: Pair) -> None:
    ours, peer = pair()
    link = link_in(State.STA6, ours, peer, is_requestor=False)
    values = [b"a" * 16370, b"b" * 500_000, b"c", b"d" * 131_072, b"e" * 40]
    thread, _ = in_thread(lambda: peer.sendall(b"".join(map(data_pdu, values))))
    assert [value_of(link.receive(20)) for _ in values] == values
    assert ended(thread)


def test_peer_with_unlimited_length_gets_more_than_a_megabyte(pair: Pair) -> None:
    ours, peer = pair()
    link = Link(ours, is_requestor=False, maximum_length=0)
    value = b"x" * (3 << 20)
    thread, _ = in_thread(lambda: peer.sendall(encode(REQUEST) + data_pdu(value)))
    assert link.receive(20) == REQUEST
    link._machine.on(Event.ACCEPT)
    assert value_of(link.receive(20)) == value
    assert ended(thread)


def expect_abort(link: Link, peer: socket.socket, abort: bytes) -> None:
    thread, outcome = in_thread(lambda: link.receive(20))
    assert peer.recv(10, socket.MSG_WAITALL) == abort
    peer.close()
    assert ended(thread)
    assert isinstance(outcome[0], LinkEnded)
    assert link.state is State.STA1


def protocol_abort(is_requestor: bool, state: State, abort: bytes) -> bytes:
    # PS3.8 table 9-10: before there is an association, AA-1, which is ours.
    return encode(Abort(0, 0)) if state is State.STA2 else abort


@every_state
def test_an_unknown_pdu_is_answered_by_an_abort(is_requestor: bool, state: State, pair: Pair) -> None:
    ours, peer = pair()
    link = link_in(state, ours, peer, is_requestor=is_requestor)
    peer.sendall(b"\x09\0\xff\xff\xff\xff")
    expect_abort(link, peer, protocol_abort(is_requestor, state, INVALID_PDU_PARAMETER))


@every_state
def test_a_pdu_that_is_longer_than_allowed_is_not_waited_for(is_requestor: bool, state: State, pair: Pair) -> None:
    ours, peer = pair()
    link = link_in(state, ours, peer, is_requestor=is_requestor)
    peer.sendall(b"\x04\0\x7f\xff\xff\xff")
    expect_abort(link, peer, protocol_abort(is_requestor, state, INVALID_PDU_PARAMETER))


@every_state
def test_a_malformed_pdu_is_answered_by_an_abort(is_requestor: bool, state: State, pair: Pair) -> None:
    ours, peer = pair()
    link = link_in(state, ours, peer, is_requestor=is_requestor)
    peer.sendall(b"\x01\0\0\0\0\x03abc")
    expect_abort(link, peer, protocol_abort(is_requestor, state, INVALID_PDU_PARAMETER))


@pytest.mark.parametrize(("is_requestor", "state"), [pair for pair in STATES if pair[1] is not State.STA2])
def test_a_second_association_request_is_answered_by_an_abort(is_requestor: bool, state: State, pair: Pair) -> None:
    ours, peer = pair()
    link = link_in(state, ours, peer, is_requestor=is_requestor)
    peer.sendall(encode(REQUEST))
    expect_abort(link, peer, UNEXPECTED_PDU)


@every_state
def test_an_abort_of_the_peer_ends_it(is_requestor: bool, state: State, pair: Pair) -> None:
    ours, peer = pair()
    link = link_in(state, ours, peer, is_requestor=is_requestor)
    peer.sendall(encode(Abort(0, 0)))
    with pytest.raises(PeerAborted):
        link.receive(20)
    assert link.state is State.STA1
    assert read_all(peer) == b""


@every_state
def test_a_connection_that_closes_ends_it(is_requestor: bool, state: State, pair: Pair) -> None:
    ours, peer = pair()
    link = link_in(state, ours, peer, is_requestor=is_requestor)
    peer.close()
    with pytest.raises(LinkEnded):
        link.receive(20)
    assert link.state is State.STA1
    with pytest.raises(LinkEnded):
        link.receive(20)


def test_a_connection_that_closes_within_a_pdu_ends_it(pair: Pair) -> None:
    ours, peer = pair()
    link = link_in(State.STA6, ours, peer, is_requestor=False)
    peer.sendall(data_pdu(b"abc")[:-1])
    peer.close()
    with pytest.raises(LinkEnded, match="closed by the peer"):
        link.receive(20)


# -- time ------------------------------------------------------------------------------------------------------------


def test_pdu_after_a_timeout_is_still_received(pair: Pair) -> None:
    ours, peer = pair()
    link = link_in(State.STA6, ours, peer, is_requestor=False)
    with pytest.raises(LinkTimeout):
        link.receive(0.01)
    peer.sendall(data_pdu(b"abc"))
    assert value_of(link.receive(None)) == b"abc"


def test_pause_within_a_pdu_is_limited_by_the_timeout(pair: Pair) -> None:
    ours, peer = pair()
    link = link_in(State.STA6, ours, peer, is_requestor=False)
    link.set_send_timeout(0.01)
    peer.sendall(data_pdu(b"abc")[:-1])
    with pytest.raises(LinkTimeout):
        link.receive(None)


def test_peer_that_does_not_read_times_out_without_abort_inside_a_pdu(pair: Pair) -> None:
    ours, peer = pair(4096)
    link = link_in(State.STA6, ours, peer, is_requestor=True)
    link.set_send_timeout(0.01)
    sent = data_pdu(b"x" * 10_000_000)
    with pytest.raises(LinkTimeout):
        link.send_data([sent])
    thread, outcome = in_thread(lambda: read_all(peer))
    link.abort()
    assert ended(thread)
    assert sent.startswith(outcome[0])


@every_state
def test_has_input_does_not_wait(is_requestor: bool, state: State, pair: Pair) -> None:
    ours, peer = pair()
    link = link_in(state, ours, peer, is_requestor=is_requestor)
    assert not link.has_input()
    peer.sendall(encode(Abort(0, 0))[:7])
    # What has come is half a PDU.
    assert not link.has_input()
    peer.sendall(encode(Abort(0, 0))[7:])
    assert _becomes_true(link.has_input)
    with pytest.raises(PeerAborted):
        link.receive(None)
    assert link.has_input()


def _becomes_true(question: Callable[[], bool]) -> bool:
    return any(question() for _ in range(1_000_000))


def test_has_input_sees_a_connection_that_has_closed(pair: Pair) -> None:
    ours, peer = pair()
    link = link_in(State.STA6, ours, peer, is_requestor=False)
    peer.close()
    assert _becomes_true(link.has_input)


# -- sending ---------------------------------------------------------------------------------------------------------


def test_more_buffers_than_the_system_takes_at_once_arrive_in_order(pair: Pair) -> None:
    ours, peer = pair()
    link = link_in(State.STA6, ours, peer, is_requestor=True)
    buffers = [number.to_bytes(2) for number in range(5000)]
    link.send_data(buffers)
    link.close()
    assert read_all(peer) == b"".join(buffers)


def test_partial_sends_deliver_every_byte(pair: Pair) -> None:
    ours, peer = pair(4096)
    link = link_in(State.STA6, ours, peer, is_requestor=True)
    buffers = [b"", *(bytes([number % 251]) * (number * 13) for number in range(700)), b""]
    thread, outcome = in_thread(lambda: read_all(peer))
    link.send_data(buffers)
    link.close()
    assert ended(thread)
    assert outcome == [b"".join(buffers)]


def test_pdu_not_allowed_in_a_state_is_not_sent(pair: Pair) -> None:
    ours, peer = pair()
    link = link_in(State.STA5, ours, peer, is_requestor=True)
    with pytest.raises(NotAllowed):
        link.send(Event.RELEASE, ReleaseRequest())
    with pytest.raises(LinkEnded):
        link.send_data([data_pdu(b"abc")])
    link.close()
    assert read_all(peer) == b""


def test_nagle_is_off(pair: Pair) -> None:
    ours, _ = pair()
    link = Link(ours, is_requestor=True, maximum_length=0)
    assert link._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="Linux only")
def test_acknowledging_at_once_is_asked_for_again_before_each_wait(pair: Pair) -> None:
    ours, peer = pair()
    link = link_in(State.STA6, ours, peer, is_requestor=False)
    for _ in range(3):
        counting = CountingSocket(ours)
        link._socket = counting  # type: ignore[assignment]
        peer.sendall(data_pdu(b"abc"))
        link.receive(20)
        assert counting.calls == {"setsockopt": 1, "recv_into": 1}


# -- abort -----------------------------------------------------------------------------------------------------------


@every_state
def test_an_abort_of_ours_tells_the_peer_where_there_is_something_to_abort(
    is_requestor: bool, state: State, pair: Pair
) -> None:
    ours, peer = pair()
    link = link_in(state, ours, peer, is_requestor=is_requestor)
    link.abort()
    # PS3.8 table 9-10: nothing is to be aborted before a request has come and after the end.
    told = b"" if state in (State.STA2, State.STA13) else encode(Abort(0, 0))
    assert read_all(peer) == told
    link.abort()
    link.close()
    link.abort()


def test_an_abort_ends_the_wait_of_another_thread(pair: Pair) -> None:
    ours, peer = pair()
    link = link_in(State.STA6, ours, peer, is_requestor=False)
    thread, outcome = in_thread(lambda: link.receive(None))
    link.abort()
    assert ended(thread)
    assert isinstance(outcome[0], LinkEnded)
    assert read_all(peer) == encode(Abort(0, 0))


def test_an_abort_ends_the_connection_though_the_peer_takes_nothing(pair: Pair) -> None:
    one, other = pair(4096)
    link, _ = linked(one, other)
    with pytest.raises(BlockingIOError):
        while True:
            one.send(bytes(4096), socket.MSG_DONTWAIT)
    link.abort()
    with pytest.raises(LinkEnded):
        link.receive(60)


def test_an_abort_ends_the_sending_of_another_thread(pair: Pair) -> None:
    ours, peer = pair(4096)
    link = link_in(State.STA6, ours, peer, is_requestor=False)
    sent = data_pdu(b"x" * 30_000_000)
    thread, outcome = in_thread(lambda: link.send_data([sent]))
    # Once something of it is here, and not all of it can be, that thread is within the PDU.
    received = peer.recv(1)
    link.abort()
    assert sent.startswith(received + read_all(peer))
    assert ended(thread)
    assert isinstance(outcome[0], LinkEnded)


# -- TLS -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    directory = tmp_path_factory.mktemp("tls")
    pem, key = directory / "tls.pem", directory / "tls.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(pem), "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*command, "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    return pem, key


@pytest.fixture
def tls_pair(pair: Pair, certificate: tuple[Path, Path]) -> Iterator[tuple[ssl.SSLSocket, ssl.SSLSocket]]:
    one, other = pair()
    pem, key = certificate
    of_server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    of_server.load_cert_chain(pem, key)
    of_client = ssl.create_default_context(cafile=str(pem))
    thread, outcome = in_thread(lambda: of_server.wrap_socket(other, server_side=True))
    client = of_client.wrap_socket(one, server_hostname="localhost")
    assert ended(thread)
    (server,) = outcome
    with client, server:
        yield client, server


def test_tls_carries_small_and_large_messages(tls_pair: tuple[ssl.SSLSocket, ssl.SSLSocket]) -> None:
    requestor, acceptor = linked(*tls_pair)
    requestor.send_data([data_pdu(b"echo")])
    assert value_of(acceptor.receive(20)) == b"echo"
    values = [bytes([number]) * 100_000 for number in range(100)]

    def send() -> None:
        for value in values:
            requestor.send_data([data_pdu(value)])

    thread, _ = in_thread(send)
    assert [value_of(acceptor.receive(20)) for _ in values] == values
    assert ended(thread)


def test_tls_times_out_and_goes_on(tls_pair: tuple[ssl.SSLSocket, ssl.SSLSocket]) -> None:
    requestor, acceptor = linked(*tls_pair)
    with pytest.raises(LinkTimeout):
        acceptor.receive(0.01)
    requestor.send_data([data_pdu(b"abc")])
    assert value_of(acceptor.receive(20)) == b"abc"
    requestor.set_send_timeout(0.01)
    with pytest.raises(LinkTimeout):
        requestor.send_data([data_pdu(b"x" * 1_000_000)] * 30)


def test_has_input_sees_what_waits_inside_of_tls(tls_pair: tuple[ssl.SSLSocket, ssl.SSLSocket]) -> None:
    requestor, acceptor = linked(*tls_pair)
    assert not acceptor.has_input()
    # One record, of which the buffer takes a part: nothing is left in the socket.
    requestor.send_data([data_pdu(b"a" * 9000) + data_pdu(b"b" * 7000)])
    assert _becomes_true(acceptor.has_input)
    assert value_of(acceptor.receive(20)) == b"a" * 9000
    assert _becomes_true(acceptor.has_input)
    assert value_of(acceptor.receive(20)) == b"b" * 7000
    assert not acceptor.has_input()
    requestor.abort()
    assert _becomes_true(acceptor.has_input)
    with pytest.raises(PeerAborted):
        acceptor.receive(20)


def test_a_peer_that_is_rejected_over_tls_gets_to_read_it(tls_pair: tuple[ssl.SSLSocket, ssl.SSLSocket]) -> None:
    requestor, acceptor = linked(*tls_pair)
    acceptor.send(Event.RELEASE, ReleaseRequest())
    thread, _ = in_thread(lambda: acceptor.linger(20))
    assert requestor.receive(20) == ReleaseRequest()
    requestor.close()
    assert ended(thread)


def test_a_length_that_is_only_announced_costs_no_memory(pair: Pair) -> None:
    ours, peer = pair()
    link = link_in(State.STA2, ours, peer, is_requestor=False)
    peer.sendall(b"\x01\0" + (1 << 20).to_bytes(4) + bytes(100))
    with pytest.raises(LinkTimeout):
        link.receive(0.01)
    assert len(link._buffer) < 1 << 16
    link.close()


def test_many_small_buffers_are_sent_in_time_that_grows_with_their_number(pair: Pair) -> None:
    ours, peer = pair()
    link = link_in(State.STA6, ours, peer, is_requestor=False)
    counting: Any = CountingBuffers()
    link._socket = counting
    link.send_data([b"ab"] * 50_000)
    assert counting.sent == 100_000
    assert counting.looked_at < 500_000
    link._socket = ours
    link.close()


class CountingBuffers:
    """A socket that takes a hundred octets at a time, and counts the buffers that it is shown."""

    def __init__(self) -> None:
        self.sent = 0
        self.looked_at = 0

    def sendmsg(self, buffers: Sequence[Buffer]) -> int:
        self.looked_at += len(buffers)
        taken = min(sum(map(len, buffers)), 1001)
        self.sent += taken
        return taken


@pytest.mark.parametrize(
    ("sent", "protocol"),
    [
        (b"\x16\x03\x01\x02\x00\x01", "TLS"),
        (b"GET / HTTP/1.1\r\n\r\n", "HTTP"),
        (b"PROXY TCP4 1.2.3.4", "the PROXY protocol"),
        (b"SSH-2.0-OpenSSH", "SSH"),
        (b"\x0bMSH|^~\\&|", "HL7"),
    ],
)
def test_another_protocol_is_recognized(pair: Pair, sent: bytes, protocol: str) -> None:
    ours, peer = pair()
    link = link_in(State.STA2, ours, peer, is_requestor=False)
    peer.sendall(sent)
    peer.shutdown(socket.SHUT_WR)
    with pytest.raises(ForeignProtocol) as caught:
        link.receive(20)
    assert caught.value.protocol == protocol
