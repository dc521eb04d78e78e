"""Current tree of the directory, for editing: never cached, and lists by one search each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from dcm4py_leading.config.dn import dn_key, escape_rdn_value, parent_dn, rdn_values
from dcm4py_leading.config.entry import DEVICES_RDN, Entry
from dcm4py_leading.config.ldap.source import DirectorySession, LdapSource
from dcm4py_leading.config.ldif.source import LdifSource
from dcm4py_leading.config.sources.source import ConfigSource
from dcm4py_leading.errors import ConfigInvalid, Problem

REGISTRY_RDN = "cn=Unique AE Titles Registry"
_DEVICE_LIST = [
    "objectClass",
    "dicomDeviceName",
    "dicomDescription",
    "dicomManufacturer",
    "dicomManufacturerModelName",
    "dicomSoftwareVersion",
    "dicomStationName",
    "dicomInstitutionName",
    "dicomInstitutionDepartmentName",
    "dicomPrimaryDeviceType",
    "dicomInstalled",
]
_AE_LIST = [
    "objectClass",
    "dicomAETitle",
    "dcmOtherAETitle",
    "dicomDescription",
    "dicomAssociationInitiator",
    "dicomAssociationAcceptor",
    "dicomApplicationCluster",
    "dicomInstalled",
    "hl7ApplicationName",
    "dicomNetworkConnectionReference",
]
_CONNECTION_LIST = [
    "objectClass",
    "cn",
    "dicomHostname",
    "dicomPort",
    "dicomTLSCipherSuite",
    "dicomInstalled",
    "dcmProtocol",
]


class Tree(Protocol):
    """A directory, read without a cache in between. Raises ConfigUnavailable, ConfigInvalid."""

    @property
    def source(self) -> ConfigSource:
        """The same for whoever loads a configuration of it."""
        ...

    def listed(self, object_class: str, attributes: Sequence[str]) -> tuple[Entry, ...]:
        """The entries of a class below cn=Devices, with these attributes at least."""
        ...

    def root_dn(self) -> str:
        """The DN of the dicomConfigurationRoot."""
        ...

    def subtree(self, device_name: str) -> tuple[Entry, ...]:
        """The device and everything below it; empty if there is none."""
        ...


def devices(tree: Tree) -> tuple[Entry, ...]:
    """The dicomDevice entries with what a list of them shows."""
    return tree.listed("dicomDevice", _DEVICE_LIST)


def aes(tree: Tree) -> tuple[Entry, ...]:
    """The dicomNetworkAE entries with what a list of them shows."""
    return tree.listed("dicomNetworkAE", _AE_LIST)


def connections(tree: Tree) -> tuple[Entry, ...]:
    """The dicomNetworkConnection entries with what a list of AEs shows of them."""
    return tree.listed("dicomNetworkConnection", _CONNECTION_LIST)


def registered_aes(tree: Tree) -> tuple[Entry, ...]:
    """The dicomUniqueAETitle entries of the registry (PS3.15 H.1.1.3); empty where there is no registry."""
    registry = f"{REGISTRY_RDN},{tree.root_dn()}"
    return tuple(
        entry for entry in tree.source.read_entries(registry, with_below=True) if entry.is_a("dicomUniqueAETitle")
    )


def device_dn(tree: Tree, device_name: str) -> str:
    """Where the device of that name is, or would be."""
    return f"dicomDeviceName={escape_rdn_value(device_name)},{DEVICES_RDN},{tree.root_dn()}"


class LdapTree:
    """A directory server."""

    def __init__(self, source: LdapSource) -> None:
        self.source = source

    def listed(self, object_class: str, attributes: Sequence[str]) -> tuple[Entry, ...]:
        """Entries of a class (see `Tree`)."""

        def read(directory: DirectorySession) -> tuple[Entry, ...]:
            base = f"{DEVICES_RDN},{directory.root()}"
            return directory.search(base, f"(objectClass={object_class})", attributes, page_size=_LIST_PAGE)

        return self.source.first_answer(read)

    def root_dn(self) -> str:
        """DN of the dicomConfigurationRoot (see `Tree`)."""
        return self.source.first_answer(lambda directory: directory.root())

    def subtree(self, device_name: str) -> tuple[Entry, ...]:
        """The device and everything below it (see `Tree`)."""
        return self.source.first_answer(
            lambda directory: directory.search(directory.device_dn(device_name), "(objectClass=*)")
        )


_LIST_PAGE = 5000
"""Entries of one search, so that the list of a large site is one."""


class LdifTree:
    """LDIF files."""

    def __init__(self, source: LdifSource) -> None:
        self.source = source

    def listed(self, object_class: str, attributes: Sequence[str]) -> tuple[Entry, ...]:
        """Entries of a class, with all attributes (see `Tree`)."""
        devices = dn_key(DEVICES_RDN)[0]
        return tuple(entry for entry in self.source.entries() if devices in entry.key[1:] and entry.is_a(object_class))

    def root_dn(self) -> str:
        """DN of the dicomConfigurationRoot (see `Tree`); files may leave it out, then it stands above the devices."""
        entries = self.source.entries()
        for found in (_roots(entries), _above_devices(entries)):
            for dn in found:
                return dn
        raise ConfigInvalid([Problem(dn=self.source.describe(), reason="there is no device, and no place for one")])

    def subtree(self, device_name: str) -> tuple[Entry, ...]:
        """The device and everything below it (see `Tree`)."""
        return self.source.read_device(device_name)


def _roots(entries: Iterable[Entry]) -> Iterable[str]:
    return (entry.dn for entry in entries if entry.is_a("dicomConfigurationRoot"))


def _above_devices(entries: Iterable[Entry]) -> Iterable[str]:
    return (parent_dn(parent_dn(entry.dn)) for entry in entries if rdn_values(entry.key, "dicomDeviceName"))
