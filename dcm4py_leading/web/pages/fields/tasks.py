"""Fields grouped by task, so that a page is not 326 fields in a row."""

from __future__ import annotations

from collections.abc import Mapping

TASKS: Mapping[str, str] = {
    "identity": """
        dicomDeviceName dicomAETitle cn dcmStorageID dcmEntity dcmAttributeSetType dcmAttributeSetID
        dcmAttributeSetNumber dcmAttributeSetTitle dcmQueryRetrieveViewID dicomDescription dicomInstalled
        dicomPrimaryDeviceType dicomManufacturer dicomManufacturerModelName dicomSoftwareVersion dicomStationName
        dicomDeviceSerialNumber dicomDeviceUID dicomInstitutionName dicomInstitutionAddress dicomInstitutionCode
        dicomInstitutionDepartmentName dicomApplicationCluster
    """,
    "message": "dcmRulePriority dcmDIMSE dicomTransferRole dcmSOPClass dicomSOPClass dicomTransferSyntax",
    "conditions": "dcmProperty",
    "leading": """
        dcmLeadingCFindSCPQueryCacheStaleTimeout dcmLeadingCFindSCPQueryCacheSize dcmLeadingCFindSCP
    """,
    "network": """
        dicomHostname dicomPort dcmProtocol dcmBindAddress dcmClientBindAddress dicomTLSCipherSuite
        dicomNetworkConnectionReference dicomAssociationAcceptor dicomAssociationInitiator dcmOtherAETitle
        dcmAcceptedCallingAETitle dcmMasqueradeCallingAETitle dcmMasqueradeCalledAETitle
        dcmShareTransferCapabilitiesFromAETitle dcmLimitOpenAssociations dcmAECacheStaleTimeout
    """,
    "timeouts": """
        dcmTCPConnectTimeout dcmAARQTimeout dcmAAACTimeout dcmARRPTimeout dcmAATimeout dcmIdleTimeout dcmSendTimeout
        dcmStoreTimeout dcmResponseTimeout dcmRetrieveTimeout dcmSendPDULength dcmReceivePDULength dcmTCPBacklog
        dcmMaxOpsInvoked dcmMaxOpsPerformed
    """,
    "query": """
        dcmQidoMaxNumberOfResults
        dcmQueryMaxNumberOfResults dcmQueryFetchSize dcmQueryRetrieveViewID dcmRelationalQueryNegotiationLenient
        dcmRelationalQueries dcmPersonNameComponentOrderInsensitiveMatching dcmDefaultCharacterSet
        dcmHideNotRejectedInstances
    """,
    "retrieve": """
        dcmAcceptedUserRole
        dcmAcceptedMoveDestination dcmRelationalRetrieveNegotiationLenient dcmSendPendingCGet
        dcmSendPendingCMoveInterval dcmMultipleStoreAssociations dcmRetrieveAET dcmReturnRetrieveAET
        dcmCStoreSCUOfCMoveSCP
    """,
    "storage": """
        dcmURI dcmObjectStorageID dcmStoragePathFormat dcmOnStoragePathAlreadyExists dcmDigestAlgorithm dcmReadOnly
        dcmOverwritePolicy dcmRelationalMismatchPolicy dcmAllowDeleteStudyPermanently dcmExternalRetrieveAET
    """,
    "other_archives": """
        dcmSpanningCFindSCP dcmSpanningCFindSCPPolicy dcmSpanningCFindSCPRetrieveAET dcmFallbackCMoveSCP
        dcmFallbackCMoveSCPDestination dcmFallbackCMoveSCPCallingAET dcmFallbackCMoveSCPLeadingCFindSCP
        dcmFallbackCMoveSCPRetries dcmFallbackCMoveSCPStudyOlderThan dcmExternalRetrieveAEDestination
    """,
    "patients": """
        dcmIdentifyPatientByIDAndName dcmIdentifyPatientByAllAttributes dcmShowPatientInfoInSystemLog
        dicomIssuerOfPatientID dicomIssuerOfAccessionNumber dicomOrderPlacerIdentifier dicomOrderFillerIdentifier
        dicomIssuerOfAdmissionID dicomIssuerOfServiceEpisodeID dicomIssuerOfContainerIdentifier
        dicomIssuerOfSpecimenIdentifier
    """,
    "changes": """
        dcmAttributeUpdatePolicy dcmTag dcmMergeAttribute dcmNullifyTag dcmRetrieveAsReceived dcmDeIdentification
        dcmNoKeywords dcmSupplementFromDeviceReference dcmTrimISO2022CharacterSet dcmUseCallingAETitleAs
        dcmNullifyIssuerOfPatientID dcmIssuerOfPatientID dcmIssuerOfPatientIDFormat dcmCoercionParam
        dcmCoercionSufficient dcmCoercionOnFailure dcmMergeMWLMatchingKey dcmMergeMWLTemplateURI dcmMergeMWLSCP
        dcmMergeLocalMWLWorklistLabel dcmMergeLocalMWLWithStatus dcmMWLImportFilterBySCU
    """,
}
"""The tasks in the order of a page, and of each the attributes in their order."""

_PROMINENT = """
    dicomDescription dicomInstalled dcmLeadingCFindSCPQueryCacheStaleTimeout dcmLeadingCFindSCPQueryCacheSize
    dcmAECacheStaleTimeout dcmQueryMaxNumberOfResults dcmAcceptedMoveDestination dcmRetrieveAET dcmOtherAETitle
    dcmAcceptedCallingAETitle dcmRelationalQueryNegotiationLenient dcmOverwritePolicy dcmSpanningCFindSCP
    dcmFallbackCMoveSCP dcmIdentifyPatientByIDAndName dcmTCPConnectTimeout dcmResponseTimeout dcmIdleTimeout
    dcmRulePriority dcmSOPClass dcmProperty dcmLeadingCFindSCP dcmAttributeUpdatePolicy dcmMergeAttribute
    dcmCoercionSufficient dcmCoercionOnFailure dcmHideNotRejectedInstances dcmReadOnly dcmDigestAlgorithm
    dcmObjectStorageID
"""
PROMINENT = frozenset(_PROMINENT.split())
"""Attributes that are shown even where nobody has set them."""

OTHER = "other"
"""The task of all other attributes."""

_TASK = {attribute: task for task, attributes in TASKS.items() for attribute in attributes.split()}
_RANK = {attribute: rank for rank, attribute in enumerate(_TASK)}
_TASK_IN: Mapping[tuple[str, str], str] = {
    ("dcmQueryRetrieveView", "dcmQueryRetrieveViewID"): "identity",
    ("dcmArchiveDevice", "dcmQueryRetrieveViewID"): "query",
    ("dcmArchiveNetworkAE", "dcmQueryRetrieveViewID"): "query",
    ("dcmArchiveAttributeCoercion", "dcmURI"): "changes",
    ("dcmArchiveAttributeCoercion2", "dcmURI"): "changes",
    ("dcmAttributeSet", "dcmProperty"): OTHER,
}
"""Where the task depends on the object class."""


def task_of(object_class: str, attribute: str) -> str:
    """The task of an attribute that this service reads."""
    return _TASK_IN.get((object_class, attribute)) or _TASK.get(attribute, OTHER)


def rank_of(attribute: str) -> int:
    """The place of an attribute within its task."""
    return _RANK.get(attribute, len(_RANK))
