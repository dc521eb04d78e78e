"""Number patterns, as java.text.DecimalFormat reads them."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcm4py_leading.coercion.formats.java_number_format import compile_number_format


@pytest.mark.parametrize(
    ("pattern", "value", "text"),
    [
        ("", 1234567.8915, "1,234,567.891"),  # the float is a little less
        ("", 1234567.8916, "1,234,567.892"),
        ("", 0.5, "0.5"),
        ("integer", 2.5, "2"),
        ("integer", 3.5, "4"),
        (" Percent ", 0.125, "12%"),
        ("000", 7, "007"),
        ("000", -7, "-007"),
        ("#.##", 0.001, "0"),
        ("#.##", -0.001, "-0"),
        (".00", 0.5, ".50"),
        ("0.00", 1e20, "100000000000000000000.00"),
        ("#,##0.0#", 1234.567, "1,234.57"),
        ("0.", 3, "3."),
        ("0‰", 0.0125, "12‰"),
        ("'#'0", 3, "#3"),
        ("0 'o''clock'", 3, "3 o'clock"),
        ("0;(0)", -3, "(3)"),
        ("0;0", -3, "-3"),
        ("0", math.inf, "∞"),
        ("0", -math.inf, "-∞"),
        ("0", math.nan, "NaN"),
    ],
)
def test_a_number_is_written_by_the_pattern(pattern: str, value: float, text: str) -> None:
    assert compile_number_format(pattern).format(value) == text


@given(st.floats(-1e9, 1e9), st.integers(0, 6))
def test_a_number_is_rounded_to_the_nearest_of_so_many_digits(value: float, digits: int) -> None:
    text = compile_number_format(f"0.{'0' * digits}".rstrip(".")).format(value)
    assert len(text.partition(".")[2]) == digits
    # A float that has no more digits is told as it is written, which is a little off.
    assert abs(Decimal(text) - Decimal(value)) <= Decimal(5).scaleb(-digits - 1) + Decimal("1e-6")


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("currency", "depends on the locale"),
        ("¤0", "depends on the locale"),
        ("0E0", "exponents are not supported"),
        ("abc", "no digits"),
        ("%0%", "more than one percent"),
        ("%%0", "more than one percent"),
        ("'0", "not closed"),
        ("0#", "malformed"),
        ("0.#0", "malformed"),
        ("0.0.0", "malformed"),
        ("0,", "malformed"),
        (".", "malformed"),
        ("0;0;0", "unexpected ';'"),
    ],
)
def test_a_wrong_pattern_is_refused(pattern: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        compile_number_format(pattern)
