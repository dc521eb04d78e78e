"""Archive from which an AE of ours retrieves objects not stored here; implements `service.proxy.upstream.Upstream`.

Without dcmFallbackCMoveSCPDestination, dcm4chee lets the archive send directly to the client, so nothing is coerced.
Here the archive always sends to us.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from dcm4py_leading.archive.index.querying.query import RetrieveKeys
from dcm4py_leading.archive.proxy_cache.cached_study import StudyState
from dcm4py_leading.dicom.scu.find_exchange import FindRefused
from dcm4py_leading.dicom.scu.resolve import Resolve
from dcm4py_leading.dicom.status import NOT_OF_SOP_CLASS
from dcm4py_leading.dicom.upper.failures import AssociationFailed
from dcm4py_leading.dicom.upstream.content import Content, content_of, held_uids, studies_of
from dcm4py_leading.dicom.upstream.find import upstream_ae
from dcm4py_leading.dicom.upstream.remote_retrieve import RemoteRetrieve
from dcm4py_leading.dicom.upstream.retrieve_methods import RetrieveMethods
from dcm4py_leading.dicom.upstream.study import count_of, state_of_study
from dcm4py_leading.errors import ArchiveUnavailable
from dcm4py_leading.leading.contacts import Contacts
from dcm4py_leading.model.bounds import RETRIEVE_SECONDS
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import AETitle, Level
from dcm4py_leading.service.proxy.forwarded_retrieve import ArrivedObject, ForwardedRetrieve
from dcm4py_leading.service.proxy.forwarded_retrieves import ForwardedRetrieves
from dcm4py_leading.service.proxy.upstream import InstanceCount, retrieve_identifier

_FOR_A_WHILE = 600.0
"""Seconds for which an archive that does no C-GET is asked by C-MOVE at once."""


class UpstreamRetrieve:
    """One other archive, for the clients of one AE of ours. Safe under threads."""

    def __init__(
        self,
        scp: AETitle,
        resolve: Resolve,
        forwards: ForwardedRetrieves,
        *,
        destination: AETitle,
        calling: AETitle | None = None,
        retries: int = 0,
        count: InstanceCount | None = None,
        contacts: Contacts | None = None,
    ) -> None:
        """The archive sends to ``destination``, an AE of ours. We call as ``calling``, by default as that AE.

        ``retries`` is dcmFallbackCMoveSCPRetries; ``count`` queries dcmFallbackCMoveSCPLeadingCFindSCP, if configured;
        ``contacts`` records if the archive answers.
        """
        self._contacts = contacts or Contacts()
        self._scp = scp
        self._count = count
        self._retries = retries
        self._resolve = resolve
        self._forwards = forwards
        self._destination = destination
        self._calling = calling
        self._no_get_until = 0.0

    @property
    def scp(self) -> AETitle:
        """AE title of the archive."""
        return self._scp

    def fetch(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> ForwardedRetrieve:
        """Fetch objects from another archive (see `Upstream`). Raises ArchiveUnavailable."""
        with self._contacts.asking(local_ae.ae_title, self._scp, "retrieve"):
            return self._fetch(local_ae, keys)

    def _fetch(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> ForwardedRetrieve:
        remote = upstream_ae(self._scp, self._resolve)
        calling = self._calling or local_ae.calling_ae_title_for(remote.ae_title)
        message_id = self._forwards.next_message_id()
        studies = studies_of(local_ae, remote, keys, calling)
        may_get = time.monotonic() >= self._no_get_until
        ways = RetrieveMethods(
            local_ae,
            remote,
            level=keys.level,
            calling=calling,
            destination=self._destination,
            message_id=message_id,
            content=content_of(local_ae, remote, studies, calling) if may_get else Content(),
            may_get=may_get,
            is_relational=not keys.is_hierarchical,
        )
        try:
            asking = ways.first()
        except AssociationFailed as err:
            if ways.is_refused_as_relational:
                reason = f"{self._scp} grants no relational retrieval"
                raise ArchiveUnavailable(reason, status=NOT_OF_SOP_CLASS) from err
            raise ArchiveUnavailable(str(err)) from err
        if ways.does_get is False:
            self._no_get_until = time.monotonic() + _FOR_A_WHILE
        connection = asking.assoc.connection
        patience = connection.retrieve_timeout or timedelta(seconds=RETRIEVE_SECONDS)
        forward = ForwardedRetrieve(
            scp=self._scp,
            originator=calling,
            message_id=message_id,
            studies=frozenset(studies),
            patience=patience.total_seconds(),
            asked=keys,
            is_asked_for=partial(_is_asked_for, keys),
            count=partial(self.count, local_ae, keys),
        )
        exchange = RemoteRetrieve(
            asking,
            ways,
            forward,
            self._forwards,
            keys=retrieve_identifier(keys),
            retries=self._retries,
            expected=partial(self.instances_of, local_ae, keys),
        )
        try:
            exchange.start()
        except AssociationFailed as err:
            self._forwards.remove(forward)
            asking.assoc.abort()
            raise ArchiveUnavailable(str(err)) from err
        return forward

    def held(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> Sequence[str]:
        """UIDs of the entities that the archive has (see `Upstream`). Raises ArchiveUnavailable."""
        with self._contacts.asking(local_ae.ae_title, self._scp, "C-FIND"):
            return self._held(local_ae, keys)

    def _held(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> Sequence[str]:
        remote = upstream_ae(self._scp, self._resolve)
        calling = self._calling or local_ae.calling_ae_title_for(remote.ae_title)
        try:
            return held_uids(local_ae, remote, keys, calling)
        except FindRefused as err:
            raise ArchiveUnavailable(f"{self._scp}: {err}", status=err.status, comment=err.comment) from err
        except AssociationFailed as err:
            raise ArchiveUnavailable(str(err)) from err

    def count(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> int | None:
        """Number of objects that the archive has (see `Upstream`)."""
        if keys.level is Level.IMAGE:
            return len(keys.sop_instance_uids)
        remote = upstream_ae(self._scp, self._resolve)
        calling = self._calling or local_ae.calling_ae_title_for(remote.ae_title)
        return count_of(
            local_ae, remote, studies_of(local_ae, remote, keys, calling), keys.series_instance_uids, calling
        )

    def state_of(self, local_ae: ApplicationEntity, study_instance_uid: str) -> StudyState | None:
        """State of a study in the archive (see `caching_upstream.SingleUpstream`). Raises ArchiveUnavailable."""
        with self._contacts.asking(local_ae.ae_title, self._scp, "C-FIND"):
            remote = upstream_ae(self._scp, self._resolve)
            calling = self._calling or local_ae.calling_ae_title_for(remote.ae_title)
            return state_of_study(local_ae, remote, study_instance_uid, calling)

    def instances_of(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> int | None:
        """Number of instances of the study, if known (see `Upstream`)."""
        if self._count is None or keys.level is not Level.STUDY:
            return None
        return self._count(local_ae, keys.study_instance_uids)


def _is_asked_for(keys: RetrieveKeys, arrived: ArrivedObject) -> bool:
    """True if a retrieve with these keys may bring the object; used if the studies of the retrieve are not known."""
    if keys.level is Level.PATIENT:
        return arrived.patient_id == (keys.patient_id or "").strip()
    wanted = (
        (keys.study_instance_uids, arrived.study_instance_uid),
        (keys.series_instance_uids, arrived.series_instance_uid),
        (keys.sop_instance_uids, arrived.sop_instance_uid),
    )
    return all(not uids or uid in uids for uids, uid in wanted)
