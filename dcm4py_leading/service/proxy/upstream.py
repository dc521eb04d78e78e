"""Port to archives for objects that are not stored here (dcmFallbackCMoveSCP)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from pydicom import Dataset

from dcm4py_leading.archive.index.querying.query import RetrieveKeys
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import Level
from dcm4py_leading.service.proxy.forwarded_retrieve import ArrivedObject, UnsentObject
from dcm4py_leading.service.retrieve.sub_operations import Stream


class InstanceCount(Protocol):
    """Query for the number of instances of studies (dcmFallbackCMoveSCPLeadingCFindSCP)."""

    def __call__(self, local_ae: ApplicationEntity, study_instance_uids: Sequence[str]) -> int | None:
        """Sum of Number of Study Related Instances (0020,1208); None if not known."""
        ...


class ObjectStream(Stream, Protocol):
    """Stream of objects from other archives; must be closed."""

    @property
    def studies(self) -> frozenset[str]:
        """The studies that were asked for, if known."""
        ...

    @property
    def has_ended(self) -> bool:
        """True if no more objects will come."""
        ...

    def __iter__(self) -> Iterator[ArrivedObject | UnsentObject]:
        """Received objects, then the failed ones. Raises ArchiveUnavailable if no object came."""
        ...


class Upstream(Protocol):
    """One or several other archives; implemented by ``dicom/upstream/retrieve.py``, `several_upstreams`."""

    def fetch(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> ObjectStream | None:
        """Let the archive send objects to us; None if it is known to have none of them.

        Raises ArchiveUnavailable.
        """
        ...

    def held(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> Sequence[str]:
        """UIDs, of the level of a retrieve, that the archive has; at PATIENT level those of the studies.

        Raises ArchiveUnavailable.
        """
        ...

    def count(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> int | None:
        """Number of objects of a retrieve that the archive has; None if not known."""
        ...

    def instances_of(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> int | None:
        """Number of instances of studies; None if not configured or not known."""
        ...


def retrieve_identifier(keys: RetrieveKeys) -> Dataset:
    """The identifier of a C-MOVE or C-GET (PS3.4 C.4.2.1.4).

    In the Study Root model, which needs only UIDs, except at PATIENT level.
    """
    identifier = Dataset()
    identifier.QueryRetrieveLevel = keys.level.value
    if keys.level is Level.PATIENT:
        identifier.PatientID = keys.patient_id
        if keys.issuer_of_patient_id:
            identifier.IssuerOfPatientID = keys.issuer_of_patient_id
    for keyword, uids in (
        ("StudyInstanceUID", keys.study_instance_uids),
        ("SeriesInstanceUID", keys.series_instance_uids),
        ("SOPInstanceUID", keys.sop_instance_uids),
    ):
        if uids:
            setattr(identifier, keyword, list(uids))
    return identifier
