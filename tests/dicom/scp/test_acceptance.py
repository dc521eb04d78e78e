"""Acceptance of an association: worked out once for those who ask in the same words."""

from __future__ import annotations

from dataclasses import replace

from dcm4py_leading.dicom.scp.acceptance import Acceptance, Acceptances
from dcm4py_leading.dicom.upper import pdu_codec
from dcm4py_leading.dicom.upper.pdu import AssociateRequest, ProposedContext, UserInformation
from dcm4py_leading.dicom.upper.pdu_codec import encode
from dcm4py_leading.model.device import ApplicationEntity, Connection, Device
from dcm4py_leading.model.values import TransferRole
from tests.dicom.test_negotiation import CONNECTION, CT, archive_ae, capability, device

REQUEST = AssociateRequest(
    called_ae_title="DCM4CHEE",
    calling_ae_title="VIEWER",
    contexts=(ProposedContext(1, CT, ("1.2.840.10008.1.2",)), ProposedContext(3, "1.2.3", ("1.2.840.10008.1.2",))),
    user=UserInformation(maximum_length=16384, implementation_class_uid="1.2.3"),
)
AE = archive_ae(capability(CT, TransferRole.SCP))
DEVICE = device(AE)


def as_received(request: AssociateRequest) -> AssociateRequest:
    decoded = pdu_codec.decode(1, memoryview(encode(request))[6:])
    assert isinstance(decoded, AssociateRequest)
    return decoded


def accepted(
    known: Acceptances,
    request: AssociateRequest = REQUEST,
    *,
    by: ApplicationEntity = AE,
    of: Device = DEVICE,
    on: Connection = CONNECTION,
) -> Acceptance:
    return known.of(as_received(request), of, by, on)


def test_the_same_words_have_the_same_answer_as_octets() -> None:
    known = Acceptances()
    first = accepted(known)
    assert accepted(known) is first
    assert [(result.context_id, result.result) for result in first.answer.contexts] == [(1, 0), (3, 3)]
    assert encode(first.answer) == encode(replace(first.answer, encoded=b""))


def test_another_request_configuration_or_connection_has_its_own_answer() -> None:
    known = Acceptances()
    first = accepted(known)
    other_user = replace(REQUEST.user, maximum_length=1 << 20)
    takes_nothing = archive_ae()
    assert accepted(known, replace(REQUEST, user=other_user)) is not first
    assert accepted(known, replace(REQUEST, calling_ae_title="OTHER")).answer.calling_ae_title == "OTHER"
    assert accepted(known, on=replace(CONNECTION, receive_pdu_length=4096)).answer.user.maximum_length == 4096
    assert accepted(known, by=takes_nothing, of=device(takes_nothing)).contexts == ()
    assert accepted(known).contexts == first.contexts
