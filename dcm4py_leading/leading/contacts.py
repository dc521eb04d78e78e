"""Availability of the archives that we query: last answer, last failure, and its reason.

For leading archives, and archives behind an AE of ours. While the last query to a leading archive has failed, viewers
may get outdated patient data; `troubles` warns of this.
"""

from __future__ import annotations

import enum
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from dcm4py_leading.errors import ArchiveUnavailable
from dcm4py_leading.model.values import AETitle


class Part(enum.Enum):
    """Role of an archive for us."""

    LEADING = "leading archive"
    BEHIND = "archive"
    """One that stands behind an AE of ours, or has the objects of a storage too."""


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """An AE of ours and an archive that it queries."""

    part: str
    """The value of a `Part`."""
    local_ae_title: str
    ae_title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """Last outcomes of the queries to one archive."""

    last_answer: datetime | None = None
    last_failure: datetime | None = None
    failure: str | None = None
    """Why there was no answer the last time that there was none."""

    @property
    def is_failing(self) -> bool:
        """True if the last query got no answer."""
        return self.last_failure is not None and (self.last_answer is None or self.last_answer < self.last_failure)

    def to_json(self) -> dict[str, object]:
        """As JSON values."""
        return {
            "isAnswering": not self.is_failing,
            "lastAnswer": _text(self.last_answer),
            "lastFailure": _text(self.last_failure),
            "failure": self.failure,
        }

    def plus(self, other: Contact) -> Contact:
        """Merge with the contact of another process to the same archive."""
        later = self if _at(self.last_failure) >= _at(other.last_failure) else other
        answers = [at for at in (self.last_answer, other.last_answer) if at is not None]
        return Contact(last_answer=max(answers, default=None), last_failure=later.last_failure, failure=later.failure)


ContactKey = tuple[str, str, str, str]
"""Local AE, archive, service, and whether it was answered: ``answered`` or ``failed``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactCounts:
    """All contacts at one moment."""

    contacts: Mapping[Line, Contact] = field(default_factory=dict)
    """Those that are configured are there before they are asked."""
    asked: Mapping[ContactKey, int] = field(default_factory=dict)
    """Questions to archives behind us; for leading ones see `outcome.LookupCounts`."""

    def plus(self, other: ContactCounts) -> ContactCounts:
        """Merge with those of another process."""
        lines = self.contacts.keys() | other.contacts.keys()
        return ContactCounts(
            contacts={
                line: self.contacts.get(line, Contact()).plus(other.contacts.get(line, Contact())) for line in lines
            },
            asked=Counter(self.asked) + Counter(other.asked),
        )

    @property
    def troubles(self) -> list[str]:
        """Messages about the archives that do not answer."""
        return [_trouble(line, contact) for line, contact in sorted(self.contacts.items()) if contact.is_failing]


def _trouble(line: Line, contact: Contact) -> str:
    what = f"{line.part} {line.ae_title} gave {line.local_ae_title} no answer"
    consequence = ", so identity may be out of date" if line.part == Part.LEADING.value else ""
    return f"{what}{consequence}: {contact.failure}"


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds")


def _at(moment: datetime | None) -> datetime:
    return moment or datetime.min.replace(tzinfo=UTC)


class Contacts:
    """The contacts of one process while one configuration is in force. Safe under threads."""

    def __init__(
        self, expected: Iterable[Line] = (), *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._contacts = {line: Contact() for line in expected}
        self._asked: Counter[ContactKey] = Counter()

    def answered(self, part: Part, local: AETitle, title: AETitle) -> None:
        """Record an answer."""
        line = Line(part.value, local, title)
        with self._lock:
            self._contacts[line] = replace(self._contacts.get(line, Contact()), last_answer=self._now())

    def failed(self, part: Part, local: AETitle, title: AETitle, why: str) -> None:
        """Record a failure."""
        line = Line(part.value, local, title)
        with self._lock:
            known = self._contacts.get(line, Contact())
            self._contacts[line] = replace(known, last_failure=self._now(), failure=why)

    @contextmanager
    def asking(self, local: AETitle, title: AETitle, service: str) -> Iterator[None]:
        """Context manager around one query to an archive behind us, which records its outcome."""
        try:
            yield
        except ArchiveUnavailable as err:
            self.failed(Part.BEHIND, local, title, str(err))
            self._count(local, title, service, "failed")
            raise
        else:
            self.answered(Part.BEHIND, local, title)
            self._count(local, title, service, "answered")

    def _count(self, *asked: str) -> None:
        local, title, service, outcome = asked
        with self._lock:
            self._asked[local, title, service, outcome] += 1

    def read(self) -> ContactCounts:
        """Counts so far."""
        with self._lock:
            return ContactCounts(contacts=dict(self._contacts), asked=dict(self._asked))
