"""Date patterns, as java.text.SimpleDateFormat reads them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from dcm4py_leading.coercion.formats.java_date_format import compile_date_format

MOMENT = datetime(2026, 3, 4, 15, 6, 7, 89_123, tzinfo=timezone(-timedelta(hours=3, minutes=30)))
MIDNIGHT = datetime(2026, 12, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("pattern", "moment", "text"),
    [
        ("yyyyMMddHHmmssSSS", MOMENT, "20260304150607089"),
        ("yy-M-d", MOMENT, "26-3-4"),
        ("yyyyy", MOMENT, "02026"),
        ("D F u", MOMENT, "63 1 3"),
        ("H k K h", MOMENT, "15 15 3 3"),
        ("H k K h", MIDNIGHT, "0 24 0 12"),
        ("DDDD", MIDNIGHT, "0365"),
        ("Z X XX XXX", MOMENT, "-0330 -03 -0330 -03:30"),
        ("Z X XX XXX", MIDNIGHT, "+0000 Z Z Z"),
        ("yyyy'T''s'HH''", MOMENT, "2026T's15'"),
        ("'yyyy' / .", MOMENT, "yyyy / ."),
    ],
)
def test_a_moment_is_written_by_the_pattern(pattern: str, moment: datetime, text: str) -> None:
    assert compile_date_format(pattern).format(moment) == text


@pytest.mark.parametrize("pattern", ["", " short", "FULL", "MMM", "LLLL", "EEE", "a", "z", "G", "YYYY", "w"])
def test_what_depends_on_the_locale_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="depends on the locale"):
        compile_date_format(pattern)


@pytest.mark.parametrize(("pattern", "why"), [("XXXX", "no meaning"), ("Q", "no meaning"), ("yyyy'T", "not closed")])
def test_a_wrong_pattern_is_refused(pattern: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        compile_date_format(pattern)


def test_a_moment_without_a_zone_is_in_that_of_the_system() -> None:
    plain = datetime(2026, 3, 4)
    assert compile_date_format("Z").format(plain) == plain.astimezone().strftime("%z")
