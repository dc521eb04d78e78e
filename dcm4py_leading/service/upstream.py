"""The archive from which objects come that are not here (dcmFallbackCMoveSCP), as a retrieve sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pydicom import Dataset

from dcm4py_leading.archive.query import RetrieveKeys
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import AETitle, Level
from dcm4py_leading.service.forwards import Forward


class InstanceCount(Protocol):
    """Tells how many instances studies have (dcmFallbackCMoveSCPLeadingCFindSCP)."""

    def __call__(self, local_ae: ApplicationEntity, study_instance_uids: Sequence[str]) -> int | None:
        """Number of Study Related Instances (0020,1208), of all of them; None where it cannot be told."""
        ...


class Upstream(Protocol):
    """Asks the other archive; implemented by ``dicom/upstream_retrieve.py``."""

    @property
    def scps(self) -> Sequence[AETitle]:
        """The archives that may be asked."""
        ...

    def count_at(self, scp: AETitle, local_ae: ApplicationEntity, study_instance_uid: str) -> int | None:
        """How many instances of a study one of them has; None where it lets itself not be asked.

        Raises ArchiveUnavailable when it gives no answer.
        """
        ...

    def fetch(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> Forward:
        """Let it send what is asked for to us. Raises ArchiveUnavailable.

        What becomes of it, the forward tells; it has to be closed.
        """
        ...

    def instances_of(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> int | None:
        """How many instances there are; None where nobody is to be asked, or it cannot be told."""
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
