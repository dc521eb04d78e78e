from __future__ import annotations

import logging

import pytest

from dcm4py_leading.log import _Formatter, foreign, word
from dcm4py_leading.model.bounds import FOREIGN_TEXT_CHARACTERS, LOG_RECORD_CHARACTERS


@pytest.mark.parametrize(
    ("text", "logged"),
    [
        ("CT1", "CT1"),
        ("hit:1,miss:2", "hit:1,miss:2"),
        ("CT ROOM 2", '"CT ROOM 2"'),
        ("", '""'),
        ('A"B', r'"A\"B"'),
        ("A\nB\x1b[2J", r'"A\nB\u001b[2J"'),
        ("MÜLLER", r'"M\u00dcLLER"'),
        ("A" * 300, '"' + "A" * FOREIGN_TEXT_CHARACTERS + '... (300 characters)"'),
    ],
)
def test_values_other_than_words_are_quoted(text: str, logged: str) -> None:
    assert word(text) == logged


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("no such object", "no such object"),
        ("Universität", "Universität"),
        ("A\r\nB\x1b[2J", r"A\r\nB\x1b[2J"),
        ("\u202egnirts", r"\u202egnirts"),
        ("\udcff", r"\udcff"),
        ("\n" * 1_000_000, r"\n" * FOREIGN_TEXT_CHARACTERS + "... (1000000 characters)"),
    ],
)
def test_a_foreign_text_is_printable_and_short(text: str, told: str) -> None:
    assert foreign(text) == told


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("two\nlines", "two\n    lines"),
        ("\x1b[2J\u202e\udcff", r"\x1b[2J\u202e\udcff"),
        ("x" * 10_000_000, "x" * LOG_RECORD_CHARACTERS + "... (10000000 characters)"),
    ],
    ids=["line ends", "odd characters", "too long"],
)
def test_no_record_passes_for_another_line_or_fills_the_disk(message: str, line: str) -> None:
    record = logging.LogRecord("name", logging.INFO, "file", 1, message, (), None)
    assert _Formatter("%(message)s").format(record) == line
