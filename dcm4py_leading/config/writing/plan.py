"""Plan of a change of the directory, with its consequences, before it is made."""

from __future__ import annotations

from dataclasses import dataclass

from dcm4py_leading.config.following.difference import Difference
from dcm4py_leading.config.writing.changes import EntryChange
from dcm4py_leading.config.writing.text import ldif_of, shown_ldif_of
from dcm4py_leading.errors import Problem, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """Effect that changes would have on the configuration."""

    problems: tuple[Problem, ...] = ()
    """Problems that they bring; an error among them refuses them, a warning is to be shown."""
    remaining: tuple[Problem, ...] = ()
    """Problems that are there already, and stay."""
    mended: tuple[Problem, ...] = ()
    """Problems that are there now, and would not be any more."""
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Changes of a device that are ready to be made."""

    device_name: str
    changes: tuple[EntryChange, ...]
    """In the order in which they are made; empty when nothing differs."""
    preview: Preview

    @property
    def ldif(self) -> str:
        """LDIF that ldapmodify takes instead, with the secrets that are changed."""
        return ldif_of(self.changes)

    @property
    def ldif_shown(self) -> str:
        """The same to be looked at, without secrets."""
        return shown_ldif_of(self.changes)

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Differences that the configuration would have."""
        return self.preview.differences

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Problems that the changes bring, errors and warnings."""
        return self.preview.problems

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Why they cannot be saved; empty when they can."""
        return tuple(problem for problem in self.problems if problem.severity is Severity.ERROR)
