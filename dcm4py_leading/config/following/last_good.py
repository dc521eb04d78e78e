"""Last good configuration, kept on disk for the time when the directory is down.

One file with the device and the devices that its rules refer to, and one for each remote AE that was looked up. They
are LDIF, so that ``--ldif`` reads them too, under mode 0600 and without secrets. Each is replaced as a whole, so that
several processes can share them, and has a digest, so that one that was damaged, or changed by hand, is not taken for
what the directory said.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from dcm4py_leading.config.durable_file import replace_file
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.ldif.source import LdifSource
from dcm4py_leading.config.ldif.text import to_ldif
from dcm4py_leading.config.secret_values import without_secrets
from dcm4py_leading.errors import ConfigError

LOG = logging.getLogger(__name__)

FOLDER = "last-good-configuration"
Entries = tuple[Entry, ...]


def _now() -> datetime:
    return datetime.now(UTC)


class LastGood:
    """Last good answers of the directory: one device and the AEs around it. Safe under threads and processes.

    What cannot be written costs an ERROR in the log and no more; what cannot be read, or was kept of another directory
    or device, counts as nothing.
    """

    def __init__(
        self, folder: Path, *, directory: Sequence[str], device_name: str, now: Callable[[], datetime] = _now
    ) -> None:
        """``directory`` are the URLs of its servers. Files are used when they were kept of one of these."""
        self._folder = folder
        self._directory = tuple(directory)
        self._device_name = device_name
        self._now = now
        self._device_file = folder / "device.ldif"
        self._device_source = LdifSource([self._device_file])
        """Parsed once for each state of the file."""

    def _ae_file(self, ae_title: str) -> Path:
        return self._folder / "ae" / f"{quote(ae_title, safe='')}.ldif"

    def keep_devices(self, devices: Iterable[Entries]) -> None:
        """Keep the device of a configuration that was put in force, and those that it refers to."""
        entries = {entry.key: entry for below in devices for entry in below}
        self._write(self._device_file, entries.values())

    def keep_ae(self, ae_title: str, entries: Entries) -> None:
        """Keep the directory's answer about an AE, even that it is unknown. The device's own are kept with it."""
        devices = (entry for entry in entries if entry.is_a("dicomDevice"))
        names = {name.strip().casefold() for device in devices for name in device.values("dicomDeviceName")}
        if entries and self._device_name.casefold() not in names:
            self._write(self._ae_file(ae_title), entries)
        else:
            self._remove(self._ae_file(ae_title))

    def device(self, device_name: str) -> Entries | None:
        """The dicomDevice of that name and everything below it, as it was kept; None if it was not."""
        source = self._readable(self._device_file)
        return None if source is None else source.read_device(device_name) or None

    def ae(self, ae_title: str) -> Entries | None:
        """The device with that AE, as it was kept; None if it was not."""
        for path in (self._ae_file(ae_title), self._device_file):
            source = self._readable(path)
            if source is not None and (entries := source.read_ae(ae_title)):
                return entries
        return None

    def kept_at(self) -> str:
        """When the device was kept, for messages."""
        return str((_header(self._device_file) or {}).get("keptAt"))

    def _readable(self, path: Path) -> LdifSource | None:
        try:
            header = _header(path)
            if header is None:
                return None
            if not self._is_ours(header):
                LOG.warning(
                    "%s is of another device or directory, and is not used: is --data-dir right?",
                    path,
                )
                return None
            _verify(path, header)
            source = self._device_source if path == self._device_file else LdifSource([path])
            source.entries()
        except (OSError, ValueError, ConfigError) as err:
            LOG.error("last good configuration %s cannot be used: %s", path, err)
            return None
        return source

    def _is_ours(self, header: dict[str, object]) -> bool:
        urls = header.get("directory")
        is_same = isinstance(urls, list) and not set(self._directory).isdisjoint(urls)
        return is_same and str(header.get("device")).casefold() == self._device_name.casefold()

    def _write(self, path: Path, entries: Iterable[Entry]) -> None:
        try:
            # Parents first, and the same text whatever the order in which the server told them.
            ordered = sorted(entries, key=lambda entry: (len(entry.key), entry.dn))
            text = to_ldif(without_secrets(entry) for entry in ordered)
            header = {
                "device": self._device_name,
                "directory": list(self._directory),
                "keptAt": self._now().isoformat(),
                "sha256": _digest(text.encode()),
            }
            if not _holds(path, header, text):
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                replace_file(path, f"# {json.dumps(header)}\n{text}".encode())
        except (OSError, ValueError) as err:  # ValueError: a DN that nobody can read
            reason = getattr(err, "strerror", None) or err
            LOG.error("last good configuration %s cannot be written, and is out of date: %s", path, reason)

    def _remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as err:
            LOG.error(
                "last good configuration %s is out of date and cannot be deleted: %s: delete it",
                path,
                err.strerror or err,
            )


def _header(path: Path) -> dict[str, object] | None:
    """Content of the first line; None without a file. Raises OSError, ValueError."""
    try:
        with path.open(encoding="utf-8") as file:
            header = json.loads(file.readline().removeprefix("#"))
    except FileNotFoundError:
        return None
    if not isinstance(header, dict):
        raise ValueError("its first line does not say of what it was kept")
    return header


def _verify(path: Path, header: Mapping[str, object]) -> None:
    """Raise ValueError for a file that is not as it was kept; an older version gave it no digest. Raises OSError."""
    digest = header.get("sha256")
    if digest is not None and digest != _digest(path.read_bytes().partition(b"\n")[2]):
        raise ValueError("it is damaged, or was changed by hand: its text is not that of its digest")


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _holds(path: Path, header: Mapping[str, object], text: str) -> bool:
    """True if the file says the same already; then its time tells since when. Raises OSError."""
    try:
        first, _, rest = path.read_text("utf-8").partition("\n")
        found = json.loads(first.removeprefix("#"))
        return rest == text and {**found, "keptAt": None} == {**header, "keptAt": None}
    except (FileNotFoundError, ValueError, TypeError):
        return False
