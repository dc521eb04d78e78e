"""Every LDAP attribute that is read: one Row each, grouped by object class."""

from __future__ import annotations

from dataclasses import dataclass

from dcm4py_leading.config.attributes import archive, coercion, device
from dcm4py_leading.config.binding import Row
from dcm4py_leading.model.archive import (
    ArchiveDevice,
    ArchiveSettings,
    AttributeFilter,
    AttributeSet,
    QueryRetrieveView,
    StorageDescriptor,
)
from dcm4py_leading.model.coercion import CoercionRule, CoercionRule2
from dcm4py_leading.model.device import ApplicationEntity, Connection, Device, DeviceDescription, TransferCapability


@dataclass(frozen=True, slots=True)
class ObjectClass:
    """The rows of one object class, and the model class whose fields they fill."""

    name: str
    model: type
    rows: tuple[Row, ...]


OBJECT_CLASSES: tuple[ObjectClass, ...] = (
    ObjectClass("dicomDevice", Device, device.DICOM_DEVICE),
    ObjectClass("dicomDevice", DeviceDescription, device.DEVICE_DESCRIPTION),
    ObjectClass("dcmDevice", Device, device.DCM_DEVICE),
    ObjectClass("dicomNetworkConnection", Connection, device.DICOM_NETWORK_CONNECTION),
    ObjectClass("dcmNetworkConnection", Connection, device.DCM_NETWORK_CONNECTION),
    ObjectClass("dicomNetworkAE", ApplicationEntity, device.DICOM_NETWORK_AE),
    ObjectClass("dcmNetworkAE", ApplicationEntity, device.DCM_NETWORK_AE),
    ObjectClass("dicomTransferCapability", TransferCapability, device.DICOM_TRANSFER_CAPABILITY),
    ObjectClass("dcmTransferCapability", TransferCapability, device.DCM_TRANSFER_CAPABILITY),
    ObjectClass("dcmArchiveDevice", ArchiveDevice, archive.ARCHIVE_DEVICE),
    ObjectClass("dcmArchiveDevice", ArchiveSettings, archive.SETTINGS),
    ObjectClass("dcmArchiveNetworkAE", ArchiveSettings, archive.AE_SETTINGS),
    ObjectClass("dcmAttributeFilter", AttributeFilter, archive.ATTRIBUTE_FILTER),
    ObjectClass("dcmAttributeSet", AttributeSet, archive.ATTRIBUTE_SET),
    ObjectClass("dcmStorage", StorageDescriptor, archive.STORAGE),
    ObjectClass("dcmQueryRetrieveView", QueryRetrieveView, archive.QUERY_RETRIEVE_VIEW),
    ObjectClass("dcmArchiveAttributeCoercion", CoercionRule, coercion.ARCHIVE_ATTRIBUTE_COERCION),
    ObjectClass("dcmArchiveAttributeCoercion2", CoercionRule2, coercion.ARCHIVE_ATTRIBUTE_COERCION2),
)


def read_attributes() -> frozenset[str]:
    """The attributes, in lower case, that some row reads."""
    return frozenset(row.attribute.lower() for object_class in OBJECT_CLASSES for row in object_class.rows)
