"""Content that a retrieve from another archive will bring, queried beforehand by C-FIND.

With several archives, `held_uids` must succeed. All other results are optional: the retrieve also works without them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from pydicom.datadict import tag_for_keyword

from dcm4py_leading.archive.index.querying.query import RetrieveKeys
from dcm4py_leading.dataset.normal import values_text
from dcm4py_leading.dicom.negotiation import accepted_storage
from dcm4py_leading.dicom.scu.answers import read_answer
from dcm4py_leading.dicom.scu.find_exchange import encoded_responses, within
from dcm4py_leading.dicom.scu.leading import STUDY_ROOT_FIND
from dcm4py_leading.dicom.scu.requestor import RequestedAssociation
from dcm4py_leading.dicom.upper.failures import AssociationFailed
from dcm4py_leading.dicom.upstream.modality_sop_classes import companions, sop_classes_of
from dcm4py_leading.dicom.upstream.questions import QUERY_CONTEXTS, study_root_identifier
from dcm4py_leading.errors import InvalidObject
from dcm4py_leading.model.bounds import QUESTION_SECONDS
from dcm4py_leading.model.device import ApplicationEntity, RemoteAE
from dcm4py_leading.model.values import AETitle, Level

_MAX_STUDIES = 20
_Wanted = str | Sequence[str] | None


@dataclass(frozen=True, slots=True)
class Content:
    """SOP classes of the objects: those known to be there, and those that may be there."""

    certain: frozenset[str] = frozenset()
    """None if nothing is known."""
    possible: frozenset[str] = frozenset()

    def with_(self, certain: Iterable[str], possible: Iterable[str] = ()) -> Self:
        """The content with these SOP classes added."""
        return replace(self, certain=self.certain.union(certain), possible=self.possible.union(possible))


def studies_of(local_ae: ApplicationEntity, remote: RemoteAE, keys: RetrieveKeys, calling: AETitle) -> Sequence[str]:
    """The studies of a retrieve: those of the patient at PATIENT level, else those that its keys name."""
    if keys.level is not Level.PATIENT or keys.patient_id is None:
        return keys.study_instance_uids
    try:
        return held_uids(local_ae, remote, keys, calling)
    except AssociationFailed:
        return ()


def held_uids(local_ae: ApplicationEntity, remote: RemoteAE, keys: RetrieveKeys, calling: AETitle) -> Sequence[str]:
    """UIDs, of the level of a retrieve, that the archive has; at PATIENT level those of the studies.

    Raises AssociationFailed, FindRefused.
    """
    wanted: dict[str, _Wanted] = {}
    if keys.level is Level.PATIENT:
        wanted.update(PatientID=keys.patient_id, IssuerOfPatientID=keys.issuer_of_patient_id)
    wanted["StudyInstanceUID"] = list(keys.study_instance_uids)
    if keys.level in (Level.SERIES, Level.IMAGE):
        wanted["SeriesInstanceUID"] = list(keys.series_instance_uids)
    if keys.level is Level.IMAGE:
        wanted["SOPInstanceUID"] = list(keys.sop_instance_uids)
    with RequestedAssociation(local_ae, remote, QUERY_CONTEXTS, calling=calling) as assoc:
        if not assoc.contexts:
            raise AssociationFailed(f"{remote.ae_title} accepts no query in the Study Root model")
        return _values(assoc, Level.STUDY if keys.level is Level.PATIENT else keys.level, wanted)


def content_of(local_ae: ApplicationEntity, remote: RemoteAE, studies: Collection[str], calling: AETitle) -> Content:
    """SOP classes of the objects of these studies.

    Taken from SOP Classes in Study (0008,0062), if the archive returns it; else derived from the modalities of the
    series, which every archive returns (PS3.4 C.6.2.1.3), limited to the SOP classes that ``local_ae`` accepts.
    """
    content, taken = Content(), accepted_storage(local_ae)
    if len(studies) > _MAX_STUDIES:
        return content
    try:
        with RequestedAssociation(local_ae, remote, QUERY_CONTEXTS, calling=calling) as assoc:
            for study in studies:
                told = _values(assoc, Level.STUDY, {"StudyInstanceUID": study, "SOPClassesInStudy": None})
                if told:
                    content = content.with_(told)
                    continue
                for modality in set(_values(assoc, Level.SERIES, {"StudyInstanceUID": study, "Modality": None})):
                    likely = taken.keys() & sop_classes_of(modality)
                    if not likely:
                        return Content()
                    content = content.with_(likely, companions())
    except AssociationFailed:
        return Content()
    return content


def _values(assoc: RequestedAssociation, level: Level, wanted: Mapping[str, _Wanted]) -> list[str]:
    """Values of the last of the attributes in all matches. Raises AssociationFailed."""
    if not assoc.contexts:
        return []
    context = assoc.contexts[0]
    tag = tag_for_keyword(list(wanted)[-1])
    assert tag is not None
    values: list[str] = []
    for response in encoded_responses(
        assoc, context, STUDY_ROOT_FIND, study_root_identifier(level, wanted), within(QUESTION_SECONDS)
    ):
        try:
            values += values_text(read_answer(response, context.transfer_syntax, [tag]), tag)
        except InvalidObject as err:
            raise AssociationFailed(f"{assoc.peer}: a response cannot be parsed") from err
    return values
