"""Devices that coercion rules refer to (dcmSupplementFromDeviceReference), read when a configuration is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dcm4py_leading.config.dn import dn_key, rdn_values
from dcm4py_leading.config.loader import load_device_description
from dcm4py_leading.config.placeholders import Expand, unchanged
from dcm4py_leading.config.sources.source import ConfigSource
from dcm4py_leading.errors import Problem
from dcm4py_leading.model.coercion import AnyRule
from dcm4py_leading.model.device import Device, DeviceDescription

_ATTRIBUTE = "dcmSupplementFromDeviceReference"


def describe_references(
    device: Device, source: ConfigSource, expand: Expand = unchanged
) -> tuple[Mapping[str, DeviceDescription], list[Problem]]:
    """The devices that the rules of ``device`` and its AEs refer to, and what is wrong.

    The DNs are spelt as in the rules. Each is read once. Raises ConfigUnavailable when the directory cannot be asked.
    """
    found: dict[str, DeviceDescription] = {}
    problems: list[Problem] = []
    for reference, rules in _references(device).items():
        names = rdn_values(dn_key(reference), "dicomDeviceName")
        entries = source.read_device(names[0]) if names else ()
        described, wrong = load_device_description(entries, reference, expand)
        problems += wrong
        if described is not None:
            found[reference] = described
        elif not wrong:
            reason = "the directory has no such dicomDevice" if names else "expected the DN of a dicomDevice"
            problems += [Problem(dn=rule.dn, attribute=_ATTRIBUTE, value=reference, reason=reason) for rule in rules]
    return found, problems


def _references(device: Device) -> Mapping[str, list[AnyRule]]:
    """The DNs that rules refer to, and the rules of each."""
    found: dict[str, list[AnyRule]] = {}
    for rule in _rules(device):
        if rule.supplement_from_device_reference is not None:
            found.setdefault(rule.supplement_from_device_reference, []).append(rule)
    return found


def _rules(device: Device) -> Iterator[AnyRule]:
    yield from device.archive.coercion_rules
    for ae in device.application_entities:
        yield from ae.coercion_rules
