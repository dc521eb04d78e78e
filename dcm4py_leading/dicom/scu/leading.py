"""C-FIND to a leading archive, on pooled associations."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta

from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement

from dcm4py_leading.dicom.scu.find_exchange import FindRefused, answers_of
from dcm4py_leading.dicom.scu.pool import AssociationPool
from dcm4py_leading.dicom.scu.requestor import RequestedAssociation
from dcm4py_leading.dicom.scu.resolve import Resolve, resolved
from dcm4py_leading.dicom.upper.failures import AssociationFailed
from dcm4py_leading.dicom.upper.pace import seconds
from dcm4py_leading.errors import (
    CoercionFailed,
    LeadingMismatch,
    LeadingQueryFailed,
    LeadingUnavailable,
)
from dcm4py_leading.leading.query import UnreadableAnswer
from dcm4py_leading.leading.settings import LeadingSettings
from dcm4py_leading.model.coercion import Dimse
from dcm4py_leading.model.device import ApplicationEntity, RemoteAE
from dcm4py_leading.model.values import UID, AETitle, Tag

LOG = logging.getLogger(__name__)

STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"

Coerce = Callable[[Dimse, ApplicationEntity, RemoteAE, str, Dataset], Dataset]
"""Coercion of our own C_FIND_RQ or C_FIND_RSP: local and remote AE, SOP class, data set. Raises CoercionFailed."""


def as_it_is(dimse: Dimse, local_ae: ApplicationEntity, remote: RemoteAE, sop_class_uid: str, ds: Dataset) -> Dataset:
    """A `Coerce` without rules: returns the data set unchanged."""
    return ds


class FindSCU:
    """C-FIND SCU for leading archives with pooled associations; implements `leading.query.LeadingQuery`.

    Safe under threads.
    """

    def __init__(
        self,
        resolve: Resolve,
        *,
        settings: LeadingSettings | None = None,
        coerce: Coerce = as_it_is,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``settings`` limit the associations; ``clock`` counts seconds."""
        settings = settings or LeadingSettings()
        self._resolve = resolve
        self._coerce = coerce
        self._clock = clock
        self._pool: AssociationPool[RequestedAssociation] = AssociationPool(
            most=settings.associations, idle_after=settings.association_idle, clock=clock
        )

    def find_studies(
        self,
        leading_cfind_scp: AETitle,
        local_ae: ApplicationEntity,
        study_instance_uids: Sequence[UID],
        return_keys: frozenset[Tag],
        *,
        timeout: timedelta | None = None,
    ) -> list[Dataset]:
        """Answers of a leading archive about studies (see `leading.query.LeadingQuery`)."""
        identifier = study_identifier(study_instance_uids, return_keys)
        return self.find(
            leading_cfind_scp, local_ae, identifier, most=2 * len(study_instance_uids) + 10, timeout=timeout
        )

    def find(
        self,
        leading_cfind_scp: AETitle,
        local_ae: ApplicationEntity,
        identifier: Dataset,
        *,
        most: int,
        timeout: timedelta | None = None,
        wanted: Collection[int] | None = None,
    ) -> list[Dataset]:
        """All pending responses to one Study Root C-FIND. Raises LeadingMismatch if there are more than ``most``.

        Each has the ``wanted`` elements, by default those of the identifier; an unreadable one is an UnreadableAnswer.
        Raises as `find_studies`.
        """
        ends_at = None if timeout is None else self._clock() + timeout.total_seconds()
        remote = self._remote(leading_cfind_scp)
        try:
            keys = self._coerce(Dimse.C_FIND_RQ, local_ae, remote, STUDY_ROOT_FIND, identifier)
            try:
                answers = self._on_association(local_ae, remote, keys, wanted, most, ends_at, fresh=False)
            except _GoneWhileIdle:
                answers = self._on_association(local_ae, remote, keys, wanted, most, ends_at, fresh=True)
            return [
                answer
                if isinstance(answer, UnreadableAnswer)
                else self._coerce(Dimse.C_FIND_RSP, local_ae, remote, STUDY_ROOT_FIND, answer)
                for answer in answers
            ]
        except AssociationFailed as err:
            raise LeadingUnavailable(_naming(leading_cfind_scp, err)) from err
        except CoercionFailed as err:
            raise LeadingUnavailable(f"{leading_cfind_scp}: {err}") from err

    def reach(self, leading_cfind_scp: AETitle, local_ae: ApplicationEntity, *, timeout: timedelta) -> None:
        """Open an association with a leading archive (see `leading.query.LeadingQuery`)."""
        remote = self._remote(leading_cfind_scp)
        ends_at = self._clock() + timeout.total_seconds()
        try:
            association, _ = self._take(local_ae, remote, ends_at, fresh=True)
        except AssociationFailed as err:
            raise LeadingUnavailable(_naming(leading_cfind_scp, err)) from err
        self._pool.give_back((local_ae.ae_title, remote), association)

    def close(self) -> None:
        """Close idle associations now, and from now on each association after its query. Queries are still possible."""
        self._pool.close()

    def _remote(self, leading_cfind_scp: AETitle) -> RemoteAE:
        return resolved(self._resolve, leading_cfind_scp, LeadingUnavailable)

    def _take(
        self, local_ae: ApplicationEntity, remote: RemoteAE, ends_at: float | None, *, fresh: bool
    ) -> tuple[RequestedAssociation, bool]:
        def open_new() -> RequestedAssociation:
            proposal = (STUDY_ROOT_FIND, (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN))
            return RequestedAssociation(local_ae, remote, [proposal], timeout=self._remaining(ends_at))

        # The key includes the peer's entry in the directory, so a peer that moved is called at its new address.
        key = (local_ae.ae_title, remote)
        return self._pool.take(key, open_new, timeout=self._remaining(ends_at), fresh=fresh)

    def _remaining(self, ends_at: float | None) -> timedelta | None:
        return None if ends_at is None else timedelta(seconds=max(0.001, ends_at - self._clock()))

    def _on_association(
        self,
        local_ae: ApplicationEntity,
        remote: RemoteAE,
        identifier: Dataset,
        wanted: Collection[int] | None,
        most: int,
        ends_at: float | None,
        *,
        fresh: bool,
    ) -> list[Dataset]:
        """Query on one association. Raises _GoneWhileIdle if a pooled association ends before its first response."""
        key = (local_ae.ae_title, remote)
        association, is_used = self._take(local_ae, remote, ends_at, fresh=fresh)
        is_answered = False
        try:
            answers: list[Dataset] = []
            tags = frozenset(map(int, identifier.keys())) if wanted is None else wanted
            for answer in answers_of(
                association, STUDY_ROOT_FIND, identifier, lambda: seconds(self._remaining(ends_at)), tags
            ):
                is_answered = True
                answers.append(answer)
                if len(answers) > most:
                    raise LeadingMismatch(f"{remote.ae_title} answered with more studies than it was asked for")
        except FindRefused as err:
            self._pool.give_back(key, association)
            raise LeadingQueryFailed(f"{remote.ae_title}: {err}") from err
        except AssociationFailed as err:
            is_gone = is_used and not is_answered and not association.is_open
            self._pool.discard(key, association)
            if is_gone:
                raise _GoneWhileIdle(str(err)) from err
            raise
        except BaseException:  # cleans up and raises on, whatever it was
            self._pool.discard(key, association)
            raise
        self._pool.give_back(key, association)
        return answers


class _GoneWhileIdle(AssociationFailed):
    """The peer had ended a pooled association; we noticed it only at the next use."""


def _naming(leading_cfind_scp: AETitle, err: AssociationFailed) -> str:
    message = str(err)
    return message if message.startswith(leading_cfind_scp) else f"{leading_cfind_scp}: {message}"


def study_identifier(study_instance_uids: Sequence[UID], return_keys: frozenset[Tag]) -> Dataset:
    """Identifier of a STUDY level query for these UIDs, a list of UIDs where there are several (PS3.4 C.2.2.2.2)."""
    identifier = Dataset()
    for tag in sorted(return_keys):
        try:
            identifier.add(DataElement(tag, dictionary_VR(tag), None))
        except KeyError:  # private: the leading archive may know it
            identifier.add(DataElement(tag, "UN", None))
    identifier.QueryRetrieveLevel = "STUDY"
    identifier.StudyInstanceUID = [str(uid) for uid in study_instance_uids]
    return identifier
