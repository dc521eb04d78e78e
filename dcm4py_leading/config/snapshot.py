"""Snapshot of one configuration as it was read, from which a runtime is built."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dcm4py_leading.config.check import check
from dcm4py_leading.config.loader import load_device
from dcm4py_leading.config.placeholders import data_dir_properties, expander
from dcm4py_leading.config.report.inventory import Present, inventory
from dcm4py_leading.config.sources.source import ConfigSource
from dcm4py_leading.errors import ConfigError, ConfigInvalid, Problem, Severity
from dcm4py_leading.model.device import Device

Check = Callable[[Device], Iterable[Problem]]
"""Check of a device by another layer."""


_MAX_NAMED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A device that passed every check. ``problems`` are WARNINGs only."""

    device: Device
    problems: tuple[Problem, ...]
    fingerprint: str
    """Equal for equal configurations, whichever server they come from."""
    loaded_at: datetime
    source: str
    present: tuple[Present, ...] = ()
    """Inventory of what stands in the tree, and whether it is acted on."""


def _now() -> datetime:
    return datetime.now(UTC)


def load_snapshot(
    source: ConfigSource,
    device_name: str,
    *,
    properties: Mapping[str, str],
    data_dir: Path,
    checks: Iterable[Check] = (),
    environment: Mapping[str, str] = os.environ,
    clock: Callable[[], datetime] = _now,
) -> Snapshot:
    """Read, resolve and check the configuration of ``device_name``.

    ``checks`` are those of other layers; they see the device without the objects that are wrong already, so that
    everything is told at once. ``properties`` win over those derived from ``data_dir``.
    Raises ConfigUnavailable when the source cannot be read, ConfigInvalid with every problem when one is an ERROR.
    """
    expand = expander({**data_dir_properties(data_dir), **properties}, environment)
    entries = source.read_device(device_name)
    device, problems = load_device(entries, device_name, expand)
    if not entries:
        problems = [replace(problem, reason=problem.reason + _devices_of(source)) for problem in problems]
    if device is not None:
        problems.extend(check(device, source, expand))
        problems.extend(problem for further in checks for problem in further(device))
    if device is None or any(problem.severity is Severity.ERROR for problem in problems):
        raise ConfigInvalid(problems)
    return Snapshot(
        device=device,
        problems=tuple(problems),
        fingerprint=fingerprint(device),
        loaded_at=clock(),
        source=source.describe(),
        present=inventory(entries),
    )


def _devices_of(source: ConfigSource) -> str:
    """Which devices there are, for a message."""
    try:
        names = source.device_names()
    except ConfigError:
        return ""
    more = len(names) - _MAX_NAMED
    others = f" and {more} others" if more > 0 else ""
    return f", but {', '.join(names[:_MAX_NAMED])}{others}: choose one with --device" if names else ""


def fingerprint(value: object) -> str:
    """Twelve hex digits that differ when ``value``, made of the model's types, differs in what it compares by."""
    canonical = json.dumps(_canonical(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def _canonical(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        compared = (field.name for field in dataclasses.fields(value) if field.compare)
        return {"": type(value).__name__, **{name: _canonical(getattr(value, name)) for name in compared}}
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, timedelta):
        return f"{value.total_seconds()} s"
    if isinstance(value, Mapping):
        return [[_canonical(key), _canonical(value[key])] for key in sorted(value, key=str)]
    if isinstance(value, frozenset):
        return sorted((_canonical(member) for member in value), key=str)
    if isinstance(value, tuple):
        return [_canonical(member) for member in value]
    return value
