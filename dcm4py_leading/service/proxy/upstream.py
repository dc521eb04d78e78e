"""The archives from which objects come that are not here (dcmFallbackCMoveSCP), as a retrieve sees them."""

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
    """Tells how many instances studies have (dcmFallbackCMoveSCPLeadingCFindSCP)."""

    def __call__(self, local_ae: ApplicationEntity, study_instance_uids: Sequence[str]) -> int | None:
        """Number of Study Related Instances (0020,1208), of all of them; None where it cannot be told."""
        ...


class ObjectStream(Stream, Protocol):
    """Objects on their way from other archives; to be closed."""

    @property
    def studies(self) -> frozenset[str]:
        """Those that were asked for, where they are known."""
        ...

    @property
    def has_ended(self) -> bool:
        """True if no more of them will come than have come."""
        ...

    def __iter__(self) -> Iterator[ArrivedObject | UnsentObject]:
        """The objects as they come, then those that do not. Raises ArchiveUnavailable when none came at all."""
        ...


class Upstream(Protocol):
    """Asks another archive, or several; implemented by ``dicom/upstream/retrieve.py``, `several_upstreams`."""

    def fetch(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> ObjectStream | None:
        """Let it send what is asked for to us; None when it is known to have nothing of it.

        Raises ArchiveUnavailable.
        """
        ...

    def held(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> Sequence[str]:
        """UIDs that it has of what is to be retrieved: of the level of the retrieve, at PATIENT level of the studies.

        Raises ArchiveUnavailable.
        """
        ...

    def count(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> int | None:
        """Number of objects that it has of what is to be retrieved; None where it does not tell."""
        ...

    def instances_of(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> int | None:
        """Number of instances; None where nobody is to be asked, or it cannot be told."""
        ...


def retrieve_identifier(keys: RetrieveKeys) -> Dataset:
    """The identifier of a C-MOVE or C-GET (PS3.4 C.4.2.1.4).

    In the Study Root model, which names studies by UID alone, unless whole patients are asked for.
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
