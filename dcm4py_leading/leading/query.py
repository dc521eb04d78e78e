"""The question to a leading archive, and the port through which it is asked."""

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
    """A response that cannot be read; all that is in it is Study Instance UID, where that can be told."""


class LeadingQuery(Protocol):
    """Asks a leading archive by C-FIND; implemented by ``dicom/scu/leading.py``."""

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

        Several UIDs are asked for by List of UID Matching (PS3.4 C.2.2.2.2). ``timeout`` bounds it from the opening
        of an association to the last response. Raises LeadingQueryFailed when it ends with a status other than
        0x0000, LeadingMismatch when there are more responses than UIDs can account for, and LeadingUnavailable when
        the archive is not in the directory, cannot be reached, rejects, aborts or goes silent; the message names the
        AE title and the reason.
        """
        ...

    def reach(self, leading_cfind_scp: AETitle, local_ae: ApplicationEntity, *, timeout: timedelta) -> None:
        """Open an association that `find_studies` could use. Raises LeadingUnavailable."""
        ...
