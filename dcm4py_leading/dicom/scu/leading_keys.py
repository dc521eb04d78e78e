"""C-FIND to a leading archive by matching keys (PS3.4 C.6.2.1)."""

from __future__ import annotations

import logging
from datetime import timedelta

from pydicom import Dataset

from dcm4py_leading.dataset.text.charset import (
    SPECIFIC_CHARACTER_SET,
    character_set,
    specific_character_set,
    unified,
)
from dcm4py_leading.dicom.scu.leading import FindSCU, study_identifier
from dcm4py_leading.errors import LeadingMismatch, LeadingTooManyMatches
from dcm4py_leading.leading.query import UnreadableAnswer
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import AETitle, Tag

LOG = logging.getLogger(__name__)


class KeysSCU:
    """C-FIND SCU that asks leading archives for studies by keys; implements `leading.keys_query.LeadingKeysQuery`.

    Uses the associations of a `FindSCU`, within the same limits. Safe under threads.
    """

    def __init__(self, scu: FindSCU) -> None:
        """``scu`` holds the pool of associations."""
        self._scu = scu

    def find_by_keys(
        self,
        leading_cfind_scp: AETitle,
        local_ae: ApplicationEntity,
        keys: Dataset,
        return_keys: frozenset[Tag],
        *,
        limit: int,
        timeout: timedelta | None = None,
    ) -> list[Dataset]:
        """Find studies by keys (see `LeadingKeysQuery`). Too many responses abort the association."""
        identifier = keys_identifier(keys, return_keys)
        try:
            found = self._scu.find(
                leading_cfind_scp, local_ae, identifier, most=limit, timeout=timeout, wanted=return_keys
            )
        except LeadingMismatch as err:
            raise LeadingTooManyMatches(f"more than {limit} studies match in {leading_cfind_scp}") from err
        answers = [answer for answer in found if not isinstance(answer, UnreadableAnswer)]
        if len(answers) < len(found):
            unreadable = len(found) - len(answers)
            LOG.warning("%d of %d answers of %s cannot be read: left out", unreadable, len(found), leading_cfind_scp)
        return answers


def keys_identifier(keys: Dataset, return_keys: frozenset[Tag]) -> Dataset:
    """Identifier of a STUDY level query with these matching keys, in the character set that ``keys`` declares."""
    identifier = study_identifier((), return_keys)
    for element in keys:
        identifier[element.tag] = element
    codes = unified(character_set(keys), (element for element in keys if element.tag != SPECIFIC_CHARACTER_SET))
    if codes:
        identifier[SPECIFIC_CHARACTER_SET] = specific_character_set(codes)
    identifier.QueryRetrieveLevel = "STUDY"
    return identifier
