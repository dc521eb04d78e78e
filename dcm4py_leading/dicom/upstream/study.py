"""State of a study in another archive, by C-FIND, to decide if a cached copy is up to date."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta

from pydicom import Dataset
from pydicom.datadict import tag_for_keyword

from dcm4py_leading.archive.proxy_cache.cached_study import StudyState
from dcm4py_leading.dataset.normal import first_text, values_text
from dcm4py_leading.dicom.scu.find_exchange import FindRefused, find_responses, within
from dcm4py_leading.dicom.scu.leading import STUDY_ROOT_FIND
from dcm4py_leading.dicom.scu.requestor import RequestedAssociation
from dcm4py_leading.dicom.upper.failures import AssociationFailed, AssociationRefused
from dcm4py_leading.dicom.upstream.questions import QUERY_CONTEXTS, study_root_identifier
from dcm4py_leading.errors import ArchiveUnavailable
from dcm4py_leading.model.bounds import QUESTION_SECONDS
from dcm4py_leading.model.device import ApplicationEntity, RemoteAE
from dcm4py_leading.model.values import AETitle, Level

LOG = logging.getLogger(__name__)

_STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID, _SOP_INSTANCE_UID = 0x0020000D, 0x0020000E, 0x00080018
_NUMBER_OF_STUDY_RELATED_INSTANCES = 0x00201208
_SAID = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "StudyID",
    "StudyDescription",
    "ReferringPhysicianName",
)
"""Attributes that tell that patient or study were corrected there."""
_PATIENCE = timedelta(seconds=15)
"""For the association, and for each response, where dcmAAACTimeout and dcmResponseTimeout are not shorter."""


def state_of_study(
    local_ae: ApplicationEntity, remote: RemoteAE, study_instance_uid: str, calling: AETitle
) -> StudyState | None:
    """Number of Study Related Instances (0020,1208), or the counted instances if the archive does not return it.

    None: the archive does not support the query. Raises ArchiveUnavailable if it gives no answer.
    """
    try:
        with RequestedAssociation(local_ae, remote, QUERY_CONTEXTS, calling=calling, timeout=_PATIENCE) as assoc:
            return _state(assoc, study_instance_uid) if assoc.contexts else None
    except (FindRefused, AssociationRefused):
        return None
    except AssociationFailed as err:
        raise ArchiveUnavailable(str(err)) from err


def _state(assoc: RequestedAssociation, uid: str) -> StudyState:
    """Raises AssociationFailed."""
    wanted = {"StudyInstanceUID": uid, "NumberOfStudyRelatedInstances": None, **dict.fromkeys(_SAID)}
    found = [ds for ds in _found(assoc, Level.STUDY, wanted) if first_text(ds, _STUDY_INSTANCE_UID) == uid]
    if not found:
        return StudyState(0, "")
    said = [values_text(found[0], tag_for_keyword(keyword) or 0) for keyword in _SAID]
    digest = hashlib.sha256(repr(said).encode()).hexdigest()
    told = first_text(found[0], _NUMBER_OF_STUDY_RELATED_INSTANCES)
    return StudyState(int(told) if told is not None and told.isdecimal() else _counted(assoc, uid), digest)


def count_of(
    local_ae: ApplicationEntity, remote: RemoteAE, studies: Sequence[str], series: Sequence[str], calling: AETitle
) -> int | None:
    """Number of instances of the ``studies``, or of these ``series`` if given; None if the archive does not tell."""
    try:
        with RequestedAssociation(local_ae, remote, QUERY_CONTEXTS, calling=calling, timeout=_PATIENCE) as assoc:
            if not assoc.contexts:
                return None
            if series:
                return sum(_counted_in(assoc, study, one) for study in studies for one in series)
            return sum(_state(assoc, study).instances for study in studies)
    except AssociationFailed as err:
        LOG.info("how many instances there are is not known: %s", err)
        return None


def _counted(assoc: RequestedAssociation, uid: str) -> int:
    """Raises AssociationFailed."""
    of_study: dict[str, str | None] = {"StudyInstanceUID": uid}
    count = 0
    for series in _values(assoc, Level.SERIES, {**of_study, "SeriesInstanceUID": None}):
        count += _counted_in(assoc, uid, series)
    return count


def _counted_in(assoc: RequestedAssociation, study: str, series: str) -> int:
    """Raises AssociationFailed."""
    wanted = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "SOPInstanceUID": None}
    return len(_values(assoc, Level.IMAGE, wanted))


def _values(assoc: RequestedAssociation, level: Level, wanted: Mapping[str, str | None]) -> set[str]:
    """Unique keys of the matches."""
    tag = _SERIES_INSTANCE_UID if level is Level.SERIES else _SOP_INSTANCE_UID
    return {text for ds in _found(assoc, level, wanted) if (text := first_text(ds, tag)) is not None}


def _found(assoc: RequestedAssociation, level: Level, wanted: Mapping[str, str | None]) -> list[Dataset]:
    left = within(QUESTION_SECONDS)
    identifier = study_root_identifier(level, wanted)
    return list(find_responses(assoc, STUDY_ROOT_FIND, identifier, lambda: min(left(), _PATIENCE.total_seconds())))
