"""Return keys for a leading archive (dcmAttributeSet of type LEADING_CFIND_SCP)."""

from __future__ import annotations

from dcm4py_leading.coercion.steps.step import QUERY_CONTROL_ATTRIBUTES, STUDY_INSTANCE_UID
from dcm4py_leading.coercion.update import IDENTIFIER_GROUPS
from dcm4py_leading.dataset.text.charset import SPECIFIC_CHARACTER_SET
from dcm4py_leading.model.archive import AttributeSetType, Entity
from dcm4py_leading.model.device import Device
from dcm4py_leading.model.values import AETitle, Tag

ANY_AE_TITLE = "*"


def return_keys(device: Device, leading_cfind_scp: AETitle) -> frozenset[Tag]:
    """The attribute set of that AE title, else that of ``*``, else the Patient and the Study attribute filter.

    Always includes Study Instance UID and Specific Character Set, and the issuer of each identifier. Never includes
    attributes of the query itself, such as Query/Retrieve Level.
    """
    wanted = {int(tag) for tag in _configured(device, leading_cfind_scp)} | {STUDY_INSTANCE_UID, SPECIFIC_CHARACTER_SET}
    for group in IDENTIFIER_GROUPS:
        if group[0] in wanted:
            wanted.update(group)
    return frozenset(Tag(tag) for tag in wanted - QUERY_CONTROL_ATTRIBUTES)


def _configured(device: Device, leading_cfind_scp: AETitle) -> tuple[Tag, ...]:
    sets = {
        attribute_set.attribute_set_id: attribute_set.tags
        for attribute_set in device.archive.attribute_sets
        if attribute_set.attribute_set_type is AttributeSetType.LEADING_CFIND_SCP
    }
    for attribute_set_id in (str(leading_cfind_scp), ANY_AE_TITLE):
        if attribute_set_id in sets:
            return sets[attribute_set_id]
    filters = device.archive.attribute_filters
    return tuple(tag for entity in (Entity.PATIENT, Entity.STUDY) if entity in filters for tag in filters[entity].tags)
