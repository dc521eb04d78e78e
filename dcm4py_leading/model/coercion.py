"""Archive attribute coercion rules as configured, not yet compiled.

Conditions, merge formats and URIs stay text here; `dcm4py_leading.coercion` compiles them when a runtime is built.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from dcm4py_leading.model.values import UID, AETitle, Tag, TransferRole


class Dimse(enum.Enum):
    """dcmDIMSE: the message that a rule changes."""

    C_STORE_RQ = "C_STORE_RQ"
    C_FIND_RQ = "C_FIND_RQ"
    C_FIND_RSP = "C_FIND_RSP"
    N_CREATE_RQ = "N_CREATE_RQ"
    N_SET_RQ = "N_SET_RQ"


class UpdatePolicy(enum.Enum):
    """dcmAttributeUpdatePolicy: how new attributes meet those that are there (dcm4che Attributes.update).

    dcm4che's REPLACE is left out: every use of it fails there, so it is refused at load.
    """

    SUPPLEMENT = "SUPPLEMENT"
    MERGE = "MERGE"
    OVERWRITE = "OVERWRITE"
    PRESERVE = "PRESERVE"


class OnFailure(enum.Enum):
    """dcmCoercionOnFailure of a version-2 rule."""

    RETHROW = "RETHROW"
    CONTINUE = "CONTINUE"
    SUFFICIENT = "SUFFICIENT"


@dataclass(frozen=True, slots=True, kw_only=True)
class CoercionRule:
    """objectClass dcmArchiveAttributeCoercion: the first that matches, by priority, is applied."""

    dn: str = field(compare=False)
    cn: str
    dimse: Dimse
    transfer_role: TransferRole
    rule_priority: int = 0
    sop_classes: frozenset[UID] = frozenset()
    properties: tuple[str, ...] = ()
    leading_cfind_scp: AETitle | None = None
    attribute_update_policy: UpdatePolicy = UpdatePolicy.MERGE
    retrieve_as_received: bool = False
    de_identifications: tuple[str, ...] = ()
    uri: str | None = None
    no_keywords: bool = False
    merge_mwl_matching_key: str | None = None
    merge_mwl_template_uri: str | None = None
    merge_mwl_scp: AETitle | None = None
    merge_local_mwl_worklist_labels: tuple[str, ...] = ()
    merge_local_mwl_with_statuses: tuple[str, ...] = ()
    mwl_import_filter_by_scu: bool = False
    trim_iso2022_character_set: bool = False
    use_calling_ae_title_as: str | None = None
    merge_attributes: tuple[str, ...] = ()
    nullify_tags: tuple[Tag, ...] = ()
    nullify_issuer_of_patient_id: str | None = None
    issuers_of_patient_id: tuple[str, ...] = ()
    issuer_of_patient_id_format: str | None = None
    supplement_from_device_reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CoercionRule2:
    """objectClass dcmArchiveAttributeCoercion2: every matching rule is applied, each one step named by its URI."""

    dn: str = field(compare=False)
    cn: str
    dimse: Dimse
    transfer_role: TransferRole
    uri: str
    description: str | None = None
    rule_priority: int = 0
    sop_classes: frozenset[UID] = frozenset()
    properties: tuple[str, ...] = ()
    attribute_update_policy: UpdatePolicy = UpdatePolicy.MERGE
    supplement_from_device_reference: str | None = None
    merge_attributes: tuple[str, ...] = ()
    coercion_params: tuple[str, ...] = ()
    coercion_sufficient: bool = False
    coercion_on_failure: OnFailure = OnFailure.RETHROW


AnyRule = CoercionRule | CoercionRule2
