from __future__ import annotations

import pytest

from dcm4py_leading.coercion.formats.java_regex import compile_java_regex
from dcm4py_leading.model.bounds import REGULAR_EXPRESSION_CHARACTERS


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("CT|MR", "MR", True),
        ("M", "MR", False),
        ("mr", "MR", False),
        ("(?i)mr", "MR", True),
        ("(?i)ä", "Ä", False),
        ("a.b", "a\u2028b", False),
        ("(?s)a.b", "a\nb", True),
        (r"\d+", "٣", False),
        (r"\w", "ä", False),
        (r"\Qa.b\E+", "a.bb", True),
        (r"\Qa.b\E", "axb", False),
        (r"\Qa.b", "a.b", True),
        (r"\p{Alpha}+\P{Alpha}", "abc1", True),
        (r"[\p{Upper}_]+", "A_B", True),
        (r"\p{Punct}", "]", True),
        (r"\h", "\u00a0", True),
        (r"[\h]", "\u2003", True),
        (r"\v", "\u2028", True),
        (r"\R", "\r\n", True),
        (r"\x41\u0042\x{43}", "ABC", True),
        ("(?<n>a)\\k<n>", "aa", True),
        (r"(a)\1", "aa", True),
        ("a++b", "aab", True),
        ("(?>a+)ab", "aab", False),
        ("[]a]", "]", True),
        ("[^]a]", "b", True),
        ("[a|b~&]", "~", True),
        (r"x\z", "x", True),
        ("x$", "x", True),
        (r"^\(a\)$", "(a)", True),
        ("(?<=a)b|(?!b)c", "c", True),
        ("a{2,3}", "aaa", True),
        (r"\§", "§", True),
    ],
)
def test_pattern_means_what_it_means_in_java(pattern: str, text: str, matches: bool) -> None:
    assert bool(compile_java_regex(pattern).fullmatch(text)) is matches


@pytest.mark.parametrize(
    ("pattern", "named"),
    [
        ("[a-z&&[^b]]", "&&"),
        ("[a[bc]]", "'['"),
        (r"\p{L}", r"\p{L}"),
        (r"\p{IsLatin}", r"\p{IsLatin}"),
        (r"[\P{Alpha}]", r"\P{Alpha}"),
        (r"\G", r"\G"),
        (r"\X", r"\X"),
        (r"\08", r"\0"),
        (r"\u12", r"\u"),
        ("a(?i)b", "(?i)"),
        ("(?x)a", "(?x)"),
        ("(?m)a", "(?m)"),
        ("(?P<n>a)", "(?P<"),
        ("(?#c)", "(?#c"),
        ("a{,3}", "'{'"),
        ("(", "unterminated"),
        ("[a", "not closed"),
        ("a)", "unbalanced"),
        ("*a", "nothing to repeat"),
        ("a\\", "single backslash"),
        ("(?<=a+)b", "look-behind"),
        ("a" * (REGULAR_EXPRESSION_CHARACTERS + 1), "longer"),
    ],
)
def test_untranslatable_member_is_refused_by_name(pattern: str, named: str) -> None:
    with pytest.raises(ValueError) as caught:
        compile_java_regex(pattern)
    assert named in str(caught.value)
