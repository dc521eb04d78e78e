"""A configuration that was read and checked: everything that can be told without changing anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from dcm4py_leading.archive.storage.settings import check_descriptor
from dcm4py_leading.coercion.rules import CompiledRule, rules_for, warnings
from dcm4py_leading.coercion.schemes import Environment
from dcm4py_leading.composition.site import Site
from dcm4py_leading.config.referenced_devices import describe_references
from dcm4py_leading.config.snapshot import Snapshot, load_snapshot
from dcm4py_leading.config.sources.recorded import Recorder
from dcm4py_leading.config.sources.recording import Recording
from dcm4py_leading.errors import ConfigInvalid, Problem
from dcm4py_leading.leading.return_keys import return_keys
from dcm4py_leading.model.device import Device
from dcm4py_leading.model.values import AETitle


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A configuration that can be put in force."""

    snapshot: Snapshot
    rules: Mapping[AETitle, tuple[CompiledRule, ...]]
    """The compiled rules of each AE, in the order in which they are looked at."""
    read: Recording
    """Recording of what was read for it."""


def check(site: Site, recorder: Recorder | None = None) -> Checked:
    """Read and check everything that can be checked without changing anything.

    ``recorder`` is read instead of the site's source: it tells afterwards what was read, also where that failed.
    Raises ConfigUnavailable, or ConfigInvalid with every problem of the tree, its rules and its storages.
    """
    compiled: dict[AETitle, tuple[CompiledRule, ...]] = {}
    source = recorder or Recorder(site.source)

    def rule_problems(device: Device) -> Iterable[Problem]:
        described, problems = describe_references(device, source, site.expand)
        environment = Environment(
            expand=site.expand,
            style_sheet_folders=(*site.style_sheet_folders, site.data_dir / "temp"),
            devices=described,
            return_keys=partial(return_keys, device),
        )
        for ae in device.application_entities:
            try:
                compiled[ae.ae_title] = rules_for(device, ae, environment)
                problems += warnings(compiled[ae.ae_title])
            except ConfigInvalid as err:
                problems += err.problems
        return dict.fromkeys(problems)  # a rule of the device comes up with each AE

    snapshot = load_snapshot(
        source,
        site.device_name,
        properties=site.properties,
        data_dir=site.data_dir,
        checks=(rule_problems, _storage_problems),
    )
    return Checked(snapshot=snapshot, rules=compiled, read=source.recording)


def _storage_problems(device: Device) -> Iterable[Problem]:
    for descriptor in device.archive.file_storages:
        try:
            check_descriptor(descriptor)
        except ConfigInvalid as err:
            yield from err.problems
