"""Text chosen by a number, as java.text.ChoiceFormat does: ``0#none|1#one|1<many``."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from dataclasses import dataclass

_LIMIT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_INFINITE = {"∞": math.inf, "-∞": -math.inf}


@dataclass(frozen=True, slots=True)
class ChoiceFormat:
    """Texts, each from its limit up to the next one; limits ascend."""

    limits: tuple[float, ...]
    texts: tuple[str, ...]

    def format(self, value: float) -> str:
        """The text for ``value``; below all limits, or not a number, the first."""
        if math.isnan(value):
            return self.texts[0]
        return self.texts[max(0, bisect_right(self.limits, value) - 1)]


def compile_choice_format(pattern: str) -> ChoiceFormat:
    """Compile a pattern. ``#`` or ``≤`` means from the number on, ``<`` above it. Raises ValueError."""
    limits: list[float] = []
    texts: list[str] = []
    for number, relation, text in _split(pattern):
        limit = _limit("".join(number))
        if relation == "<" and math.isfinite(limit):
            limit = math.nextafter(limit, math.inf)
        if limits and limit <= limits[-1]:
            raise ValueError(f"numbers of choices have to ascend: {pattern!r}")
        limits.append(limit)
        texts.append("".join(text))
    return ChoiceFormat(tuple(limits), tuple(texts))


def _split(pattern: str) -> list[tuple[list[str], str, list[str]]]:
    """Number, relation and text of each choice."""
    choices: list[tuple[list[str], str, list[str]]] = []
    number: list[str] = []
    text: list[str] | None = None
    quoted = False
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "'":
            if not pattern.startswith("'", at):
                quoted = not quoted
                continue
            at += 1
        elif not quoted:
            if char in "<#≤":
                if text is not None:
                    raise ValueError(f"{char!r} in the text of a choice needs quotes: {pattern!r}")
                text = []
                choices.append((number, char, text))
                continue
            if char == "|":
                if text is None:
                    raise ValueError(f"expected NUMBER#TEXT in each choice: {pattern!r}")
                number, text = [], None
                continue
            if char in "{}":
                raise ValueError("a placeholder within a choice is not supported")
        (number if text is None else text).append(char)
    if quoted:
        raise ValueError(f"a quote is not closed in the choice {pattern!r}")
    if text is None:
        raise ValueError(f"expected NUMBER#TEXT in each choice: {pattern!r}")
    return choices


def _limit(number: str) -> float:
    text = number.strip()
    if text in _INFINITE:
        return _INFINITE[text]
    if _LIMIT.fullmatch(text) is None:
        raise ValueError(f"expected a number before a choice, not {number!r}")
    return float(text)
