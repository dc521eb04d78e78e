"""DIMSE messages between two associations of ours, and between one and a peer that a test writes byte by byte."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.dicom.upper import association as upper_association
from dcm4py_leading.dicom.upper import command as dimse
from dcm4py_leading.dicom.upper.association import Association
from dcm4py_leading.dicom.upper.command import Command
from dcm4py_leading.dicom.upper.dimse_message import DimseMessage, MoveOriginator
from dcm4py_leading.dicom.upper.failures import AssociationFailed, PeerReleases
from dcm4py_leading.dicom.upper.link import Link, LinkEnded, LinkTimeout
from dcm4py_leading.dicom.upper.pdu import ReleaseRequest, ReleaseResponse
from dcm4py_leading.dicom.upper.pdu_codec import data_header, encode
from dcm4py_leading.dicom.upper.state import Event, State
from dcm4py_leading.service.retrieve.encode import PreparedObject
from tests.fixtures.links import (
    CONTEXTS,
    CT,
    IMPLICIT,
    CountingSocket,
    associations,
    link_in,
    linked,
    prepared,
    read_all,
    store_object,
    tcp_pair,
)

ECHO: Command = {dimse.COMMAND_FIELD: dimse.C_ECHO_RQ, dimse.MESSAGE_ID: 1}
NO_DATA = {dimse.DATA_SET_TYPE: dimse.NO_DATA_SET}
COMMAND, LAST = 1, 2
Both = tuple[Association, Association]


@pytest.fixture
def both() -> Iterator[Both]:
    """An association: its requestor and its acceptor."""
    requestor, acceptor = associations()
    yield requestor, acceptor
    requestor.link.close()
    acceptor.link.close()


class Scripted:
    """An acceptor of ours, and the bare link of its peer."""

    def __init__(self) -> None:
        self.peer, acceptor = linked(*tcp_pair())
        self.association = Association(acceptor, CONTEXTS, 131072)

    def send(self, *values: tuple[int, int, bytes], in_one_pdu: bool = False) -> None:
        """Presentation data values: context ID, control header, bytes."""
        pdus = b"".join(data_header(context_id, control, len(value)) + value for context_id, control, value in values)
        if in_one_pdu:
            items = b"".join(
                (len(value) + 2).to_bytes(4) + bytes((context_id, control)) + value
                for context_id, control, value in values
            )
            pdus = b"\x04\0" + len(items).to_bytes(4) + items
        self.peer.send_data([pdus])

    def release(self) -> None:
        self.peer.send(Event.RELEASE, ReleaseRequest())

    def sees_abort(self) -> bool:
        try:
            self.peer.receive(20)
        except LinkEnded as err:
            return "aborted" in str(err)
        return False

    def close(self) -> None:
        self.peer.close()
        self.association.link.close()


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    scripted = Scripted()
    yield scripted
    scripted.close()


def command(message_id: int, *, field: int = dimse.C_ECHO_RQ, has_data: bool = False) -> bytes:
    return dimse.encode(
        {
            dimse.COMMAND_FIELD: field,
            dimse.MESSAGE_ID: message_id,
            dimse.DATA_SET_TYPE: 1 if has_data else dimse.NO_DATA_SET,
        }
    )


def cancel(message_id: int) -> bytes:
    return dimse.encode(
        {dimse.COMMAND_FIELD: dimse.C_CANCEL_RQ, dimse.MESSAGE_ID_BEING_RESPONDED_TO: message_id, **NO_DATA}
    )


def message_ids(association: Association, count: int) -> list[int | None]:
    return [association.receive(20).number(dimse.MESSAGE_ID) for _ in range(count)]


def data_of(association: Association) -> bytes:
    return b"".join(bytes(part) for part in association.data(20))


def in_thread(call: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


def ended(thread: threading.Thread) -> bool:
    thread.join(20)
    return not thread.is_alive()


# -- messages and their fragments ------------------------------------------------------------------------------------


@pytest.mark.parametrize("in_one_pdu", [True, False])
def test_a_message_comes_whole_however_it_is_cut(scripted: Scripted, in_one_pdu: bool) -> None:
    encoded = command(7, has_data=True)
    scripted.send(
        (1, COMMAND, encoded[:5]),
        (1, COMMAND, encoded[5:30]),
        (1, COMMAND | LAST, encoded[30:]),
        (1, 0, b"abc"),
        (1, 0, b""),
        (1, LAST, b"def"),
        (3, COMMAND | LAST, command(8)),
        in_one_pdu=in_one_pdu,
    )
    message = scripted.association.receive(20)
    assert (message.context, message.number(dimse.MESSAGE_ID)) == (CONTEXTS[0], 7)
    assert data_of(scripted.association) == b"abcdef"
    assert message_ids(scripted.association, 1) == [8]


def test_messages_in_one_pdu_survive_a_look_for_more(scripted: Scripted) -> None:
    scripted.send(
        (1, COMMAND | LAST, command(1, has_data=True)),
        (1, LAST, b"identifier"),
        (1, COMMAND | LAST, cancel(1)),
        (1, COMMAND | LAST, command(2)),
        in_one_pdu=True,
    )
    association = scripted.association
    assert message_ids(association, 1) == [1]
    assert data_of(association) == b"identifier"
    # Longer than the first PDU, so that it would lie over what is left of that.
    scripted.send((1, COMMAND | LAST, command(3, has_data=True)), (1, LAST, b"\xff" * 1000))
    assert association.is_over(1) and association.is_cancelled(1)
    assert message_ids(association, 2) == [2, 3]


@settings(max_examples=20)
@given(maximum_length=st.integers(0, 300), data=st.none() | st.binary(max_size=2000))
def test_a_message_of_any_length_is_received_as_it_was_sent(maximum_length: int, data: bytes | None) -> None:
    requestor, acceptor = associations(maximum_length)
    requestor.send([(3, {**ECHO, dimse.ERROR_COMMENT: "x" * 64}, data)])
    message = acceptor.receive(20)
    assert message.text(dimse.ERROR_COMMENT) == "x" * 64
    assert data_of(acceptor) == (data or b"")
    requestor.link.close()
    acceptor.link.close()


def test_a_data_set_that_is_not_read_is_dropped(both: Both) -> None:
    requestor, acceptor = both
    requestor.send([(3, ECHO, bytes(500_000)), (3, {**ECHO, dimse.MESSAGE_ID: 2}, b"abcd")])
    acceptor.receive(20)
    next(acceptor.data(20))
    assert message_ids(acceptor, 1) == [2]
    assert data_of(acceptor) == b"abcd"
    assert data_of(acceptor) == b""


def test_deferred_message_leaves_before_anything_is_waited_for(both: Both) -> None:
    requestor, acceptor = both
    encoded = dimse.encode({**ECHO, dimse.DATA_SET_TYPE: dimse.NO_DATA_SET})
    requestor.send_later(1, dimse.C_ECHO_RQ, encoded)
    assert acceptor.is_open and not acceptor._waiting
    with pytest.raises(LinkTimeout):
        requestor.receive(0.01)
    assert message_ids(acceptor, 1) == [1]


# -- cancel, and what comes too early --------------------------------------------------------------------------------


def test_a_cancel_counts_for_its_own_request_only(scripted: Scripted) -> None:
    association = scripted.association
    scripted.send((1, COMMAND | LAST, command(5)))
    assert message_ids(association, 1) == [5]
    assert not association.is_over(5)
    scripted.send((1, COMMAND | LAST, cancel(4)), (1, COMMAND | LAST, cancel(5)))
    assert any(association.is_over(5) for _ in range(1_000_000))
    assert association.is_cancelled(4) and not association.is_cancelled(6)
    association.forget_cancelled()
    assert not association.is_over(5)


def test_cancel_before_and_after_the_request_is_ignored(scripted: Scripted) -> None:
    scripted.send((1, COMMAND | LAST, cancel(5)), (1, COMMAND | LAST, command(5)), (1, COMMAND | LAST, cancel(5)))
    scripted.send((1, COMMAND | LAST, command(6)))
    assert message_ids(scripted.association, 2) == [5, 6]


def test_a_request_that_comes_while_another_is_served_is_served_next(scripted: Scripted) -> None:
    association = scripted.association
    scripted.send((1, COMMAND | LAST, command(1)))
    assert message_ids(association, 1) == [1]
    scripted.send((3, COMMAND | LAST, command(2, has_data=True)), (3, LAST, b"ab"), (1, COMMAND | LAST, command(3)))
    assert any(association._waiting for _ in range(1_000_000) if not association.is_over(1))
    assert message_ids(association, 1) == [2]
    assert data_of(association) == b"ab"
    assert message_ids(association, 1) == [3]


def test_a_look_waits_for_the_rest_of_a_message_no_longer_than_the_patience_lasts(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upper_association, "COMMAND_SECONDS", 0.01)
    scripted.association.link.set_send_timeout(0.01)
    scripted.send((1, COMMAND, command(1)[:10]))
    assert any(not scripted.association.is_open for _ in range(1_000_000))
    assert scripted.sees_abort()


# -- a peer that does not keep to the protocol -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        [(1, LAST, b"ab")],
        [(1, COMMAND | LAST, command(1, has_data=True)), (1, COMMAND | LAST, command(2))],
        [(1, COMMAND | LAST, command(1, has_data=True)), (3, LAST, b"ab")],
        [(5, COMMAND | LAST, command(1))],
        [(2, COMMAND | LAST, command(1))],
        [(1, COMMAND | LAST, b"no command")],
        [(1, COMMAND | LAST, b"")],
        [(1, COMMAND, bytes(100_000))] * 2,
    ],
    ids=[
        *(
            "data for a command",
            "command for data",
            "data in another context",
            "context not accepted",
            "even context ID",
        ),
        *("no command", "empty", "without end"),
    ],
)
def test_a_peer_that_misbehaves_is_aborted(scripted: Scripted, values: list[tuple[int, int, bytes]]) -> None:
    scripted.send(*values)

    def receive() -> None:
        while True:
            scripted.association.receive(20)

    with pytest.raises(AssociationFailed, match="aborted"):
        receive()
    assert scripted.sees_abort()
    with pytest.raises(AssociationFailed):
        scripted.association.receive(20)
    assert not scripted.association.is_open


@pytest.mark.parametrize("body", [b"\0\0\0\x01\x01\x03", b"\0\0\0\x7f\x01\x03", b"\0\0\0"])
def test_a_fragment_of_a_wrong_length_is_aborted(scripted: Scripted, body: bytes) -> None:
    scripted.peer.send_data([b"\x04\0" + len(body).to_bytes(4) + body])
    with pytest.raises(AssociationFailed, match="aborted"):
        scripted.association.receive(20)
    assert scripted.sees_abort()


# -- release ---------------------------------------------------------------------------------------------------------


def test_a_release_of_the_peer_is_told_and_answered(both: Both) -> None:
    requestor, acceptor = both
    thread = in_thread(lambda: requestor.release(20))
    with pytest.raises(PeerReleases):
        acceptor.receive(20)
    assert acceptor.is_releasing and not acceptor.is_open
    acceptor.release(20)
    assert ended(thread)
    assert requestor.link.state is acceptor.link.state is State.STA1


@pytest.mark.parametrize("own", [0, 1], ids=["requestor", "acceptor"])
def test_a_release_that_nobody_answers_ends_in_an_abort(both: Both, own: int) -> None:
    both[own].release(0.01)
    peer = both[1 - own].link
    assert peer.receive(20) == ReleaseRequest()
    with pytest.raises(LinkEnded, match="aborted"):
        peer.receive(20)


@pytest.mark.parametrize("is_requestor", [True, False], ids=["requestor", "acceptor"])
def test_a_release_at_the_same_time_is_a_collision_that_both_survive(is_requestor: bool) -> None:
    with ExitStack() as opened:
        ours, peer = map(opened.enter_context, tcp_pair())
        association = Association(link_in(State.STA6, ours, peer, is_requestor=is_requestor), CONTEXTS, 0)
        peer.sendall(encode(ReleaseRequest()))
        thread = in_thread(lambda: association.release(20))
        assert peer.recv(10) == encode(ReleaseRequest())
        if not is_requestor:
            # PS3.8 9.2.2: the requestor of the association answers first.
            peer.sendall(encode(ReleaseResponse()))
        assert peer.recv(10) == encode(ReleaseResponse())
        if is_requestor:
            peer.sendall(encode(ReleaseResponse()))
        peer.close()
        assert ended(thread)
        assert association.link.state is State.STA1
        assert read_nothing(association.link)


def read_nothing(link: Link) -> bool:
    with pytest.raises(LinkEnded):
        link.receive(0.01)
    return True


def test_two_associations_of_ours_that_release_at_once_both_end(both: Both) -> None:
    threads = [in_thread(lambda one=one: one.release(20)) for one in both]  # type: ignore[misc]
    assert all(ended(thread) for thread in threads)
    assert {one.link.state for one in both} == {State.STA1}


def test_data_that_is_under_way_when_we_release_is_passed_over(both: Both) -> None:
    requestor, acceptor = both
    acceptor.send([(1, ECHO, bytes(1000))])
    thread = in_thread(lambda: requestor.release(20))
    with pytest.raises(PeerReleases):
        acceptor.receive(20)
    acceptor.release(20)
    assert ended(thread)


# -- C-STORE ---------------------------------------------------------------------------------------------------------


def answer(acceptor: Association, *, status: int = 0, message_id: int | None = None) -> DimseMessage:
    request = acceptor.receive(20)
    for _ in acceptor.data(20):
        pass
    number = request.number(dimse.MESSAGE_ID) if message_id is None else message_id
    assert number is not None
    response: dict[int, int | str] = {
        dimse.COMMAND_FIELD: dimse.C_STORE_RQ | dimse.RESPONSE,
        dimse.MESSAGE_ID_BEING_RESPONDED_TO: number,
        dimse.STATUS: status,
    }
    acceptor.send([(request.context.context_id, response, None)])
    return request


def test_a_stored_object_has_the_status_of_its_response(both: Both) -> None:
    requestor, acceptor = both
    requests: list[DimseMessage] = []
    thread = in_thread(lambda: requests.append(answer(acceptor, status=0xB000)))
    assert store_object(requestor, prepared(bytes(1000)), 7, MoveOriginator("ORIGIN", 9), 20) == 0xB000
    assert ended(thread)
    (request,) = requests
    assert request.text(dimse.AFFECTED_SOP_INSTANCE_UID) == "1.2.3"
    assert request.text(dimse.MOVE_ORIGINATOR_AE_TITLE) == "ORIGIN"
    assert request.number(dimse.MOVE_ORIGINATOR_MESSAGE_ID) == 9


def test_response_to_another_message_gives_no_status(both: Both) -> None:
    requestor, acceptor = both
    thread = in_thread(lambda: answer(acceptor, message_id=6))
    assert store_object(requestor, prepared(b"ab"), 7, None, 20) is None
    assert ended(thread)


def test_no_response_is_no_status(both: Both) -> None:
    requestor, _ = both
    assert store_object(requestor, prepared(b"ab"), 7, None, 0.01) is None


def test_another_message_in_place_of_the_response_aborts(both: Both) -> None:
    requestor, acceptor = both
    acceptor.send([(1, ECHO, None)])
    assert store_object(requestor, prepared(b"ab"), 7, None, 20) is None
    assert not requestor.is_open


def test_a_peer_that_goes_while_we_send_is_no_status(both: Both) -> None:
    requestor, acceptor = both

    def leave() -> None:
        acceptor.receive(20)
        next(acceptor.data(20))
        acceptor.link.close()

    thread = in_thread(leave)
    assert store_object(requestor, prepared(*[bytes(1_000_000)] * 60), 7, None, 20) is None
    assert ended(thread)


def test_abort_before_the_response_gives_no_status(both: Both) -> None:
    requestor, acceptor = both
    acceptor.abort()
    assert store_object(requestor, prepared(b"ab"), 7, None, 20) is None
    assert not requestor.is_open


def test_a_cancel_that_comes_before_the_response_is_remembered(both: Both) -> None:
    requestor, acceptor = both
    cancelling = {dimse.COMMAND_FIELD: dimse.C_CANCEL_RQ, dimse.MESSAGE_ID_BEING_RESPONDED_TO: 1}

    def respond() -> None:
        acceptor.send([(1, cancelling, None)])
        answer(acceptor)

    thread = in_thread(respond)
    assert store_object(requestor, prepared(b"ab"), 7, None, 20) == 0
    assert requestor.is_over(1)
    assert requestor.is_cancelled(1)
    assert ended(thread)


def unreadable() -> Iterator[Sequence[Buffer]]:
    """The batches of an object whose file is lost half-way."""
    yield [b"ab"]
    raise OSError("lost")


def test_an_object_that_cannot_be_read_to_its_end_aborts(both: Both) -> None:
    requestor, acceptor = both
    obj = PreparedObject(
        sop_class_uid=CT, sop_instance_uid="1", transfer_syntax_uid=IMPLICIT, length=4, source=unreadable()
    )
    with pytest.raises(OSError, match="lost"):
        store_object(requestor, obj, 7, None, 20)
    acceptor.receive(20)
    with pytest.raises(AssociationFailed, match="aborted"):
        data_of(acceptor)


# -- system calls ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [2000, 1_000_000])
def test_a_c_store_costs_one_call_to_send_and_one_to_receive(length: int) -> None:
    requesting, accepting = linked(*tcp_pair(8 << 20))
    requestor, acceptor = (Association(link, CONTEXTS, 131072) for link in (requesting, accepting))
    thread = in_thread(lambda: [answer(acceptor) for _ in range(4)])
    assert store_object(requestor, prepared(bytes(length)), 1, None, 20) == 0
    counting = CountingSocket(requesting._socket)
    requesting._socket = counting  # type: ignore[assignment]
    for message_id in (2, 3, 4):
        assert store_object(requestor, prepared(bytes(length)), message_id, None, 20) == 0
    assert ended(thread)
    assert counting.calls["recv_into"] == 3
    assert counting.calls["setsockopt"] == 3  # TCP_QUICKACK
    assert set(counting.calls) == {"sendmsg", "recv_into", "setsockopt"}
    # A send that the system takes only in part is gone on with; of a small object it takes all.
    assert counting.calls["sendmsg"] == 3
    requesting.close()
    accepting.close()


def test_reading_a_look_for_a_cancel_costs_one_call(both: Both) -> None:
    requestor, acceptor = both
    counting = CountingSocket(acceptor.link._socket)
    acceptor.link._socket = counting  # type: ignore[assignment]
    assert not acceptor.is_over(1)
    assert counting.calls == {"recv_into": 1}
    assert requestor.is_open


def test_nothing_is_left_on_the_wire_of_an_aborted_association(both: Both) -> None:
    requestor, acceptor = both
    requestor.abort()
    with pytest.raises(AssociationFailed):
        acceptor.receive(20)
    assert read_all(requestor.link._socket) == b""
