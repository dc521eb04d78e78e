"""Rows of the network classes: dicomDevice, dicomNetworkConnection, dicomNetworkAE, dicomTransferCapability, and
dcm4che's companions of each (PS3.15 Annex H)."""

from __future__ import annotations

from dcm4py_leading.config.binding import Row, many, one
from dcm4py_leading.config.converters import (
    boolean,
    distinguished_name,
    enumerated,
    integer,
    masquerade,
    milliseconds,
    text,
)
from dcm4py_leading.model.codes import Code, Issuer
from dcm4py_leading.model.device import ConnectionProtocol
from dcm4py_leading.model.values import UID, AETitle, TransferRole

DICOM_DEVICE: tuple[Row, ...] = (
    one("dicomDeviceName", "device_name", required=True),
    one("dicomDescription", "description"),
    one("dicomInstalled", "installed", boolean),
)
DCM_DEVICE: tuple[Row, ...] = (one("dcmLimitOpenAssociations", "limit_open_associations", integer(0)),)

DEVICE_DESCRIPTION: tuple[Row, ...] = (
    one("dicomDeviceName", "device_name", required=True),
    one("dicomManufacturer", "manufacturer"),
    one("dicomManufacturerModelName", "manufacturer_model_name"),
    # In the order of the directory: as in dcm4chee the first value counts.
    many("dicomSoftwareVersion", "software_versions", collect=tuple),
    one("dicomStationName", "station_name"),
    one("dicomDeviceSerialNumber", "device_serial_number"),
    many("dicomInstitutionName", "institution_names", collect=tuple),
    many("dicomInstitutionAddress", "institution_addresses", collect=tuple),
    many("dicomInstitutionCode", "institution_codes", Code.parse, collect=tuple),
    many("dicomInstitutionDepartmentName", "institution_department_names", collect=tuple),
    one("dicomIssuerOfPatientID", "issuer_of_patient_id", Issuer.parse),
    one("dicomIssuerOfAccessionNumber", "issuer_of_accession_number", Issuer.parse),
    one("dicomOrderPlacerIdentifier", "order_placer_identifier", Issuer.parse),
    one("dicomOrderFillerIdentifier", "order_filler_identifier", Issuer.parse),
    one("dicomIssuerOfAdmissionID", "issuer_of_admission_id", Issuer.parse),
    one("dicomIssuerOfServiceEpisodeID", "issuer_of_service_episode_id", Issuer.parse),
    one("dicomIssuerOfContainerIdentifier", "issuer_of_container_identifier", Issuer.parse),
    one("dicomIssuerOfSpecimenIdentifier", "issuer_of_specimen_identifier", Issuer.parse),
)
"""Of a device that a coercion rule refers to."""

DICOM_NETWORK_CONNECTION: tuple[Row, ...] = (
    # cn is multi-valued by its schema, but names one connection.
    one("cn", "cn"),
    one("dicomHostname", "hostname", required=True),
    one("dicomPort", "port", integer(0, 65535)),
    one("dicomInstalled", "installed", boolean),
    many("dicomTLSCipherSuite", "tls_cipher_suites"),
)
DCM_NETWORK_CONNECTION: tuple[Row, ...] = (
    one("dcmProtocol", "protocol", enumerated(ConnectionProtocol)),
    one("dcmBindAddress", "bind_address"),
    one("dcmClientBindAddress", "client_bind_address"),
    one("dcmTCPBacklog", "tcp_backlog", integer(0)),
    one("dcmTCPConnectTimeout", "tcp_connect_timeout", milliseconds),
    one("dcmAARQTimeout", "aarq_timeout", milliseconds),
    one("dcmAAACTimeout", "aaac_timeout", milliseconds),
    one("dcmARRPTimeout", "arrp_timeout", milliseconds),
    one("dcmAATimeout", "aa_timeout", milliseconds),
    one("dcmSendTimeout", "send_timeout", milliseconds),
    one("dcmStoreTimeout", "store_timeout", milliseconds),
    one("dcmResponseTimeout", "response_timeout", milliseconds),
    one("dcmRetrieveTimeout", "retrieve_timeout", milliseconds),
    one("dcmIdleTimeout", "idle_timeout", milliseconds),
    one("dcmSendPDULength", "send_pdu_length", integer(0, 2**31 - 1)),
    one("dcmReceivePDULength", "receive_pdu_length", integer(0, 2**31 - 1)),
    one("dcmMaxOpsInvoked", "max_ops_invoked", integer(0, 65535)),
    one("dcmMaxOpsPerformed", "max_ops_performed", integer(0, 65535)),
)

AE_TITLE = one("dicomAETitle", "ae_title", AETitle, required=True)
CONNECTION_REFERENCES = many(
    "dicomNetworkConnectionReference", "connections", distinguished_name, required=True, expand=False
)
"""The loader replaces the DNs by the connections."""

DICOM_NETWORK_AE: tuple[Row, ...] = (
    AE_TITLE,
    one("dicomDescription", "description"),
    one("dicomInstalled", "installed", boolean),
    one("dicomAssociationInitiator", "association_initiator", boolean, required=True),
    one("dicomAssociationAcceptor", "association_acceptor", boolean, required=True),
    CONNECTION_REFERENCES,
)
DCM_NETWORK_AE: tuple[Row, ...] = (
    many("dcmOtherAETitle", "other_ae_titles", AETitle),
    many("dcmAcceptedCallingAETitle", "accepted_calling_ae_titles", AETitle, collect=frozenset),
    many("dcmMasqueradeCallingAETitle", "masquerade_calling_ae_titles", masquerade),
)

DICOM_TRANSFER_CAPABILITY: tuple[Row, ...] = (
    one("cn", "cn", text),
    one("dicomSOPClass", "sop_class", UID, required=True),
    one("dicomTransferRole", "transfer_role", enumerated(TransferRole), required=True),
    many("dicomTransferSyntax", "transfer_syntaxes", UID, required=True),
)
DCM_TRANSFER_CAPABILITY: tuple[Row, ...] = (one("dcmRelationalQueries", "relational_queries", boolean),)
