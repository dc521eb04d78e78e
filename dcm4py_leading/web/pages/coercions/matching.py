"""AEs of the directory that a condition on an AE title matches, and errors in a condition."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from dcm4py_leading.coercion.conditions import compile_condition
from dcm4py_leading.coercion.formats.java_regex import compile_java_regex
from dcm4py_leading.model.bounds import CONDITION_MATCH_SECONDS, SHOWN_AE_TITLES

_ON_TITLES = ("SendingApplicationEntityTitle", "ReceivingApplicationEntityTitle")


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """Findings about one condition."""

    fault: str | None = None
    """Why it would be refused."""
    is_on_titles: bool = False
    """True if it is on an AE title, so that AEs match it or do not."""
    titles: tuple[str, ...] = ()
    """Those that match, at most so many."""
    count: int = 0
    is_slow: bool = False
    """True if the pattern takes longer than a request may wait."""


def matching(text: str, titles: Iterable[str]) -> Matching:
    """Matches of a condition among ``titles``."""
    try:
        compile_condition(text)
    except ValueError as err:
        return Matching(fault=str(err))
    key, _, value = text.partition("=")
    if key.removesuffix("!") not in _ON_TITLES or value.startswith("§"):
        return Matching()
    pattern = compile_java_regex(value)
    ends_at = time.monotonic() + CONDITION_MATCH_SECONDS
    found = []
    for title in titles:
        seconds = ends_at - time.monotonic()
        try:
            matches = seconds > 0 and pattern.fullmatch(title, timeout=seconds) is not None
        except TimeoutError:
            seconds, matches = 0, False
        if seconds <= 0:
            return Matching(is_on_titles=True, is_slow=True)
        if matches is not key.endswith("!"):
            found.append(title)
    return Matching(is_on_titles=True, titles=tuple(found[:SHOWN_AE_TITLES]), count=len(found))
