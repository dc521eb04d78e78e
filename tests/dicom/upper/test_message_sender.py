"""Messages cut into P-DATA-TF."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.dicom.upper import command as dimse
from dcm4py_leading.dicom.upper.command import Command
from dcm4py_leading.dicom.upper.fragmenting import LONGEST_SENT
from dcm4py_leading.dicom.upper.message_sender import MessageSender
from dcm4py_leading.dicom.upper.pdu_codec import fragments
from dcm4py_leading.service.retrieve.encode import PreparedObject
from tests.fixtures.links import CONTEXTS, prepared

(CONTEXT,) = (context for context in CONTEXTS if context.context_id == 3)
ECHO: Command = {dimse.COMMAND_FIELD: dimse.C_ECHO_RQ, dimse.DATA_SET_TYPE: dimse.NO_DATA_SET}
COMMAND, LAST = 1, 2


class _Sent:
    """A link that keeps what is sent."""

    is_tls = False

    def __init__(self) -> None:
        self.sent = bytearray()
        self.calls = 0

    def send_data(self, buffers: Sequence[Buffer], *, reads: bool = False) -> None:
        self.calls += 1
        self.sent += b"".join(buffers)

    def pdus(self) -> Iterator[memoryview]:
        at = 0
        while at < len(self.sent):
            length = int.from_bytes(self.sent[at + 2 : at + 6])
            yield memoryview(self.sent)[at + 6 : at + 6 + length]
            at += 6 + length


def sent_as(maximum_length: int, obj: PreparedObject) -> list[list[tuple[int, int, bytes]]]:
    """Fragments of a C-STORE of ``obj``, by PDU."""
    link: Any = _Sent()
    command = dimse.encode_store(obj.sop_class_uid, obj.sop_instance_uid, 1, None)
    MessageSender(link, maximum_length, reads_while_sending=False).send_object(CONTEXT, command, obj)
    return [[(cid, control, bytes(value)) for cid, control, value in fragments(body)] for body in link.pdus()]


def check_fragments(maximum_length: int, buffers: Sequence[bytes]) -> None:
    pdus = sent_as(maximum_length, prepared(*buffers))
    longest = maximum_length or 1 << 17
    assert all(sum(6 + len(value) for _, _, value in values) <= longest for values in pdus)
    values = [value for values in pdus for value in values]
    if longest > 7:  # else there is no room for two octets
        assert not any(len(value) % 2 for _, control, value in values if not control & LAST)
    assert {context_id for context_id, _, _ in values} == {3}
    of_command = [value for value in values if value[1] & COMMAND]
    of_data = values[len(of_command) :]
    assert b"".join(value for _, _, value in of_data) == b"".join(buffers)
    for part in (of_command, of_data):
        # PS3.8 E.2: the last fragment, and no other, says so.
        assert [bool(control & LAST) for _, control, _ in part] == [False] * (len(part) - 1) + [True]
    assert not any(control & COMMAND for _, control, _ in of_data)


@pytest.mark.parametrize("maximum_length", [0, 7, 13, 100, 101, 4096, 16382, 131072])
@pytest.mark.parametrize("off_by", [-1, 0, 1])
def test_fragments_keep_to_the_maximum_of_the_peer(maximum_length: int, off_by: int) -> None:
    most = (maximum_length or 1 << 17) - 6 & ~1 or 1
    for times in (1, 2, 3):
        length = max(most * times + off_by, 0)
        check_fragments(maximum_length, [bytes(length)])
        check_fragments(maximum_length, [bytes(length // 2), bytes(length - length // 2)])


@given(
    maximum_length=st.integers(7, 300),
    buffers=st.lists(st.binary(max_size=400), min_size=1, max_size=12),
)
def test_any_buffers_arrive_joined(maximum_length: int, buffers: list[bytes]) -> None:
    check_fragments(maximum_length, buffers)


@pytest.mark.parametrize("buffers", [[b""] * 9, [b"ab", b"", b"", b""], [b"", b"", b"", b"ab"]])
def test_an_empty_batch_is_no_fragment(buffers: list[bytes]) -> None:
    check_fragments(131072, buffers)


def test_a_peer_that_takes_any_length_gets_128_kb_at_a_time() -> None:
    longest = max(sum(6 + len(value) for _, _, value in values) for values in sent_as(0, prepared(bytes(1_000_000))))
    assert longest == LONGEST_SENT == 131072


def test_a_command_that_may_wait_leaves_before_what_is_sent_next_in_the_same_call() -> None:
    link: Any = _Sent()
    sender = MessageSender(link, 0, reads_while_sending=False)
    sender.send_later(3, dimse.C_ECHO_RQ, dimse.encode({**ECHO, dimse.MESSAGE_ID: 1}))
    assert not link.calls
    sender.send([(3, {**ECHO, dimse.MESSAGE_ID: 2}, None)])
    commands = [dimse.decode(value) for body in link.pdus() for _, _, value in fragments(body)]
    assert [command[dimse.MESSAGE_ID] for command in commands] == [1, 2]
    assert (link.calls, sender.sent[dimse.C_ECHO_RQ]) == (1, 2)


def test_a_command_is_repeated_before_each_data_set_in_one_call() -> None:
    link: Any = _Sent()
    sender = MessageSender(link, 0, reads_while_sending=False)
    sender.send_each(3, {dimse.COMMAND_FIELD: dimse.C_FIND_RQ | dimse.RESPONSE}, [b"ab", b"cd"])
    values = [(control, bytes(value)) for body in link.pdus() for _, control, value in fragments(body)]
    assert [control for control, _ in values] == [COMMAND | LAST, LAST] * 2
    assert values[0] == values[2]
    assert [value for _, value in values[1::2]] == [b"ab", b"cd"]
    assert link.calls == 1


@pytest.mark.parametrize(("maximum_length", "expected"), [(0, True), (1023, False), (1024, True)])
def test_a_peer_takes_data_sets_unless_its_maximum_is_short(maximum_length: int, expected: bool) -> None:
    link: Any = _Sent()
    assert MessageSender(link, maximum_length, reads_while_sending=False).takes_data_sets is expected
