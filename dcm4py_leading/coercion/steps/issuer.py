"""Issuer of Patient ID: removed (dcmNullifyIssuerOfPatientID) or added by a format (dcmIssuerOfPatientIDFormat)."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, assert_never

from pydicom import Dataset
from pydicom.dataelem import DataElement

from dcm4py_leading.coercion.attribute_path import items_of, values_of
from dcm4py_leading.coercion.changes import Change, empty_attribute, set_attribute
from dcm4py_leading.coercion.context import CoercionContext
from dcm4py_leading.coercion.formats.attributes_format import AttributesFormat
from dcm4py_leading.coercion.steps.step import Traits
from dcm4py_leading.coercion.tags import Tags
from dcm4py_leading.coercion.update import is_empty, with_character_set
from dcm4py_leading.dataset.text.charset import SPECIFIC_CHARACTER_SET
from dcm4py_leading.errors import CoercionFailed
from dcm4py_leading.model.codes import Issuer

ISSUER_OF_PATIENT_ID = 0x00100021
ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE = 0x00100024
LOCAL_NAMESPACE_ENTITY_ID = 0x00400031
UNIVERSAL_ENTITY_ID = 0x00400032
UNIVERSAL_ENTITY_ID_TYPE = 0x00400033

_MAX_CHARACTERS = 64
"""PS3.5 6.2, VR LO."""


class NullifyIssuer(enum.Enum):
    """dcmNullifyIssuerOfPatientID: which issuers are taken away; those listed are dcmIssuerOfPatientID."""

    ALWAYS = "ALWAYS"
    MATCHING = "MATCHING"
    NOT_MATCHING = "NOT_MATCHING"


@dataclass(frozen=True, slots=True, kw_only=True)
class NullifyIssuerStep:
    """Empty the Issuer of Patient ID and its qualifiers (dcmNullifyIssuerOfPatientID, dcmIssuerOfPatientID)."""

    name: ClassVar[str] = "nullify-issuer"
    traits: ClassVar[Traits] = Traits(is_timeless=True)

    when: NullifyIssuer
    issuers: tuple[Issuer, ...] = ()

    @property
    def reads(self) -> Tags:
        """The issuer and its qualifiers."""
        return frozenset({ISSUER_OF_PATIENT_ID, ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE})

    @property
    def writes(self) -> Tags:
        """The issuer and its qualifiers."""
        return self.reads

    def changes(self, ds: Dataset, context: CoercionContext) -> list[Change] | None:
        """Empty both, if they have a value; None if there is no issuer, or it should stay."""
        issuer = issuer_of_patient_id(ds)
        if issuer is None or not self._is_unwanted(issuer):
            return None
        present = [ds[tag] for tag in (ISSUER_OF_PATIENT_ID, ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE) if tag in ds]
        return [empty_attribute(element.tag, element.VR) for element in present if not is_empty(element)]

    def _is_unwanted(self, issuer: Issuer) -> bool:
        match self.when:
            case NullifyIssuer.ALWAYS:
                return True
            case NullifyIssuer.MATCHING:
                return any(issuer.matches(other) for other in self.issuers)
            case NullifyIssuer.NOT_MATCHING:
                return not any(issuer.matches(other) for other in self.issuers)
            case _:
                assert_never(self.when)


def compile_nullify_issuer(when: str, issuers: Iterable[str]) -> NullifyIssuerStep:
    """Compile dcmNullifyIssuerOfPatientID and its dcmIssuerOfPatientID. Raises ValueError."""
    try:
        chosen = NullifyIssuer(when)
    except ValueError:
        raise ValueError("expected one of " + ", ".join(member.value for member in NullifyIssuer)) from None
    return NullifyIssuerStep(when=chosen, issuers=tuple(Issuer.parse(text) for text in issuers))


@dataclass(frozen=True, slots=True, kw_only=True)
class SupplementIssuerStep:
    """Set the Issuer of Patient ID to what a format gives, behind the one that is there, if there is one, and a hyphen
    (dcmIssuerOfPatientIDFormat)."""

    name: ClassVar[str] = "supplement-issuer"

    format: AttributesFormat

    @property
    def traits(self) -> Traits:
        """Repeatable, and timeless, as the format is."""
        return Traits(is_repeatable=not self.format.is_random, is_timeless=self.format.is_timeless)

    @property
    def reads(self) -> Tags:
        """The issuer, and what the format names."""
        return self.format.reads | {ISSUER_OF_PATIENT_ID}

    @property
    def writes(self) -> Tags:
        """The issuer."""
        return frozenset({ISSUER_OF_PATIENT_ID, SPECIFIC_CHARACTER_SET})

    def changes(self, ds: Dataset, context: CoercionContext) -> list[Change] | None:
        """The issuer; None when the format gives nothing. Raises CoercionFailed when it gives no issuer."""
        # dcm4chee leaves a hyphen at the end, or an empty issuer, when the format gives nothing.
        text = self.format.render(ds, context.now()).strip()
        if not text:
            return None
        present = next(values_of(ds.get(ISSUER_OF_PATIENT_ID)), "")
        issuer = f"{present}-{text}" if present else text
        if len(issuer) > _MAX_CHARACTERS or "\\" in issuer or not issuer.isprintable():
            raise CoercionFailed("what dcmIssuerOfPatientIDFormat gives is no value for IssuerOfPatientID")
        return with_character_set(ds, [set_attribute(DataElement(ISSUER_OF_PATIENT_ID, "LO", issuer))])


def issuer_of_patient_id(ds: Dataset) -> Issuer | None:
    """Issuer of the Patient ID; None when the data set does not say. A universal ID needs its type to count."""
    name = next(values_of(ds.get(ISSUER_OF_PATIENT_ID)), "") or None
    qualifiers = next(iter(items_of(ds, ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE)), Dataset())
    universal = next(values_of(qualifiers.get(UNIVERSAL_ENTITY_ID)), "")
    kind = next(values_of(qualifiers.get(UNIVERSAL_ENTITY_ID_TYPE)), "")
    if universal and kind:
        return Issuer(local_namespace_entity_id=name, universal_entity_id=universal, universal_entity_id_type=kind)
    return None if name is None else Issuer(local_namespace_entity_id=name)
