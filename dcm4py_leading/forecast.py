"""Forecast of an import: the configuration with LDIF files applied in memory, compared with the present one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dcm4py_leading.coercion.rules import compile_rules, warnings
from dcm4py_leading.coercion.schemes import Environment
from dcm4py_leading.composition.check import check
from dcm4py_leading.composition.site import Site
from dcm4py_leading.config.following.difference import Difference, change_of, differences
from dcm4py_leading.config.ldif.changed import ChangedSource, ae_titles, directory_for
from dcm4py_leading.config.ldif.directory import Directory
from dcm4py_leading.config.ldif.lint import Finding, lint, locate
from dcm4py_leading.config.ldif.records import LdifFile
from dcm4py_leading.config.loader import load_remote_ae
from dcm4py_leading.config.placeholders import expander
from dcm4py_leading.config.sources.source import ConfigSource
from dcm4py_leading.errors import ConfigInvalid, Problem
from dcm4py_leading.model.coercion import AnyRule, CoercionRule
from dcm4py_leading.model.device import Device, RemoteAE

_REFERS_OUTSIDE = ("xslt:", "merge-mwl:", "sup-from-dev:")
"""Schemes of dcmURI whose steps need style sheets or other devices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Forecast of a configuration."""

    findings: tuple[Finding, ...]
    """Faults for the server, and what the service will have against the result and has not now."""
    mended: tuple[Problem, ...] = ()
    """Problems that are there now, and not afterwards."""
    remaining: tuple[Problem, ...] = ()
    """Problems that are there now, and afterwards."""
    differences: tuple[Difference, ...] = ()
    is_comparable: bool = True
    """True if both configurations can be put in force; if not, no differences of the device can be told."""

    @property
    def has_errors(self) -> bool:
        """True if the import fails, or its result cannot be put in force."""
        return any(finding.is_error for finding in self.findings)


def lint_alone(files: Sequence[LdifFile]) -> tuple[Finding, ...]:
    """Findings in the files without a tree."""
    return lint(files, Directory(knows_all=False), check_rule=rule_problems, expand=expander({}, {}))


def forecast(files: Sequence[LdifFile], site: Site) -> Forecast:
    """Lint ``files`` for the tree of ``site``, and compare the configuration before and after.

    Raises ConfigUnavailable, and ConfigInvalid when the tree cannot be read at all.
    """
    source = site.source
    directory = directory_for(files, source)
    entries_before = tuple(directory)
    findings = lint(files, directory, check_rule=rule_problems, expand=site.expand)
    changed = ChangedSource(source, directory, files)
    old, old_problems = _checked(site)
    new, new_problems = _checked(dataclasses.replace(site, source=changed))
    told = {finding.problem for finding in findings}
    appeared = [problem for problem in new_problems if problem not in old_problems and problem not in told]
    own = () if old is None or new is None else differences(old, new)
    own_titles = ae_titles(source.read_device(site.device_name)) | ae_titles(changed.read_device(site.device_name))
    titles = (ae_titles(entries_before) | ae_titles(directory)) - own_titles
    return Forecast(
        findings=(*findings, *locate(appeared, files)),
        mended=tuple(problem for problem in old_problems if problem not in new_problems),
        remaining=tuple(problem for problem in new_problems if problem in old_problems),
        differences=(*own, *_remote_differences(titles, source, changed, site)),
        is_comparable=old is not None and new is not None,
    )


def rule_problems(rule: AnyRule) -> list[Problem]:
    """Problems of a rule, as far as they can be told without the style sheets and devices that it names."""
    if isinstance(rule, CoercionRule):
        rule = dataclasses.replace(rule, uri=None, supplement_from_device_reference=None, merge_mwl_template_uri=None)
    elif rule.uri.startswith(_REFERS_OUTSIDE):
        rule = dataclasses.replace(rule, uri="trim-ISO2022:")
    try:
        return warnings(compile_rules([rule], Environment()))
    except ConfigInvalid as err:
        return list(err.problems)


def _checked(site: Site) -> tuple[Device | None, tuple[Problem, ...]]:
    """The device, None when it cannot be put in force, and all its problems."""
    try:
        snapshot = check(site).snapshot
    except ConfigInvalid as err:
        return None, err.problems
    return snapshot.device, snapshot.problems


def _remote_differences(
    titles: Iterable[str], old: ConfigSource, new: ConfigSource, site: Site
) -> Iterable[Difference]:
    for title in sorted(titles):
        before, after = _remote(old, title, site), _remote(new, title, site)
        yield from change_of(before, after, "dicomNetworkAE", title, _where(after))


def _remote(source: ConfigSource, title: str, site: Site) -> RemoteAE | None:
    try:
        return load_remote_ae(source.read_ae(title), title, site.expand)
    except ConfigInvalid:
        return None  # told by lint, or was so before


def _where(ae: RemoteAE | None) -> str:
    places = () if ae is None else tuple(f"{found.hostname}:{found.port}" for found in ae.connections)
    return f"({', '.join(places)})" if places else ""
