"""Outcome of a comparison for the pages: counts, attributes in words, months."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydicom.datadict import tag_for_keyword

from dcm4py_leading.service.drift.comparison import Outcome
from dcm4py_leading.service.drift.summary import NO_MONTH, Summary
from dcm4py_leading.web.pages.fields.words import tag_in_words

_MAX_MONTHS = 360
"""Of a plot: a date that is far off would make all others a line."""
_MAX_LINES = 4
TAGS: Mapping[Outcome, str] = {
    Outcome.CURRENT: "good",
    Outcome.STALE: "warn",
    Outcome.UNKNOWN: "",
    Outcome.UNUSABLE: "bad",
    Outcome.UNASKED: "bad",
}
"""Classes of the tags that stand for outcomes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleAttribute:
    """An attribute that is stale in some studies."""

    keyword: str
    name: str
    """Name of the standard (PS3.6); the keyword where it has none."""
    studies: int
    first: str
    """Month, or NO_MONTH."""
    last: str


def attribute_in_words(keyword: str) -> str:
    """The name of an attribute (PS3.6); what was given where there is none."""
    tag = tag_for_keyword(keyword)
    return (tag_in_words(tag) if tag is not None else "") or keyword


def stale_attributes(summary: Summary) -> Sequence[StaleAttribute]:
    """The attributes, the most frequent first."""
    return [
        StaleAttribute(keyword=keyword, name=attribute_in_words(keyword), studies=studies, first=first, last=last)
        for keyword, studies, first, last in summary.attributes()
    ]


def plotted(summary: Summary) -> dict[str, Any]:
    """Columns of the plot: months one after the other, stale studies, and the most frequent attributes of them."""
    months = list(_months(sorted(summary.stale_by_month.keys() - {NO_MONTH})))
    frequent = [(one.keyword, one.name) for one in stale_attributes(summary)[:_MAX_LINES]]
    return {
        "months": months,
        "stale": [summary.stale_by_month[month] for month in months],
        "attributes": [
            {"name": name, "studies": [summary.stale_by_attribute[keyword][month] for month in months]}
            for keyword, name in frequent
        ],
    }


def _months(found: Sequence[str]) -> Iterator[str]:
    """All months from the first to the last one, the latest of them where they are too many."""
    if not found:
        return
    numbers = [int(month[:4]) * 12 + int(month[5:]) - 1 for month in found]
    for number in range(max(numbers[0], numbers[-1] - _MAX_MONTHS + 1), numbers[-1] + 1):
        yield f"{number // 12:04}-{number % 12 + 1:02}"
