"""Composition of the editor: how a directory is written, and how the effect of a change is foretold."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import singledispatch
from typing import TypeVar

from dcm4py_leading.composition.check import check
from dcm4py_leading.composition.site import Site
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.following.difference import change_of
from dcm4py_leading.config.ldap.source import LdapSource
from dcm4py_leading.config.ldif.records import parse_ldif
from dcm4py_leading.config.ldif.schema import is_known_attribute, is_known_class
from dcm4py_leading.config.ldif.source import LdifSource
from dcm4py_leading.config.loader import load_device
from dcm4py_leading.config.sources.recorded import Replay
from dcm4py_leading.config.sources.recording import Recording
from dcm4py_leading.config.sources.source import ConfigSource
from dcm4py_leading.config.writing.applied import applied
from dcm4py_leading.config.writing.changes import EntryChange
from dcm4py_leading.config.writing.editor import Editor, Writer
from dcm4py_leading.config.writing.ldap_writer import LdapWriter
from dcm4py_leading.config.writing.ldif_writer import LdifWriter
from dcm4py_leading.config.writing.plan import Preview
from dcm4py_leading.config.writing.text import ldif_of
from dcm4py_leading.config.writing.tree import LdapTree, LdifTree, Tree
from dcm4py_leading.errors import ConfigUnavailable, Problem
from dcm4py_leading.forecast import forecast
from dcm4py_leading.model.device import Device

T = TypeVar("T")

_NAME = "the change"
"""Name of the LDIF of a plan in messages."""


def editor_of(site: Site) -> Editor:
    """The editor of the directory of ``site``. Raises ConfigUnavailable for a source of another kind."""
    tree, writer = _way_to_edit(site.source.itself, site)
    live = replace(site, source=tree.source)
    return Editor(
        tree,
        writer,
        preview=lambda device_name, changes: preview(live, device_name, changes),
        recorded=lambda changes: recorded(live, changes),
    )


@singledispatch
def _way_to_edit(source: ConfigSource, site: Site) -> tuple[Tree, Writer]:
    """The tree of a source, and what writes to it; for each kind that can be edited there is one below."""
    raise ConfigUnavailable(f"{source.describe()}: it cannot be edited")


@_way_to_edit.register
def _(source: LdapSource, site: Site) -> tuple[Tree, Writer]:
    return LdapTree(source), LdapWriter(source)


@_way_to_edit.register
def _(source: LdifSource, site: Site) -> tuple[Tree, Writer]:
    return LdifTree(source), LdifWriter(source, is_allowed=site.is_ldif_writable)


def preview(site: Site, device_name: str, changes: Sequence[EntryChange]) -> Preview:
    """Preview of changes of a device: as a reload checks it, as a server does, and, of another device than our own,
    as it is loaded. Raises ConfigUnavailable, ConfigInvalid."""
    if not changes:
        return Preview()
    files = (parse_ldif(ldif_of(changes), _NAME),)
    told = forecast(files, site)
    problems = [finding.problem for finding in told.findings]
    if any(map(_is_of_unknown_schema, problems)):
        here = _in_use(site.source.read_device(device_name))
        problems = [problem for problem in problems if not _is_of_unknown_schema(problem) or _name(problem) not in here]
    other = Preview()
    if device_name.casefold() != site.device_name.casefold():
        other = _of_other(site, device_name, changes)
    return Preview(
        problems=_once(problems, other.problems),
        remaining=_once(told.remaining, other.remaining),
        mended=_once(told.mended, other.mended),
        differences=_once(other.differences, told.differences),
    )


def recorded(site: Site, changes: Sequence[EntryChange]) -> Recording:
    """Recording of what is read for the configuration of our own device once these changes of it are made.

    Raises ConfigUnavailable, ConfigInvalid.
    """
    entries = applied(site.source.read_device(site.device_name), changes)
    source = Replay(Recording(devices={site.device_name: entries}), site.source.describe(), site.source)
    return check(replace(site, source=source)).read


def _is_of_unknown_schema(problem: Problem) -> bool:
    """True if it says that no schema has an attribute or a class, as far as we know."""
    name = _name(problem)
    is_known = is_known_class(name) if problem.attribute == "objectClass" else is_known_attribute(name)
    return bool(name) and not is_known


def _name(problem: Problem) -> str:
    """Of the attribute or class at fault, without options."""
    name = problem.value if problem.attribute == "objectClass" else problem.attribute
    return (name or "").partition(";")[0].lower()


def _in_use(entries: Sequence[Entry]) -> set[str]:
    """The attributes and classes of entries: a server that has taken them once knows a schema that we do not."""
    found = {name.partition(";")[0] for entry in entries for name in entry}
    return found | {name.strip().lower() for entry in entries for name in entry.values("objectClass")}


def _once(*found: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(itertools.chain(*found)))


def _of_other(site: Site, device_name: str, changes: Sequence[EntryChange]) -> Preview:
    """Preview of changes of a device that is not our own."""
    before = site.source.read_device(device_name)
    old, old_problems = _loaded(before, device_name, site)
    new, new_problems = _loaded(applied(before, changes), device_name, site)
    return Preview(
        problems=tuple(problem for problem in new_problems if problem not in old_problems),
        remaining=tuple(problem for problem in new_problems if problem in old_problems),
        mended=tuple(problem for problem in old_problems if problem not in new_problems),
        differences=tuple(change_of(old, new, "dicomDevice", device_name)),
    )


def _loaded(entries: Sequence[Entry], device_name: str, site: Site) -> tuple[Device | None, list[Problem]]:
    """The device, None where there is none or its own entry is wrong, and what is wrong."""
    return load_device(entries, device_name, site.expand) if entries else (None, [])
