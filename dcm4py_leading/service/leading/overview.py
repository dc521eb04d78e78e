"""Overview of the archives that we query: our querying AEs, and the state of each archive."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from dcm4py_leading.leading.breaker import BreakerState
from dcm4py_leading.leading.contacts import Contact, ContactCounts, Part
from dcm4py_leading.leading.outcome import LookupCounts
from dcm4py_leading.model.values import AETitle
from dcm4py_leading.service.leading.rules import LeadingRule


class ArchiveState(enum.Enum):
    """State of an archive."""

    NOT_ASKED = "not-asked"
    """Nobody has asked it since the configuration was loaded."""
    ANSWERS = "answers"
    FAILS = "fails"
    """The last question got no answer; the next one is asked all the same."""
    ON_TRIAL = "on-trial"
    """It failed several times in a row, and the next question decides."""
    NOT_USED = "not-used"
    """It failed several times in a row, and is left alone."""


_BY_BREAKER = {BreakerState.OPEN: ArchiveState.NOT_USED, BreakerState.HALF_OPEN: ArchiveState.ON_TRIAL}
_BEST_FIRST = tuple(ArchiveState)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryingAE:
    """An AE of ours that asks an archive."""

    ae_title: str
    contact: Contact
    rules: tuple[LeadingRule, ...] = ()
    """The rules that make it ask; none of an archive behind us, and none where a rule is gone."""
    breaker: BreakerState | None = None
    """None if it was not asked yet, and of archives behind us, which have none."""

    @property
    def standing(self) -> ArchiveState:
        """The state of the archive for this AE."""
        if self.breaker in _BY_BREAKER:
            return _BY_BREAKER[self.breaker]
        if self.contact.is_failing:
            return ArchiveState.FAILS
        return ArchiveState.NOT_ASKED if self.contact.last_answer is None else ArchiveState.ANSWERS


@dataclass(frozen=True, slots=True, kw_only=True)
class QueriedArchive:
    """A leading archive, or one behind us."""

    ae_title: str
    askers: tuple[QueryingAE, ...]
    under_way: int = 0
    """C-FINDs that have not ended."""
    waiting: int = 0
    """Studies whose answer is waited for."""
    is_one_by_one: bool = False
    """True if it mishandles UID lists, and is asked for one study at a time."""

    @property
    def standing(self) -> ArchiveState:
        """The worst state among our AEs."""
        return max((asker.standing for asker in self.askers), key=_BEST_FIRST.index)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """All archives that are asked, by AE title."""

    leading: tuple[QueriedArchive, ...]
    behind: tuple[QueriedArchive, ...]
    """Those that stand behind AEs of ours."""
    cached_studies: int
    """Answers in the leading caches of all processes."""


class ServiceCounters(Protocol):
    """The service at one moment; `service.monitor.measured.Measured` is one."""

    @property
    def lookups(self) -> LookupCounts:
        """The counts of lookups."""
        ...

    @property
    def contacts(self) -> ContactCounts:
        """The contacts; archives that are configured are there before they are asked."""
        ...


def overview(counted: ServiceCounters, rules: Iterable[LeadingRule]) -> Overview:
    """The overview of a moment."""
    return Overview(
        leading=tuple(_leading(counted, list(rules))),
        behind=tuple(_behind(counted.contacts)),
        cached_studies=counted.lookups.cache_size,
    )


def _leading(counted: ServiceCounters, rules: Sequence[LeadingRule]) -> Iterator[QueriedArchive]:
    lookups = counted.lookups

    def asker(local: str, title: str, contact: Contact) -> QueryingAE:
        return QueryingAE(
            ae_title=local,
            contact=contact,
            rules=tuple(rule for rule in rules if (rule.local_ae_title, rule.leading_ae_title) == (local, title)),
            breaker=lookups.breakers.get((AETitle(local), AETitle(title))),
        )

    for title, contacts in _by_title(counted.contacts, Part.LEADING):
        yield QueriedArchive(
            ae_title=title,
            askers=tuple(asker(local, title, contact) for local, contact in contacts),
            under_way=lookups.under_way.get(AETitle(title), 0),
            waiting=lookups.waiting.get(AETitle(title), 0),
            is_one_by_one=title in lookups.one_by_one,
        )


def _behind(counts: ContactCounts) -> Iterator[QueriedArchive]:
    for title, contacts in _by_title(counts, Part.BEHIND):
        yield QueriedArchive(
            ae_title=title, askers=tuple(QueryingAE(ae_title=local, contact=contact) for local, contact in contacts)
        )


def _by_title(counts: ContactCounts, part: Part) -> Iterator[tuple[str, list[tuple[str, Contact]]]]:
    """Archives of a role, with the AEs that query them."""
    lines = sorted(line for line in counts.contacts if line.part == part.value)
    for title in sorted({line.ae_title for line in lines}):
        yield title, [(line.local_ae_title, counts.contacts[line]) for line in lines if line.ae_title == title]
