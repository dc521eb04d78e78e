"""Check of an object that comes from, or goes to, another archive: its identity must be certain."""

from __future__ import annotations

from dcm4py_leading.dataset.identity import Identity, identity_of
from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.errors import ObjectMismatch
from dcm4py_leading.service.proxy.forwarded_retrieve import ArrivedObject


def checked_object(
    sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, data: Buffer, *, is_asked_for: bool = True
) -> ArrivedObject:
    """Check an object against its C-STORE command.

    Raises InvalidObject if the object is incomplete, ObjectMismatch if its study cannot be determined or if it is not
    the object of the command. An object that is only forwarded is not compared; the archive that receives it does that.
    """
    identity = identity_of(data, transfer_syntax_uid)
    if is_asked_for:
        _require_same(sop_class_uid, sop_instance_uid, identity)
    return ArrivedObject(
        sop_class_uid=sop_class_uid,
        sop_instance_uid=sop_instance_uid,
        transfer_syntax_uid=transfer_syntax_uid,
        data=data,
        patient_id=identity.patient_id,
        study_instance_uid=identity.study_instance_uid,
        series_instance_uid=identity.series_instance_uid,
        is_in_order=identity.is_in_order,
    )


def _require_same(sop_class_uid: str, sop_instance_uid: str, identity: Identity) -> None:
    for name, told, found in (
        ("SOPClassUID", sop_class_uid, identity.sop_class_uid),
        ("SOPInstanceUID", sop_instance_uid, identity.sop_instance_uid),
    ):
        if told != found:
            raise ObjectMismatch(f"the data set's {name} is not that of the command")
