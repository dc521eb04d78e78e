"""Place of a page: its address, and its entry."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from dcm4py_leading.config.dn import DnKey, dn_key, parent_dn, rdn_assertions
from dcm4py_leading.config.entry import Entry

DEVICES = "/ui/devices"
CONTROL = "/ui/control"
DRIFT = "/ui/drift"
LEADING = "/ui/leading"
LEADING_ANSWERS = f"{LEADING}/answers"
STUDIES = "/ui/studies"
STUDY = f"{STUDIES}/{{aet}}/{{study_uid}}"
"""Route of a study; further pages of it stand below."""
JOBS = "/ui/jobs"
TRY = "/ui/try"


class NoSuchPage(LookupError):
    """The directory has no such entry. The message names it."""


@dataclass(frozen=True, slots=True)
class Link:
    """An address with what it is called."""

    text: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An entry of a device, with all entries of the device as they were read."""

    device_name: str
    entries: tuple[Entry, ...]
    device: Entry
    entry: Entry
    at: str
    """The DN of the entry below that of the device; empty for the device."""

    @property
    def parent(self) -> Entry:
        """The entry above; of a device the device."""
        return next((entry for entry in self.entries if entry.key == self.entry.key[1:]), self.device)

    @property
    def children(self) -> list[Entry]:
        """The entries right below."""
        return children_of(self.entry, self.entries)

    def trail(self, devices: str) -> list[Link]:
        """The way from the list of devices, called ``devices``, to the entry above."""
        links = [Link(devices, DEVICES)]
        if self.at:
            links.append(Link(self.device_name, device_address(self.device_name)))
            above = parent_dn(self.at)
            if above:
                links.append(Link(name_of(self.parent), entry_address(self.device_name, above)))
        return links


def place_of(device_name: str, entries: Sequence[Entry], at: str) -> Place:
    """The entry at ``at`` below a device. Raises NoSuchPage."""
    device = next((entry for entry in entries if entry.is_a("dicomDevice")), None)
    if device is None:
        raise NoSuchPage(f"device {device_name}")
    key = _key(at)
    entry = next((entry for entry in entries if entry.key == (*key, *device.key)), None)
    if entry is None:
        raise NoSuchPage(at)
    return Place(device_name=device_name, entries=tuple(entries), device=device, entry=entry, at=at)


def _key(at: str) -> DnKey:
    try:
        return dn_key(at) if at else ()
    except ValueError as err:
        raise NoSuchPage(at) from err


def below(entry: Entry, device: Entry) -> str:
    """The DN of an entry without that of its device; empty for the device itself."""
    rest = entry.dn
    for _ in range(len(entry.key) - len(device.key)):
        rest = parent_dn(rest)
    return entry.dn[: len(entry.dn) - len(rest)].rstrip(" ").removesuffix(",") if rest != entry.dn else ""


def children_of(parent: Entry, entries: Iterable[Entry]) -> list[Entry]:
    """The entries right below one."""
    return [entry for entry in entries if entry.key[1:] == parent.key]


def name_of(entry: Entry) -> str:
    """Name of an entry: the values of its RDN."""
    return ", ".join(value for _, value in rdn_assertions(entry.dn))


def _quoted(name: str) -> str:
    return quote(name, safe="")


def drift_address(ae_title: str) -> str:
    """The page of the comparison of an AE of ours with its leading archive."""
    return f"{DRIFT}/{_quoted(ae_title)}"


def device_address(device_name: str) -> str:
    """The page of a device."""
    return f"{DEVICES}/{_quoted(device_name)}"


def job_address(job_id: str) -> str:
    """The page of a job."""
    return f"{JOBS}/{_quoted(job_id)}"


def study_address(ae_title: str, study_instance_uid: str) -> str:
    """The page of a study, as an AE of ours gives it."""
    return f"{STUDIES}/{_quoted(ae_title)}/{_quoted(study_instance_uid)}"


def entry_address(device_name: str, at: str) -> str:
    """The page of an entry of a device."""
    return f"{device_address(device_name)}/entry?at={_quoted(at)}" if at else device_address(device_name)


def address_of(dn: str) -> str:
    """The page of an entry of a device by its whole DN; empty where it stands below no device."""
    above = dn
    while above:
        for name, value in rdn_assertions(above):
            if name.lower() == "dicomdevicename":
                return entry_address(value, dn[: len(dn) - len(above)].rstrip(" ").removesuffix(","))
        above = parent_dn(above)
    return ""


def new_address(device_name: str, kind: str, *, at: str = "", copied: str = "") -> str:
    """The page that makes an entry of a kind below ``at``; like ``copied``, where that is given."""
    return f"{device_address(device_name)}/new?kind={kind}&at={_quoted(at)}" + (
        f"&copy={_quoted(copied)}" if copied else ""
    )


def delete_address(device_name: str, at: str) -> str:
    """The page that asks whether an entry is to be deleted."""
    return f"{device_address(device_name)}/delete?at={_quoted(at)}"


def coercions_address(device_name: str, ae_title: str = "") -> str:
    """The page of the rules of a device, or of one of its AEs."""
    ae = f"/aes/{_quoted(ae_title)}" if ae_title else ""
    return f"{device_address(device_name)}{ae}/coercions"
