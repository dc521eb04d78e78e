"""PDUs of the upper layer as values (PS3.8 9.3, PS3.7 D.3.3); `pdu_codec` knows their bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA_TF, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
"""Types of PDU."""

HEADER_LENGTH = 6
MAX_CONTEXTS = 128
"""PS3.8 9.3.2.2: the ID of a presentation context is an odd number up to 255."""
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
"""PS3.7 A.2.1"""


class MalformedPdu(ValueError):
    """The bytes are not a valid PDU of their type."""


@dataclass(frozen=True, slots=True)
class ProposedContext:
    """A presentation context of an A-ASSOCIATE-RQ (PS3.8 9.3.2.2)."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContextResult:
    """Result of a proposed presentation context (PS3.8 9.3.3.2): 0 is acceptance, with this transfer syntax."""

    context_id: int
    result: int
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class Role:
    """SCP/SCU Role Selection (PS3.7 D.3.3.4): the roles of the association requestor."""

    scu: bool
    scp: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class UserIdentity:
    """User Identity Negotiation of a request (PS3.7 D.3.3.7). ``primary`` and ``secondary`` may be secrets."""

    kind: int
    wants_response: bool
    primary: bytes = field(repr=False)
    secondary: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserInformation:
    """The User Information item of a request or its acceptance (PS3.7 D.3.3)."""

    maximum_length: int
    """Longest P-DATA-TF, without its header, that the sender of this wants to get; 0: any."""
    implementation_class_uid: str
    implementation_version_name: str = ""
    asynchronous_operations: tuple[int, int] | None = None
    """Number of operations at a time that may be invoked and performed; 0: any number. None: one."""
    roles: Mapping[str, Role] = field(default_factory=dict)
    extended: Mapping[str, bytes] = field(default_factory=dict)
    """SOP Class Extended Negotiation: Service Class Application Information by SOP class."""
    identity: UserIdentity | None = None
    identity_response: bytes | None = None
    """Server response to a user identity; empty for user name and passcode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociateRequest:
    """A-ASSOCIATE-RQ."""

    called_ae_title: str
    calling_ae_title: str
    contexts: tuple[ProposedContext, ...]
    user: UserInformation
    application_context: str = APPLICATION_CONTEXT
    protocol_version: int = 1
    reserved: bytes = field(default=b"", compare=False, repr=False)
    """The 64 octets of the AE title fields and what follows them, as they came."""
    encoded_contexts: tuple[bytes, ...] = field(default=(), compare=False, repr=False)
    """Those of ``contexts`` that had to be decoded; see `pdu_codec.remember`."""
    encoded: bytes = field(default=b"", compare=False, repr=False)
    """All of it, as it came; empty if it is long or holds a User Identity, and must not be remembered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociateAccept:
    """A-ASSOCIATE-AC."""

    called_ae_title: str
    calling_ae_title: str
    contexts: tuple[ContextResult, ...]
    user: UserInformation
    reserved: bytes = field(default=b"", compare=False, repr=False)
    """Octets of `AssociateRequest.reserved`, which go back as they came (PS3.8 table 9-17). Empty: from the titles."""
    encoded: bytes = field(default=b"", compare=False, repr=False)
    """The PDU, where it was encoded before."""


@dataclass(frozen=True, slots=True)
class AssociateReject:
    """A-ASSOCIATE-RJ (PS3.8 9.3.4)."""

    result: int
    source: int
    reason: int

    def __str__(self) -> str:
        """The result, source and reason as text of the standard."""
        lasting = {1: "permanently", 2: "for the time being"}.get(self.result, f"with result {self.result}")
        reason = _REASONS.get((self.source, self.reason), f"source {self.source}, reason {self.reason}")
        return f"{lasting}: {reason}"


_REASONS = {
    (1, 1): "no reason given",
    (1, 2): "application context name not supported",
    (1, 3): "calling AE title not recognized",
    (1, 7): "called AE title not recognized",
    (2, 1): "no reason given",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded",
}


@dataclass(frozen=True, slots=True)
class ReleaseRequest:
    """A-RELEASE-RQ."""


@dataclass(frozen=True, slots=True)
class ReleaseResponse:
    """A-RELEASE-RP."""


@dataclass(frozen=True, slots=True)
class Abort:
    """A-ABORT (PS3.8 9.3.8): source 0 is the service user, 2 the provider; only the provider gives a reason."""

    source: int
    reason: int


Pdu = AssociateRequest | AssociateAccept | AssociateReject | ReleaseRequest | ReleaseResponse | Abort


def numbered(proposals: Sequence[tuple[str, Sequence[str]]]) -> tuple[ProposedContext, ...]:
    """Number presentation contexts for pairs of abstract syntax and transfer syntaxes, up to the maximum of 128."""
    return tuple(
        ProposedContext(2 * number + 1, abstract_syntax, tuple(transfer_syntaxes))
        for number, (abstract_syntax, transfer_syntaxes) in enumerate(proposals[:MAX_CONTEXTS])
    )
