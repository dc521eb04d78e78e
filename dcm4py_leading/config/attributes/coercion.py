"""Rows of dcmArchiveAttributeCoercion and dcmArchiveAttributeCoercion2.

Conditions, merge formats and style sheet URIs stay text: they are compiled, and refused where wrong, when a runtime
is built. ``$`` in them is their own language's.
"""

from __future__ import annotations

from dcm4py_leading.config.binding import Row, many, one
from dcm4py_leading.config.converters import (
    among,
    any_integer,
    boolean,
    distinguished_name,
    enumerated,
    text,
    update_policy,
)
from dcm4py_leading.model.coercion import Dimse, OnFailure
from dcm4py_leading.model.values import UID, AETitle, Tag, TransferRole

_COMMON: tuple[Row, ...] = (
    one("cn", "cn", text, required=True),
    one("dcmDIMSE", "dimse", enumerated(Dimse), required=True),
    one("dicomTransferRole", "transfer_role", enumerated(TransferRole), required=True),
    one("dcmRulePriority", "rule_priority", any_integer),
    many("dcmSOPClass", "sop_classes", UID, collect=frozenset),
    many("dcmProperty", "properties", text, expand=False),
    one("dcmAttributeUpdatePolicy", "attribute_update_policy", update_policy),
    one("dcmSupplementFromDeviceReference", "supplement_from_device_reference", distinguished_name, expand=False),
    # In the order of the directory: a later format may read what an earlier one wrote, and slapd keeps the order.
    many("dcmMergeAttribute", "merge_attributes", text, collect=tuple, expand=False),
)

ARCHIVE_ATTRIBUTE_COERCION: tuple[Row, ...] = (
    *_COMMON,
    one("dcmLeadingCFindSCP", "leading_cfind_scp", AETitle),
    one("dcmRetrieveAsReceived", "retrieve_as_received", boolean),
    many(
        "dcmDeIdentification",
        "de_identifications",
        among(
            "BasicApplicationConfidentialityProfile",
            "RetainLongitudinalTemporalInformationFullDatesOption",
            "RetainDeviceIdentityOption",
            "RetainInstitutionIdentityOption",
            "RetainUIDsOption",
            "RetainPatientIDHashOption",
        ),
    ),
    one("dcmURI", "uri", text, expand=False),
    one("dcmNoKeywords", "no_keywords", boolean),
    one("dcmMergeMWLMatchingKey", "merge_mwl_matching_key"),
    one("dcmMergeMWLTemplateURI", "merge_mwl_template_uri", text, expand=False),
    one("dcmMergeMWLSCP", "merge_mwl_scp", AETitle),
    many("dcmMergeLocalMWLWorklistLabel", "merge_local_mwl_worklist_labels"),
    many("dcmMergeLocalMWLWithStatus", "merge_local_mwl_with_statuses"),
    one("dcmMWLImportFilterBySCU", "mwl_import_filter_by_scu", boolean),
    one("dcmTrimISO2022CharacterSet", "trim_iso2022_character_set", boolean),
    one(
        "dcmUseCallingAETitleAs",
        "use_calling_ae_title_as",
        among("ScheduledStationAETitle", "SendingApplicationEntityTitleOfSeries"),
    ),
    many("dcmNullifyTag", "nullify_tags", Tag.parse),
    # Multi-valued by the schema; dcm4chee reads one value.
    one("dcmNullifyIssuerOfPatientID", "nullify_issuer_of_patient_id", among("ALWAYS", "MATCHING", "NOT_MATCHING")),
    many("dcmIssuerOfPatientID", "issuers_of_patient_id"),
    one("dcmIssuerOfPatientIDFormat", "issuer_of_patient_id_format", text, expand=False),
)

ARCHIVE_ATTRIBUTE_COERCION2: tuple[Row, ...] = (
    *_COMMON,
    one("dcmURI", "uri", text, required=True, expand=False),
    one("dicomDescription", "description"),
    many("dcmCoercionParam", "coercion_params", text, expand=False),
    one("dcmCoercionSufficient", "coercion_sufficient", boolean),
    one("dcmCoercionOnFailure", "coercion_on_failure", enumerated(OnFailure)),
)

NO_LONGER_READ = {
    "dcmAETitle": "write it as a dcmProperty, such as SendingApplicationEntityTitle=AET",
    "dcmHostname": "write it as a dcmProperty, such as SendingHostname=HOST",
    "dcmTag": "the return keys stand in the dcmAttributeSet of type LEADING_CFIND_SCP",
    "dcmMergeLocalMWLSCP": "the worklist is chosen by dcmMergeLocalMWLWorklistLabel",
    "dicomDeviceName": "the device is named by dcmSupplementFromDeviceReference",
}
"""In the schema of a rule, but dcm4chee reads it no longer, and neither do we; with what stands in its place."""
