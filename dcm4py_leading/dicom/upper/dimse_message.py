"""DIMSE messages as they pass over an association (PS3.7 6, 9.3): context, command, and objects to be sent."""

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
class Message:
    """A DIMSE message, as far as its command goes; its data set comes by `Association.data`."""

    context: PresentationContext
    command: Received
    held: memoryview | None = None
    """Its data set, where that had to be read before the message was wanted."""

    @property
    def is_request(self) -> bool:
        """True if it asks for something; a C-CANCEL does, too."""
        return not (self.number(dimse.COMMAND_FIELD) or 0) & dimse.RESPONSE

    def number(self, element: int) -> int | None:
        """A number of the command set."""
        value = self.command.get(element)
        return value if isinstance(value, int) else None

    def text(self, element: int) -> str:
        """A text of the command set."""
        return dimse.text(self.command, element)


@dataclass(frozen=True, slots=True)
class MoveOriginator:
    """Originator of a C-STORE sub-operation: the C-MOVE SCU's AE title and its Message ID (PS3.7 9.1.1.1)."""

    ae_title: str
    message_id: int


class SentObject(Protocol):
    """An object as a C-STORE sends it; a retrieve makes it of what is stored or arrives."""

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
        """The data set, once, in buffers to be sent together; each batch is good until the next one is asked for.

        ``for_system``: nobody looks at the octets before the system does.
        """
        ...

    def close(self) -> None:
        """Let go of what the bytes come from. May be called again."""
        ...
