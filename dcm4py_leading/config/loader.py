"""Loader: directory entries become the model. Pure; one pass finds every problem of a tree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from dcm4py_leading.config.attributes import archive, coercion, device
from dcm4py_leading.config.binding import Row, bind, build
from dcm4py_leading.config.dn import DnKey, dn_key
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.inherit import settings
from dcm4py_leading.config.placeholders import Expand, unchanged
from dcm4py_leading.config.report.unread import report_unread
from dcm4py_leading.errors import ConfigInvalid, Problem
from dcm4py_leading.model.archive import (
    ArchiveDevice,
    AttributeFilter,
    AttributeSet,
    QueryRetrieveView,
    StorageDescriptor,
)
from dcm4py_leading.model.coercion import AnyRule, CoercionRule, CoercionRule2
from dcm4py_leading.model.device import (
    ApplicationEntity,
    Connection,
    ConnectionProtocol,
    Device,
    DeviceDescription,
    RemoteAE,
    TransferCapability,
)

T = TypeVar("T")

_DEVICE = (*device.DICOM_DEVICE, *device.DCM_DEVICE)
_CONNECTION = (*device.DICOM_NETWORK_CONNECTION, *device.DCM_NETWORK_CONNECTION)
_AE = (*device.DICOM_NETWORK_AE, *device.DCM_NETWORK_AE)
_CAPABILITY = (*device.DICOM_TRANSFER_CAPABILITY, *device.DCM_TRANSFER_CAPABILITY)
_SHARED_CAPABILITIES = "dcmShareTransferCapabilitiesFromAETitle"


def load_device(
    entries: Iterable[Entry], device_name: str, expand: Expand = unchanged
) -> tuple[Device | None, list[Problem]]:
    """The device of that name, and all problems of its entries.

    Objects with an error are left out of the device; it is None when its own entry is absent or wrong.
    """
    loader = _Loader(entries, expand)
    found = loader.device(device_name)
    return found, loader.problems


def load_remote_ae(entries: Iterable[Entry], ae_title: str, expand: Expand = unchanged) -> RemoteAE | None:
    """The AE of that title with the connections on which it can be called: installed, DICOM, with a port, those
    without TLS first. None if no entry has the title. Raises ConfigInvalid when its entries cannot be read."""
    loader = _Loader(entries, expand)
    ae = loader.remote_ae(ae_title)
    if loader.problems:
        raise ConfigInvalid(loader.problems)
    return ae


def load_device_description(
    entries: Iterable[Entry], dn: str, expand: Expand = unchanged
) -> tuple[DeviceDescription | None, list[Problem]]:
    """Description that the dicomDevice at ``dn`` gives, None when it is absent or wrong, and the problems of its entry.

    Raises ValueError when ``dn`` is no distinguished name.
    """
    loader = _Loader(entries, expand)
    return loader.device_description(dn_key(dn)), loader.problems


class _Loader:
    """The entries of one device by parent, and the problems found so far."""

    def __init__(self, entries: Iterable[Entry], expand: Expand) -> None:
        self.problems: list[Problem] = []
        self._expand = expand
        self._entries: list[Entry] = []
        self._children: dict[DnKey, list[Entry]] = defaultdict(list)
        for entry in entries:
            try:
                self._children[entry.key[1:]].append(entry)
            except ValueError as err:
                self.problems.append(Problem(dn=entry.dn, reason=str(err)))
            else:
                self._entries.append(entry)

    def device_description(self, key: DnKey) -> DeviceDescription | None:
        entry = next((found for found in self._entries if found.key == key and found.is_a("dicomDevice")), None)
        return None if entry is None else self._build(DeviceDescription, device.DEVICE_DESCRIPTION, entry)

    def device(self, device_name: str) -> Device | None:
        entry = next((found for found in self._entries if _is_device(found, device_name)), None)
        if entry is None:
            self.problems.append(Problem(dn=f"dicomDeviceName={device_name}", reason="there is no such dicomDevice"))
            return None
        connections = {
            child.key: self._build(Connection, _CONNECTION, child)
            for child in self._below(entry, "dicomNetworkConnection")
        }
        inherited = bind(archive.SETTINGS, entry, self.problems, self._expand)
        ae_entries = self._below(entry, "dicomNetworkAE")
        aes = [self._application_entity(child, ae_entries, connections, inherited) for child in ae_entries]
        archive_device = self._archive(entry)
        report_unread(self._entries, self.problems)
        return self._build(
            Device,
            _DEVICE,
            entry,
            connections=_sorted(connections.values(), _by_cn),
            application_entities=_sorted(aes, lambda ae: ae.ae_title),
            archive=archive_device,
        )

    def remote_ae(self, ae_title: str) -> RemoteAE | None:
        entry = next((found for found in self._entries if _is_ae(found, ae_title)), None)
        parent = next((found for found in self._entries if entry and found.key == entry.key[1:]), None)
        if entry is None or parent is None:
            return None
        references = bind([device.CONNECTION_REFERENCES], entry, self.problems, self._expand).get("connections", ())
        wanted = {dn_key(reference) for reference in references}
        connections = {
            child.key: self._build(Connection, _CONNECTION, child)
            for child in self._below(parent, "dicomNetworkConnection")
            if child.key in wanted
        }
        names = bind([device.DICOM_DEVICE[0]], parent, self.problems, self._expand)
        callable_connections = (
            connection
            for connection in self._referenced(entry, references, connections)
            if connection.installed and connection.port and connection.protocol is ConnectionProtocol.DICOM
        )
        return self._build(
            RemoteAE,
            [device.AE_TITLE],
            entry,
            device_name=names.get("device_name", ""),
            connections=_sorted(callable_connections, lambda connection: (connection.is_tls, *_by_cn(connection))),
        )

    # The parts of a device.

    def _application_entity(
        self,
        entry: Entry,
        siblings: Sequence[Entry],
        connections: dict[DnKey, Connection | None],
        inherited: dict[str, Any],
    ) -> ApplicationEntity | None:
        own = bind(archive.AE_SETTINGS, entry, self.problems, self._expand)
        capabilities = self._capabilities(entry, siblings)
        rules = self._rules(entry)
        before = len(self.problems)
        fields = bind(_AE, entry, self.problems, self._expand)
        if len(self.problems) > before:
            return None
        fields["connections"] = self._referenced(entry, fields["connections"], connections)
        return ApplicationEntity(
            dn=entry.dn,
            transfer_capabilities=capabilities,
            settings=settings(inherited, own),
            coercion_rules=rules,
            **fields,
        )

    def _referenced(
        self, entry: Entry, references: Sequence[str], connections: dict[DnKey, Connection | None]
    ) -> tuple[Connection, ...]:
        """The connections that an AE references. One that exists but is wrong is not reported a second time."""
        found = {}
        for reference in references:
            key = dn_key(reference)
            if key in connections:
                found[key] = connections[key]
            else:
                self.problems.append(
                    Problem(
                        dn=entry.dn,
                        attribute=device.CONNECTION_REFERENCES.attribute,
                        value=reference,
                        reason="there is no such dicomNetworkConnection below the AE's device, or we may not read it",
                    )
                )
        return _sorted(found.values(), _by_cn)

    def _capabilities(self, entry: Entry, siblings: Sequence[Entry]) -> tuple[TransferCapability, ...]:
        """Of the AE itself, or of the AE of the same device that dcmShareTransferCapabilitiesFromAETitle names."""
        source: Entry | None = entry
        for title in entry.values(_SHARED_CAPABILITIES):
            source = next((sibling for sibling in siblings if _is_ae(sibling, title.strip())), None)
            if source is None:
                reason = "expected the title of another AE of the device"
                self.problems.append(Problem(dn=entry.dn, attribute=_SHARED_CAPABILITIES, value=title, reason=reason))
        if source is None:
            return ()
        found = [
            self._build(TransferCapability, _CAPABILITY, child)
            for child in self._below(source, "dicomTransferCapability")
        ]
        return _sorted(found, lambda capability: (capability.sop_class, capability.transfer_role.value))

    def _archive(self, entry: Entry) -> ArchiveDevice:
        fields = bind(archive.ARCHIVE_DEVICE, entry, self.problems, self._expand)
        filters = self._all(AttributeFilter, archive.ATTRIBUTE_FILTER, self._attribute_filters(entry))
        sets = self._all(AttributeSet, archive.ATTRIBUTE_SET, self._attribute_sets(entry))
        storages = self._all(StorageDescriptor, archive.STORAGE, self._below(entry, "dcmStorage"))
        views = self._all(QueryRetrieveView, archive.QUERY_RETRIEVE_VIEW, self._below(entry, "dcmQueryRetrieveView"))
        return ArchiveDevice(
            attribute_filters={found.entity: found for found in _sorted(filters, lambda f: f.entity.value)},
            attribute_sets=_sorted(sets, lambda s: (s.attribute_set_type.value, s.attribute_set_id)),
            storages={found.storage_id: found for found in _sorted(storages, lambda s: s.storage_id)},
            query_retrieve_views={
                found.query_retrieve_view_id: found for found in _sorted(views, lambda v: v.query_retrieve_view_id)
            },
            coercion_rules=self._rules(entry),
            **fields,
        )

    def _attribute_filters(self, entry: Entry) -> list[Entry]:
        children = self._below(entry, "dcmAttributeFilter")
        return [child for child in children if archive.OTHER_ENTITIES.isdisjoint(_stripped(child, "dcmEntity"))]

    def _attribute_sets(self, entry: Entry) -> list[Entry]:
        children = self._below(entry, "dcmAttributeSet")
        return [
            child
            for child in children
            if archive.OTHER_ATTRIBUTE_SET_TYPES.isdisjoint(_stripped(child, "dcmAttributeSetType"))
            and "FALSE" not in (value.upper() for value in _stripped(child, "dicomInstalled"))
        ]

    def _rules(self, entry: Entry) -> tuple[AnyRule, ...]:
        """By descending priority; equal priorities by cn, since no directory promises an order of its entries."""
        legacy = self._all(
            CoercionRule, coercion.ARCHIVE_ATTRIBUTE_COERCION, self._below(entry, "dcmArchiveAttributeCoercion")
        )
        second = self._all(
            CoercionRule2, coercion.ARCHIVE_ATTRIBUTE_COERCION2, self._below(entry, "dcmArchiveAttributeCoercion2")
        )
        rules: list[AnyRule] = [*legacy, *second]
        return tuple(sorted(rules, key=lambda rule: (-rule.rule_priority, rule.cn.casefold(), rule.cn)))

    # Tools.

    def _below(self, parent: Entry, object_class: str) -> list[Entry]:
        """The children of that class, one level below."""
        return [child for child in self._children.get(parent.key, ()) if child.is_a(object_class)]

    def _build(self, model: Callable[..., T], rows: Sequence[Row], entry: Entry, **more: object) -> T | None:
        return build(model, rows, entry, self.problems, self._expand, **more)

    def _all(self, model: Callable[..., T], rows: Sequence[Row], entries: Iterable[Entry]) -> list[T]:
        return [found for entry in entries if (found := self._build(model, rows, entry)) is not None]


def _is_device(entry: Entry, device_name: str) -> bool:
    names = (name.strip().casefold() for name in entry.values("dicomDeviceName"))
    return entry.is_a("dicomDevice") and device_name.casefold() in names


def _is_ae(entry: Entry, ae_title: str) -> bool:
    return entry.is_a("dicomNetworkAE") and ae_title in (title.strip() for title in entry.values("dicomAETitle"))


def _stripped(entry: Entry, attribute: str) -> list[str]:
    """The values without the blanks that a directory stores behind them."""
    return [value.strip() for value in entry.values(attribute)]


def _by_cn(connection: Connection) -> tuple[str, str, int]:
    return (connection.cn or "", connection.hostname, connection.port or 0)


def _sorted(found: Iterable[T | None], key: Callable[[T], Any]) -> tuple[T, ...]:
    """Those that could be built, in an order that no server can change."""
    return tuple(sorted((item for item in found if item is not None), key=key))
