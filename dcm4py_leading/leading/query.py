"""Port for queries to a leading archive."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from pydicom import Dataset

from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import UID, AETitle, Tag

StudyAttributes = Dataset
"""Answer of a leading archive about one study: the return keys, decoded. Shared between threads, so only read."""


class UnreadableAnswer(Dataset):
    """An unreadable response; has only the Study Instance UID, if that could be read."""


class LeadingQuery(Protocol):
    """C-FIND query to a leading archive; implemented by ``dicom/scu/leading.py``."""

    def find_studies(
        self,
        leading_cfind_scp: AETitle,
        local_ae: ApplicationEntity,
        study_instance_uids: Sequence[UID],
        return_keys: frozenset[Tag],
        *,
        timeout: timedelta | None = None,
    ) -> list[Dataset]:
        """All pending responses to one Study Root, STUDY level C-FIND (PS3.4 C.6.2.1).

        Several UIDs are queried by List of UID Matching (PS3.4 C.2.2.2.2). ``timeout`` limits the time from opening an
        association to the last response. Raises LeadingQueryFailed if the final status is not 0x0000, LeadingMismatch
        if there are more responses than the UIDs can have, and LeadingUnavailable if the archive is not in the
        directory, cannot be reached, rejects, aborts or does not respond; the message has the AE title and the reason.
        """
        ...

    def reach(self, leading_cfind_scp: AETitle, local_ae: ApplicationEntity, *, timeout: timedelta) -> None:
        """Open an association that `find_studies` could use. Raises LeadingUnavailable."""
        ...
