"""Plots and tables of the last hours say the same, of the same columns."""

from __future__ import annotations

import json

import pytest

from dcm4py_leading.leading.outcome import LookupOutcome
from dcm4py_leading.service.leading.interval import Interval, Traffic
from dcm4py_leading.web.pages.leading.plots import ASKED, COLUMNS, LAST_KNOWN, NO_ANSWER, PLOTS, REMEMBERED, rows_of
from dcm4py_leading.web.pages.texts import Language, catalogue
from dcm4py_leading.web.rest.own.leading import history_json
from tests.fixtures.measured import NOON, QRSCP


def test_each_outcome_is_in_one_line() -> None:
    assert sorted(outcome.value for group in (REMEMBERED, ASKED, LAST_KNOWN, NO_ANSWER) for outcome in group) == sorted(
        outcome.value for outcome in LookupOutcome
    )


@pytest.mark.parametrize("language", Language)
def test_lines_name_columns_of_the_history_colours_and_texts(language: Language) -> None:
    interval = Interval(ends_at=NOON, seconds=60, archives={QRSCP: Traffic()})
    columns = history_json(1, [interval])["leadingArchives"][0]  # type: ignore[index]
    for plot in PLOTS:
        for line in json.loads(plot.lines_json(language)):
            assert set(line["keys"]) <= set(columns)
            assert line["colour"].startswith("--")
            assert line["label"] in catalogue(language).values()


def test_a_row_has_a_cell_for_each_column_and_the_latest_is_first() -> None:
    known = Interval(ends_at=NOON, seconds=60, archives={QRSCP: Traffic(outcomes={LookupOutcome.HIT: 4})})
    unknown = Interval(ends_at=NOON, seconds=0)
    rows = list(rows_of(QRSCP, [known, unknown], Language.GERMAN))
    assert [len(row.cells) for row in rows] == [0, len(COLUMNS)]
    assert rows[1].cells == ("4", "100%", "–", "–", "–", "0", "0", "0,00", "0")
