"""DIMSE messages (PS3.7 6, 9.3): presentation context, command, and objects to send."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.dicom.upper import command as dimse
from dcm4py_leading.dicom.upper.command import Received


@dataclass(frozen=True, slots=True)
class PresentationContext:
    """An accepted presentation context."""

    context_id: int
    abstract_syntax: str
    transfer_syntax: str
    as_scu: bool
    """True if we may be the SCU in it."""
    as_scp: bool


@dataclass(frozen=True, slots=True)
class DimseMessage:
    """A DIMSE message without its data set, which comes by `Association.data`."""

    context: PresentationContext
    command: Received
    held: memoryview | None = None
    """Its data set, where that had to be read before the message was wanted."""

    @property
    def is_request(self) -> bool:
        """True if it is a request; a C-CANCEL is one."""
        return not (self.number(dimse.COMMAND_FIELD) or 0) & dimse.RESPONSE

    def number(self, element: int) -> int | None:
        """The value of a numeric element of the command set."""
        value = self.command.get(element)
        return value if isinstance(value, int) else None

    def text(self, element: int) -> str:
        """The value of a text element of the command set."""
        return dimse.text(self.command, element)


@dataclass(frozen=True, slots=True)
class MoveOriginator:
    """Originator of a C-STORE sub-operation: the C-MOVE SCU's AE title and its Message ID (PS3.7 9.1.1.1)."""

    ae_title: str
    message_id: int


class SentObject(Protocol):
    """An object to send by C-STORE; a retrieve makes it from a stored or arriving object."""

    @property
    def sop_class_uid(self) -> str: ...

    @property
    def sop_instance_uid(self) -> str: ...

    @property
    def transfer_syntax_uid(self) -> str: ...

    @property
    def length(self) -> int:
        """Octets of the data set."""
        ...

    def batches(self, *, for_system: bool = False) -> Iterator[Sequence[Buffer]]:
        """Yield the data set, once, in batches of buffers to send together; each batch is valid until the next one.

        ``for_system``: only the system reads the octets.
        """
        ...

    def close(self) -> None:
        """Close the source of the bytes. May be called again."""
        ...
