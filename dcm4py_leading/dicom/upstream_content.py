"""What another archive has of what is to be retrieved from it, asked beforehand by C-FIND.

Only `held_of` is needed, where there are several archives; else, where the archive does not tell, the retrieve has to
do without.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing

from pydicom import Dataset

from dcm4py_leading.archive.keys import UNIQUE_KEYS
from dcm4py_leading.archive.normal import first_text
from dcm4py_leading.archive.query import RetrieveKeys
from dcm4py_leading.coercion.unreadable import UNREADABLE
from dcm4py_leading.dicom.association import AssociationFailed
from dcm4py_leading.dicom.find_exchange import encoded_responses
from dcm4py_leading.dicom.identifier import decode
from dcm4py_leading.dicom.requestor import RequestedAssociation
from dcm4py_leading.dicom.scu import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, STUDY_ROOT_FIND
from dcm4py_leading.model.device import ApplicationEntity, RemoteAE
from dcm4py_leading.model.values import AETitle, Level

_QUERY = [(STUDY_ROOT_FIND, (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN))]
_SOP_CLASS_UID, _SERIES_INSTANCE_UID = 0x00080016, 0x0020000E
_MOST_SERIES = 200
_Wanted = str | Sequence[str] | None


def studies_of(local_ae: ApplicationEntity, remote: RemoteAE, keys: RetrieveKeys, calling: AETitle) -> Sequence[str]:
    """The studies of the patient of a retrieve at PATIENT level, else those that it names."""
    if keys.level is not Level.PATIENT or keys.patient_id is None:
        return keys.study_instance_uids
    try:
        return held_of(local_ae, remote, keys, calling)
    except AssociationFailed:
        return ()


def held_of(local_ae: ApplicationEntity, remote: RemoteAE, keys: RetrieveKeys, calling: AETitle) -> Sequence[str]:
    """What there is of the entities that a retrieve names: UIDs of its level, at PATIENT level of the studies.

    Raises AssociationFailed, FindRefused.
    """
    level = Level.STUDY if keys.level is Level.PATIENT else keys.level
    wanted: dict[str, _Wanted] = {"StudyInstanceUID": list(keys.study_instance_uids)}
    if keys.level is Level.PATIENT:
        wanted.update(PatientID=keys.patient_id, IssuerOfPatientID=keys.issuer_of_patient_id)
    if level in (Level.SERIES, Level.IMAGE):
        wanted["SeriesInstanceUID"] = list(keys.series_instance_uids)
    if level is Level.IMAGE:
        wanted["SOPInstanceUID"] = list(keys.sop_instance_uids)
    with RequestedAssociation(local_ae, remote, _QUERY, calling=calling) as assoc:
        if not assoc.contexts:
            raise AssociationFailed(f"{remote.ae_title} accepts no query in the Study Root model")
        return _values(assoc, level, wanted, UNIQUE_KEYS[level])


def sop_classes_of(
    local_ae: ApplicationEntity, remote: RemoteAE, keys: RetrieveKeys, calling: AETitle
) -> Sequence[str]:
    """The SOP classes of one object of each series of a study."""
    if keys.level is Level.PATIENT or len(keys.study_instance_uids) != 1:
        return ()
    (study,) = keys.study_instance_uids
    found: set[str] = set()
    try:
        with RequestedAssociation(local_ae, remote, _QUERY, calling=calling) as assoc:
            wanted: dict[str, _Wanted] = {"StudyInstanceUID": study, "SeriesInstanceUID": None}
            series = keys.series_instance_uids or _values(assoc, Level.SERIES, wanted, _SERIES_INSTANCE_UID)
            if len(series) > _MOST_SERIES:
                return ()
            for uid in series:
                wanted = {"StudyInstanceUID": study, "SeriesInstanceUID": uid, "SOPInstanceUID": None}
                found.update(_values(assoc, Level.IMAGE, {**wanted, "SOPClassUID": None}, _SOP_CLASS_UID, most=1))
    except AssociationFailed:
        return ()
    return sorted(found)


def _values(
    assoc: RequestedAssociation, level: Level, wanted: Mapping[str, _Wanted], tag: int, *, most: int | None = None
) -> list[str]:
    """Of up to ``most`` matches the value of an attribute. Raises AssociationFailed."""
    if not assoc.contexts:
        return []
    keys = Dataset()
    keys.QueryRetrieveLevel = level.value
    for keyword, value in wanted.items():
        setattr(keys, keyword, value)
    context = assoc.contexts[0]
    values: list[str] = []
    with closing(encoded_responses(assoc, context, STUDY_ROOT_FIND, keys, lambda: None)) as responses:
        for response in responses:
            try:
                value = first_text(decode(response, context.transfer_syntax), tag)
            except UNREADABLE as err:
                raise AssociationFailed(f"{assoc.peer}: a response cannot be parsed") from err
            if value is not None:
                values.append(value)
            if most is not None and len(values) >= most:
                break
    return values
