"""Number of instances of studies, by a query to dcmFallbackCMoveSCPLeadingCFindSCP."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta

from dcm4py_leading.dataset.normal import first_text
from dcm4py_leading.dicom.scu.leading import FindSCU
from dcm4py_leading.errors import LeadingUnavailable
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import UID, AETitle, Tag

LOG = logging.getLogger(__name__)

_NUMBER_OF_STUDY_RELATED_INSTANCES = Tag(0x00201208)


class InstanceCountQuery:
    """Query to one archive; implements `service.proxy.upstream.InstanceCount`."""

    def __init__(self, scp: AETitle, find: FindSCU, timeout: timedelta) -> None:
        self._scp = scp
        self._find = find
        self._timeout = timeout

    def __call__(self, local_ae: ApplicationEntity, study_instance_uids: Sequence[str]) -> int | None:
        """Number of instances of the studies, or None (see `InstanceCount`). A failure is only logged."""
        keys = frozenset({_NUMBER_OF_STUDY_RELATED_INSTANCES})
        uids = [UID(uid) for uid in study_instance_uids]
        try:
            answers = self._find.find_studies(self._scp, local_ae, uids, keys, timeout=self._timeout)
        except LeadingUnavailable as err:
            LOG.warning("how many instances there are is not known: %s", err)
            return None
        counts = [first_text(answer, _NUMBER_OF_STUDY_RELATED_INSTANCES) for answer in answers]
        known = [int(count) for count in counts if count is not None and count.isdecimal()]
        return sum(known) if len(known) == len(uids) else None
