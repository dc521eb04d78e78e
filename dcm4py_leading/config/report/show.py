"""The effective configuration under its LDAP names: defaults filled in, inheritance resolved."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from datetime import timedelta

import isodate

from dcm4py_leading.config.attributes import archive, coercion, device
from dcm4py_leading.config.binding import Row
from dcm4py_leading.config.converters import ae_titles, milliseconds
from dcm4py_leading.model.coercion import AnyRule, CoercionRule
from dcm4py_leading.model.device import ApplicationEntity, Device
from dcm4py_leading.model.values import Tag

_CONNECTION = (*device.DICOM_NETWORK_CONNECTION, *device.DCM_NETWORK_CONNECTION)
_CAPABILITY = (*device.DICOM_TRANSFER_CAPABILITY, *device.DCM_TRANSFER_CAPABILITY)
_AE = (*device.DICOM_NETWORK_AE, *device.DCM_NETWORK_AE)

Described = dict[str, object]


def describe(configured: Device) -> Described:
    """A device as JSON holds it: attributes by LDAP name, children in lists by object class; null is absent."""
    archived = configured.archive
    return {
        **_attributes(configured, (*device.DICOM_DEVICE, *device.DCM_DEVICE)),
        **_attributes(archived, archive.ARCHIVE_DEVICE),
        "dicomNetworkConnection": [_attributes(found, _CONNECTION) for found in configured.connections],
        "dicomNetworkAE": [_ae(found) for found in configured.application_entities],
        "dcmAttributeFilter": [
            _attributes(found, archive.ATTRIBUTE_FILTER) for found in archived.attribute_filters.values()
        ],
        "dcmAttributeSet": [_attributes(found, archive.ATTRIBUTE_SET) for found in archived.attribute_sets],
        "dcmStorage": [_attributes(found, archive.STORAGE) for found in archived.storages.values()],
        "dcmQueryRetrieveView": [
            _attributes(found, archive.QUERY_RETRIEVE_VIEW) for found in archived.query_retrieve_views.values()
        ],
        **_rules(archived.coercion_rules),
    }


def _ae(ae: ApplicationEntity) -> Described:
    return {
        **_attributes(ae, (row for row in _AE if row is not device.CONNECTION_REFERENCES)),
        device.CONNECTION_REFERENCES.attribute: [found.dn for found in ae.connections],
        **_attributes(ae.settings, archive.AE_SETTINGS),
        "dicomTransferCapability": [_attributes(found, _CAPABILITY) for found in ae.transfer_capabilities],
        **_rules(ae.coercion_rules),
    }


def _rules(rules: Iterable[AnyRule]) -> Described:
    legacy = [rule for rule in rules if isinstance(rule, CoercionRule)]
    second = [rule for rule in rules if not isinstance(rule, CoercionRule)]
    return {
        "dcmArchiveAttributeCoercion": [_attributes(rule, coercion.ARCHIVE_ATTRIBUTE_COERCION) for rule in legacy],
        "dcmArchiveAttributeCoercion2": [_attributes(rule, coercion.ARCHIVE_ATTRIBUTE_COERCION2) for rule in second],
    }


def _attributes(configured: object, rows: Iterable[Row]) -> Described:
    return {row.attribute: shown(row, getattr(configured, row.field)) for row in rows}


def shown(row: Row, value: object) -> object:
    """A value of the model as JSON holds it, read by ``row``: durations in ISO 8601 or, as in the tree, in ms."""
    if isinstance(value, frozenset):
        return sorted((_plain(member) for member in value), key=str)
    if row.convert is ae_titles and isinstance(value, tuple):
        return "\\".join(value) or None
    if isinstance(value, tuple):
        return [_plain(member) for member in value]
    if row.convert is milliseconds:
        return round(value.total_seconds() * 1000) if isinstance(value, timedelta) else 0
    return _plain(value)


def _plain(value: object) -> object:
    match value:
        case enum.Enum():
            return value.value
        case timedelta():
            return isodate.duration_isoformat(value)
        case Tag():
            return str(value)
        case str():
            return str(value)
        case _:
            return value
