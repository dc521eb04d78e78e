"""Plots and tables of the last hours say the same, of the same columns."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dcm4py_leading.leading.breaker import BreakerState
from dcm4py_leading.leading.contacts import Contact
from dcm4py_leading.leading.outcome import LookupOutcome
from dcm4py_leading.service.leading.interval import Interval, Requests, Traffic
from dcm4py_leading.service.leading.overview import overview
from dcm4py_leading.web.pages.leading.plots import (
    ASKED,
    BEHIND_PLOTS,
    LAST_KNOWN,
    NO_ANSWER,
    PLOTS,
    REMEMBERED,
    archive_plots,
)
from dcm4py_leading.web.pages.texts import Language, catalogue
from dcm4py_leading.web.rest.own.leading import history_json
from tests.fixtures.measured import NOON, QRSCP, Sample, contacts


def test_each_outcome_is_in_one_line() -> None:
    assert sorted(outcome.value for group in (REMEMBERED, ASKED, LAST_KNOWN, NO_ANSWER) for outcome in group) == sorted(
        outcome.value for outcome in LookupOutcome
    )


@pytest.mark.parametrize("language", Language)
def test_lines_name_columns_of_the_history_colours_and_texts(language: Language) -> None:
    interval = Interval(ends_at=NOON, seconds=60, archives={QRSCP: Traffic()}, behind={"PACS": Requests()})
    history: Any = history_json(1, [interval])
    for plot, columns in [
        *((plot, history["leadingArchives"][0]) for plot in PLOTS),
        *((plot, history["archives"][0]) for plot in BEHIND_PLOTS),
    ]:
        for line in json.loads(plot.lines_json(language)):
            assert set(line["keys"]) <= set(columns)
            assert line["colour"].startswith("--")
            assert line["label"] in catalogue(language).values()


def test_a_row_has_a_cell_for_each_column_and_the_latest_is_first() -> None:
    known = Interval(
        ends_at=NOON,
        seconds=60,
        archives={QRSCP: Traffic(outcomes={LookupOutcome.HIT: 4}, breaker=BreakerState.OPEN)},
        behind={"PACS": Requests(answered=7, failed=1)},
    )
    unknown = Interval(ends_at=NOON, seconds=0)
    found = overview(Sample(contacts=contacts(QRSCP=Contact(), behind={"PACS": Contact()})), [])
    leading, behind = archive_plots(found, [known, unknown], Language.GERMAN)
    assert [len(cells) for _, cells in leading.rows] == [0, len(leading.columns)]
    assert leading.rows[1][1] == ("4", "100%", "–", "–", "–", "0", "0", "0,00", "0", "offen")
    assert [cells for _, cells in behind.rows] == [(), ("7", "1")]


def test_an_archive_that_was_not_asked_has_no_rows() -> None:
    found = overview(Sample(contacts=contacts(QRSCP=Contact(), behind={"PACS": Contact()})), [])
    interval = Interval(ends_at=NOON, seconds=60, archives={QRSCP: Traffic()})
    assert [archive.rows for archive in archive_plots(found, [interval], Language.ENGLISH)] == [(), ()]
