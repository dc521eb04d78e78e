"""Rows of dcmArchiveDevice, dcmArchiveNetworkAE, and the archive objects below the device."""

from __future__ import annotations

from dcm4py_leading.config.binding import Row, many, one
from dcm4py_leading.config.converters import (
    ae_titles,
    among,
    boolean,
    character_set,
    date,
    enumerated,
    integer,
    interval,
    store_associations,
    text,
    title_pair,
    update_policy,
)
from dcm4py_leading.model.archive import (
    AllowDeleteStudy,
    AttributeSetType,
    Entity,
    OnStoragePathAlreadyExists,
    OverwritePolicy,
    PatientInfo,
    RelationalMismatchPolicy,
    SpanningPolicy,
)
from dcm4py_leading.model.values import AETitle, Tag, parse_duration

ARCHIVE_DEVICE: tuple[Row, ...] = (
    one("dcmLeadingCFindSCPQueryCacheStaleTimeout", "leading_cfind_scp_query_cache_stale_timeout", parse_duration),
    one("dcmLeadingCFindSCPQueryCacheSize", "leading_cfind_scp_query_cache_size", integer(0)),
    one("dcmAECacheStaleTimeout", "ae_cache_stale_timeout", parse_duration),
    many("dcmCStoreSCUOfCMoveSCP", "cstore_scu_of_cmove_scp", title_pair, collect=dict),
    one("dcmShowPatientInfoInSystemLog", "show_patient_info_in_system_log", enumerated(PatientInfo)),
    one("dcmQueryFetchSize", "query_fetch_size", integer(0)),
    one("dcmIdentifyPatientByIDAndName", "identify_patient_by_id_and_name", boolean),
    one("dcmIdentifyPatientByAllAttributes", "identify_patient_by_all_attributes", boolean),
)
"""Attributes that stand on the device alone."""

SETTINGS: tuple[Row, ...] = (
    one("dcmQueryMaxNumberOfResults", "query_max_number_of_results", integer(0)),
    one("dcmQidoMaxNumberOfResults", "qido_max_number_of_results", integer(0)),
    one("dcmQueryRetrieveViewID", "query_retrieve_view_id"),
    one("dcmRelationalQueryNegotiationLenient", "relational_query_negotiation_lenient", boolean),
    one("dcmRelationalRetrieveNegotiationLenient", "relational_retrieve_negotiation_lenient", boolean),
    one("dcmOverwritePolicy", "overwrite_policy", enumerated(OverwritePolicy)),
    one("dcmRelationalMismatchPolicy", "relational_mismatch_policy", enumerated(RelationalMismatchPolicy)),
    one("dcmAllowDeleteStudyPermanently", "allow_delete_study_permanently", enumerated(AllowDeleteStudy)),
    one("dcmSendPendingCGet", "send_pending_cget", boolean),
    one("dcmSendPendingCMoveInterval", "send_pending_cmove_interval", interval),
    many("dcmMultipleStoreAssociations", "multiple_store_associations", store_associations),
    one("dcmDefaultCharacterSet", "default_character_set", character_set),
    many("dcmRetrieveAET", "retrieve_aets", AETitle),
    many("dcmReturnRetrieveAET", "return_retrieve_aets", AETitle),
    one("dcmSpanningCFindSCP", "spanning_cfind_scps", ae_titles),
    one("dcmSpanningCFindSCPPolicy", "spanning_cfind_scp_policy", enumerated(SpanningPolicy)),
    many("dcmSpanningCFindSCPRetrieveAET", "spanning_cfind_scp_retrieve_aets", AETitle),
    one("dcmFallbackCMoveSCP", "fallback_cmove_scps", ae_titles),
    one("dcmFallbackCMoveSCPDestination", "fallback_cmove_scp_destination", AETitle),
    one("dcmFallbackCMoveSCPCallingAET", "fallback_cmove_scp_calling_aet", AETitle),
    one("dcmFallbackCMoveSCPLeadingCFindSCP", "fallback_cmove_scp_leading_cfind_scp", AETitle),
    one("dcmFallbackCMoveSCPRetries", "fallback_cmove_scp_retries", integer(-1)),
    one("dcmFallbackCMoveSCPStudyOlderThan", "fallback_cmove_scp_study_older_than", date),
    one("dcmExternalRetrieveAEDestination", "external_retrieve_ae_destination", AETitle),
    one(
        "dcmPersonNameComponentOrderInsensitiveMatching",
        "person_name_component_order_insensitive_matching",
        boolean,
    ),
)
"""Attributes that may stand on the device and on an AE; that of the AE wins."""

AE_SETTINGS: tuple[Row, ...] = (
    *SETTINGS,
    many("dcmAcceptedMoveDestination", "accepted_move_destinations", AETitle, collect=frozenset),
    many("dcmAcceptedUserRole", "accepted_user_roles", collect=frozenset),
    many("dcmObjectStorageID", "object_storage_ids"),
)
"""dcmArchiveNetworkAE: the schema has the last three only there."""

ATTRIBUTE_FILTER: tuple[Row, ...] = (
    one("dcmEntity", "entity", enumerated(Entity), required=True),
    many("dcmTag", "tags", Tag.parse, required=True),
    one("dcmAttributeUpdatePolicy", "attribute_update_policy", update_policy),
)
OTHER_ENTITIES = frozenset({"MPPS", "MWL", "UPS"})
"""Values of dcmEntity that the index does not keep."""

ATTRIBUTE_SET: tuple[Row, ...] = (
    one("dcmAttributeSetType", "attribute_set_type", enumerated(AttributeSetType), required=True),
    one("dcmAttributeSetID", "attribute_set_id", text, required=True),
    many("dcmTag", "tags", Tag.parse, required=True),
)
OTHER_ATTRIBUTE_SET_TYPES = frozenset({"QIDO_RS", "WADO_RS", "DIFF_RS"})
"""Values of dcmAttributeSetType that belong to services which are not built."""

STORAGE: tuple[Row, ...] = (
    one("dcmStorageID", "storage_id", text, required=True),
    one("dcmURI", "uri", text, required=True),
    one("dcmStoragePathFormat", "storage_path_format", text, expand=False),
    one("dcmOnStoragePathAlreadyExists", "on_storage_path_already_exists", enumerated(OnStoragePathAlreadyExists)),
    # Java's names; the schema names the first two.
    one("dcmDigestAlgorithm", "digest_algorithm", among("MD5", "SHA-1", "SHA-256", "SHA-384", "SHA-512")),
    one("dcmReadOnly", "read_only", boolean),
    many("dcmExternalRetrieveAET", "external_retrieve_aets", AETitle),
)

QUERY_RETRIEVE_VIEW: tuple[Row, ...] = (
    one("dcmQueryRetrieveViewID", "query_retrieve_view_id", text, required=True),
    one("dcmHideNotRejectedInstances", "hide_not_rejected_instances", boolean),
)
