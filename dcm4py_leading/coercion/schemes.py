"""What rules can demand, legacy attributes and version-2 schemes, and for which messages that makes sense."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from dcm4py_leading.model.coercion import CoercionRule, Dimse
from dcm4py_leading.model.values import AETitle, TransferRole


class Message(NamedTuple):
    """What a rule is about: a message, and the role of the other system."""

    dimse: Dimse
    transfer_role: TransferRole

    @property
    def label(self) -> str:
        """For problems: as both stand in the directory."""
        return f"{self.dimse.value} {self.transfer_role.value}"


Messages = frozenset[Message]

_RETRIEVED = Message(Dimse.C_STORE_RQ, TransferRole.SCP)
_RECEIVED = Message(Dimse.C_STORE_RQ, TransferRole.SCU)
_QUERY = Message(Dimse.C_FIND_RQ, TransferRole.SCU)
_RESPONSE = Message(Dimse.C_FIND_RSP, TransferRole.SCU)
_OWN_QUERY = Message(Dimse.C_FIND_RQ, TransferRole.SCP)
_OWN_RESPONSE = Message(Dimse.C_FIND_RSP, TransferRole.SCP)
_PERFORMED = frozenset({Message(Dimse.N_CREATE_RQ, TransferRole.SCU), Message(Dimse.N_SET_RQ, TransferRole.SCU)})

_OBJECTS = frozenset({_RETRIEVED, _RECEIVED})
_FIND = frozenset({_QUERY, _RESPONSE, _OWN_QUERY, _OWN_RESPONSE})
_NONE: Messages = frozenset()

MESSAGES: Messages = _OBJECTS | _FIND | _PERFORMED
"""Every message that a rule can be about."""

# The leading archive is asked by C-FIND: on our own C-FIND it would ask for ever, on keys it would change the query.
_LEADING = _OBJECTS | {_RESPONSE}


def is_offered(dimse: Dimse) -> bool:
    """Whether this service handles such messages at all."""
    return dimse not in (Dimse.N_CREATE_RQ, Dimse.N_SET_RQ)


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyAction:
    """One thing that dcmArchiveAttributeCoercion can demand."""

    attribute: str
    is_wanted: Callable[[CoercionRule], bool]
    messages: Messages = MESSAGES
    protects: Messages = _NONE
    """Where it keeps data from being seen, so that nothing may go out without it."""


LEGACY_ACTIONS: tuple[LegacyAction, ...] = (
    LegacyAction(
        attribute="dcmLeadingCFindSCP", is_wanted=lambda rule: rule.leading_cfind_scp is not None, messages=_LEADING
    ),
    LegacyAction(
        attribute="dcmRetrieveAsReceived",
        is_wanted=lambda rule: rule.retrieve_as_received,
        messages=frozenset({_RETRIEVED}),
    ),
    LegacyAction(attribute="dcmNullifyTag", is_wanted=lambda rule: bool(rule.nullify_tags), protects=MESSAGES),
    LegacyAction(attribute="dcmMergeAttribute", is_wanted=lambda rule: bool(rule.merge_attributes)),
    LegacyAction(attribute="dcmURI", is_wanted=lambda rule: rule.uri is not None, protects=MESSAGES),
    LegacyAction(
        attribute="dcmDeIdentification",
        is_wanted=lambda rule: bool(rule.de_identifications),
        messages=_OBJECTS,
        protects=_OBJECTS,
    ),
    LegacyAction(
        attribute="dcmMergeMWLMatchingKey",
        is_wanted=lambda rule: rule.merge_mwl_matching_key is not None,
        messages=_PERFORMED | {_RECEIVED},
    ),
    LegacyAction(
        attribute="dcmUseCallingAETitleAs",
        is_wanted=lambda rule: rule.use_calling_ae_title_as is not None,
        messages=frozenset({_RECEIVED, _QUERY}),
    ),
    LegacyAction(attribute="dcmTrimISO2022CharacterSet", is_wanted=lambda rule: rule.trim_iso2022_character_set),
    # dcm4chee nullifies the issuer only in what it receives.
    LegacyAction(
        attribute="dcmNullifyIssuerOfPatientID",
        is_wanted=lambda rule: rule.nullify_issuer_of_patient_id is not None,
        protects=frozenset({_RECEIVED}),
    ),
    LegacyAction(
        attribute="dcmIssuerOfPatientIDFormat", is_wanted=lambda rule: rule.issuer_of_patient_id_format is not None
    ),
    LegacyAction(
        attribute="dcmSupplementFromDeviceReference",
        is_wanted=lambda rule: rule.supplement_from_device_reference is not None,
    ),
)


def _any(specific: str) -> None:
    """Nothing to check."""


def _check_de_identification(specific: str) -> None:
    known = {
        "BasicApplicationConfidentialityProfile",
        "RetainLongitudinalTemporalInformationFullDatesOption",
        "RetainDeviceIdentityOption",
        "RetainInstitutionIdentityOption",
        "RetainUIDsOption",
        "RetainPatientIDHashOption",
    }
    if unknown := {option.strip() for option in specific.split(",") if option.strip()} - known:
        raise ValueError(f"unknown de-identification option {min(unknown)}")


def _check_use_calling(specific: str) -> None:
    if specific not in ("ScheduledStationAETitle", "SendingApplicationEntityTitleOfSeries"):
        raise ValueError("expected ScheduledStationAETitle or SendingApplicationEntityTitleOfSeries after the colon")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """One thing that dcmURI of dcmArchiveAttributeCoercion2 can demand."""

    messages: Messages = MESSAGES
    protects: Messages = _NONE
    check: Callable[[str], object] = _any
    """Raises ValueError for what stands after the colon."""


SCHEMES: Mapping[str, Scheme] = {
    "leading-arc": Scheme(messages=_LEADING, check=AETitle),
    "merge-attrs": Scheme(),
    "merge-mwl": Scheme(messages=_PERFORMED | {_RECEIVED}),
    "xslt": Scheme(protects=MESSAGES),
    "deidentify": Scheme(messages=_OBJECTS, protects=_OBJECTS, check=_check_de_identification),
    "sup-from-dev": Scheme(messages=_OBJECTS | _PERFORMED | {_QUERY}),
    "trim-ISO2022": Scheme(),
    "change-charset": Scheme(),
    "use-calling-aet-as": Scheme(messages=frozenset({_RECEIVED, _QUERY}), check=_check_use_calling),
    "nullify-pixel-data": Scheme(messages=frozenset({_RETRIEVED}), protects=frozenset({_RETRIEVED})),
    "retrieve-as-received": Scheme(messages=frozenset({_RETRIEVED})),
}
