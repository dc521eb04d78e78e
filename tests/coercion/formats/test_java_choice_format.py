"""Choice formats, as java.text.ChoiceFormat reads them."""

from __future__ import annotations

import math

import pytest

from dcm4py_leading.coercion.formats.java_choice_format import compile_choice_format


@pytest.mark.parametrize(
    ("value", "text"), [(-1, "none"), (0, "none"), (0.9, "none"), (1, "one"), (1.0001, "many"), (math.inf, "many")]
)
def test_a_text_is_from_its_limit_up_to_the_next(value: float, text: str) -> None:
    assert compile_choice_format("0#none|1#one|1<many").format(value) == text


def test_no_number_is_the_first_text() -> None:
    assert compile_choice_format("0#none|1#one").format(math.nan) == "none"


def test_infinite_limits_and_the_other_sign() -> None:
    choice = compile_choice_format("-∞<less|0≤more|∞#all")
    assert [choice.format(value) for value in (-math.inf, -1, 0, math.inf)] == ["less", "less", "more", "all"]


def test_quotes_take_a_character_as_it_is() -> None:
    choice = compile_choice_format("0#it''s '#0'|1#'a|b'")
    assert [choice.format(value) for value in (0, 1)] == ["it's #0", "a|b"]


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("", "expected NUMBER#TEXT"),
        ("none", "expected NUMBER#TEXT"),
        ("0#none|one", "expected NUMBER#TEXT"),
        ("0#none|", "expected NUMBER#TEXT"),
        ("1#one|0#none", "have to ascend"),
        ("1#one|1#again", "have to ascend"),
        ("0#a#b", "needs quotes"),
        ("x#one", "expected a number"),
        ("0#'one", "not closed"),
        ("0#{0}", "placeholder"),
    ],
)
def test_a_wrong_pattern_is_refused(pattern: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        compile_choice_format(pattern)
