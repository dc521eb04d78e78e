"""Source with changes applied in memory: the tree as an import would make it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from dcm4py_leading.config.dn import DnKey, dn_key, parent_dn, rdn_values
from dcm4py_leading.config.entry import Entry, dns_by_title, names_of_devices
from dcm4py_leading.config.ldif.directory import Directory
from dcm4py_leading.config.ldif.records import AddEntry, DeleteEntry, LdifFile, Record, RenameEntry
from dcm4py_leading.config.ldif.schema import dn_fault
from dcm4py_leading.config.sources.source import ConfigSource


def directory_for(files: Iterable[LdifFile], source: ConfigSource) -> Directory:
    """Part of ``source`` that the records of ``files`` are about: each device whole, else the entry and its parent.

    Raises ConfigUnavailable, and ConfigInvalid when the source itself cannot be read.
    """
    found: dict[DnKey, Entry] = {}
    read: set[tuple[DnKey, bool]] = set()
    for dn, with_below in _concerned(files):
        key = dn_key(dn)
        if (key, with_below) not in read:
            read.add((key, with_below))
            found |= {entry.key: entry for entry in source.read_entries(dn, with_below=with_below)}
    return Directory(found.values(), needs_all_parents=source.holds_root())


def _concerned(files: Iterable[LdifFile]) -> Iterator[tuple[str, bool]]:
    """DNs, and whether entries below count too."""
    for file in files:
        for record in file.records:
            takes_all = isinstance(record, DeleteEntry | RenameEntry)
            for dn in _dns(record):
                if dn_fault(dn) is not None:
                    continue
                device = _device_dn(dn)
                yield (dn, takes_all) if device is None else (device, True)
                parent = parent_dn(dn)
                is_new = isinstance(record, AddEntry | RenameEntry)
                if is_new and parent and (device is None or dn_key(device) == dn_key(dn)):
                    yield parent, False


def _dns(record: Record) -> tuple[str, ...]:
    return (record.dn, record.new_dn) if isinstance(record, RenameEntry) else (record.dn,)


def _device_dn(dn: str) -> str | None:
    """The DN of the device to which an entry belongs; None outside of devices."""
    found = None
    while dn:
        if rdn_values(dn_key(dn)[:1], "dicomDeviceName"):
            found = dn
        dn = parent_dn(dn)
    return found


class ChangedSource(ConfigSource):
    """ConfigSource: another source's tree, in which the devices that ``files`` name are as ``directory`` has them."""

    def __init__(self, source: ConfigSource, directory: Directory, files: Sequence[LdifFile]) -> None:
        self._source = source
        self._entries = tuple(directory)
        self._names = ", ".join(file.name for file in files)
        devices = (_device_dn(dn) for file in files for record in file.records for dn in _dns(record))
        self._devices = {dn_key(dn)[0] for dn in devices if dn is not None}

    def describe(self) -> str:
        """The source, and the files that are applied to it."""
        return f"{self._source.describe()} with {self._names} applied"

    def read_device(self, device_name: str) -> tuple[Entry, ...]:
        """The device and everything below it."""
        if not any(("dicomdevicename", device_name.casefold()) in rdn for rdn in self._devices):
            return self._source.read_device(device_name)
        for entry in self._entries:
            if entry.is_a("dicomDevice") and device_name.casefold() in rdn_values(entry.key, "dicomDeviceName"):
                return self._below(entry.key)
        return ()

    def read_ae(self, ae_title: str) -> tuple[Entry, ...]:
        """The devices of the AE, with their connections and AEs."""
        here = [
            found for entry in self._entries if ae_title in ae_titles([entry]) for found in self._below(entry.key[1:])
        ]
        # Without the AEs that the changes took away, or renamed.
        elsewhere = (entry for entry in self._source.read_ae(ae_title) if not self._is_changed(entry.key))
        return (*here, *elsewhere)

    def ae_dns(self, ae_titles: Collection[str] | None) -> Mapping[str, tuple[str, ...]]:
        """The DNs of the AEs of these titles, or of all."""
        found = dns_by_title(self._entries, ae_titles)
        for title, dns in self._source.ae_dns(ae_titles).items():
            found[title] = (*found.get(title, ()), *(dn for dn in dns if not self._is_changed(dn_key(dn))))
        return {title: dns for title, dns in found.items() if dns}

    def device_names(self) -> tuple[str, ...]:
        """The names of the devices."""
        return tuple(sorted({*self._source.device_names(), *names_of_devices(self._entries)}))

    def _is_changed(self, key: DnKey) -> bool:
        return not self._devices.isdisjoint(key)

    def _below(self, key: DnKey) -> tuple[Entry, ...]:
        return tuple(entry for entry in self._entries if entry.key[-len(key) :] == key)


def ae_titles(entries: Iterable[Entry]) -> set[str]:
    """The titles of the AEs among ``entries``."""
    return {
        title.strip() for entry in entries if entry.is_a("dicomNetworkAE") for title in entry.values("dicomAETitle")
    }
