"""Check of attribute filters for attributes that they should not keep, as those of single instances."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dcm4py_leading.errors import Problem, Severity
from dcm4py_leading.model.archive import Entity
from dcm4py_leading.model.coercion import UpdatePolicy
from dcm4py_leading.model.device import Device

OF_INSTANCES: Mapping[int, str] = {
    0x00080008: "ImageType",
    0x00080012: "InstanceCreationDate",
    0x00080013: "InstanceCreationTime",
    0x00080016: "SOPClassUID",
    0x00080018: "SOPInstanceUID",
    0x00080022: "AcquisitionDate",
    0x00080023: "ContentDate",
    0x0008002A: "AcquisitionDateTime",
    0x00080032: "AcquisitionTime",
    0x00080033: "ContentTime",
    0x00185101: "ViewPosition",
    0x00200012: "AcquisitionNumber",
    0x00200013: "InstanceNumber",
    0x00200032: "ImagePositionPatient",
    0x00200037: "ImageOrientationPatient",
    0x00200062: "ImageLaterality",
    0x00201041: "SliceLocation",
    0x00280008: "NumberOfFrames",
    0x00280010: "Rows",
    0x00280011: "Columns",
    0x0040A043: "ConceptNameCodeSequence",
    0x0040A491: "CompletionFlag",
    0x0040A493: "VerificationFlag",
    0x00700080: "ContentLabel",
}
"""Attributes that tell the instances of a series apart, by tag, with keywords (PS3.3: SOP, image, acquisition)."""


_ORIGINAL_ATTRIBUTES_SEQUENCE = 0x04000561


def hindering_edits(device: Device) -> Iterator[Problem]:
    """A WARNING for each attribute filter of patient or study that has the sequence by which edits are known."""
    for entity, attribute_filter in device.archive.attribute_filters.items():
        if entity in (Entity.PATIENT, Entity.STUDY) and _ORIGINAL_ATTRIBUTES_SEQUENCE in attribute_filter.tags:
            yield Problem(
                dn=attribute_filter.dn,
                attribute="dcmTag",
                value="04000561",
                reason="by Original Attributes Sequence the index knows what was edited: with it in the filter, no "
                f"{entity.value.lower()} can be edited",
                severity=Severity.WARNING,
            )


def kept_once(device: Device) -> Iterator[Problem]:
    """A WARNING for each attribute filter of patient, study or series that keeps attributes of instances."""
    filters = device.archive.attribute_filters
    rest = OF_INSTANCES.keys() - set(filters[Entity.INSTANCE].tags if Entity.INSTANCE in filters else ())
    for entity, attribute_filter in filters.items():
        kept = sorted(tag for tag in attribute_filter.tags if tag in rest)
        if entity is Entity.INSTANCE or not kept:
            continue
        names = ", ".join(f"{OF_INSTANCES[tag]} ({tag:08X})" for tag in kept)
        policy = attribute_filter.attribute_update_policy
        effect = "queries are answered with that of one for all"
        if policy in (UpdatePolicy.MERGE, UpdatePolicy.OVERWRITE):
            effect = f"queries are answered, and by {policy.value} all are delivered, with that of the last one stored"
        yield Problem(
            dn=attribute_filter.dn,
            attribute="dcmTag",
            reason=f"each instance has its own, and {effect}: {names}; expected in the filter of Instance alone",
            severity=Severity.WARNING,
        )
