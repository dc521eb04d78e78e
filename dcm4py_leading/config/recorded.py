"""Recording of what was read from a directory, so that another process sees the same, and changes are noticed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

from dcm4py_leading.config.attributes import OBJECT_CLASSES
from dcm4py_leading.config.entry import ConfigSource, Entry
from dcm4py_leading.errors import ConfigInvalid

Entries = tuple[Entry, ...]

_IN_ORDER = frozenset(row.attribute.lower() for found in OBJECT_CLASSES for row in found.rows if row.collect is tuple)
"""Attributes whose values have an order that means something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """The answers of a directory: entries by device name, and by AE title."""

    devices: Mapping[str, Entries] = field(default_factory=dict)
    aes: Mapping[str, Entries] = field(default_factory=dict)
    refusal: str | None = None
    """Fault of a directory that could be reached, but not be read: a broken LDIF file, no root."""

    def to_json(self) -> dict[str, object]:
        """As JSON values."""
        return {
            "devices": {name: [_to_json(entry) for entry in entries] for name, entries in self.devices.items()},
            "aes": {title: [_to_json(entry) for entry in entries] for title, entries in self.aes.items()},
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Mapping[str, list[dict[str, str | dict[str, list[str]]]]]]) -> Self:
        """Recording of which `to_json` made these values."""
        return cls(
            devices={name: tuple(map(_entry, entries)) for name, entries in value["devices"].items()},
            aes={title: tuple(map(_entry, entries)) for title, entries in value["aes"].items()},
        )

    def digest(self) -> str:
        """Equal for equal entries, whichever server they come from: as it spells DNs, orders values, adds ``top``."""
        found = [
            [kind, name, sorted(_canonical(entry) for entry in entries)]
            for kind, answers in (("device", self.devices), ("AE", self.aes))
            for name, entries in sorted(answers.items())
        ]
        return hashlib.sha256(json.dumps([found, self.refusal]).encode()).hexdigest()

    def changed_since(self, old: Recording) -> list[str]:
        """The DNs of entries that are new, or other than they were."""
        before = {json.dumps(_canonical(entry)) for entry in old.entries()}
        return list(dict.fromkeys(entry.dn for entry in self.entries() if json.dumps(_canonical(entry)) not in before))

    def entries(self) -> Iterator[Entry]:
        """All entries; one that answers several questions comes with each."""
        for answers in (self.devices, self.aes):
            for entries in answers.values():
                yield from entries


class Recorder:
    """A ConfigSource that keeps what it hands through."""

    def __init__(self, source: ConfigSource) -> None:
        self._source = source
        self._devices: dict[str, Entries] = {}
        self._aes: dict[str, Entries] = {}
        self._refusal: str | None = None

    def describe(self) -> str:
        """As the source says."""
        return self._source.describe()

    def read_device(self, device_name: str) -> Entries:
        """As the source says."""
        if device_name not in self._devices:
            try:
                self._devices[device_name] = self._source.read_device(device_name)
            except ConfigInvalid as err:
                self._refusal = str(err)
                raise
        return self._devices[device_name]

    def read_ae(self, ae_title: str) -> Entries:
        """As the source says."""
        if ae_title not in self._aes:
            try:
                self._aes[ae_title] = self._source.read_ae(ae_title)
            except ConfigInvalid as err:
                self._refusal = str(err)
                raise
        return self._aes[ae_title]

    def ae_dns(self, ae_titles: Collection[str] | None) -> Mapping[str, tuple[str, ...]]:
        """As the source says; it is not kept."""
        return self._source.ae_dns(ae_titles)

    def device_names(self) -> tuple[str, ...]:
        """As the source says."""
        return self._source.device_names()

    @property
    def recording(self) -> Recording:
        """Recording of what has been read so far."""
        return Recording(devices=dict(self._devices), aes=dict(self._aes), refusal=self._refusal)


class Replay:
    """A ConfigSource that says again what was recorded; what was not, it asks ``source``, or does not know."""

    def __init__(self, recording: Recording, description: str, source: ConfigSource | None = None) -> None:
        self._recording = recording
        self._description = description
        self._source = source

    def describe(self) -> str:
        """Description of the source that was recorded."""
        return self._description

    def read_device(self, device_name: str) -> Entries:
        """As recorded."""
        if self._source is not None and device_name not in self._recording.devices:
            return self._source.read_device(device_name)
        return self._recording.devices.get(device_name, ())

    def read_ae(self, ae_title: str) -> Entries:
        """As recorded."""
        if self._source is not None and ae_title not in self._recording.aes:
            return self._source.read_ae(ae_title)
        return self._recording.aes.get(ae_title, ())

    def ae_dns(self, ae_titles: Collection[str] | None) -> Mapping[str, tuple[str, ...]]:
        """As the source says; without one, nothing is known."""
        return {} if self._source is None else self._source.ae_dns(ae_titles)

    def device_names(self) -> tuple[str, ...]:
        """As the source says; without one, those that were recorded."""
        return tuple(self._recording.devices) if self._source is None else self._source.device_names()


def record(source: ConfigSource, *, like: Recording, device_name: str) -> Recording:
    """Recording of the directory as it is now: of what ``like`` is about, and of the device. Raises ConfigUnavailable.

    What cannot be read because it is broken is told in the recording.
    """
    recorder = Recorder(source)
    try:
        for name in dict.fromkeys((device_name, *like.devices)):
            recorder.read_device(name)
        for title in like.aes:
            recorder.read_ae(title)
    except ConfigInvalid:
        return recorder.recording
    return recorder.recording


def _canonical(entry: Entry) -> list[object]:
    try:
        dn: object = [sorted(rdn) for rdn in entry.key]
    except ValueError:  # told when it is loaded
        dn = entry.dn
    return [
        json.dumps(dn),
        sorted(
            [name, list(values) if name in _IN_ORDER else sorted(values)]
            if name != "objectclass"
            else [name, sorted({value.strip().lower() for value in values} - {"top"})]
            for name, values in entry.attributes.items()
        ),
    ]


def _to_json(entry: Entry) -> dict[str, object]:
    return {"dn": entry.dn, "attributes": dict(entry.attributes), "spelling": dict(entry.spelling)}


def _entry(value: dict[str, str | dict[str, list[str]]]) -> Entry:
    dn, attributes, spelling = value["dn"], value["attributes"], value["spelling"]
    assert isinstance(dn, str) and isinstance(attributes, dict) and isinstance(spelling, dict)
    return Entry(
        dn, {name: tuple(values) for name, values in attributes.items()}, {k: str(v) for k, v in spelling.items()}
    )
