"""The association for a C-GET from another archive: the presentation contexts in which it may send (PS3.4 C.4.3).

Here the requestor has to know what will come. So the archive is asked for one object of each series, and each of their
SOP classes is proposed with every transfer syntax that the AE takes, in a context for each: then the archive can send
what it has as it has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dcm4py_leading.archive.query import RetrieveKeys
from dcm4py_leading.dicom.association import AssociationFailed
from dcm4py_leading.dicom.negotiation import is_storage
from dcm4py_leading.dicom.pdu import MAX_CONTEXTS
from dcm4py_leading.dicom.requestor import Proposal, RequestedAssociation
from dcm4py_leading.dicom.scu import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from dcm4py_leading.dicom.upstream_content import sop_classes_of
from dcm4py_leading.model.device import ApplicationEntity, RemoteAE
from dcm4py_leading.model.values import AETitle, TransferRole

_UNCOMPRESSED = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)


def open_for_get(
    sop_class_uid: str, local_ae: ApplicationEntity, remote: RemoteAE, keys: RetrieveKeys, calling: AETitle
) -> RequestedAssociation:
    """An association for a C-GET of ``sop_class_uid``, in the first of its contexts. Raises AssociationFailed."""
    wanted = sop_classes_of(local_ae, remote, keys, calling)
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
