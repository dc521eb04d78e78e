"""From a data set to the bytes of a C-STORE in a transfer syntax that the destination accepts."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dcm4py_leading.dataset.data_sets import write
from dcm4py_leading.dataset.deflate import deflated
from dcm4py_leading.dataset.pydicom_bridge import UnreadableElement
from dcm4py_leading.dataset.scan import DEFLATED, Buffer, Encoding
from dcm4py_leading.dataset.soundness import Unsound
from dcm4py_leading.dataset.unreadable import UNREADABLE
from dcm4py_leading.errors import InvalidObject, SubOperationFailed, UnencodableText

UNCOMPRESSED = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))
_ODD = (*UNREADABLE, RuntimeError, InvalidDicomError, zlib.error)


@dataclass(slots=True, kw_only=True)
class PreparedObject:
    """An object as it goes out: what the C-STORE command names, and the data set's bytes in pieces."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    length: int
    """Octets of the data set."""
    source: Iterator[Sequence[Buffer]] | None
    release: Callable[[], None] = lambda: None
    """Lets go of what the bytes come from."""
    is_transcoded: bool = False
    """True if it leaves in another transfer syntax than it is stored in."""

    def batches(self) -> Iterator[Sequence[Buffer]]:
        """The data set, once, in buffers to be sent together; each batch is good until the next one is asked for."""
        source, self.source = self.source, None
        return iter(()) if source is None else source

    def close(self) -> None:
        """Let go of the file that the bytes come from. May be called again."""
        self.source = None
        self.release()


def proposed_transfer_syntaxes(stored: str) -> tuple[tuple[str, ...], ...]:
    """Proposal for an object: one presentation context for each tuple.

    The stored syntax in a context of its own, so that the peer cannot prefer another, and the uncompressed ones.
    """
    return ((stored,), tuple(syntax for syntax in UNCOMPRESSED if syntax != stored))


def choose_transfer_syntax(stored: str, accepted: Collection[str]) -> str:
    """The accepted syntax to send in: the stored one if possible. Raises SubOperationFailed."""
    for syntax in (stored, *UNCOMPRESSED):
        if syntax in accepted:
            return syntax
    raise SubOperationFailed("the destination accepts neither the stored nor an uncompressed transfer syntax")


@contextmanager
def object_errors(what: str) -> Iterator[None]:
    """Turn what an odd object raises, in pydicom and its plug-ins too, into SubOperationFailed, without values."""
    try:
        yield
    except (InvalidObject, UnencodableText, UnreadableElement, Unsound) as err:  # their messages have no values
        raise SubOperationFailed(f"{what}: {err}") from err
    except _ODD as err:
        raise SubOperationFailed(f"{what} ({type(err).__name__})") from err


def encoded(ds: Dataset, transfer_syntax_uid: str) -> bytes:
    """A data set without bulk data, such as an identifier, in that transfer syntax. Raises one of UNREADABLE."""
    syntax = UID(transfer_syntax_uid)
    data = write(ds, Encoding(syntax.is_implicit_VR, syntax.is_little_endian))
    return deflated(data) if transfer_syntax_uid in DEFLATED else data
