"""Attributes from the description of a device (dcmSupplementFromDeviceReference, ``sup-from-dev:``)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from pydicom import Dataset
from pydicom.dataelem import DataElement

from dcm4py_leading.coercion.attribute_path import items_of
from dcm4py_leading.coercion.changes import Change, TagPath, set_attribute
from dcm4py_leading.coercion.context import CoercionContext
from dcm4py_leading.coercion.steps.issuer import (
    ISSUER_OF_PATIENT_ID,
    ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE,
    LOCAL_NAMESPACE_ENTITY_ID,
    UNIVERSAL_ENTITY_ID,
    UNIVERSAL_ENTITY_ID_TYPE,
)
from dcm4py_leading.coercion.steps.step import Traits
from dcm4py_leading.coercion.tags import Tags
from dcm4py_leading.coercion.update import is_empty, with_character_set
from dcm4py_leading.dataset.text.charset import SPECIFIC_CHARACTER_SET
from dcm4py_leading.model.codes import Code, Issuer
from dcm4py_leading.model.device import DeviceDescription

_MODALITY_WORKLIST_FIND = "1.2.840.10008.5.1.4.31"
_MODALITY_PERFORMED_PROCEDURE_STEP = "1.2.840.10008.3.1.2.3.3"
_NO_OBJECTS = frozenset(
    {
        _MODALITY_WORKLIST_FIND,
        _MODALITY_PERFORMED_PROCEDURE_STEP,
        "1.2.840.10008.5.1.4.1.2.1.1",  # Patient Root
        "1.2.840.10008.5.1.4.1.2.2.1",  # Study Root
        "1.2.840.10008.5.1.4.1.2.3.1",  # Patient/Study Only
    }
)

_REQUEST_ATTRIBUTES_SEQUENCE = 0x00400275
_SCHEDULED_STEP_ATTRIBUTES_SEQUENCE = 0x00400270
_PATIENT_ID = 0x00100020
_MANUFACTURER = 0x00080070
_INSTITUTION_NAME = 0x00080080
_INSTITUTION_ADDRESS = 0x00080081
_INSTITUTION_CODE_SEQUENCE = 0x00080082
_STATION_NAME = 0x00081010
_INSTITUTIONAL_DEPARTMENT_NAME = 0x00081040
_MANUFACTURER_MODEL_NAME = 0x00081090
_DEVICE_SERIAL_NUMBER = 0x00181000
_SOFTWARE_VERSIONS = 0x00181020

_LONGEST_CODE_VALUE = 16
"""PS3.5 6.2, VR SH: a longer one is a Long Code Value (PS3.3 8.1)."""


class _Identifier(NamedTuple):
    """An identifier, the sequence that says who issued it, and where the device says so."""

    identifier: int
    sequence: int
    issuer: Callable[[DeviceDescription], Issuer | None]


_ACCESSION_NUMBER = _Identifier(0x00080050, 0x00080051, lambda device: device.issuer_of_accession_number)
_IDENTIFIERS = (
    _ACCESSION_NUMBER,
    _Identifier(0x00380010, 0x00380014, lambda device: device.issuer_of_admission_id),
    _Identifier(0x00380060, 0x00380064, lambda device: device.issuer_of_service_episode_id),
    _Identifier(0x00400512, 0x00400513, lambda device: device.issuer_of_container_identifier),
    _Identifier(0x00400551, 0x00400562, lambda device: device.issuer_of_specimen_identifier),
)
"""Accession Number, Admission ID, Service Episode ID, Container Identifier, Specimen Identifier."""
_ORDER_NUMBERS = (
    _Identifier(0x00402016, 0x00400026, lambda device: device.order_placer_identifier),
    _Identifier(0x00402017, 0x00400027, lambda device: device.order_filler_identifier),
)
"""Placer and Filler Order Number of the Imaging Service Request."""

_ALL_TAGS = frozenset(
    {
        *(_MANUFACTURER, _MANUFACTURER_MODEL_NAME, _STATION_NAME, _DEVICE_SERIAL_NUMBER, _SOFTWARE_VERSIONS),
        *(_INSTITUTION_NAME, _INSTITUTION_ADDRESS, _INSTITUTION_CODE_SEQUENCE, _INSTITUTIONAL_DEPARTMENT_NAME),
        *(_PATIENT_ID, ISSUER_OF_PATIENT_ID, ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE),
        *(tag for pair in (*_IDENTIFIERS, *_ORDER_NUMBERS) for tag in (pair.identifier, pair.sequence)),
        *(_REQUEST_ATTRIBUTES_SEQUENCE, _SCHEDULED_STEP_ATTRIBUTES_SEQUENCE, SPECIFIC_CHARACTER_SET),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SupplementDeviceStep:
    """Set attributes without a value from the description of a device.

    Composite objects get manufacturer, model, station, serial number, software versions and institution; objects,
    queries, worklist items and performed procedure steps get the issuers of the identifiers that they have.
    """

    name: ClassVar[str] = "sup-from-dev"
    traits: ClassVar[Traits] = Traits(is_timeless=True)

    device: DeviceDescription

    @property
    def reads(self) -> Tags:
        """Tags that it sets, and those of the identifiers."""
        return _ALL_TAGS

    @property
    def writes(self) -> Tags:
        """Tags that a device may have a value for."""
        return _ALL_TAGS - {_PATIENT_ID, *(pair.identifier for pair in (*_IDENTIFIERS, *_ORDER_NUMBERS))}

    def changes(self, ds: Dataset, context: CoercionContext) -> list[Change] | None:
        """A SET for each attribute that has no value and that the device has one for."""
        changes: list[Change] = []
        if context.sop_class not in _NO_OBJECTS:
            changes += [set_attribute(element) for element in _described(self.device) if is_empty(ds.get(element.tag))]
        changes += _issuer_of_patient_id(ds, self.device.issuer_of_patient_id)
        changes += self._issuers(ds, _IDENTIFIERS)
        if context.sop_class == _MODALITY_WORKLIST_FIND:
            changes += self._issuers(ds, _ORDER_NUMBERS)
        else:
            requests = _REQUEST_ATTRIBUTES_SEQUENCE
            if context.sop_class == _MODALITY_PERFORMED_PROCEDURE_STEP:
                requests = _SCHEDULED_STEP_ATTRIBUTES_SEQUENCE
            for index, item in enumerate(items_of(ds, requests)):
                changes += self._issuers(item, (_ACCESSION_NUMBER, *_ORDER_NUMBERS), within=(requests, index))
        return with_character_set(ds, changes)

    def _issuers(self, ds: Dataset, identifiers: Iterable[_Identifier], within: TagPath = ()) -> Iterator[Change]:
        for pair in identifiers:
            issuer = pair.issuer(self.device)
            if issuer is not None and not is_empty(ds.get(pair.identifier)) and is_empty(ds.get(pair.sequence)):
                yield set_attribute(DataElement(pair.sequence, "SQ", [_issuer_item(issuer)]), within=within)


def _described(device: DeviceDescription) -> Iterator[DataElement]:
    """Elements that a composite object gets of the device itself and of its institution."""
    texts = (
        (_MANUFACTURER, "LO", device.manufacturer),
        (_MANUFACTURER_MODEL_NAME, "LO", device.manufacturer_model_name),
        (_STATION_NAME, "SH", device.station_name),
        (_DEVICE_SERIAL_NUMBER, "LO", device.device_serial_number),
        (_INSTITUTION_NAME, "LO", next(iter(device.institution_names), None)),
        (_INSTITUTIONAL_DEPARTMENT_NAME, "LO", next(iter(device.institution_department_names), None)),
        (_INSTITUTION_ADDRESS, "ST", next(iter(device.institution_addresses), None)),
    )
    for tag, vr, text in texts:
        if text is not None:
            yield DataElement(tag, vr, text)
    if device.software_versions:
        yield DataElement(_SOFTWARE_VERSIONS, "LO", list(device.software_versions))
    if device.institution_codes:
        yield DataElement(_INSTITUTION_CODE_SEQUENCE, "SQ", [_code_item(device.institution_codes[0])])


def _issuer_of_patient_id(ds: Dataset, issuer: Issuer | None) -> Iterator[Change]:
    qualifiers = next(iter(items_of(ds, ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE)), None)
    if issuer is None or is_empty(ds.get(_PATIENT_ID)) or not is_empty(ds.get(ISSUER_OF_PATIENT_ID)) or qualifiers:
        return
    if issuer.local_namespace_entity_id is not None:
        yield set_attribute(DataElement(ISSUER_OF_PATIENT_ID, "LO", issuer.local_namespace_entity_id))
    if issuer.universal_entity_id is not None:
        item = Dataset()
        item.add_new(UNIVERSAL_ENTITY_ID, "UT", issuer.universal_entity_id)
        item.add_new(UNIVERSAL_ENTITY_ID_TYPE, "CS", issuer.universal_entity_id_type)
        yield set_attribute(DataElement(ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE, "SQ", [item]))


def _issuer_item(issuer: Issuer) -> Dataset:
    """Item of an issuer sequence (PS3.3 10.14, HL7v2 Hierarchic Designator Macro)."""
    item = Dataset()
    if issuer.local_namespace_entity_id is not None:
        item.add_new(LOCAL_NAMESPACE_ENTITY_ID, "UT", issuer.local_namespace_entity_id)
    if issuer.universal_entity_id is not None:
        item.add_new(UNIVERSAL_ENTITY_ID, "UT", issuer.universal_entity_id)
        item.add_new(UNIVERSAL_ENTITY_ID_TYPE, "CS", issuer.universal_entity_id_type)
    return item


def _code_item(code: Code) -> Dataset:
    """Item of a code sequence. dcm4chee puts every value into Code Value, also one that is too long for it."""
    item = Dataset()
    if code.is_urn:
        item.URNCodeValue = code.value
    elif len(code.value) > _LONGEST_CODE_VALUE:
        item.LongCodeValue = code.value
    else:
        item.CodeValue = code.value
    if code.scheme is not None:
        item.CodingSchemeDesignator = code.scheme
    if code.version is not None:
        item.CodingSchemeVersion = code.version
    item.CodeMeaning = code.meaning
    return item
