"""Command sets, held against pynetdicom's."""

from __future__ import annotations

import struct
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from pynetdicom.dsutils import decode as their_decode
from pynetdicom.dsutils import encode as their_encode

from dcm4py_leading.dicom import status
from dcm4py_leading.dicom.message import Request, progress_of, request_from, response_to
from dcm4py_leading.dicom.upper import command as dimse
from dcm4py_leading.dicom.upper.command import MalformedCommand
from dcm4py_leading.dicom.upper.dimse_message import DimseMessage, PresentationContext
from dcm4py_leading.service.retrieve.tally import SubOperationTally

UIDS = st.lists(st.integers(0, 10**9), min_size=2, max_size=6).map(lambda parts: ".".join(map(str, parts)))
TITLES = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", min_size=1, max_size=16)
NUMBERS = st.integers(0, 0xFFFF)
COMMANDS = st.fixed_dictionaries(
    {dimse.COMMAND_FIELD: NUMBERS, dimse.DATA_SET_TYPE: NUMBERS},
    optional={
        dimse.AFFECTED_SOP_CLASS_UID: UIDS,
        dimse.MESSAGE_ID: NUMBERS,
        dimse.MESSAGE_ID_BEING_RESPONDED_TO: NUMBERS,
        dimse.MOVE_DESTINATION: TITLES,
        dimse.PRIORITY: NUMBERS,
        dimse.STATUS: NUMBERS,
        dimse.ERROR_COMMENT: TITLES,
        dimse.AFFECTED_SOP_INSTANCE_UID: UIDS,
        dimse.REMAINING: NUMBERS,
        dimse.COMPLETED: NUMBERS,
        dimse.FAILED: NUMBERS,
        dimse.WARNING: NUMBERS,
        dimse.MOVE_ORIGINATOR_AE_TITLE: TITLES,
        dimse.MOVE_ORIGINATOR_MESSAGE_ID: NUMBERS,
    },
)


def data_set(command: dict[int, int | str]) -> Dataset:
    ds = Dataset()
    for element, value in command.items():
        ds.add_new(element, dictionary_VR(element), value)
    return ds


def encoded_by_them(ds: Dataset) -> bytes:
    body = their_encode(ds, True, True) or b""
    length = Dataset()
    length.CommandGroupLength = len(body)
    return (their_encode(length, True, True) or b"") + body


@given(COMMANDS)
def test_they_encode_the_same_bytes(command: dict[int, int | str]) -> None:
    assert dimse.encode(command) == encoded_by_them(data_set(command))


@given(COMMANDS)
def test_they_read_what_we_encode(command: dict[int, int | str]) -> None:
    encoded = dimse.encode(command)
    ds = their_decode(BytesIO(encoded), True, True)
    assert ds.CommandGroupLength == len(encoded) - 12
    del ds.CommandGroupLength
    assert ds == data_set(command)


@given(COMMANDS)
def test_we_read_what_they_encode(command: dict[int, int | str]) -> None:
    decoded = dimse.decode(encoded_by_them(data_set(command)))
    for element, value in command.items():
        read = dimse.number if isinstance(value, int) else dimse.text
        assert read(decoded, element) == value
    assert dimse.has_data_set(decoded) == (command[dimse.DATA_SET_TYPE] != 0x0101)


@given(UIDS, UIDS, NUMBERS, st.none() | st.tuples(TITLES, NUMBERS))
def test_the_c_store_request_built_in_one_go_is_that_of_the_elements(
    sop_class: str, sop_instance: str, message_id: int, originator: tuple[str, int] | None
) -> None:
    command: dict[int, int | str] = {
        dimse.AFFECTED_SOP_CLASS_UID: sop_class,
        dimse.COMMAND_FIELD: dimse.C_STORE_RQ,
        dimse.MESSAGE_ID: message_id,
        dimse.PRIORITY: 0,
        dimse.DATA_SET_TYPE: 1,
        dimse.AFFECTED_SOP_INSTANCE_UID: sop_instance,
    }
    if originator is not None:
        command[dimse.MOVE_ORIGINATOR_AE_TITLE], command[dimse.MOVE_ORIGINATOR_MESSAGE_ID] = originator
    assert dimse.encode_store(sop_class, sop_instance, message_id, originator) == dimse.encode(command)


@given(UIDS, NUMBERS, st.tuples(*4 * [st.integers(0, 0x1FFFF)]))
def test_a_response_that_tells_progress_is_that_of_the_elements(
    sop_class: str, message_id: int, counts: tuple[int, int, int, int]
) -> None:
    remaining, completed, failed, warning = counts
    tally = SubOperationTally(remaining=remaining, completed=completed, failed=failed, warning=warning)
    message = DimseMessage(
        PresentationContext(1, sop_class, "1.2.840.10008.1.2", as_scu=False, as_scp=True),
        {
            dimse.COMMAND_FIELD: dimse.C_GET_RQ,
            dimse.MESSAGE_ID: message_id,
            dimse.DATA_SET_TYPE: 1,
            dimse.AFFECTED_SOP_CLASS_UID: sop_class.encode(),
        },
    )
    request = request_from(message, iter(()))
    assert isinstance(request, Request)
    response = response_to(request, status.PENDING, tally=tally, remaining=True)
    assert progress_of(request, tally) == (
        response[dimse.COMMAND_FIELD],
        dimse.encode({**response, dimse.DATA_SET_TYPE: dimse.NO_DATA_SET}),
    )


def test_an_odd_uid_is_padded_with_a_null_and_other_text_with_a_space() -> None:
    encoded = dimse.encode({dimse.AFFECTED_SOP_CLASS_UID: "1.2", dimse.MOVE_DESTINATION: "ABC"})
    assert b"1.2\0" in encoded and b"ABC " in encoded


def test_absent_element_has_no_number_and_empty_text() -> None:
    decoded = dimse.decode(dimse.encode({dimse.COMMAND_FIELD: 1}))
    assert dimse.number(decoded, dimse.STATUS) is None
    assert dimse.text(decoded, dimse.MOVE_DESTINATION) == ""


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\0",
        dimse.encode({dimse.MESSAGE_ID: 1}),
        b"\x08\0\x16\0\x04\0\0\0" + b"1.2\0",
        b"\0\0\0\x01\xff\xff\xff\xff\x01\0",
        dimse.encode({dimse.COMMAND_FIELD: 1})[:-1],
    ],
    ids=["nothing", "half a header", "no Command Field", "another group", "too long", "cut"],
)
def test_invalid_command_set_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedCommand):
        dimse.decode(data)


@given(st.binary(max_size=200))
def test_random_bytes_are_a_command_or_malformed(data: bytes) -> None:
    try:
        decoded = dimse.decode(data)
    except MalformedCommand:
        return
    assert dimse.number(decoded, dimse.COMMAND_FIELD) is not None


@given(COMMANDS, st.data())
def test_a_changed_byte_leaves_a_command_or_is_malformed(command: dict[int, int | str], data: st.DataObject) -> None:
    encoded = bytearray(dimse.encode(command))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded = dimse.decode(encoded)
    except MalformedCommand:
        return
    for element in decoded:
        assert dimse.number(decoded, element) is not None or isinstance(dimse.text(decoded, element), str)


def test_an_element_that_comes_twice_is_refused_each_time() -> None:
    one = dimse.encode({dimse.COMMAND_FIELD: dimse.C_ECHO_RQ, dimse.MESSAGE_ID: 1, dimse.DATA_SET_TYPE: 0x0101})
    twice = one + struct.pack("<HHLL", 0, dimse.MESSAGE_ID, 4, 1)
    for _ in range(3):
        with pytest.raises(MalformedCommand, match="twice"):
            dimse.decode(twice)


@given(COMMANDS, st.binary(max_size=40))
def test_the_same_command_set_is_judged_the_same_each_time(command: dict[int, int | str], tail: bytes) -> None:
    data = dimse.encode(command) + tail

    def judged() -> object:
        try:
            return dimse.decode(data)
        except MalformedCommand as err:
            return str(err)

    assert judged() == judged() == judged()


def test_long_command_sets_and_texts_are_not_remembered() -> None:
    text = "1" * 1000
    before = dimse._known_text_element.cache_info().currsize
    for number in range(1, 50):
        command = dimse.encode({dimse.COMMAND_FIELD: 1, dimse.AFFECTED_SOP_INSTANCE_UID: text * 20 + "2" * 2 * number})
        assert dimse.text(dimse.decode(command), dimse.AFFECTED_SOP_INSTANCE_UID).startswith(text)
        assert len(command) not in dimse._layouts
    assert dimse._known_text_element.cache_info().currsize <= before + 1


# -- responses to C-STOREs, recognised by their fixed octets ----------------------------------------------------------

STORE_RESPONSES = st.fixed_dictionaries(
    {
        dimse.COMMAND_FIELD: st.just(dimse.C_STORE_RQ | dimse.RESPONSE),
        dimse.DATA_SET_TYPE: st.just(dimse.NO_DATA_SET),
        dimse.MESSAGE_ID_BEING_RESPONDED_TO: NUMBERS,
        dimse.STATUS: st.sampled_from([0x0000, 0xB000, 0xA700]) | NUMBERS,
    },
    optional={
        dimse.AFFECTED_SOP_CLASS_UID: st.sampled_from(["1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"]),
        dimse.AFFECTED_SOP_INSTANCE_UID: st.sampled_from(["1.2.3", "1.2.4", "1.2.3.45"]),
    },
)


def in_order(command: dict[int, int | str], order: list[int]) -> bytes:
    """A command set whose elements stand in this order."""
    parts = {number: dimse.encode({number: value})[12:] for number, value in command.items()}
    elements = b"".join(parts.pop(number) for number in order if number in parts) + b"".join(parts.values())
    return struct.pack("<HHLL", 0, 0, 4, len(elements)) + elements


@given(
    st.lists(
        st.tuples(STORE_RESPONSES | COMMANDS, st.permutations([*range(0x0100, 0x0A00, 0x10), 0x0002, 0x1000])),
        min_size=1,
        max_size=8,
    ),
    st.data(),
)
def test_a_response_to_a_c_store_is_the_same_whichever_way_it_is_read(
    commands: list[tuple[dict[int, int | str], list[int]]], data: st.DataObject
) -> None:
    responses = dimse.StoreResponses()
    for command, order in commands:
        encoded = bytearray(in_order(command, order if data.draw(st.booleans()) else sorted(command)))
        if data.draw(st.booleans()):
            encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        for _ in range(2):
            known = responses.read(memoryview(encoded))
            if known is not None:
                decoded = dimse.decode(encoded)
                assert decoded[dimse.COMMAND_FIELD] == dimse.C_STORE_RQ | dimse.RESPONSE
                assert decoded[dimse.DATA_SET_TYPE] == dimse.NO_DATA_SET
                assert known == (decoded[dimse.MESSAGE_ID_BEING_RESPONDED_TO], decoded[dimse.STATUS])
            responses.learn(memoryview(encoded))


@given(STORE_RESPONSES, NUMBERS, NUMBERS)
def test_a_response_like_one_before_is_recognised(command: dict[int, int | str], message_id: int, status: int) -> None:
    responses = dimse.StoreResponses()
    responses.learn(dimse.encode(command))
    other = {**command, dimse.MESSAGE_ID_BEING_RESPONDED_TO: message_id, dimse.STATUS: status}
    assert responses.read(dimse.encode(other)) == (message_id, status)


def test_layouts_of_responses_are_bounded() -> None:
    responses = dimse.StoreResponses()
    for length in range(2, 2000, 2):
        uids = {dimse.AFFECTED_SOP_CLASS_UID: "1" * length, dimse.AFFECTED_SOP_INSTANCE_UID: "1.2"}
        numbers = {dimse.MESSAGE_ID_BEING_RESPONDED_TO: 1, dimse.STATUS: 0, dimse.DATA_SET_TYPE: dimse.NO_DATA_SET}
        responses.learn(dimse.encode({dimse.COMMAND_FIELD: 0x8001, **uids, **numbers}))
    assert 0 < len(responses._known) <= dimse._MAX_STORE_LENGTHS
