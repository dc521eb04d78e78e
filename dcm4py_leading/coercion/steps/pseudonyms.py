"""Pseudonyms for UIDs and Patient IDs in de-identified objects: name-based, as in dcm4che.

The same name gives the same pseudonym everywhere and always, so that studies de-identified by dcm4chee and by us fit
together. No secret is in it: who knows an original can find its pseudonym, and who tries all Patient IDs finds the one
behind a hash.
"""

from __future__ import annotations

import hashlib
import uuid

from pydicom import Dataset
from pydicom.config import IGNORE
from pydicom.uid import UID

from dcm4py_leading.coercion.attribute_path import items_of, values_of
from dcm4py_leading.dataset.text.text import storable

_PATIENT_ID = 0x00100020
_ISSUER_OF_PATIENT_ID = 0x00100021
_ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE = 0x00100024
_UNIVERSAL_ENTITY_ID = 0x00400032
_UNIVERSAL_ENTITY_ID_TYPE = 0x00400033
_IDENTIFIER_TYPE_CODE = 0x00400035


def new_uid(uid: str) -> str:
    """The UID that takes the place of ``uid``: 2.25 and a UUID made from its name, as dcm4che makes it.

    A UID that the standard defines, such as a well-known frame of reference, stays.
    """
    if not uid or UID(uid, IGNORE).name != uid:
        return uid
    return f"2.25.{_name_based_uuid(uid.encode('ascii', 'replace')).int}"


def _name_based_uuid(name: bytes) -> uuid.UUID:
    """java.util.UUID.nameUUIDFromBytes: version 3 without a name space."""
    return uuid.UUID(bytes=hashlib.md5(name, usedforsecurity=False).digest(), version=3)


def patient_id_hash(ds: Dataset) -> str:
    """dcm4chee's hash of Patient ID with its issuer: a name-based UUID of both in the form of HL7 CX."""
    qualifiers = next(iter(items_of(ds, _ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE)), Dataset())
    namespace = _text(ds, _ISSUER_OF_PATIENT_ID)
    entity, entity_type = _text(qualifiers, _UNIVERSAL_ENTITY_ID), _text(qualifiers, _UNIVERSAL_ENTITY_ID_TYPE)
    type_code = _text(qualifiers, _IDENTIFIER_TYPE_CODE)
    issuer = _escaped(namespace)
    if entity and entity_type:
        issuer += f"&{_escaped(entity)}&{_escaped(entity_type)}"
    cx = _escaped(_text(ds, _PATIENT_ID))
    if issuer or type_code:
        cx += f"^^^{issuer}"
    if type_code:
        cx += f"^{_escaped(type_code)}"
    return str(_name_based_uuid(storable(cx).encode()))


def _escaped(text: str) -> str:
    """HL7 V2 escape sequences for separators."""
    for separator, escape in (("\\", "E"), ("~", "R"), ("&", "T"), ("^", "S"), ("|", "F")):
        text = text.replace(separator, f"\\{escape}\\")
    return text


def _text(ds: Dataset, tag: int) -> str:
    return next(values_of(ds.get(tag)), "")
