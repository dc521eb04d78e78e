"""Port to another archive to which objects are stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import AETitle
from dcm4py_leading.service.retrieve.encode import StoreContext
from dcm4py_leading.service.retrieve.sub_operations import RetrievedObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Answer of the other archive to a C-STORE."""

    status: int
    error_comment: str = ""
    is_transcoded: bool = False
    """True if it got the object in another transfer syntax than it came in."""


class StoreArchive(Protocol):
    """Another archive, for the objects of one association with us; implemented by ``dicom/upstream/store.py``."""

    def begin(self, obj: RetrievedObject) -> int:
        """Send an object, as soon as the archive takes another one; the number by which `end` knows it."""
        ...

    def end(self, number: int) -> Answer:
        """Wait for the answer to an object. Raises ArchiveUnavailable, and the errors of preparing the object."""
        ...

    def has_ended(self, number: int) -> bool:
        """True if `end` would not wait."""
        ...

    def wait(self, descriptor: int) -> None:
        """Wait until the archive sends something or the descriptor is readable, at most as long as `end` would."""
        ...

    def interrupt(self) -> None:
        """Stop the current stores and close the association; for any thread."""
        ...

    def close(self) -> None:
        """Release the association."""
        ...


OpenStoreArchive = Callable[[ApplicationEntity, AETitle, Sequence[StoreContext]], StoreArchive]
"""Makes the archive of that title ready for objects that an AE of ours sends in these contexts.

Several may be under way as far as dcmMaxOpsInvoked, dcmMaxOpsPerformed and the archive allow (PS3.7 D.3.3.3).

Raises ArchiveUnavailable if the directory does not have it.
"""
