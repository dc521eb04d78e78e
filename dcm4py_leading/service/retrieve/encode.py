"""Encoding of objects for C-STORE, in a transfer syntax that the destination accepts."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple

from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dcm4py_leading.dataset.data_sets import write
from dcm4py_leading.dataset.deflate import deflated
from dcm4py_leading.dataset.object_bytes import ObjectBytes
from dcm4py_leading.dataset.pydicom_bridge import UnreadableElement
from dcm4py_leading.dataset.scan import DEFLATED, Buffer, Encoding
from dcm4py_leading.dataset.soundness import Unsound
from dcm4py_leading.dataset.text.unreadable import UNREADABLE
from dcm4py_leading.errors import InvalidObject, SubOperationFailed, UnencodableText

UNCOMPRESSED = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))
_ODD = (*UNREADABLE, RuntimeError, InvalidDicomError, zlib.error)


@dataclass(frozen=True, slots=True)
class StoreContext:
    """A presentation context to propose to a destination."""

    sop_class_uid: str
    transfer_syntax_uids: tuple[str, ...]


class Spliced(NamedTuple):
    """A data set as pieces, which end with an element, and all that a stored one has from an offset on."""

    pieces: Sequence[Buffer]
    source: ObjectBytes
    rest: int


@dataclass(slots=True, kw_only=True)
class PreparedObject:
    """An object to send: UIDs for the C-STORE command, and the bytes of the data set in pieces."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    length: int
    """Octets of the data set."""
    source: Iterator[Sequence[Buffer]] | None
    mapped: Callable[[], Iterator[Sequence[Buffer]]] | None = None
    """The same as maps of a file, of which only the system may look at the octets; None if there are none."""
    release: Callable[[], None] = lambda: None
    """Lets go of what the bytes come from."""
    spliced: Spliced | None = None
    """Where the bytes come from; None where they are made anew."""
    is_transcoded: bool = False
    """True if it leaves in another transfer syntax than it is stored in."""

    def batches(self, *, for_system: bool = False) -> Iterator[Sequence[Buffer]]:
        """Yield the data set, once, in batches of buffers to send together; each batch is valid until the next one.

        ``for_system``: only the system reads the octets.
        """
        source, self.source = self.source, None
        if source is None:
            return iter(())
        return self.mapped() if for_system and self.mapped is not None else source

    def close(self) -> None:
        """Close the file of the bytes. May be called again."""
        self.source = None
        self.release()


def proposed_transfer_syntaxes(stored: str) -> tuple[tuple[str, ...], ...]:
    """Proposal for an object: one presentation context for each tuple.

    The stored syntax has its own context, so that the peer cannot prefer another one; a second context has the
    uncompressed ones.
    """
    return ((stored,), tuple(syntax for syntax in UNCOMPRESSED if syntax != stored))


def choose_transfer_syntax(stored: str, accepted: Collection[str]) -> str:
    """The accepted syntax to send in: the stored one if possible. Raises SubOperationFailed."""
    for syntax in (stored, *UNCOMPRESSED):
        if syntax in accepted:
            return syntax
    raise SubOperationFailed("the destination accepts neither the stored nor an uncompressed transfer syntax")


class ObjectErrors:
    """Context manager that turns errors of an invalid object, also of pydicom, into SubOperationFailed.

    Without values in the message. Reusable.
    """

    __slots__ = ("_what",)

    def __init__(self, what: str) -> None:
        """``what`` names the action that failed."""
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, exc_type: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None
    ) -> None:
        if isinstance(err, (InvalidObject, UnencodableText, UnreadableElement, Unsound)):
            raise SubOperationFailed(f"{self._what}: {err}") from err  # their messages have no values
        if isinstance(err, _ODD):
            raise SubOperationFailed(f"{self._what} ({type(err).__name__})") from err


def encoded(ds: Dataset, transfer_syntax_uid: str) -> bytes:
    """A data set without bulk data, such as an identifier, in that transfer syntax. Raises one of UNREADABLE."""
    syntax = UID(transfer_syntax_uid)
    data = write(ds, Encoding(syntax.is_implicit_VR, syntax.is_little_endian))
    return deflated(data) if transfer_syntax_uid in DEFLATED else data
