"""How many instances of a study another archive has, asked of it by C-FIND."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from pydicom import Dataset

from dcm4py_leading.archive.normal import first_text
from dcm4py_leading.dicom.association import AssociationFailed, AssociationRefused
from dcm4py_leading.dicom.find_exchange import FindRefused, find_responses
from dcm4py_leading.dicom.requestor import RequestedAssociation
from dcm4py_leading.dicom.scu import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, STUDY_ROOT_FIND
from dcm4py_leading.errors import ArchiveUnavailable
from dcm4py_leading.model.device import ApplicationEntity, RemoteAE
from dcm4py_leading.model.values import AETitle, Level

_QUERY = [(STUDY_ROOT_FIND, (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN))]
_STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID, _SOP_INSTANCE_UID = 0x0020000D, 0x0020000E, 0x00080018
_NUMBER_OF_STUDY_RELATED_INSTANCES = 0x00201208
_PATIENCE = timedelta(seconds=15)
"""For the association, and for each response, where dcmAAACTimeout and dcmResponseTimeout are not shorter."""


def instances_of_study(
    local_ae: ApplicationEntity, remote: RemoteAE, study_instance_uid: str, calling: AETitle
) -> int | None:
    """Number of Study Related Instances (0020,1208), counted where the archive does not tell it.

    0: it has no such study. None: it lets itself not be asked. Raises ArchiveUnavailable when it gives no answer.
    """
    try:
        with RequestedAssociation(local_ae, remote, _QUERY, calling=calling, timeout=_PATIENCE) as assoc:
            return _told(assoc, study_instance_uid) if assoc.contexts else None
    except (FindRefused, AssociationRefused):
        return None
    except AssociationFailed as err:
        raise ArchiveUnavailable(str(err)) from err


def _told(assoc: RequestedAssociation, uid: str) -> int:
    """Raises AssociationFailed."""
    wanted = {"StudyInstanceUID": uid, "NumberOfStudyRelatedInstances": None}
    found = [ds for ds in _found(assoc, Level.STUDY, wanted) if first_text(ds, _STUDY_INSTANCE_UID) == uid]
    if not found:
        return 0
    told = first_text(found[0], _NUMBER_OF_STUDY_RELATED_INSTANCES)
    if told is not None and told.isdecimal():
        return int(told)
    count = 0
    for series in _values(assoc, Level.SERIES, {"StudyInstanceUID": uid, "SeriesInstanceUID": None}):
        count += len(
            _values(assoc, Level.IMAGE, {"StudyInstanceUID": uid, "SeriesInstanceUID": series, "SOPInstanceUID": None})
        )
    return count


def _values(assoc: RequestedAssociation, level: Level, wanted: Mapping[str, str | None]) -> set[str]:
    """The unique keys of the matches."""
    tag = _SERIES_INSTANCE_UID if level is Level.SERIES else _SOP_INSTANCE_UID
    return {text for ds in _found(assoc, level, wanted) if (text := first_text(ds, tag)) is not None}


def _found(assoc: RequestedAssociation, level: Level, wanted: Mapping[str, str | None]) -> list[Dataset]:
    keys = Dataset()
    keys.QueryRetrieveLevel = level.value
    for keyword, value in wanted.items():
        setattr(keys, keyword, value)
    return list(find_responses(assoc, STUDY_ROOT_FIND, keys, _PATIENCE.total_seconds))
