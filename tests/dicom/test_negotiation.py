"""Who may associate, and which presentation contexts are accepted."""

from dataclasses import replace

import pytest

from dcm4py_leading.dicom.negotiation import (
    Capabilities,
    KnownCapabilities,
    Rejection,
    admit,
    is_served,
    is_storage,
    negotiate,
    relational_queries,
)
from dcm4py_leading.dicom.upper.dimse_message import PresentationContext
from dcm4py_leading.dicom.upper.pdu import ContextResult, ProposedContext, Role, UserInformation, numbered
from dcm4py_leading.model.device import ApplicationEntity, Connection, Device, TransferCapability
from dcm4py_leading.model.values import UID, AETitle, TransferRole

CT = UID("1.2.840.10008.5.1.4.1.1.2")
STUDY_FIND = UID("1.2.840.10008.5.1.4.1.2.2.1")
STUDY_MOVE = UID("1.2.840.10008.5.1.4.1.2.2.2")
MODALITY_WORKLIST = UID("1.2.840.10008.5.1.4.31")
IMPLICIT, EXPLICIT, JPEG = UID("1.2.840.10008.1.2"), UID("1.2.840.10008.1.2.1"), UID("1.2.840.10008.1.2.4.70")

CONNECTION = Connection(dn="cn=dicom", hostname="localhost", port=11112)


def proposed(*pairs: tuple[str, tuple[str, ...]]) -> tuple[ProposedContext, ...]:
    return numbered(pairs)


def user(role: Role | None = None) -> UserInformation:
    roles = {} if role is None else {str(CT): role}
    return UserInformation(maximum_length=0, implementation_class_uid="1.2", roles=roles)


def capability(sop_class: str, role: TransferRole, *syntaxes: UID, relational: bool = False) -> TransferCapability:
    return TransferCapability(
        dn="cn=capability",
        sop_class=UID(sop_class),
        transfer_role=role,
        transfer_syntaxes=syntaxes or (IMPLICIT,),
        relational_queries=relational,
    )


def archive_ae(*capabilities: TransferCapability) -> ApplicationEntity:
    return ApplicationEntity(
        dn="dicomAETitle=DCM4CHEE",
        ae_title=AETitle("DCM4CHEE"),
        association_initiator=True,
        association_acceptor=True,
        connections=(CONNECTION,),
        transfer_capabilities=capabilities,
    )


def device(ae: ApplicationEntity, limit: int = 0) -> Device:
    return Device(
        dn="dicomDeviceName=arc",
        device_name="arc",
        limit_open_associations=limit,
        connections=(CONNECTION,),
        application_entities=(ae,),
    )


def rejection(verdict: ApplicationEntity | Rejection) -> tuple[int, int, int]:
    assert isinstance(verdict, Rejection)
    answer = verdict.answer
    return (answer.result, answer.source, answer.reason)


# PS3.8 table 9-21: source 1 is the service user, reason 3 calling and 7 called AE title not recognized;
# source 3 is the presentation service provider, reason 2 local limit exceeded.


@pytest.mark.ldap("dicomAETitle")
def test_the_ae_that_is_called_is_found() -> None:
    ae = archive_ae()
    assert admit(device(ae), CONNECTION, "DCM4CHEE", "ANY", 1) is ae


@pytest.mark.ldap("dcmOtherAETitle")
def test_an_ae_answers_to_its_other_titles() -> None:
    ae = replace(archive_ae(), other_ae_titles=(AETitle("OLD_ARCHIVE"),))
    assert admit(device(ae), CONNECTION, "OLD_ARCHIVE", "ANY", 1) is ae


def test_an_unknown_called_ae_title_is_rejected() -> None:
    assert rejection(admit(device(archive_ae()), CONNECTION, "OTHER", "ANY", 1)) == (1, 1, 7)


@pytest.mark.ldap("dicomAssociationAcceptor")
def test_an_ae_that_only_initiates_cannot_be_called() -> None:
    ae = replace(archive_ae(), association_acceptor=False)
    assert rejection(admit(device(ae), CONNECTION, "DCM4CHEE", "ANY", 1)) == (1, 1, 7)


@pytest.mark.ldap("dicomNetworkConnectionReference")
def test_an_ae_is_only_served_on_its_own_connections() -> None:
    other = Connection(dn="cn=other", hostname="localhost", port=11119)
    assert rejection(admit(device(archive_ae()), other, "DCM4CHEE", "ANY", 1)) == (1, 1, 7)


@pytest.mark.ldap("dcmAcceptedCallingAETitle")
def test_a_calling_ae_title_that_is_not_accepted_is_rejected() -> None:
    ae = replace(archive_ae(), accepted_calling_ae_titles=frozenset({AETitle("FRIEND")}))
    assert admit(device(ae), CONNECTION, "DCM4CHEE", "FRIEND", 1) is ae
    assert rejection(admit(device(ae), CONNECTION, "DCM4CHEE", "STRANGER", 1)) == (1, 1, 3)


@pytest.mark.ldap("dcmLimitOpenAssociations")
def test_associations_over_the_limit_are_rejected_as_transient() -> None:
    limited = device(archive_ae(), limit=2)
    assert isinstance(admit(limited, CONNECTION, "DCM4CHEE", "ANY", 2), ApplicationEntity)
    assert rejection(admit(limited, CONNECTION, "DCM4CHEE", "ANY", 3)) == (2, 3, 2)


@pytest.mark.ldap("dicomTransferSyntax")
def test_the_first_syntax_that_the_peer_names_and_the_capability_lists_wins() -> None:
    ae = archive_ae(capability(CT, TransferRole.SCP, IMPLICIT, EXPLICIT, JPEG))
    negotiated = negotiate(Capabilities(ae), user(), proposed((CT, ("1.2.3", JPEG, EXPLICIT))))
    assert negotiated.results == (ContextResult(1, 0, JPEG),)
    assert negotiated.contexts == (PresentationContext(1, CT, JPEG, as_scu=False, as_scp=True),)


@pytest.mark.ldap("dicomSOPClass")
def test_unlisted_sop_class_is_refused_with_the_reason() -> None:
    ae = archive_ae(capability(CT, TransferRole.SCP))
    negotiated = negotiate(Capabilities(ae), user(), proposed((STUDY_FIND, (IMPLICIT,)), (CT, (JPEG,))))
    assert [(result.context_id, result.result) for result in negotiated.results] == [(1, 3), (3, 4)]
    assert negotiated.contexts == ()


@pytest.mark.ldap("dicomTransferRole")
def test_a_class_that_we_only_send_is_accepted_only_from_a_peer_that_takes_the_scp_role() -> None:
    ae = archive_ae(capability(CT, TransferRole.SCU))
    assert negotiate(Capabilities(ae), user(), proposed((CT, (IMPLICIT,)))).contexts == ()
    negotiated = negotiate(Capabilities(ae), user(Role(scu=False, scp=True)), proposed((CT, (IMPLICIT,))))
    assert negotiated.contexts == (PresentationContext(1, CT, IMPLICIT, as_scu=True, as_scp=False),)
    assert negotiated.roles == {CT: Role(scu=False, scp=True)}


@pytest.mark.ldap("dicomTransferRole")
def test_peer_gets_those_of_the_asked_roles_that_suit() -> None:
    both = user(Role(scu=True, scp=True))
    receives = archive_ae(capability(CT, TransferRole.SCP))
    assert negotiate(Capabilities(receives), both, proposed((CT, (IMPLICIT,)))).roles == {CT: Role(scu=True, scp=False)}
    does_both = archive_ae(capability(CT, TransferRole.SCP), capability(CT, TransferRole.SCU))
    assert negotiate(Capabilities(does_both), both, proposed((CT, (IMPLICIT,)))).roles == {CT: Role(scu=True, scp=True)}


def test_capabilities_are_worked_out_once_for_each_configuration() -> None:
    known, ae = KnownCapabilities(), archive_ae(capability(CT, TransferRole.SCP))
    one, other = device(ae), device(ae)
    assert known.of(one, ae) is known.of(one, ae)
    assert known.of(other, ae) is not known.of(one, ae)


@pytest.mark.parametrize(
    ("sop_class", "role", "served"),
    [
        ("1.2.840.10008.1.1", TransferRole.SCP, True),
        ("1.2.840.10008.1.1", TransferRole.SCU, False),
        (STUDY_FIND, TransferRole.SCP, True),
        (STUDY_FIND, TransferRole.SCU, False),
        (CT, TransferRole.SCP, True),
        (CT, TransferRole.SCU, True),
        (MODALITY_WORKLIST, TransferRole.SCP, False),
        ("1.2.840.10008.1.20.1", TransferRole.SCP, False),
        ("1.3.12.2.1107.5.9.1", TransferRole.SCP, True),
    ],
)
def test_capabilities_that_we_serve(sop_class: str, role: TransferRole, served: bool) -> None:
    assert is_served(capability(sop_class, role)) is served


def test_storage_classes_are_told_from_others() -> None:
    assert is_storage(CT)
    assert not is_storage(STUDY_FIND)


@pytest.mark.ldap("dcmRelationalQueries")
def test_relational_queries_are_granted_where_the_capability_has_them_and_the_peer_asks() -> None:
    ae = archive_ae(capability(STUDY_FIND, TransferRole.SCP, relational=True), capability(STUDY_MOVE, TransferRole.SCP))
    assert relational_queries(ae, {STUDY_FIND: b"\x01\x01\x01"}) == {STUDY_FIND: b"\x01\x00\x00"}
    assert relational_queries(ae, {STUDY_FIND: b"\x00"}) == {STUDY_FIND: b"\x00"}
    assert relational_queries(ae, {STUDY_MOVE: b"\x01"}) == {STUDY_MOVE: b"\x00"}
    assert relational_queries(ae, {CT: b"\x01"}) == {}


@pytest.mark.ldap("dcmMasqueradeCallingAETitle")
def test_the_calling_ae_title_can_be_masqueraded_for_one_called_ae_or_for_all() -> None:
    ae = replace(archive_ae(), masquerade_calling_ae_titles=("[VIEWER]ALIAS", "FOR_ALL"))
    assert ae.calling_ae_title_for(AETitle("VIEWER")) == "ALIAS"
    assert ae.calling_ae_title_for(AETitle("OTHER")) == "FOR_ALL"
    assert archive_ae().calling_ae_title_for(AETitle("OTHER")) == "DCM4CHEE"
