"""Messages that rules are about, in plain words: who sends what to whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.model.coercion import Dimse
from dcm4py_leading.model.values import TransferRole


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageKind:
    """One kind of message between an AE of ours and another one."""

    key: str
    """In forms and keys of texts."""
    dimse: Dimse
    role: TransferRole
    """Role of the other AE."""

    @property
    def is_ours_sending(self) -> bool:
        """True if our AE has called the other one."""
        return self.role is TransferRole.SCP

    def parameters(self, *, ours: str, other: str, other_host: str, sop_class: str) -> Mapping[str, str]:
        """Parameters of `service.explain.parse_message`."""
        our_end, other_end = ("sending", "receiving") if self.is_ours_sending else ("receiving", "sending")
        return {
            "dimse": self.dimse.value,
            "role": self.role.value,
            f"{our_end}-ae": ours,
            f"{other_end}-ae": other,
            f"{other_end}-host": other_host,
            "sop-class": sop_class,
        }


KINDS = (
    MessageKind(key="sent", dimse=Dimse.C_STORE_RQ, role=TransferRole.SCP),
    MessageKind(key="stored", dimse=Dimse.C_STORE_RQ, role=TransferRole.SCU),
    MessageKind(key="answered", dimse=Dimse.C_FIND_RSP, role=TransferRole.SCU),
    MessageKind(key="asked", dimse=Dimse.C_FIND_RQ, role=TransferRole.SCU),
    MessageKind(key="asking", dimse=Dimse.C_FIND_RQ, role=TransferRole.SCP),
    MessageKind(key="told", dimse=Dimse.C_FIND_RSP, role=TransferRole.SCP),
)
"""All that this service takes part in, the most used first."""


def kind_of(key: str) -> MessageKind:
    """The kind of that key; the first where there is none."""
    return next((kind for kind in KINDS if kind.key == key), KINDS[0])


def kind_of_rule(rule: Entry) -> MessageKind:
    """The kind of message that a rule is about; the first where it says none."""
    said = (*rule.values("dcmDIMSE")[:1], *rule.values("dicomTransferRole")[:1])
    return next((kind for kind in KINDS if (kind.dimse.value, kind.role.value) == said), KINDS[0])


def other_ae_of_rule(rule: Entry) -> str:
    """AE title of the other AE that a condition of a rule asks for; empty if none is a plain title."""
    end = "Receiving" if kind_of_rule(rule).is_ours_sending else "Sending"
    for condition in rule.values("dcmProperty"):
        key, _, value = condition.partition("=")
        if key == f"{end}ApplicationEntityTitle" and value.replace("_", "").replace("-", "").isalnum():
            return value
    return ""
