"""Every exception that this project raises on purpose.

Named by who is at fault and who can act::

    Dcm4pyError
    +- DocumentInvalid           a JSON document of a request; carries every fault with its place
    +- ConfigError               only while loading; the running configuration stays
    |  +- ConfigUnavailable      the directory cannot be reached, or refuses the bind
    |  |  +- BindRefused         it answers, and refuses this name or password
    |  +- ConfigInvalid          carries every Problem, not only the first
    |  +- WriteError             a change of the directory was not made, or in part
    |     +- WriteConflict       somebody else was faster
    |     +- WriteRefused        carries every Problem of the change
    |     +- WriteDenied         the directory does not let us
    |     +- ReadOnlyDirectory   it is not to be written at all
    |     +- WriteInterrupted    also ConfigUnavailable: it went away while it was written
    +- RequestError              the peer's fault; answered, logged without a traceback
    |  +- IdentifierMismatch     0xA900
    |  +- MoveDestinationUnknown 0xA801
    |  +- MoveDestinationNotAllowed 0xC801
    |  +- TooManyMatches         0xA700
    |  +- InvalidObject          0xC000, a C-STORE data set that cannot be read to its end
    |  |  +- TooMuchInflated     0xA700, a deflated one for which there is no room at present
    |  +- ObjectMismatch         0xA900, a C-STORE data set that contradicts its command
    |  +- ObjectRefused          0xA900 or 0xC000 range, refused by a configured policy
    |  +- RequestBrokenOff       0xC000, nobody waits for the answer
    +- EditRefused               an edit of what the archive keeps, or a deletion, was not made
    +- DriftRefused              a comparison cannot be made as it was asked for
    +- DriftEnded                somebody has ended it
    +- DriftNotResumed           a comparison cannot go on from what its state file says
    +- LoginError                over HTTP; told to whoever wants to log in
    |  +- LoginRefused           wrong user, wrong password or no role: 401
    |  +- LoginThrottled         too many wrong ones: 429
    |  +- LoginUnavailable       the directory that knows the users gives no answer: 503
    +- DependencyError           our side cannot right now
       +- LeadingUnavailable     what happens next is the rule's business
       |  +- LeadingQueryFailed  the archive ended the C-FIND with an error status
       |  +- LeadingMismatch     it answered with another study, or with one twice
       |  +- LeadingUnreadable   it answered with text that is not in the set it declares
       |  +- LeadingRefused      not asked: it has failed several times in a row
       |  +- LeadingTooManyMatches  more studies match there than we take
       +- WorklistUnavailable    the same for a worklist
       +- CoercionFailed         0x0110, a step of a rule cannot be carried out on this data set
       +- IndexUnavailable       0xA700
       +- StorageUnavailable     0xA700
       +- ArchiveUnavailable     0xC000, another archive that is asked gave no answer, or a failure
       |  +- NoRelationalQueries  0xA900, it answers none of those that the client asks
       +- DestinationUnavailable 0xA702
       +- SubOperationFailed     this object cannot be sent; the retrieve goes on

``status`` is the DIMSE status to answer with (PS3.7 Annex C, PS3.4 B.2.3, C.4.1.1.4, C.4.2.1.5).
Messages say what was expected, what came and where, and never hold a patient's data.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from dcm4py_leading.secret_text import MASK, is_secret, is_secret_option, masked_option, masked_passwords


class Severity(enum.Enum):
    """Weight of a Problem: an ERROR refuses the whole configuration, a WARNING does not."""

    ERROR = "ERROR"
    WARNING = "WARNING"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong in a configuration, told so that an administrator can find and mend it.

    It goes to logs and pages, so neither value nor reason keeps a secret.
    """

    dn: str
    attribute: str | None = None
    value: str | None = None
    reason: str
    severity: Severity = Severity.ERROR

    def __post_init__(self) -> None:
        reason = self.reason
        if self.value:
            shown = self._shown(self.value)
            reason = reason.replace(self.value, shown)
            object.__setattr__(self, "value", shown)
        object.__setattr__(self, "reason", masked_passwords(reason))

    def _shown(self, value: str) -> str:
        if self.attribute is not None and is_secret(self.attribute):
            return MASK
        return masked_option(value) if is_secret_option(value) else masked_passwords(value)

    def __str__(self) -> str:
        what = ""
        if self.attribute is not None:
            what = self.attribute if self.value is None else f"{self.attribute}: {self.value}"
            what += ": "
        return f"{what}{self.reason} ({self.dn})"


class Dcm4pyError(Exception):
    """Root of the tree."""


@dataclass(frozen=True, slots=True)
class DocumentFault:
    """One thing wrong in a JSON document."""

    path: str
    """Where, as a JSON Pointer (RFC 6901); empty for the document as a whole."""
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.path else self.reason


class DocumentInvalid(Dcm4pyError):
    """A JSON document that cannot be read as what it should be. ``faults`` has everything that is wrong."""

    def __init__(self, faults: Iterable[DocumentFault]) -> None:
        self.faults: tuple[DocumentFault, ...] = tuple(faults)
        super().__init__("; ".join(map(str, self.faults)))


class Refusal(enum.Enum):
    """Reason why an edit of the archive, or a deletion, is not made."""

    WRONG = "wrong"
    """Impossible: what is wanted cannot be."""
    UNKNOWN = "unknown"
    """There is no such AE, patient or study."""
    CONFLICT = "conflict"
    """It cannot be made as things are."""
    FORBIDDEN = "forbidden"
    """The configuration does not allow it."""


class EditRefused(Dcm4pyError):
    """An edit of what the archive keeps, or a deletion, was not made."""

    def __init__(self, refusal: Refusal, message: str) -> None:
        super().__init__(message)
        self.refusal = refusal


class DriftRefused(Dcm4pyError):
    """A comparison with a leading archive cannot be made as it was asked for."""


class DriftEnded(Dcm4pyError):
    """A comparison is over before its end, as somebody wanted."""


class DriftNotResumed(Dcm4pyError):
    """A comparison with a leading archive cannot go on from what its state file says."""


class ConfigError(Dcm4pyError):
    """The configuration cannot be used; the running one stays in force."""


class ConfigUnavailable(ConfigError):
    """The directory cannot be reached, refuses the bind, or answers only in part."""


class BindRefused(ConfigUnavailable):
    """A server that answers takes this name, or its password, for no one's (RFC 4511 A.1)."""


class ConfigInvalid(ConfigError):
    """The directory was read and holds errors. ``problems`` has them all, ERRORs and WARNINGs."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        errors = [p for p in self.problems if p.severity is Severity.ERROR]
        lines = "".join(f"\n  {p}" for p in errors)
        super().__init__(f"{len(errors)} error{'s' * (len(errors) != 1)} in the configuration:{lines}")


class WriteError(ConfigError):
    """A change of the directory was not made; a change of several entries perhaps in part.

    ``written`` are the DNs of entries that were changed and stay so, ``left`` those of entries that were not, in order.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.written: tuple[str, ...] = ()
        self.left: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.written:
            return super().__str__()
        return f"{super().__str__()}; changed already: {'; '.join(self.written)}; not changed: {'; '.join(self.left)}"


class WriteConflict(WriteError):
    """The directory holds other than was expected: it was changed by somebody else meanwhile.

    ``attribute`` is None where the entry as a whole came, went or differs; ``expected`` and ``found`` are the values.
    """

    def __init__(
        self, dn: str, attribute: str | None = None, expected: Iterable[str] = (), found: Iterable[str] = ()
    ) -> None:
        self.dn = dn
        self.attribute = attribute
        self.expected = tuple(expected)
        self.found = tuple(found)
        what = "the entry" if attribute is None else attribute
        super().__init__(f"{what} was changed by somebody else meanwhile ({dn})")


class WriteRefused(WriteError):
    """The change breaks the schema, or the configuration. ``problems`` has everything that is wrong."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("the change is refused:" + "".join(f"\n  {problem}" for problem in self.problems))


class WriteDenied(WriteError):
    """The directory does not let us change the entry: insufficientAccessRights (RFC 4511 A.2)."""


class ReadOnlyDirectory(WriteError):
    """The directory is not to be written: LDIF files without --ldif-writable, or a server that is a copy."""


class WriteInterrupted(WriteError, ConfigUnavailable):
    """The server gave no answer to a change: whether the first entry of ``left`` was changed is not known."""


class LoginError(Dcm4pyError):
    """Somebody is not let in. Holds neither password nor whether the user is known."""


class LoginRefused(LoginError):
    """Wrong user, wrong password, or no role here; the message is the same for all."""


class TokenRefused(LoginRefused):
    """A bearer token that does not hold; the message says why, and has nothing of the token."""

    def __init__(self, message: str, *, is_forged: bool = False) -> None:
        """``is_forged``: no token of the issuer can be like that, so it counts as a wrong log-in."""
        super().__init__(message)
        self.is_forged = is_forged


class LoginThrottled(LoginError):
    """There were too many wrong passwords for this user, or from this address."""

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        """``retry_after_seconds``: for Retry-After (RFC 9110 10.2.3)."""
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class LoginUnavailable(LoginError):
    """Whoever knows the users gives no answer."""


class StatusError(Dcm4pyError):
    """An error that ends a DIMSE request with ``status``."""

    status: int = 0x0110
    study_instance_uid: str = ""
    """The study of an object that is refused, where it is known; for the log, by reference."""

    def __init__(self, message: str, *, status: int | None = None, comment: str = "") -> None:
        """``comment`` is the Error Comment of a peer: it may hold anything, and is passed on, but never logged."""
        super().__init__(message)
        self.comment = comment
        if status is not None:
            self.status = status

    @property
    def told(self) -> str:
        """Text for whoever asked."""
        return f"{self}: {self.comment}" if self.comment else str(self)


class ClientGone(StatusError):
    """A client of HTTP has left before the end of its answer."""


class RequestError(StatusError):
    """The peer asked for something that cannot be answered."""


class IdentifierMismatch(RequestError):
    """Identifier does not match the SOP Class: no or wrong level, or unique keys missing (PS3.4 C.4.1.1.4)."""

    status = 0xA900


class MoveDestinationUnknown(RequestError):
    """The move destination is not in the directory (PS3.4 C.4.2.1.5)."""

    status = 0xA801


class MoveDestinationNotAllowed(RequestError):
    """The called AE's dcmAcceptedMoveDestination does not list the move destination; dcm4chee answers C801 too."""

    status = 0xC801


class TooManyMatches(RequestError):
    """More matches than dcmQueryMaxNumberOfResults allows."""

    status = 0xA700


class InvalidObject(RequestError):
    """The data set of a C-STORE cannot be parsed or ends early (PS3.4 B.2.3, cannot understand)."""

    status = 0xC000


class TooMuchInflated(InvalidObject):
    """A deflated data set does not fit beside those that are inflated already (PS3.4 B.2.3, out of resources)."""

    status = 0xA700


class ObjectMismatch(RequestError):
    """SOP Class or Instance UID is missing in the data set or differs from the command (PS3.4 B.2.3)."""

    status = 0xA900


class ObjectRefused(RequestError):
    """A configured policy refuses the object, such as dcmRelationalMismatchPolicy REJECT."""

    status = 0xC000


class RequestBrokenOff(RequestError):
    """The peer went away before its request was whole."""

    status = 0xC000


class DependencyError(StatusError):
    """Something that we depend on does not work right now."""


class LeadingUnavailable(DependencyError):
    """The leading archive gave no usable answer; never cached as one."""


class LeadingQueryFailed(LeadingUnavailable):
    """The leading archive ended the C-FIND with a status other than 0x0000."""


class LeadingMismatch(LeadingUnavailable):
    """The leading archive answered with a study that was not asked for, or with one study twice."""


class LeadingUnreadable(LeadingUnavailable):
    """The leading archive answered with what cannot be read: text that is not in the character set that it declares,
    several values of what has one, an answer that ends early."""


class LeadingRefused(LeadingUnavailable):
    """The leading archive was not asked, because it failed several times in a row and has not recovered."""


class LeadingTooManyMatches(LeadingUnavailable):
    """More studies match the keys in the leading archive than we take from it."""


class WorklistUnavailable(DependencyError):
    """The modality worklist SCP gave no usable answer."""


class UnencodableText(Dcm4pyError, ValueError):
    """A data set cannot hold all of its text in one character set. Names the attribute, never the text."""


class CoercionFailed(DependencyError):
    """A step of a coercion rule cannot be carried out; what happens next is the rule's dcmCoercionOnFailure."""


class IndexUnavailable(DependencyError):
    """The index database cannot be used."""

    status = 0xA700


class StorageUnavailable(DependencyError):
    """The storage cannot be read or written: disk full, no permission, file gone."""

    status = 0xA700


class ArchiveUnavailable(DependencyError):
    """Another archive, which this one stands in front of, cannot be reached or ended the request with a failure.

    Its own status is passed on where it gave one.
    """

    status = 0xC000


class NoRelationalQueries(ArchiveUnavailable):
    """It grants no relational queries, and the keys are those of no hierarchical one."""


class DestinationUnavailable(DependencyError):
    """No association to the move destination could be opened (PS3.4 C.4.2.1.5, unable to perform sub-operations)."""

    status = 0xA702


class SubOperationFailed(DependencyError):
    """One object of a retrieve cannot be sent: it cannot be read, coerced, or encoded as the destination wants it."""
