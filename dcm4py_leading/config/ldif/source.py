"""The embedded directory: the tree of an LDAP server, built in memory from LDIF files."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from dcm4py_leading.config.dn import DnKey, dn_key, parent_dn, rdn_values
from dcm4py_leading.config.entry import DEVICES_RDN, Entry, dns_by_title, names_of_devices
from dcm4py_leading.config.ldif.directory import Directory
from dcm4py_leading.config.ldif.records import read_ldif
from dcm4py_leading.config.sources.source import ConfigSource
from dcm4py_leading.errors import ConfigInvalid, ConfigUnavailable

_DEVICES = dn_key(DEVICES_RDN)[0]
_AE_CLASSES = ("dicomDevice", "dicomNetworkConnection", "dicomNetworkAE")


class LdifSource(ConfigSource):
    """ConfigSource over LDIF files, applied in order; an edited file counts at the next read, as in a directory.

    What stands above the devices carries no configuration, so a file may leave it out. Safe under threads: the parsed
    tree is immutable, and at worst two threads parse the same files.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(paths)
        self._parsed: tuple[object, tuple[Entry, ...]] | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files, in the order in which they are applied."""
        return self._paths

    def describe(self) -> str:
        """The files."""
        return "LDIF " + ", ".join(str(path) for path in self._paths)

    def entries(self) -> tuple[Entry, ...]:
        """The whole directory, in the order in which the entries were added."""
        state = self._state()
        parsed = self._parsed
        if parsed is None or parsed[0] != state:
            self._parsed = parsed = (state, self._parse())
        return parsed[1]

    def _parse(self) -> tuple[Entry, ...]:
        files = [read_ldif(path) for path in self._paths]
        directory = Directory()
        problems = [problem for file in files for problem in file.problems]
        if not problems:
            problems = [problem for file in files for problem in directory.apply(file)]
        if problems:
            raise ConfigInvalid(problems)
        return tuple(directory)

    def _state(self) -> object:
        """Differs when a file has changed. Raises ConfigUnavailable."""
        try:
            return [(stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in map(Path.stat, self._paths)]
        except OSError as err:
            raise ConfigUnavailable(f"cannot read the LDIF file {err.filename}: {err.strerror}") from err

    def read_device(self, device_name: str) -> tuple[Entry, ...]:
        """The device and everything below it."""
        entries = self.entries()
        for entry in entries:
            if _is_device(entry.key) and device_name.casefold() in rdn_values(entry.key, "dicomDeviceName"):
                return tuple(_subtree(entries, entry.key))
        return ()

    def read_ae(self, ae_title: str) -> tuple[Entry, ...]:
        """The devices of the AE, with their connections and AEs."""
        entries = self.entries()
        devices = [
            parent_dn(dn) for dns in dns_by_title(self._aes(), [ae_title]).values() for dn in dns
        ]  # dicomAETitle is caseExact
        return tuple(
            found
            for dn in devices
            for found in _subtree(entries, dn_key(dn))
            if any(found.is_a(name) for name in _AE_CLASSES)
        )

    def ae_dns(self, ae_titles: Collection[str] | None) -> Mapping[str, tuple[str, ...]]:
        """The DNs of the AEs of these titles, or of all."""
        return dns_by_title(self._aes(), ae_titles)

    def device_names(self) -> tuple[str, ...]:
        """The names of the devices."""
        return names_of_devices(entry for entry in self.entries() if _is_device(entry.key))

    def _aes(self) -> Iterator[Entry]:
        return (entry for entry in self.entries() if entry.is_a("dicomNetworkAE") and _is_device(entry.key[1:]))

    def read_entries(self, dn: str, *, with_below: bool) -> tuple[Entry, ...]:
        """The entry at ``dn``, and what is below it if wanted; empty if there is none."""
        key = dn_key(dn)
        if with_below:
            return tuple(_subtree(self.entries(), key))
        return tuple(entry for entry in self.entries() if entry.key == key)

    def holds_root(self) -> bool:
        """True if what stands above the devices is there too."""
        return any(entry.is_a("dicomConfigurationRoot") for entry in self.entries())


def _is_device(key: DnKey) -> bool:
    return bool(rdn_values(key, "dicomDeviceName")) and key[1:2] == (_DEVICES,)


def _subtree(entries: Sequence[Entry], base: DnKey) -> Iterator[Entry]:
    return (entry for entry in entries if entry.key[-len(base) :] == base)
