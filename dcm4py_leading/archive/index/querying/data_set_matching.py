"""Matching of one data set by a Query, as `statements` matches rows in SQL (PS3.4 C.2.2.2). Pure.

Decides if a match still matches after coercion, whose results are not in the tables.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace

from pydicom import Dataset

from dcm4py_leading.archive.index.keys import (
    KEY_OF,
    MODALITIES_IN_STUDY,
    SOP_CLASSES_IN_STUDY,
    STUDY_INSTANCE_UID,
    compared_values,
)
from dcm4py_leading.archive.index.querying.query import KeyCondition, Matching, NameGroup, Query, Range, Value, Wildcard
from dcm4py_leading.dataset.normal import values_text

_COLLECTED = frozenset({MODALITIES_IN_STUDY, SOP_CLASSES_IN_STUDY})


def matches(query: Query, ds: Dataset) -> bool:
    """True if ``ds``, an entity of the query's level with the attributes of those above it, fulfils all conditions."""
    return all(fulfils(condition, ds) for condition in query.conditions)


def fulfils(condition: KeyCondition, ds: Dataset) -> bool:
    """True if an attribute of ``ds`` fulfils the condition; for Modalities in Study, one value is enough."""
    if condition.tag in _COLLECTED:
        candidates: list[Sequence[str | None]] = [(text,) for text in values_text(ds, condition.tag)]
    else:
        candidates = [compared_values(ds, KEY_OF[condition.tag])]
    return any(_is_like(matching, values) for values in candidates for matching in condition.any_of)


def without(query: Query, tags: Collection[int]) -> Query:
    """The query without its conditions on these attributes."""
    return replace(query, conditions=tuple(c for c in query.conditions if c.tag not in tags))


def limited_to_studies(query: Query, study_instance_uids: Sequence[str]) -> Query:
    """The query, of these studies only; its level is STUDY or below."""
    of_studies = KeyCondition(STUDY_INSTANCE_UID, tuple(Value(uid) for uid in study_instance_uids))
    return replace(query, conditions=(*query.conditions, of_studies))


def _is_like(matching: Matching, values: Sequence[str | None]) -> bool:
    """``values``: the one in its normal form, or the three groups of a name."""
    value = values[0]
    match matching:
        case NameGroup(groups, alternatives):
            return any(_is_like(text, (values[group],)) for group in groups for text in alternatives)
        case _ if value is None:
            return False
        case Value(text):
            return value == text
        case Wildcard(pattern):
            return _regular_expression(pattern).fullmatch(value) is not None
        case Range(low, high, past_midnight):
            is_after, is_before = low is None or value >= low, high is None or value <= high
            return (is_after or is_before) if past_midnight else (is_after and is_before)


def _regular_expression(pattern: str) -> re.Pattern[str]:
    """Without backtracking: text between two ``*`` matches at its first possible place."""
    first, *others = ["".join("." if char == "?" else re.escape(char) for char in part) for part in pattern.split("*")]
    if others:
        first += "".join(f"(?>.*?{part})" for part in others[:-1] if part) + f".*{others[-1]}"
    return re.compile(first, re.DOTALL)
