"""What is remembered of what peers send: bounded by octets, and nothing of those who were not admitted."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from dcm4py_leading.dicom.negotiation import Capabilities
from dcm4py_leading.dicom.upper import pdu_codec
from dcm4py_leading.dicom.upper.pdu import AssociateRequest, ProposedContext, Role, UserIdentity, UserInformation
from dcm4py_leading.dicom.upper.pdu_codec import encode
from dcm4py_leading.model import bounds

USER = UserInformation(maximum_length=16384, implementation_class_uid="1.2.3")


def received(*contexts: ProposedContext) -> AssociateRequest:
    data = encode(AssociateRequest(called_ae_title="A", calling_ae_title="B", contexts=contexts, user=USER))
    request = pdu_codec.decode(1, memoryview(data)[6:])
    assert isinstance(request, AssociateRequest)
    return request


def context(number: int, syntaxes: int = 1) -> ProposedContext:
    return ProposedContext(1, f"1.2.3.{number}", tuple(f"1.2.4.{at}" for at in range(syntaxes)))


def test_a_request_leaves_nothing_behind_until_its_sender_is_admitted() -> None:
    before = len(pdu_codec._contexts)
    request = received(context(700_001))
    assert len(pdu_codec._contexts) == before
    assert request.contexts == (context(700_001),)
    pdu_codec.remember(request)
    assert len(pdu_codec._contexts) == before + 1
    again = received(context(700_001))
    assert again.contexts[0] is pdu_codec._contexts.get(request.encoded_contexts[0])
    assert again.encoded_contexts == ()


def test_long_contexts_are_not_remembered() -> None:
    before = len(pdu_codec._contexts)
    request = received(context(700_002, syntaxes=3000))
    pdu_codec.remember(request)
    assert len(pdu_codec._contexts) == before


def test_a_request_in_the_same_words_is_decoded_once() -> None:
    request = received(context(700_003))
    assert received(context(700_003)) is not request
    pdu_codec.remember(request)
    again = received(context(700_003))
    assert again == request
    assert received(context(700_003)) is again


def test_requests_are_bounded_by_octets() -> None:
    for number in range(2000):
        pdu_codec.remember(received(context(number, syntaxes=60)))
    assert len(pdu_codec._requests) * 3 * 600 < bounds.REMEMBERED_REQUESTS_BYTES


def test_a_password_is_not_remembered() -> None:
    identity = UserIdentity(kind=2, wants_response=False, primary=b"user", secondary=b"password")
    data = encode(
        AssociateRequest(
            called_ae_title="A", calling_ae_title="B", contexts=(context(1),), user=replace(USER, identity=identity)
        )
    )
    request = pdu_codec.decode(1, memoryview(data)[6:])
    assert isinstance(request, AssociateRequest)
    assert request.user.identity == identity
    before = len(pdu_codec._requests)
    pdu_codec.remember(request)
    assert len(pdu_codec._requests) == before
    assert request.encoded == b""


def test_answers_to_contexts_are_bounded_by_octets() -> None:
    ae: Any = SimpleNamespace(transfer_capabilities=())
    capabilities = Capabilities(ae)
    wanted = Role(scu=True, scp=False)
    for number in range(50_000):
        capabilities.answer(context(number, syntaxes=20), wanted)
    assert len(capabilities._answers) * 100 < bounds.REMEMBERED_CONTEXTS_BYTES
    before = len(capabilities._answers)
    capabilities.answer(context(1, syntaxes=3000), wanted)
    assert len(capabilities._answers) == before
