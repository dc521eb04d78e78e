"""Sources that keep what they hand through, and that say it again."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from dcm4py_leading.config.sources.recording import Entries, Recording
from dcm4py_leading.config.sources.source import ConfigSource
from dcm4py_leading.errors import ConfigInvalid


class Recorder(ConfigSource):
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


class Replay(ConfigSource):
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
