"""What another archive has of what is to be retrieved from it, asked beforehand by C-FIND.

None of it is needed: where the archive does not tell, the retrieve has to do without.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import closing

from pydicom import Dataset

from dcm4py_leading.archive.normal import values_text
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
_SOP_CLASS_UID, _SOP_CLASSES_IN_STUDY = 0x00080016, 0x00080062
_STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID = 0x0020000D, 0x0020000E
_MOST_STUDIES, _MOST_SERIES = 20, 200


def studies_of(local_ae: ApplicationEntity, remote: RemoteAE, keys: RetrieveKeys, calling: AETitle) -> Sequence[str]:
    """The studies of the patient of a retrieve at PATIENT level, else those that it names."""
    if keys.level is not Level.PATIENT or keys.patient_id is None:
        return keys.study_instance_uids
    wanted = {"StudyInstanceUID": None, "PatientID": keys.patient_id, "IssuerOfPatientID": keys.issuer_of_patient_id}
    try:
        with RequestedAssociation(local_ae, remote, _QUERY, calling=calling) as assoc:
            return _values(assoc, Level.STUDY, wanted, _STUDY_INSTANCE_UID)
    except AssociationFailed:
        return ()


def sop_classes_of(
    local_ae: ApplicationEntity, remote: RemoteAE, studies: Collection[str], series: Sequence[str], calling: AETitle
) -> Sequence[str]:
    """The SOP classes in these studies, of which only ``series`` count, if any are named.

    SOP Classes in Study (0008,0062) says it, where the archive has it; else those of one object of each series do,
    which may be not all of them. Empty where it cannot be told.
    """
    if not 0 < len(studies) <= _MOST_STUDIES:
        return ()
    found: set[str] = set()
    try:
        with RequestedAssociation(local_ae, remote, _QUERY, calling=calling) as assoc:
            for study in studies:
                classes = _classes_in_study(assoc, study) or _classes_of_samples(assoc, study, series)
                if not classes:
                    return ()
                found.update(classes)
    except AssociationFailed:
        return ()
    return sorted(found)


def _classes_in_study(assoc: RequestedAssociation, study: str) -> Sequence[str]:
    wanted = {"StudyInstanceUID": study, "SOPClassesInStudy": None}
    return _values(assoc, Level.STUDY, wanted, _SOP_CLASSES_IN_STUDY)


def _classes_of_samples(assoc: RequestedAssociation, study: str, series: Sequence[str]) -> Collection[str]:
    wanted: dict[str, str | None] = {"StudyInstanceUID": study, "SeriesInstanceUID": None}
    series = series or _values(assoc, Level.SERIES, wanted, _SERIES_INSTANCE_UID)
    if len(series) > _MOST_SERIES:
        return ()
    found: set[str] = set()
    for uid in series:
        wanted = {"StudyInstanceUID": study, "SeriesInstanceUID": uid, "SOPInstanceUID": None}
        found.update(_values(assoc, Level.IMAGE, {**wanted, "SOPClassUID": None}, _SOP_CLASS_UID, most=1))
    return found


def _values(
    assoc: RequestedAssociation, level: Level, wanted: Mapping[str, str | None], tag: int, *, most: int | None = None
) -> list[str]:
    """Of up to ``most`` matches the values of an attribute. Raises AssociationFailed."""
    if not assoc.contexts:
        return []
    keys = Dataset()
    keys.QueryRetrieveLevel = level.value
    for keyword, value in wanted.items():
        setattr(keys, keyword, value)
    context = assoc.contexts[0]
    values: list[str] = []
    with closing(encoded_responses(assoc, context, STUDY_ROOT_FIND, keys, lambda: None)) as responses:
        for number, response in enumerate(responses, 1):
            try:
                values += values_text(decode(response, context.transfer_syntax), tag)
            except UNREADABLE as err:
                raise AssociationFailed(f"{assoc.peer}: a response cannot be parsed") from err
            if number == most:
                break
    return values
