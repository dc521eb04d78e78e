"""Values of DA, TM and DT as moments, and offsets from them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcm4py_leading.coercion.formats.temporal import parse_duration, parse_moment, parse_period

LOCAL = timezone(timedelta(hours=2))


@pytest.mark.parametrize(
    ("vr", "text", "moment"),
    [
        ("DA", "20260131", datetime(2026, 1, 31)),
        ("DA", "2026.01.31", datetime(2026, 1, 31)),
        ("DA", "2026.0131", None),
        ("DA", "20260231", None),
        ("DA", "20260131 ", None),
        ("TM", "07", datetime(1970, 1, 1, 7)),
        ("TM", "070809", datetime(1970, 1, 1, 7, 8, 9)),
        ("TM", "07:08:09.12", datetime(1970, 1, 1, 7, 8, 9, 120000)),
        ("TM", "070809.1235", datetime(1970, 1, 1, 7, 8, 9, 124000)),
        ("TM", "235959.9996", datetime(1970, 1, 2)),
        ("TM", "24", None),
        ("TM", "7", None),
        ("DT", "2026", datetime(2026, 1, 1)),
        ("DT", "202603", datetime(2026, 3, 1)),
        ("DT", "20260304050607.089", datetime(2026, 3, 4, 5, 6, 7, 89000)),
        ("DT", "20260304+0000", datetime(2026, 3, 4, 2, tzinfo=LOCAL)),
        ("DT", "20260304-0130", datetime(2026, 3, 4, 3, 30, tzinfo=LOCAL)),
        ("DT", "20261304", None),
        ("LO", "20260131", None),
    ],
)
def test_a_value_is_a_moment_or_none(vr: str, text: str, moment: datetime | None) -> None:
    assert parse_moment(vr, text, zone=None, local=LOCAL) == moment


def test_the_zone_of_the_data_set_is_for_a_dt_without_its_own() -> None:
    assert parse_moment("DT", "20260304", zone="+0200", local=LOCAL) == datetime(2026, 3, 4, tzinfo=LOCAL)
    assert parse_moment("DT", "20260304+0000", zone="+0200", local=LOCAL) == datetime(2026, 3, 4, 2, tzinfo=LOCAL)
    assert parse_moment("DA", "20260304", zone="+0200", local=LOCAL) == datetime(2026, 3, 4)
    assert parse_moment("DT", "20260304", zone="east", local=LOCAL) == datetime(2026, 3, 4)


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ("-P1M", datetime(2026, 3, 31), datetime(2026, 2, 28)),
        ("P1Y", datetime(2024, 2, 29), datetime(2025, 2, 28)),
        ("P1M1D", datetime(2026, 1, 31), datetime(2026, 3, 1)),
        ("-P1W", datetime(2026, 1, 8), datetime(2026, 1, 1)),
        ("-P-1D", datetime(2026, 1, 1), datetime(2026, 1, 2)),
        ("p12m", datetime(2026, 1, 1), datetime(2027, 1, 1)),
    ],
)
def test_a_period_goes_by_the_calendar(text: str, begin: datetime, end: datetime) -> None:
    assert parse_period(text)(begin) == end


@given(st.datetimes(datetime(1000, 1, 1), datetime(3000, 1, 1)), st.integers(-1200, 1200))
def test_a_period_of_months_ends_in_the_month_that_is_so_many_away(begin: datetime, months: int) -> None:
    end = parse_period(f"P{months}M")(begin)
    assert 12 * end.year + end.month == 12 * begin.year + begin.month + months
    assert end.day == begin.day or (end.day < begin.day and (end + timedelta(days=1)).day == 1)
    assert end.time() == begin.time()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("+PT30M", 1800), ("-PT1H1M1S", -3661), ("P1D", 86400), ("PT1.9S", 1), ("-PT0,5S", -1), ("P1DT-1H", 82800)],
)
def test_a_duration_is_of_whole_seconds(text: str, seconds: int) -> None:
    begin = datetime(2026, 1, 1)
    assert parse_duration(text)(begin) - begin == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "P", "1D", "P1H", "PT1H", "P1D1M", "P1.5D"])
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected an offset of days"):
        parse_period(text)


@pytest.mark.parametrize("text", ["", "P", "PT", "P1DT", "P1M", "PT1S1M", "T1S"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected an offset of time"):
        parse_duration(text)


def test_an_offset_beyond_the_years_is_an_error() -> None:
    with pytest.raises(OverflowError):
        parse_period("P9000Y")(datetime(2026, 1, 1))
    with pytest.raises(OverflowError):
        parse_duration("P999999D")(datetime(9999, 1, 1))
    with pytest.raises(ValueError, match="out of range"):
        parse_duration("P999999999DT999999999H")
