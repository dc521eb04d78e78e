from __future__ import annotations

import pytest

from dcm4py_leading.log import word


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
    ],
)
def test_what_is_no_word_is_quoted(text: str, logged: str) -> None:
    assert word(text) == logged
