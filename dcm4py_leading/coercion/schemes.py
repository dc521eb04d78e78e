"""Schemes of legacy and version-2 rules: the messages of each scheme, and its step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pydicom import Dataset

from dcm4py_leading.coercion.context import CoercionContext
from dcm4py_leading.coercion.formats.attributes_format import compile_format
from dcm4py_leading.coercion.steps.calling_ae_title import compile_use_calling_ae_title
from dcm4py_leading.coercion.steps.change_charset import compile_change_charset
from dcm4py_leading.coercion.steps.deidentify import compile_deidentify
from dcm4py_leading.coercion.steps.issuer import SupplementIssuerStep, compile_nullify_issuer
from dcm4py_leading.coercion.steps.merge_attribute import MergeAttributesStep, compile_merge_attribute
from dcm4py_leading.coercion.steps.merge_mwl import (
    MergeMWLStep,
    Transform,
    compile_legacy_merge_mwl,
    compile_merge_mwl,
)
from dcm4py_leading.coercion.steps.native_model import from_native, to_native
from dcm4py_leading.coercion.steps.step import PIXEL_DATA, AnyStep, LeadingStep, NullifyStep, RetrieveAsReceived
from dcm4py_leading.coercion.steps.supplement_device import SupplementDeviceStep
from dcm4py_leading.coercion.steps.trim_iso2022 import TrimISO2022Step
from dcm4py_leading.coercion.steps.xslt import compile_style_sheet, compile_xslt
from dcm4py_leading.errors import CoercionFailed
from dcm4py_leading.model.coercion import CoercionRule, CoercionRule2, Dimse
from dcm4py_leading.model.device import DeviceDescription
from dcm4py_leading.model.values import AETitle, Tag, TransferRole


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Environment of the rules: devices, attribute sets and style sheets that they refer to."""

    expand: Callable[[str], str] = str
    """Fills in the placeholders of a URI. Raises ValueError."""
    style_sheet_folders: tuple[Path, ...] = ()
    devices: Mapping[str, DeviceDescription] = field(default_factory=dict)
    """By the DN as rules spell it."""
    return_keys: Callable[[AETitle], frozenset[Tag]] | None = None
    """Attributes that a leading archive is asked for."""


class InvalidValues(ValueError):
    """Invalid values of an attribute, each with the reason."""

    def __init__(self, attribute: str, wrong: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(reason for _, reason in wrong))
        self.attribute = attribute
        self.wrong = tuple(wrong)


class MessageType(NamedTuple):
    """Message that a rule is about, and the role of the other system."""

    dimse: Dimse
    transfer_role: TransferRole

    @property
    def label(self) -> str:
        """For problems: as both stand in the directory."""
        return f"{self.dimse.value} {self.transfer_role.value}"


MessageTypes = frozenset[MessageType]

_RETRIEVED = MessageType(Dimse.C_STORE_RQ, TransferRole.SCP)
_RECEIVED = MessageType(Dimse.C_STORE_RQ, TransferRole.SCU)
_QUERY = MessageType(Dimse.C_FIND_RQ, TransferRole.SCU)
_RESPONSE = MessageType(Dimse.C_FIND_RSP, TransferRole.SCU)
_OWN_QUERY = MessageType(Dimse.C_FIND_RQ, TransferRole.SCP)
_OWN_RESPONSE = MessageType(Dimse.C_FIND_RSP, TransferRole.SCP)
_PERFORMED = frozenset(
    {MessageType(Dimse.N_CREATE_RQ, TransferRole.SCU), MessageType(Dimse.N_SET_RQ, TransferRole.SCU)}
)

_OBJECTS = frozenset({_RETRIEVED, _RECEIVED})
_FIND = frozenset({_QUERY, _RESPONSE, _OWN_QUERY, _OWN_RESPONSE})

MESSAGES: MessageTypes = _OBJECTS | _FIND | _PERFORMED
"""Every message that a rule can be about."""

# The leading archive is asked by C-FIND: on our own C-FIND it would recurse, on keys it would change the query.
_LEADING = _OBJECTS | {_RESPONSE}


def is_offered(dimse: Dimse) -> bool:
    """True if this service supports such messages."""
    return dimse not in (Dimse.N_CREATE_RQ, Dimse.N_SET_RQ)


# Builders. Each raises ValueError.


def _leading(scp: str, rule: CoercionRule | CoercionRule2, environment: Environment) -> AnyStep:
    title = AETitle(scp)
    keys = None if environment.return_keys is None else environment.return_keys(title)
    return LeadingStep(leading_cfind_scp=title, policy=rule.attribute_update_policy, return_keys=keys)


def _merge_attributes(texts: Sequence[str]) -> AnyStep:
    merges = []
    wrong = []
    for text in texts:
        try:
            merges.append(compile_merge_attribute(text))
        except ValueError as err:
            wrong.append((text, str(err)))
    if wrong or not merges:
        raise InvalidValues("dcmMergeAttribute", wrong or [("", "is required, but absent")])
    return MergeAttributesStep(merges=tuple(merges))


def _params(rule: CoercionRule2) -> Mapping[str, str]:
    """dcmCoercionParam, each ``name=value``."""
    pairs = [text.partition("=") for text in rule.coercion_params]
    for name, separator, _ in pairs:
        if not separator:
            raise InvalidValues("dcmCoercionParam", [(name, "expected NAME=VALUE")])
    return {name: value for name, _, value in pairs}


def _described(reference: str | None, environment: Environment) -> DeviceDescription:
    if reference is None:
        raise InvalidValues("dcmSupplementFromDeviceReference", [("", "is required, but absent")])
    if reference not in environment.devices:
        raise InvalidValues("dcmSupplementFromDeviceReference", [(reference, "the directory has no such dicomDevice")])
    return environment.devices[reference]


def _described_step(rule: CoercionRule | CoercionRule2, environment: Environment) -> AnyStep:
    return SupplementDeviceStep(device=_described(rule.supplement_from_device_reference, environment))


def _style_sheet(uri: str, environment: Environment, *, no_keywords: bool, legacy: bool) -> AnyStep:
    return compile_xslt(
        uri,
        no_keywords=no_keywords,
        folders=environment.style_sheet_folders,
        expand=environment.expand,
        legacy=legacy,
    )


def _worklist_template(uri: str | None, environment: Environment, *, no_keywords: bool) -> Transform:
    """Function that transforms a worklist item by the style sheet at ``uri``."""
    if not uri:
        raise ValueError("expected the URI of a style sheet")
    sheet = compile_style_sheet(uri, folders=environment.style_sheet_folders, expand=environment.expand)

    def transform(item: Dataset, context: CoercionContext) -> Dataset:
        try:
            result = sheet.transform(to_native(item, keywords=not no_keywords), {})
            return from_native(result) if result is not None else Dataset()
        except ValueError as err:
            raise CoercionFailed(f"{MergeMWLStep.name}: {err}") from err

    return transform


def _legacy_merge_mwl(rule: CoercionRule, environment: Environment) -> AnyStep:
    try:
        template = _worklist_template(rule.merge_mwl_template_uri, environment, no_keywords=rule.no_keywords)
    except ValueError as err:
        raise InvalidValues("dcmMergeMWLTemplateURI", [(rule.merge_mwl_template_uri or "", str(err))]) from err
    return compile_legacy_merge_mwl(rule, template)


def _scheme_merge_mwl(rule: CoercionRule2, uri: str, environment: Environment) -> AnyStep:
    params = dict(_params(rule))
    no_keywords = params.pop("xsl-no-keyword", "").lower() == "true"
    return compile_merge_mwl(params, _worklist_template(uri, environment, no_keywords=no_keywords))


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyAction:
    """One action of dcmArchiveAttributeCoercion."""

    attribute: str
    value: Callable[[CoercionRule], str | None]
    """The attribute's value for messages; None: the rule does not demand it."""
    messages: MessageTypes
    build: Callable[[CoercionRule, Environment], AnyStep]


def _flag(wanted: bool) -> str | None:
    return "TRUE" if wanted else None


def _list(values: Iterable[object]) -> str | None:
    return ", ".join(map(str, values)) or None


# In the order in which dcm4chee carries them out, on every kind of message.
LEGACY_ACTIONS: tuple[LegacyAction, ...] = (
    LegacyAction(
        attribute="dcmRetrieveAsReceived",
        value=lambda rule: _flag(rule.retrieve_as_received),
        messages=frozenset({_RETRIEVED}),
        build=lambda rule, environment: RetrieveAsReceived(),
    ),
    LegacyAction(
        attribute="dcmLeadingCFindSCP",
        value=lambda rule: rule.leading_cfind_scp,
        messages=_LEADING,
        build=lambda rule, environment: _leading(str(rule.leading_cfind_scp), rule, environment),
    ),
    LegacyAction(
        attribute="dcmUseCallingAETitleAs",
        value=lambda rule: rule.use_calling_ae_title_as,
        messages=frozenset({_RECEIVED, _QUERY}),
        build=lambda rule, environment: compile_use_calling_ae_title(str(rule.use_calling_ae_title_as)),
    ),
    LegacyAction(
        attribute="dcmTrimISO2022CharacterSet",
        value=lambda rule: _flag(rule.trim_iso2022_character_set),
        messages=MESSAGES,
        build=lambda rule, environment: TrimISO2022Step(),
    ),
    LegacyAction(
        attribute="dcmNullifyTag",
        value=lambda rule: _list(rule.nullify_tags),
        messages=MESSAGES,
        build=lambda rule, environment: NullifyStep(tags=rule.nullify_tags),
    ),
    LegacyAction(
        attribute="dcmMergeAttribute",
        value=lambda rule: _list(rule.merge_attributes),
        messages=MESSAGES,
        build=lambda rule, environment: _merge_attributes(rule.merge_attributes),
    ),
    LegacyAction(
        attribute="dcmNullifyIssuerOfPatientID",
        value=lambda rule: rule.nullify_issuer_of_patient_id,
        messages=MESSAGES,
        build=lambda rule, environment: compile_nullify_issuer(
            str(rule.nullify_issuer_of_patient_id), rule.issuers_of_patient_id
        ),
    ),
    LegacyAction(
        attribute="dcmIssuerOfPatientIDFormat",
        value=lambda rule: rule.issuer_of_patient_id_format,
        messages=MESSAGES,
        build=lambda rule, environment: SupplementIssuerStep(
            format=compile_format(str(rule.issuer_of_patient_id_format))
        ),
    ),
    LegacyAction(
        attribute="dcmSupplementFromDeviceReference",
        value=lambda rule: rule.supplement_from_device_reference,
        messages=MESSAGES,
        build=_described_step,
    ),
    LegacyAction(
        attribute="dcmMergeMWLMatchingKey",
        # As in dcm4chee, without a template there is nothing to merge.
        value=lambda rule: rule.merge_mwl_matching_key if rule.merge_mwl_template_uri else None,
        messages=_PERFORMED | {_RECEIVED},
        build=_legacy_merge_mwl,
    ),
    LegacyAction(
        attribute="dcmURI",
        value=lambda rule: rule.uri,
        messages=MESSAGES,
        build=lambda rule, environment: _style_sheet(
            str(rule.uri), environment, no_keywords=rule.no_keywords, legacy=True
        ),
    ),
    LegacyAction(
        attribute="dcmDeIdentification",
        value=lambda rule: _list(rule.de_identifications),
        messages=_OBJECTS,
        build=lambda rule, environment: compile_deidentify(rule.de_identifications),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """One scheme of dcmURI in dcmArchiveAttributeCoercion2."""

    messages: MessageTypes = MESSAGES
    build: Callable[[CoercionRule2, str, Environment], AnyStep]
    """Is given what stands after the colon."""


SCHEMES: Mapping[str, Scheme] = {
    "leading-arc": Scheme(messages=_LEADING, build=lambda rule, scp, environment: _leading(scp, rule, environment)),
    "merge-attrs": Scheme(build=lambda rule, _, environment: _merge_attributes(rule.merge_attributes)),
    "merge-mwl": Scheme(
        messages=_PERFORMED | {_RECEIVED},
        build=_scheme_merge_mwl,
    ),
    "xslt": Scheme(
        build=lambda rule, uri, environment: _style_sheet(
            uri, environment, no_keywords=_params(rule).get("xsl-no-keyword", "").lower() == "true", legacy=False
        )
    ),
    "deidentify": Scheme(
        messages=_OBJECTS, build=lambda rule, options, environment: compile_deidentify(options.split(","))
    ),
    "sup-from-dev": Scheme(
        messages=_OBJECTS | _PERFORMED | {_QUERY}, build=lambda rule, _, environment: _described_step(rule, environment)
    ),
    "trim-ISO2022": Scheme(build=lambda rule, _, environment: TrimISO2022Step()),
    "change-charset": Scheme(build=lambda rule, codes, environment: compile_change_charset(codes)),
    "use-calling-aet-as": Scheme(
        messages=frozenset({_RECEIVED, _QUERY}),
        build=lambda rule, use, environment: compile_use_calling_ae_title(use),
    ),
    "nullify-pixel-data": Scheme(
        messages=frozenset({_RETRIEVED}), build=lambda rule, _, environment: NullifyStep(tags=PIXEL_DATA)
    ),
    "retrieve-as-received": Scheme(
        messages=frozenset({_RETRIEVED}), build=lambda rule, _, environment: RetrieveAsReceived()
    ),
}
