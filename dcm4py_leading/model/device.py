"""Device, network connections, application entities, transfer capabilities (PS3.15 Annex H, dcm4che's extensions)."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import timedelta

from dcm4py_leading.model.archive import ArchiveDevice, ArchiveSettings
from dcm4py_leading.model.codes import Code, Issuer
from dcm4py_leading.model.coercion import AnyRule
from dcm4py_leading.model.values import UID, AETitle, TransferRole


class ConnectionProtocol(enum.Enum):
    """dcmProtocol; only DICOM is served here."""

    DICOM = "DICOM"
    HL7 = "HL7"
    HL7_MLLP2 = "HL7_MLLP2"
    HTTP = "HTTP"
    SYSLOG_TLS = "SYSLOG_TLS"
    SYSLOG_UDP = "SYSLOG_UDP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """dicomNetworkConnection with dcmNetworkConnection.

    dcm4che waits for ever where a timeout is absent; here each has a finite default, and an explicit 0 means none
    (the field is then None).
    """

    dn: str = field(compare=False)
    cn: str | None = None
    hostname: str
    port: int | None = None
    """dicomPort; None: this connection only initiates."""
    installed: bool = True
    protocol: ConnectionProtocol = ConnectionProtocol.DICOM
    tls_cipher_suites: tuple[str, ...] = ()
    bind_address: str | None = None
    """dcmBindAddress; None: the hostname."""
    client_bind_address: str | None = None
    tcp_backlog: int = 50
    tcp_connect_timeout: timedelta | None = timedelta(seconds=10)
    aarq_timeout: timedelta | None = timedelta(seconds=10)
    aaac_timeout: timedelta | None = timedelta(seconds=10)
    arrp_timeout: timedelta | None = timedelta(seconds=10)
    aa_timeout: timedelta | None = timedelta(seconds=1)
    send_timeout: timedelta | None = timedelta(seconds=60)
    store_timeout: timedelta | None = timedelta(minutes=5)
    response_timeout: timedelta | None = timedelta(seconds=60)
    retrieve_timeout: timedelta | None = timedelta(minutes=10)
    idle_timeout: timedelta | None = timedelta(minutes=5)
    send_pdu_length: int = 131072
    receive_pdu_length: int = 131072
    max_ops_invoked: int = 1
    """dcmMaxOpsInvoked: operations that we may have outstanding at a peer; 0: any number (PS3.7 D.3.3.3)."""
    max_ops_performed: int | None = None
    """dcmMaxOpsPerformed: operations that a peer may have outstanding at it; 0: any number.

    None: one at a time; of a peer, not known before it grants some.
    """

    @property
    def is_tls(self) -> bool:
        """True if cipher suites make it a TLS connection (PS3.15 Annex H)."""
        return bool(self.tls_cipher_suites)

    @property
    def is_served(self) -> bool:
        """True if we can listen on it: installed, plain DICOM, with a port."""
        dicom = self.protocol is ConnectionProtocol.DICOM
        return self.installed and dicom and not self.is_tls and self.port is not None

    @property
    def listen_address(self) -> tuple[str, int]:
        """Where a listener binds: dcmBindAddress, else dicomHostname, and dicomPort."""
        if self.port is None:
            raise ValueError("a connection without dicomPort only initiates")
        return (self.bind_address or self.hostname, self.port)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferCapability:
    """dicomTransferCapability with dcmTransferCapability: what an AE does for one SOP class in one role."""

    dn: str = field(compare=False)
    cn: str | None = None
    sop_class: UID
    transfer_role: TransferRole
    transfer_syntaxes: tuple[UID, ...]
    relational_queries: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationEntity:
    """dicomNetworkAE of our own device, with dcmNetworkAE and dcmArchiveNetworkAE."""

    dn: str = field(compare=False)
    ae_title: AETitle
    description: str | None = None
    installed: bool = True
    association_initiator: bool
    association_acceptor: bool
    connections: tuple[Connection, ...] = ()
    """dicomNetworkConnectionReference, resolved."""
    other_ae_titles: tuple[AETitle, ...] = ()
    accepted_calling_ae_titles: frozenset[AETitle] = frozenset()
    """dcmAcceptedCallingAETitle; empty: any."""
    masquerade_calling_ae_titles: tuple[str, ...] = ()
    """dcmMasqueradeCallingAETitle, each ``[calledAET]AET`` or ``AET``."""
    transfer_capabilities: tuple[TransferCapability, ...] = ()
    settings: ArchiveSettings = field(default_factory=ArchiveSettings)
    coercion_rules: tuple[AnyRule, ...] = ()

    def calling_ae_title_for(self, called: AETitle) -> AETitle:
        """The calling AE title towards ``called``: dcmMasqueradeCallingAETitle for it, for all, else our own."""
        fallback: AETitle = self.ae_title
        for text in self.masquerade_calling_ae_titles:
            if text.startswith(f"[{called}]"):
                return AETitle(text.partition("]")[2])
            if not text.startswith("["):
                fallback = AETitle(text)
        return fallback


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteAE:
    """A dicomNetworkAE anywhere in the directory, as far as it takes to call it."""

    dn: str = field(compare=False)
    ae_title: AETitle
    device_name: str
    connections: tuple[Connection, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """dicomDevice: the whole configuration of one running service."""

    dn: str = field(compare=False)
    device_name: str
    description: str | None = None
    installed: bool = True
    limit_open_associations: int = 0
    """dcmLimitOpenAssociations; 0: unlimited."""
    connections: tuple[Connection, ...] = ()
    application_entities: tuple[ApplicationEntity, ...] = ()
    archive: ArchiveDevice = field(default_factory=ArchiveDevice)

    def application_entity(self, title: str) -> ApplicationEntity | None:
        """The AE that answers to ``title``, by dicomAETitle or dcmOtherAETitle."""
        for ae in self.application_entities:
            if ae.ae_title == title or title in ae.other_ae_titles:
                return ae
        return None

    @property
    def listening_connections(self) -> tuple[Connection, ...]:
        """Those that are to be listened on: served, and referenced by an AE that accepts associations."""
        wanted = {
            connection.listen_address: connection
            for ae in self.application_entities
            if ae.installed and ae.association_acceptor
            for connection in ae.connections
            if connection.is_served
        }
        return tuple(wanted.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDescription:
    """dicomDevice: what a device says of itself and of its place (PS3.15 Annex H).

    Coercion rules refer to it (dcmSupplementFromDeviceReference). Of several institution names, addresses, departments
    and codes the first counts.
    """

    dn: str = field(compare=False)
    device_name: str
    manufacturer: str | None = None
    manufacturer_model_name: str | None = None
    software_versions: tuple[str, ...] = ()
    station_name: str | None = None
    device_serial_number: str | None = None
    institution_names: tuple[str, ...] = ()
    institution_addresses: tuple[str, ...] = ()
    institution_codes: tuple[Code, ...] = ()
    institution_department_names: tuple[str, ...] = ()
    issuer_of_patient_id: Issuer | None = None
    issuer_of_accession_number: Issuer | None = None
    order_placer_identifier: Issuer | None = None
    order_filler_identifier: Issuer | None = None
    issuer_of_admission_id: Issuer | None = None
    issuer_of_service_episode_id: Issuer | None = None
    issuer_of_container_identifier: Issuer | None = None
    issuer_of_specimen_identifier: Issuer | None = None
