"""The association for a C-GET from another archive: the presentation contexts in which it may send (PS3.4 C.4.3).

Here the requestor has to know what will come. So the archive is asked for one object of each series, and each of their
SOP classes is proposed with every transfer syntax that the AE takes, in a context for each: then the archive can send
what it has as it has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing

from pydicom import Dataset

from dcm4py_leading.archive.normal import first_text
from dcm4py_leading.archive.query import RetrieveKeys
from dcm4py_leading.coercion.unreadable import UNREADABLE
from dcm4py_leading.dicom.association import AssociationFailed
from dcm4py_leading.dicom.find_exchange import encoded_responses
from dcm4py_leading.dicom.identifier import decode
from dcm4py_leading.dicom.negotiation import is_storage
from dcm4py_leading.dicom.pdu import MAX_CONTEXTS
from dcm4py_leading.dicom.requestor import Proposal, RequestedAssociation
from dcm4py_leading.dicom.scu import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, STUDY_ROOT_FIND
from dcm4py_leading.model.device import ApplicationEntity, RemoteAE
from dcm4py_leading.model.values import AETitle, Level, TransferRole

_UNCOMPRESSED = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
_SOP_CLASS_UID, _SERIES_INSTANCE_UID = 0x00080016, 0x0020000E
_MOST_SERIES = 200


def open_for_get(
    sop_class_uid: str, local_ae: ApplicationEntity, remote: RemoteAE, keys: RetrieveKeys, calling: AETitle
) -> RequestedAssociation:
    """An association for a C-GET of ``sop_class_uid``, in the first of its contexts. Raises AssociationFailed."""
    wanted = _sop_classes(local_ae, remote, keys, calling)
    proposals = [(sop_class_uid, _UNCOMPRESSED), *_proposals(local_ae, wanted)][:MAX_CONTEXTS]
    assoc = RequestedAssociation(
        local_ae, remote, proposals, calling=calling, as_scp=[sop_class for sop_class, _ in proposals[1:]]
    )
    if not any(context.abstract_syntax == sop_class_uid for context in assoc.contexts):
        assoc.release()
        raise AssociationFailed(f"{remote.ae_title} accepts no C-GET in this information model")
    return assoc


def _proposals(local_ae: ApplicationEntity, wanted: Sequence[str]) -> Iterable[Proposal]:
    """What the AE takes as SCP: of the wanted SOP classes each transfer syntax for itself, else all that fit."""
    taken: dict[str, tuple[str, ...]] = {}
    for capability in local_ae.transfer_capabilities:
        if capability.transfer_role is TransferRole.SCP and is_storage(capability.sop_class):
            taken[str(capability.sop_class)] = tuple(map(str, capability.transfer_syntaxes))
    if wanted:
        for sop_class in wanted:
            for syntax in taken.get(sop_class, ()):
                yield sop_class, (syntax,)
        return
    for sop_class, syntaxes in taken.items():
        yield sop_class, tuple(syntax for syntax in _UNCOMPRESSED if syntax in syntaxes) or syntaxes


def _sop_classes(local_ae: ApplicationEntity, remote: RemoteAE, keys: RetrieveKeys, calling: AETitle) -> Sequence[str]:
    """The SOP classes of one object of each series; none where the archive does not tell."""
    if keys.level is Level.PATIENT or len(keys.study_instance_uids) != 1:
        return ()
    (study,) = keys.study_instance_uids
    try:
        with RequestedAssociation(local_ae, remote, [(STUDY_ROOT_FIND, _UNCOMPRESSED)], calling=calling) as assoc:
            if not assoc.contexts:
                return ()
            series = keys.series_instance_uids or _values(assoc, Level.SERIES, study, "", _SERIES_INSTANCE_UID)
            found = {
                sop_class
                for uid in list(series)[:_MOST_SERIES]
                for sop_class in _values(assoc, Level.IMAGE, study, uid, _SOP_CLASS_UID, most=1)
            }
    except AssociationFailed:
        return ()  # the C-GET will tell what is wrong, if anything is
    return sorted(found) if len(series) <= _MOST_SERIES else ()


def _values(
    assoc: RequestedAssociation, level: Level, study: str, series: str, tag: int, *, most: int | None = None
) -> list[str]:
    keys = Dataset()
    keys.QueryRetrieveLevel = level.value
    keys.StudyInstanceUID = study
    keys.SeriesInstanceUID = series or None
    if level is Level.IMAGE:
        keys.SOPInstanceUID = keys.SOPClassUID = None
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
