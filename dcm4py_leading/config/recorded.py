"""What was read of a directory, so that another process sees exactly the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from dcm4py_leading.config.entry import ConfigSource, Entry

Entries = tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """The answers of a directory: entries by device name, and by AE title."""

    devices: Mapping[str, Entries] = field(default_factory=dict)
    aes: Mapping[str, Entries] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """As JSON values."""
        return {
            "devices": {name: [_to_json(entry) for entry in entries] for name, entries in self.devices.items()},
            "aes": {title: [_to_json(entry) for entry in entries] for title, entries in self.aes.items()},
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Mapping[str, list[dict[str, str | dict[str, list[str]]]]]]) -> Self:
        """What `to_json` made."""
        return cls(
            devices={name: tuple(map(_entry, entries)) for name, entries in value["devices"].items()},
            aes={title: tuple(map(_entry, entries)) for title, entries in value["aes"].items()},
        )


class Recorder:
    """A ConfigSource that keeps what it hands through."""

    def __init__(self, source: ConfigSource) -> None:
        self._source = source
        self._devices: dict[str, Entries] = {}
        self._aes: dict[str, Entries] = {}

    def describe(self) -> str:
        """As the source says."""
        return self._source.describe()

    def read_device(self, device_name: str) -> Entries:
        """As the source says."""
        return self._devices.setdefault(device_name, self._source.read_device(device_name))

    def read_ae(self, ae_title: str) -> Entries:
        """As the source says."""
        return self._aes.setdefault(ae_title, self._source.read_ae(ae_title))

    @property
    def recording(self) -> Recording:
        """What has been read so far."""
        return Recording(devices=dict(self._devices), aes=dict(self._aes))


class Replay:
    """A ConfigSource that says again what was recorded, and knows nothing else."""

    def __init__(self, recording: Recording, description: str) -> None:
        self._recording = recording
        self._description = description

    def describe(self) -> str:
        """What was recorded."""
        return self._description

    def read_device(self, device_name: str) -> Entries:
        """As recorded."""
        return self._recording.devices.get(device_name, ())

    def read_ae(self, ae_title: str) -> Entries:
        """As recorded."""
        return self._recording.aes.get(ae_title, ())


def _to_json(entry: Entry) -> dict[str, object]:
    return {"dn": entry.dn, "attributes": dict(entry.attributes), "spelling": dict(entry.spelling)}


def _entry(value: dict[str, str | dict[str, list[str]]]) -> Entry:
    dn, attributes, spelling = value["dn"], value["attributes"], value["spelling"]
    assert isinstance(dn, str) and isinstance(attributes, dict) and isinstance(spelling, dict)
    return Entry(
        dn, {name: tuple(values) for name, values in attributes.items()}, {k: str(v) for k, v in spelling.items()}
    )
