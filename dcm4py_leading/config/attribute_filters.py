"""Attribute filters that keep once what each instance has of its own."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.datadict import keyword_for_tag

from dcm4py_leading.errors import Problem, Severity
from dcm4py_leading.model.archive import Entity
from dcm4py_leading.model.coercion import UpdatePolicy
from dcm4py_leading.model.device import Device

OF_INSTANCES = frozenset(
    {
        *(0x00080008, 0x00080012, 0x00080013, 0x00080016, 0x00080018, 0x00080022, 0x00080023, 0x0008002A),
        *(0x00080032, 0x00080033, 0x00185101, 0x00200012, 0x00200013, 0x00200032, 0x00200037, 0x00200062),
        *(0x00201041, 0x00280008, 0x00280010, 0x00280011, 0x00700080, 0x0040A043, 0x0040A491, 0x0040A493),
    }
)
"""Attributes that tell the instances of a series apart: of the SOP, image, acquisition and document modules (PS3.3)."""


def kept_once(device: Device) -> Iterator[Problem]:
    """A WARNING for each attribute filter of patient, study or series that keeps attributes of instances."""
    filters = device.archive.attribute_filters
    rest = OF_INSTANCES - set(filters[Entity.INSTANCE].tags if Entity.INSTANCE in filters else ())
    for entity, attribute_filter in filters.items():
        kept = sorted(tag for tag in attribute_filter.tags if tag in rest)
        if entity is Entity.INSTANCE or not kept:
            continue
        names = ", ".join(f"{keyword_for_tag(tag)} ({tag:08X})" for tag in kept)
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
