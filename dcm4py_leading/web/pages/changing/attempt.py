"""Attempt at a change: planned, and saved if that is asked for and possible."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.writing.plan import Plan
from dcm4py_leading.errors import ConfigError, ConfigInvalid, Problem, WriteConflict, WriteError, WriteRefused


class DirectoryEditing(Protocol):
    """The directory as the pages use it: `config.writing.editor.Editor`. Called from a worker thread."""

    @property
    def why_not(self) -> str | None:
        """Why nothing can be saved, in words; None when it can."""
        ...

    def device_dn(self, device_name: str) -> str:
        """DN of the device of that name, existing or not."""
        ...

    def devices(self) -> Sequence[Entry]:
        """All dicomDevice entries with the attributes that a list shows."""
        ...

    def aes(self) -> Sequence[Entry]:
        """All dicomNetworkAE entries, likewise."""
        ...

    def entries(self, device_name: str) -> tuple[Entry, ...]:
        """The device and everything below it; empty if there is none."""
        ...

    def plan(
        self,
        device_name: str,
        wanted: Iterable[Entry],
        *,
        base: Iterable[Entry] | None = None,
        expected: str | None = None,
        registers: bool = False,
    ) -> Plan:
        """Plan that makes the subtree of the device as ``wanted`` has it. Raises WriteRefused, WriteConflict."""
        ...

    def save(self, plan: Plan, *, author: str = "") -> None:
        """Carry out a plan. Raises WriteError, ConfigUnavailable."""
        ...


class Reloadable(Protocol):
    """The service as the pages use it after a change."""

    def reload(self) -> None:
        """Read the configuration again and put it in force. Raises ConfigError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Outcome of a change."""

    plan: Plan | None = None
    """None: nothing could be planned."""
    is_saved: bool = False
    conflict: WriteConflict | None = None
    """Somebody was faster, after the page's entries were read."""
    failure: str | None = None
    """Why nothing was saved, besides problems of the plan."""
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloaded:
    """Outcome of a reload."""

    error: str | None
    """None: the configuration of the directory is in force."""
    problems: tuple[Problem, ...] = ()


def attempt(
    editor: DirectoryEditing,
    device_name: str,
    wanted: Iterable[Entry],
    base: Sequence[Entry],
    *,
    saves: bool,
    author: str,
) -> Outcome:
    """Plan the change of the subtree from ``base`` to ``wanted``; save it if it ``saves`` and has no errors."""
    try:
        plan = editor.plan(device_name, wanted, base=base, registers=True)
    except WriteConflict as err:
        return Outcome(conflict=err)
    except WriteRefused as err:
        return Outcome(problems=err.problems)
    if not saves or not plan.changes or plan.errors:
        return Outcome(plan=plan, problems=plan.problems)
    try:
        editor.save(plan, author=author)
    except WriteConflict as err:
        return Outcome(plan=plan, problems=plan.problems, conflict=err)
    except WriteRefused as err:
        return Outcome(plan=plan, problems=err.problems)
    except WriteError as err:
        return Outcome(plan=plan, problems=plan.problems, failure=str(err))
    return Outcome(plan=plan, problems=plan.problems, is_saved=True)


def reloaded(service: Reloadable) -> Reloaded:
    """Reload, and return the outcome."""
    try:
        service.reload()
    except ConfigInvalid as err:
        return Reloaded(error=str(err), problems=err.problems)
    except ConfigError as err:
        return Reloaded(error=str(err))
    return Reloaded(error=None)
