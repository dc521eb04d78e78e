"""PDUs, held against pynetdicom's classes: what we encode they decode to the same values, and the other way round."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom import pdu as their_pdu
from pynetdicom import pdu_items as their_items
from pynetdicom.pdu_primitives import SOPClassCommonExtendedNegotiation

from dcm4py_leading.dicom.upper import pdu, pdu_codec
from dcm4py_leading.dicom.upper.pdu import (
    Abort,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    ContextResult,
    MalformedPdu,
    Pdu,
    ProposedContext,
    ReleaseRequest,
    ReleaseResponse,
    Role,
    UserIdentity,
    UserInformation,
)

BYTE = st.integers(0, 255)
U16 = st.integers(0, 0xFFFF)
UIDS = st.lists(st.integers(0, 10**6), min_size=1, max_size=5).map(lambda parts: ".".join(map(str, [1, 2, *parts])))
TITLES = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", min_size=1, max_size=16)
CONTEXT_IDS = st.integers(0, 127).map(lambda number: 2 * number + 1)
IDENTITIES = st.builds(
    UserIdentity,
    kind=st.integers(1, 5),
    wants_response=st.booleans(),
    primary=st.binary(min_size=1, max_size=30),
    secondary=st.just(b""),
) | st.builds(
    UserIdentity,
    kind=st.just(2),
    wants_response=st.booleans(),
    primary=st.binary(min_size=1, max_size=30),
    secondary=st.binary(min_size=1, max_size=30),
)


def users(*, of_request: bool) -> st.SearchStrategy[UserInformation]:
    return st.builds(
        UserInformation,
        maximum_length=st.integers(0, 0xFFFFFFFF),
        implementation_class_uid=UIDS,
        implementation_version_name=TITLES,
        asynchronous_operations=st.none() | st.tuples(U16, U16),
        roles=st.dictionaries(UIDS, st.builds(Role, st.booleans(), st.booleans()), max_size=4),
        extended=st.dictionaries(UIDS, st.binary(min_size=1, max_size=8), max_size=4),
        identity=st.none() | IDENTITIES if of_request else st.none(),
        identity_response=st.none() if of_request else st.none() | st.binary(max_size=20),
    )


REQUESTS = st.builds(
    AssociateRequest,
    called_ae_title=TITLES,
    calling_ae_title=TITLES,
    contexts=st.lists(
        st.builds(ProposedContext, CONTEXT_IDS, UIDS, st.lists(UIDS, min_size=1, max_size=4).map(tuple)), max_size=8
    ).map(tuple),
    user=users(of_request=True),
)
ACCEPTANCES = st.builds(
    AssociateAccept,
    called_ae_title=TITLES,
    calling_ae_title=TITLES,
    contexts=st.lists(st.builds(ContextResult, CONTEXT_IDS, st.integers(0, 4), UIDS), max_size=8).map(tuple),
    user=users(of_request=False),
)
OTHERS = st.one_of(
    st.builds(AssociateReject, BYTE, BYTE, BYTE),
    st.just(ReleaseRequest()),
    st.just(ReleaseResponse()),
    st.builds(Abort, BYTE, BYTE),
)
ANY_PDU: st.SearchStrategy[Pdu] = st.one_of(REQUESTS, ACCEPTANCES, OTHERS)
CLASSES = {
    1: their_pdu.A_ASSOCIATE_RQ,
    2: their_pdu.A_ASSOCIATE_AC,
    3: their_pdu.A_ASSOCIATE_RJ,
    5: their_pdu.A_RELEASE_RQ,
    6: their_pdu.A_RELEASE_RP,
    7: their_pdu.A_ABORT_RQ,
}


def decoded(data: bytes) -> Pdu:
    assert int.from_bytes(data[2:6]) == len(data) - 6
    return pdu_codec.decode(data[0], memoryview(data)[6:])


def as_they_read(data: bytes) -> Pdu:
    """The value of a PDU as pynetdicom decodes it."""
    theirs = CLASSES[data[0]]()
    theirs.decode(data)
    match data[0]:
        case 1:
            return AssociateRequest(
                called_ae_title=theirs.called_ae_title.strip(),
                calling_ae_title=theirs.calling_ae_title.strip(),
                contexts=tuple(
                    ProposedContext(c.context_id, c.abstract_syntax, tuple(c.transfer_syntax))
                    for c in theirs.presentation_context
                ),
                user=_user(theirs.user_information),
                application_context=theirs.application_context_name,
                protocol_version=theirs.protocol_version,
            )
        case 2:
            return AssociateAccept(
                called_ae_title=theirs.called_ae_title.strip(),
                calling_ae_title=theirs.calling_ae_title.strip(),
                contexts=tuple(
                    ContextResult(c.context_id, c.result, c.transfer_syntax or "") for c in theirs.presentation_context
                ),
                user=_user(theirs.user_information),
            )
        case 3:
            return AssociateReject(theirs.result, theirs.source, theirs.reason_diagnostic)
        case 5:
            return ReleaseRequest()
        case 6:
            return ReleaseResponse()
        case _:
            return Abort(theirs.source, theirs.reason_diagnostic)


def _user(item: Any) -> UserInformation:
    values: dict[str, Any] = {"roles": {}, "extended": {}}
    for sub_item in item.user_data:
        match sub_item:
            case their_items.MaximumLengthSubItem():
                values["maximum_length"] = sub_item.maximum_length_received
            case their_items.ImplementationClassUIDSubItem():
                values["implementation_class_uid"] = sub_item.implementation_class_uid
            case their_items.ImplementationVersionNameSubItem():
                values["implementation_version_name"] = sub_item.implementation_version_name
            case their_items.AsynchronousOperationsWindowSubItem():
                invoked, performed = (
                    sub_item.maximum_number_operations_invoked,
                    sub_item.maximum_number_operations_performed,
                )
                values["asynchronous_operations"] = invoked, performed
            case their_items.SCP_SCU_RoleSelectionSubItem():
                values["roles"][sub_item.uid] = Role(bool(sub_item.scu_role), bool(sub_item.scp_role))
            case their_items.SOPClassExtendedNegotiationSubItem():
                values["extended"][sub_item.uid] = sub_item.app_info
            case their_items.UserIdentitySubItemRQ():
                values["identity"] = UserIdentity(
                    kind=sub_item.user_identity_type or 0,
                    wants_response=bool(sub_item.positive_response_requested),
                    primary=sub_item.primary_field or b"",
                    secondary=sub_item.secondary_field or b"",
                )
            case their_items.UserIdentitySubItemAC():
                values["identity_response"] = sub_item.server_response or b""
    return UserInformation(**values)


@given(ANY_PDU)
def test_they_read_what_we_encode(value: Pdu) -> None:
    assert as_they_read(pdu_codec.encode(value)) == value


@given(ANY_PDU)
def test_we_read_what_they_encode(value: Pdu) -> None:
    theirs = CLASSES[pdu_codec.encode(value)[0]]()
    theirs.decode(pdu_codec.encode(value))
    assert decoded(theirs.encode()) == value


@given(REQUESTS)
def test_common_extended_negotiation_is_passed_over(value: AssociateRequest) -> None:
    common = SOPClassCommonExtendedNegotiation()
    common.sop_class_uid = "1.2.840.10008.5.1.4.1.1.2"
    common.service_class_uid = "1.2.840.10008.4.2"
    common.related_general_sop_class_identification = ["1.2.840.10008.5.1.4.1.1.88.22"]
    theirs = their_pdu.A_ASSOCIATE_RQ()
    theirs.decode(pdu_codec.encode(value))
    assert theirs.user_information is not None
    theirs.user_information.user_data.append(common.from_primitive())
    assert b"88.22" in theirs.encode()
    assert decoded(theirs.encode()) == value


@given(ANY_PDU, st.data())
def test_a_pdu_cut_short_is_malformed_or_shorter(value: Pdu, data: st.DataObject) -> None:
    encoded = pdu_codec.encode(value)
    end = data.draw(st.integers(6, len(encoded)))
    _is_read_or_malformed(encoded[0], encoded[6:end])


@given(ANY_PDU, st.data())
def test_a_pdu_with_changed_bytes_is_malformed_or_another(value: Pdu, data: st.DataObject) -> None:
    encoded = bytearray(pdu_codec.encode(value))
    for _ in range(data.draw(st.integers(1, 3))):
        encoded[data.draw(st.integers(6, len(encoded) - 1))] = data.draw(BYTE)
    _is_read_or_malformed(encoded[0], bytes(encoded[6:]))


@given(st.integers(0, 255).filter(lambda number: number != pdu.P_DATA_TF), st.binary(max_size=300))
def test_random_bytes_are_a_pdu_or_malformed(pdu_type: int, body: bytes) -> None:
    _is_read_or_malformed(pdu_type, body)


def _is_read_or_malformed(pdu_type: int, body: bytes) -> None:
    try:
        value = pdu_codec.decode(pdu_type, memoryview(body))
    except MalformedPdu:
        return
    assert isinstance(value, Pdu)


@pytest.mark.parametrize("pdu_type", [0, 4, 8, 255])
def test_there_is_no_value_of_another_type(pdu_type: int) -> None:
    with pytest.raises(MalformedPdu, match="no PDU of type"):
        pdu_codec.decode(pdu_type, memoryview(bytes(100)))


def test_secrets_are_in_no_representation() -> None:
    identity = UserIdentity(kind=2, wants_response=True, primary=b"NAME", secondary=b"PASSCODE")
    assert "NAME" not in repr(identity) and "PASSCODE" not in repr(identity)


PDVS = st.lists(st.tuples(CONTEXT_IDS, st.integers(0, 3), st.binary(max_size=40)), min_size=1, max_size=6)


@given(PDVS)
def test_fragments_are_the_presentation_data_values_that_they_packed(values: list[tuple[int, int, bytes]]) -> None:
    theirs = their_pdu.P_DATA_TF()
    for context_id, control, value in values:
        item = their_items.PresentationDataValueItem()
        item.presentation_context_id = context_id
        item.presentation_data_value = bytes([control]) + value
        theirs.presentation_data_value_items.append(item)
    body = memoryview(theirs.encode())[6:]
    assert [(cid, control, bytes(value)) for cid, control, value in pdu_codec.fragments(body)] == values


@given(CONTEXT_IDS, st.integers(0, 3), st.binary(max_size=40))
def test_they_read_a_data_header_of_ours(context_id: int, control: int, value: bytes) -> None:
    theirs = their_pdu.P_DATA_TF()
    theirs.decode(pdu_codec.data_header(context_id, control, len(value)) + value)
    (item,) = theirs.presentation_data_value_items
    assert item.presentation_context_id == context_id
    assert item.presentation_data_value == bytes([control]) + value


@given(st.binary(max_size=100))
def test_random_fragments_are_read_or_malformed(body: bytes) -> None:
    try:
        total = sum(6 + len(value) for _, _, value in pdu_codec.fragments(memoryview(body)))
    except MalformedPdu:
        return
    assert total == len(body)


@pytest.mark.parametrize("body", [bytes(5), b"\0\0\0\x01\x01\x03", b"\0\0\0\x09\x01\x03ab"])
def test_a_fragment_of_a_wrong_length_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedPdu):
        list(pdu_codec.fragments(memoryview(body)))


def test_presentation_contexts_are_numbered_odd_and_are_128_at_most() -> None:
    contexts = pdu.numbered([(f"1.2.{number}", ["1.2.840.10008.1.2"]) for number in range(200)])
    assert [context.context_id for context in contexts] == list(range(1, 256, 2))
    assert contexts[-1] == ProposedContext(255, "1.2.127", ("1.2.840.10008.1.2",))


@pytest.mark.parametrize(
    ("reject", "words"),
    [
        (AssociateReject(1, 1, 7), "permanently: called AE title not recognized"),
        (AssociateReject(2, 3, 2), "for the time being: local limit exceeded"),
        (AssociateReject(9, 8, 7), "with result 9: source 8, reason 7"),
    ],
)
def test_a_rejection_is_told_in_words(reject: AssociateReject, words: str) -> None:
    assert str(reject) == words
