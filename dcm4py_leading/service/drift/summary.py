"""Counts of a comparison by outcome, attribute and month of study. Bounded, and without patient data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dcm4py_leading.model.bounds import DRIFT_GAPS
from dcm4py_leading.service.drift.comparison import Compared, Outcome, name_of

HERE = ""
"""Stands for the title of the archive of this service among those of others."""

NO_MONTH = "none"
"""Stands for the month of a study without a Study Date, or with one that is none."""


class Summary:
    """Counts so far. A month is YYYY-MM of Study Date."""

    def __init__(self) -> None:
        self.outcomes: Counter[Outcome] = Counter()
        self.stale_by_month: Counter[str] = Counter()
        self.stale_by_attribute: dict[str, Counter[str]] = {}
        """For each attribute that differs, by month."""
        self.by_archive: Counter[str] = Counter()
        """Studies that have been compared, by the title of the archive that holds them."""
        self.left_out: Counter[str] = Counter()
        """Attributes that an archive did not tell, and in how many studies: they are not compared there."""
        self.gaps: list[str] = []
        """Text for people about what could not be walked, the first ones of many."""

    @property
    def studies(self) -> int:
        """Number of studies that have been compared."""
        return self.outcomes.total()

    def add(self, compared: Compared, month: str, archive: str = HERE) -> None:
        """Count one study."""
        self.outcomes[compared.outcome] += 1
        self.by_archive[archive] += 1
        if compared.outcome is Outcome.STALE:
            self.stale_by_month[month] += 1
        for attribute in compared.attributes:
            self.stale_by_attribute.setdefault(attribute, Counter())[month] += 1

    def leave_out(self, tags: Iterable[int]) -> None:
        """Count attributes that one study is not compared by."""
        self.left_out.update(map(name_of, tags))

    def add_gap(self, text: str) -> None:
        """Note studies that could not be walked."""
        if len(self.gaps) < DRIFT_GAPS:
            self.gaps.append(text)

    def to_json(self) -> Mapping[str, Any]:
        """All of it."""
        return {
            "outcomes": {outcome.value: self.outcomes[outcome] for outcome in Outcome},
            "staleByMonth": dict(self.stale_by_month),
            "staleByAttribute": {attribute: dict(months) for attribute, months in self.stale_by_attribute.items()},
            "byArchive": dict(self.by_archive),
            "leftOut": dict(self.left_out),
            "gaps": self.gaps,
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Summary:
        """Summary out of that of `to_json`. Raises KeyError, ValueError, TypeError, AttributeError if it is none."""
        summary = cls()
        summary.outcomes.update({Outcome(name): int(count) for name, count in said["outcomes"].items()})
        summary.stale_by_month.update({str(month): int(count) for month, count in said["staleByMonth"].items()})
        for attribute, months in said["staleByAttribute"].items():
            counts = Counter({str(month): int(count) for month, count in months.items()})
            summary.stale_by_attribute[str(attribute)] = counts
        summary.by_archive.update({str(title): int(count) for title, count in said["byArchive"].items()})
        summary.left_out.update({str(name): int(count) for name, count in said["leftOut"].items()})
        summary.gaps += map(str, said["gaps"])
        return summary

    def attributes(self) -> list[tuple[str, int, str, str]]:
        """The attributes that differ, the most frequent first: name, studies, first month, last month."""
        found = []
        for attribute, months in sorted(self.stale_by_attribute.items(), key=lambda item: -item[1].total()):
            dated = sorted(months.keys() - {NO_MONTH}) or [NO_MONTH]
            found.append((attribute, months.total(), dated[0], dated[-1]))
        return found

    def lines(self) -> Iterator[str]:
        """For people: outcomes, attributes with the months since when and until when, months."""
        for outcome in Outcome:
            yield f"{outcome.value:<10} {self.outcomes[outcome]:>9,}  {_MEANING[outcome]}"
        if self.stale_by_attribute:
            yield ""
            yield f"{'stale by attribute':<36} {'studies':>9}  of months"
            for attribute, studies, first, last in self.attributes():
                span = first if first == last else f"{first} to {last}"
                yield f"{attribute:<36} {studies:>9,}  {span}"
            yield ""
            yield f"{'stale by month of Study Date':<36} {'studies':>9}"
            for month, count in sorted(self.stale_by_month.items()):
                yield f"{month:<36} {count:>9,}"
        if self.left_out:
            yield ""
            yield f"{'not compared, as not told':<36} {'studies':>9}"
            for attribute, count in self.left_out.most_common():
                yield f"{attribute:<36} {count:>9,}"
        if self.gaps:
            yield ""
            yield from self.gaps


_MEANING: Mapping[Outcome, str] = {
    Outcome.CURRENT: "as the leading archive says",
    Outcome.STALE: "the leading archive says otherwise",
    Outcome.UNKNOWN: "the leading archive does not know them",
    Outcome.UNUSABLE: "its answer cannot be used",
    Outcome.UNASKED: "could not be asked for",
}
