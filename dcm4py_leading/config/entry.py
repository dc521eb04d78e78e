"""A directory entry, and the port through which the loader reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

DEVICES_RDN = "cn=Devices"


@dataclass(frozen=True, slots=True)
class Entry:
    """One directory entry. Attribute names are lower case; every attribute is an unordered set of values.

    Servers differ in the case of names, the order of values and the spelling of DNs: compare through
    `values`, `one_of` and `dn_key`, never by text.
    """

    dn: str
    attributes: Mapping[str, tuple[str, ...]]

    def values(self, name: str) -> tuple[str, ...]:
        """All values of an attribute, in any order; empty if absent."""
        return self.attributes.get(name.lower(), ())

    def is_a(self, object_class: str) -> bool:
        """Whether the entry has this object class."""
        return object_class.lower() in (value.lower() for value in self.values("objectClass"))

    def __iter__(self) -> Iterator[str]:
        return iter(self.attributes)


class ConfigSource(Protocol):
    """Where entries come from: a live directory, or LDIF files. Both raise ConfigUnavailable or ConfigInvalid."""

    def describe(self) -> str:
        """Where this is, for messages and the log; without a password."""
        ...

    def read_device(self, device_name: str) -> tuple[Entry, ...]:
        """The dicomDevice entry of that name and everything below it; empty if there is none."""
        ...

    def read_ae(self, ae_title: str) -> tuple[Entry, ...]:
        """The dicomDevice that holds the first dicomNetworkAE of that title, and everything but transfer
        capabilities below it; empty if there is none. Found by a subtree search below cn=Devices; the Unique AE
        Titles Registry only reserves names."""
        ...
