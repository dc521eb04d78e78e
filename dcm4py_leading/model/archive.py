"""Settings of the archive: dcmArchiveDevice, dcmArchiveNetworkAE and the objects below the device."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlsplit

from dcm4py_leading.model.coercion import AnyRule, UpdatePolicy
from dcm4py_leading.model.values import AETitle, Tag


class Entity(enum.Enum):
    """dcmEntity of an attribute filter, as far as the index keeps it."""

    PATIENT = "Patient"
    STUDY = "Study"
    SERIES = "Series"
    INSTANCE = "Instance"


class OverwritePolicy(enum.Enum):
    """dcmOverwritePolicy: what becomes of an object whose SOP Instance UID is already stored."""

    NEVER = "NEVER"
    ALWAYS = "ALWAYS"
    SAME_SOURCE = "SAME_SOURCE"
    EVEN_WITH_EQUAL_DIGEST = "EVEN_WITH_EQUAL_DIGEST"


class RelationalMismatchPolicy(enum.Enum):
    """dcmRelationalMismatchPolicy: the same SOP Instance UID arrives for another series."""

    IGNORE = "IGNORE"
    REJECT = "REJECT"
    OVERWRITE = "OVERWRITE"
    STORE_ADDITIONALLY = "STORE_ADDITIONALLY"


class AllowDeleteStudy(enum.Enum):
    """dcmAllowDeleteStudyPermanently: which studies may be deleted."""

    ALWAYS = "ALWAYS"
    REJECTED = "REJECTED"
    """Those of which all objects are rejected: there are none until rejection is built."""


class PatientInfo(enum.Enum):
    """dcmShowPatientInfoInSystemLog."""

    PLAIN_TEXT = "PLAIN_TEXT"
    HASH_NAME = "HASH_NAME"
    HASH_NAME_AND_ID = "HASH_NAME_AND_ID"


class OnStoragePathAlreadyExists(enum.Enum):
    """dcmOnStoragePathAlreadyExists: the path that dcmStoragePathFormat gives is taken."""

    RANDOM_PATH = "RANDOM_PATH"
    FAILURE = "FAILURE"
    NOOP = "NOOP"


class AttributeSetType(enum.Enum):
    """dcmAttributeSetType, as far as we read it."""

    LEADING_CFIND_SCP = "LEADING_CFIND_SCP"


class SpanningPolicy(enum.Enum):
    """dcmSpanningCFindSCPPolicy: how the matches of the other archives meet the own ones."""

    SUPPLEMENT = "SUPPLEMENT"
    """Own ones first, then the others that are not among them."""
    MERGE = "MERGE"
    """The others' first, then the own ones that are not among them."""
    REPLACE = "REPLACE"
    """The others' alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeFilter:
    """dcmAttributeFilter: which attributes the index keeps for an entity, and how a further object updates them."""

    dn: str = field(compare=False)
    entity: Entity
    tags: tuple[Tag, ...]
    attribute_update_policy: UpdatePolicy = UpdatePolicy.PRESERVE


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeSet:
    """dcmAttributeSet, identified by type and ID; for LEADING_CFIND_SCP the ID is an AE title or ``*``."""

    dn: str = field(compare=False)
    attribute_set_type: AttributeSetType
    attribute_set_id: str
    tags: tuple[Tag, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageDescriptor:
    """dcmStorage: a place for objects. ``uri`` has its placeholders resolved (file: URIs only, so far)."""

    dn: str = field(compare=False)
    storage_id: str
    uri: str
    storage_path_format: str = "{now,date,yyyy/MM/dd}/{0020000D,hash}/{0020000E,hash}/{00080018,hash}"
    on_storage_path_already_exists: OnStoragePathAlreadyExists = OnStoragePathAlreadyExists.RANDOM_PATH
    digest_algorithm: str | None = None
    read_only: bool = False
    external_retrieve_aets: tuple[AETitle, ...] = ()
    """dcmExternalRetrieveAET: other archives that have its objects; those whose files are gone come from there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryRetrieveView:
    """dcmQueryRetrieveView: which instances an AE shows, by rejection."""

    dn: str = field(compare=False)
    query_retrieve_view_id: str
    hide_not_rejected_instances: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveSettings:
    """dcmArchiveNetworkAE over dcmArchiveDevice, resolved: the value of the AE, else of the device, else this."""

    accepted_move_destinations: frozenset[AETitle] = frozenset()
    """dcmAcceptedMoveDestination; empty: any."""
    accepted_user_roles: frozenset[str] = frozenset()
    """dcmAcceptedUserRole; empty: any user with the role that a service needs."""
    object_storage_ids: tuple[str, ...] = ()
    """dcmObjectStorageID; empty: the only dcmStorage of the device."""
    query_max_number_of_results: int = 0
    """dcmQueryMaxNumberOfResults; 0: unlimited."""
    qido_max_number_of_results: int = 0
    """dcmQidoMaxNumberOfResults; 0: unlimited."""
    query_retrieve_view_id: str | None = None
    relational_query_negotiation_lenient: bool = False
    relational_retrieve_negotiation_lenient: bool = False
    overwrite_policy: OverwritePolicy = OverwritePolicy.NEVER
    relational_mismatch_policy: RelationalMismatchPolicy = RelationalMismatchPolicy.IGNORE
    allow_delete_study_permanently: AllowDeleteStudy = AllowDeleteStudy.REJECTED
    send_pending_cget: bool = False
    send_pending_cmove_interval: timedelta | None = None
    """dcmSendPendingCMoveInterval; None: no pending responses by time."""
    multiple_store_associations: tuple[str, ...] = ("1",)
    """dcmMultipleStoreAssociations, each ``N`` or ``AET:N``: how many associations carry one retrieve."""
    default_character_set: str | None = None
    """dcmDefaultCharacterSet: for data sets of peers that name no Specific Character Set."""
    retrieve_aets: tuple[AETitle, ...] = ()
    return_retrieve_aets: tuple[AETitle, ...] = ()
    spanning_cfind_scps: tuple[AETitle, ...] = ()
    """dcmSpanningCFindSCP: the archives that are asked too when this one is queried, in their order."""
    spanning_cfind_scp_policy: SpanningPolicy = SpanningPolicy.REPLACE
    spanning_cfind_scp_retrieve_aets: tuple[AETitle, ...] = ()
    """dcmSpanningCFindSCPRetrieveAET; empty: the matches of the other archives name this AE, which forwards."""
    fallback_cmove_scps: tuple[AETitle, ...] = ()
    """dcmFallbackCMoveSCP: the archives from which comes what is not here: from the first that has it."""
    fallback_cmove_scp_destination: AETitle | None = None
    """dcmFallbackCMoveSCPDestination: the AE of ours that receives it; None: the AE that was asked."""
    fallback_cmove_scp_calling_aet: AETitle | None = None
    """dcmFallbackCMoveSCPCallingAET; None: the title of the AE that was asked."""
    fallback_cmove_scp_leading_cfind_scp: AETitle | None = None
    """dcmFallbackCMoveSCPLeadingCFindSCP: the archive that knows how many instances a study has."""
    fallback_cmove_scp_retries: int = 0
    """dcmFallbackCMoveSCPRetries: how often what is missing is asked for again; -1: without end."""
    fallback_cmove_scp_study_older_than: str | None = None
    """dcmFallbackCMoveSCPStudyOlderThan, YYYYMMDD: a study of an earlier date is fetched, even if it is here."""
    external_retrieve_ae_destination: AETitle | None = None
    """dcmExternalRetrieveAEDestination: the AE of ours that receives them; None: the AE that was asked."""
    person_name_component_order_insensitive_matching: bool = False

    @property
    def archive_behind(self) -> AETitle | None:
        """The archive that gets what is stored to the AE; None where it is stored here.

        That is the one that answers the queries to the AE in place of this one, of several the first:
        dcmSpanningCFindSCP with policy REPLACE.
        """
        if self.spanning_cfind_scp_policy is not SpanningPolicy.REPLACE:
            return None
        return next(iter(self.spanning_cfind_scps), None)

    def store_associations_to(self, ae_title: AETitle) -> int:
        """Number of associations to that C-STORE SCP for one retrieve: what is said of it, else of all, else one."""
        counts = {text.rpartition(":")[0]: int(text.rpartition(":")[2]) for text in self.multiple_store_associations}
        return counts.get(ae_title, counts.get("", 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveDevice:
    """Settings that stand on the device alone: dcmArchiveDevice, and the objects below it."""

    leading_cfind_scp_query_cache_stale_timeout: timedelta | None = None
    """dcmLeadingCFindSCPQueryCacheStaleTimeout; None: an answer never becomes stale."""
    leading_cfind_scp_query_cache_size: int = 10
    """dcmLeadingCFindSCPQueryCacheSize; 0: unlimited, refused without a stale timeout."""
    ae_cache_stale_timeout: timedelta | None = None
    """dcmAECacheStaleTimeout; None: a remote AE, once found, is not looked up again until the next reload."""
    cstore_scu_of_cmove_scp: Mapping[AETitle, AETitle] = field(default_factory=dict)
    """dcmCStoreSCUOfCMoveSCP: by the AE title from which objects come, the C-MOVE SCP that they answer."""
    show_patient_info_in_system_log: PatientInfo = PatientInfo.PLAIN_TEXT
    query_fetch_size: int = 100
    identify_patient_by_id_and_name: bool = False
    """dcmIdentifyPatientByIDAndName: two names under one Patient ID are two patients, whatever else is the same."""
    identify_patient_by_all_attributes: bool = False
    """dcmIdentifyPatientByAllAttributes: so are any two attributes, where the Patient ID has no issuer."""
    attribute_filters: Mapping[Entity, AttributeFilter] = field(default_factory=dict)
    attribute_sets: tuple[AttributeSet, ...] = ()
    storages: Mapping[str, StorageDescriptor] = field(default_factory=dict)
    query_retrieve_views: Mapping[str, QueryRetrieveView] = field(default_factory=dict)
    coercion_rules: tuple[AnyRule, ...] = ()
    """The rules below the device; those below an AE stand on the AE and come first."""

    @property
    def file_storages(self) -> tuple[StorageDescriptor, ...]:
        """The storages that can be served; `config.check` tells about others."""
        return tuple(s for s in self.storages.values() if urlsplit(s.uri).scheme.lower() == "file")
