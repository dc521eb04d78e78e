"""Asynchronous Operations Window: its arithmetic, and responses that are read while a peer does not read."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcm4py_leading.dicom.upper import command as dimse
from dcm4py_leading.dicom.upper.association import Association
from dcm4py_leading.dicom.upper.failures import AssociationFailed
from dcm4py_leading.dicom.upper.window import ONE_AT_A_TIME, Window, answer, answered, granted, proposal
from dcm4py_leading.model.bounds import OPERATIONS_AT_ONCE, WAITING_REQUESTS_BYTES
from dcm4py_leading.model.device import Connection
from tests.dicom.upper.test_association import ended, in_thread
from tests.fixtures.links import CONTEXTS, CT, associations, linked, prepared, tcp_pair
from tests.fixtures.windowed_sink import read_pdu, store_response
from tests.fixtures.workers import until

NUMBER = st.integers(0, 65535)


def connection(invoked: int, performed: int | None) -> Connection:
    return Connection(dn="cn=dicom", hostname="localhost", max_ops_invoked=invoked, max_ops_performed=performed)


CONNECTIONS = st.builds(connection, NUMBER, st.none() | NUMBER)


def as_many(number: int | None) -> float:
    """A number of which 0 is any."""
    return 1 if number is None else number or float("inf")


@given(CONNECTIONS, CONNECTIONS)
def test_both_sides_understand_the_same_window_and_nobody_gets_more_than_allowed(
    own: Connection, peer: Connection
) -> None:
    proposed = proposal(own, peer)
    told = answer(peer, proposed)
    requestor, acceptor = granted(proposed, told), answered(told)
    assert requestor == Window(invoked=acceptor.performed, performed=acceptor.invoked)
    assert 1 <= requestor.invoked <= OPERATIONS_AT_ONCE and 1 <= requestor.performed <= OPERATIONS_AT_ONCE
    assert requestor.invoked <= min(as_many(own.max_ops_invoked), as_many(peer.max_ops_performed))
    assert requestor.performed <= min(as_many(own.max_ops_performed), as_many(peer.max_ops_invoked))


@given(CONNECTIONS, st.tuples(NUMBER, NUMBER))
def test_an_acceptor_that_raises_a_number_grants_no_more(own: Connection, told: tuple[int, int]) -> None:
    proposed = proposal(own, connection(0, None))
    window = granted(proposed, told)
    assert window.invoked <= as_many(own.max_ops_invoked)
    assert proposed is not None or window == ONE_AT_A_TIME


def test_silence_is_one_at_a_time() -> None:
    assert proposal(connection(1, None), connection(0, 0)) is None
    assert granted((4, 1), None) == granted(None, (4, 4)) == ONE_AT_A_TIME
    assert answer(connection(4, 4), None) is None
    assert answered(None) == ONE_AT_A_TIME
    assert answer(connection(1, None), (4, 4)) == (1, 1)


# -- responses that come while a peer does not take what we send ------------------------------------------------------


@pytest.fixture
def narrow() -> Iterator[tuple[Association, socket.socket]]:
    """An association with room for a few kB between both sides, and the bare socket of the peer."""
    ours, theirs = tcp_pair(4096)
    requesting, accepting = linked(ours, theirs)
    yield Association(requesting, CONTEXTS, 16384, Window(invoked=64)), accepting._socket
    requesting.close()
    accepting.close()


def test_responses_are_read_while_a_peer_reads_nothing_before_they_are(
    narrow: tuple[Association, socket.socket],
) -> None:
    association, peer = narrow
    count, size = 40, 1 << 20

    def answer_first() -> None:
        """Read the requests, but of the last object nothing before all others are answered at length."""
        for _ in range(2 * count):
            read_pdu(peer)
        peer.sendall(
            b"".join(store_response(3, message_id, 0, CT, "1.2.3", "x" * 1000) for message_id in range(1, count + 1))
        )
        left = size
        while left > 0:
            pdu_type, body = read_pdu(peer)
            assert pdu_type == 4
            left -= 0 if body[5] & 1 else len(body) - 6
        peer.sendall(store_response(3, count + 1, 0, CT, "1.2.3"))

    association.link.set_send_timeout(20)
    thread = in_thread(answer_first)
    for message_id in range(1, count + 1):
        association.begin_store(prepared(b"ab"), message_id, None)
    association.begin_store(prepared(bytes(size)), count + 1, None)
    assert [association.store_response(20) for _ in range(count + 1)] == [(number, 0) for number in range(1, count + 2)]
    assert ended(thread)


def test_a_peer_that_takes_nothing_is_given_up_in_time(narrow: tuple[Association, socket.socket]) -> None:
    association, _ = narrow
    association.link.set_send_timeout(0.2)
    with pytest.raises(AssociationFailed, match="does not take"):
        association.begin_store(prepared(bytes(1 << 22)), 1, None)


def test_a_peer_that_closes_while_we_send_is_noticed(narrow: tuple[Association, socket.socket]) -> None:
    association, peer = narrow
    association.link.set_send_timeout(20)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def close_early() -> None:
        read_pdu(peer)
        peer.close()

    thread = in_thread(close_early)
    with pytest.raises(AssociationFailed, match="connection lost"):
        association.begin_store(prepared(bytes(1 << 22)), 1, None)
    assert ended(thread)
    assert association.store_response(20) is None


# -- messages that come before they are wanted -----------------------------------------------------------------------


def test_identifiers_that_wait_are_bounded() -> None:
    requestor, acceptor = associations(window=Window(performed=3))
    command = {dimse.COMMAND_FIELD: dimse.C_FIND_RQ, dimse.MESSAGE_ID: 1}
    requestor.send([(1, command, b"ab")])
    acceptor.receive(20)
    assert b"".join(acceptor.data(20)) == b"ab"
    half = bytes(WAITING_REQUESTS_BYTES // 2)
    thread = in_thread(lambda: requestor.send([(1, {**command, dimse.MESSAGE_ID: n}, half) for n in (2, 3)]))
    until(lambda: acceptor.is_lost or len(acceptor._waiting) == 2)
    assert not acceptor.is_lost
    assert ended(thread)
    in_thread(lambda: requestor.send([(1, {**command, dimse.MESSAGE_ID: 4}, b"ab")]))
    until(lambda: acceptor.is_lost)
    assert "requests that wait" in acceptor.lost_by
    requestor.link.close()
    acceptor.link.close()


def test_an_object_that_waits_is_left_where_it_is() -> None:
    requestor, acceptor = associations(window=Window(performed=3))
    requestor.send([(1, {dimse.COMMAND_FIELD: dimse.C_ECHO_RQ, dimse.MESSAGE_ID: 1}, None)])
    acceptor.receive(20)
    thread = in_thread(lambda: requestor.begin_store(prepared(bytes(1 << 24)), 2, None))
    until(lambda: acceptor.has_input)
    assert acceptor.is_open and not list(acceptor.data(20))
    message = acceptor.receive(20)
    assert message.held is None and message.number(dimse.MESSAGE_ID) == 2
    assert sum(len(part) for part in acceptor.data(20)) == 1 << 24
    assert ended(thread)
    requestor.link.close()
    acceptor.link.close()
