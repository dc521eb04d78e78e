"""Messages as people say them, and as rules say them."""

from __future__ import annotations

import pytest

from dcm4py_leading.coercion.schemes import MESSAGES, MessageType, is_offered
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.service.explain import parse_message
from dcm4py_leading.web.pages.trying.messages import KINDS, kind_of, kind_of_rule, other_ae_of_rule


def rule(dimse: str, role: str, *conditions: str) -> Entry:
    return Entry.of("cn=a", {"dcmDIMSE": [dimse], "dicomTransferRole": [role], "dcmProperty": list(conditions)})


def test_every_message_of_this_service_can_be_chosen() -> None:
    assert {MessageType(kind.dimse, kind.role) for kind in KINDS} == {one for one in MESSAGES if is_offered(one.dimse)}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.key)
def test_message_is_understood(kind) -> None:
    wanted = parse_message(kind.parameters(ours="OURS", other="OTHER", other_host="host", sop_class=""))
    ours, other = (wanted.sending, wanted.receiving) if kind.is_ours_sending else (wanted.receiving, wanted.sending)
    assert (ours.ae_title, other.ae_title, other.host) == ("OURS", "OTHER", "host")


def test_kind_is_that_of_the_rule() -> None:
    assert kind_of_rule(rule("C_FIND_RSP", "SCU")).key == "answered"
    assert kind_of_rule(rule("N_SET_RQ", "SCU")) is kind_of_rule(Entry.of("cn=a", {})) is KINDS[0]
    assert kind_of("nothing") is KINDS[0]


@pytest.mark.parametrize(
    ("found", "title"),
    [
        (rule("C_STORE_RQ", "SCP", "Modality=CT", "ReceivingApplicationEntityTitle=STORE-SCP_1"), "STORE-SCP_1"),
        (rule("C_STORE_RQ", "SCU", "SendingApplicationEntityTitle=CT1"), "CT1"),
        (rule("C_STORE_RQ", "SCU", "ReceivingApplicationEntityTitle=OURS"), ""),
        (rule("C_STORE_RQ", "SCP", "ReceivingApplicationEntityTitle=A|B"), ""),
        (rule("C_STORE_RQ", "SCP", "ReceivingApplicationEntityTitle!=A"), ""),
        (rule("C_STORE_RQ", "SCP"), ""),
    ],
)
def test_other_ae_is_the_one_that_a_condition_names(found: Entry, title: str) -> None:
    assert other_ae_of_rule(found) == title
