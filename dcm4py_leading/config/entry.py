"""Directory entry, and what several sources find out of entries that they have at hand."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

from dcm4py_leading.config.dn import DnKey, dn_key
from dcm4py_leading.model.bounds import LISTED_AES

CONFIGURATION_CN = "DICOM Configuration"
"""cn of the dicomConfigurationRoot, as dcm4che names it."""
DEVICES_RDN = "cn=Devices"


@dataclass(frozen=True)
class Entry:
    """One directory entry. Attribute names are lower case; every attribute is an unordered set of values.

    Servers differ in the case of names, the order of values and the spelling of DNs: compare through
    `values`, `is_a` and `key`, never by text.
    """

    dn: str
    attributes: Mapping[str, tuple[str, ...]]
    spelling: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """Attribute names as the source spelt them, by lower-case name; for messages only."""

    @classmethod
    def of(cls, dn: str, attributes: Mapping[str, Iterable[str]]) -> Self:
        """An entry from attributes under any spelling of their names; attributes without values are left out."""
        present = {name: tuple(values) for name, values in attributes.items()}
        return cls(
            dn,
            {name.lower(): values for name, values in present.items() if values},
            {name.lower(): name for name, values in present.items() if values},
        )

    @cached_property
    def key(self) -> DnKey:
        """The comparable form of the DN. Raises ValueError when the DN is malformed."""
        return dn_key(self.dn)

    def values(self, name: str) -> tuple[str, ...]:
        """All values of an attribute, in any order; empty if absent."""
        return self.attributes.get(name.lower(), ())

    def is_a(self, object_class: str) -> bool:
        """True if the entry has this object class."""
        return object_class.lower() in (value.strip().lower() for value in self.values("objectClass"))

    def spell(self, name: str) -> str:
        """The attribute name as the source spelt it."""
        return self.spelling.get(name.lower(), name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.attributes)


def text_of(value: bytes) -> str:
    """An attribute value as text; octets that are not UTF-8 show as ``\\xNN`` (certificates, vendor data)."""
    return value.decode("utf-8", "backslashreplace")


def names_of_devices(entries: Iterable[Entry]) -> tuple[str, ...]:
    """Names as `sources.source.ConfigSource.device_names` says them, out of entries that are at hand."""
    return tuple(
        sorted(name for entry in entries if entry.is_a("dicomDevice") for name in entry.values("dicomDeviceName"))
    )


def dns_by_title(entries: Iterable[Entry], ae_titles: Collection[str] | None) -> dict[str, tuple[str, ...]]:
    """DNs as `sources.source.ConfigSource.ae_dns` says them, out of entries that are at hand."""
    found: dict[str, tuple[str, ...]] = {}
    for entry in entries:
        if entry.is_a("dicomNetworkAE"):
            for title in {title.strip() for title in entry.values("dicomAETitle")}:
                if ae_titles is None or title in ae_titles:
                    found[title] = (*found.get(title, ()), entry.dn)
    return found if ae_titles is not None or len(found) <= LISTED_AES else {}
