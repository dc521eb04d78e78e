"""Identifier of a C-FIND, C-MOVE or C-GET, parsed to plain conditions (PS3.4 C.2.2.2, C.4, C.6). Pure.

A universal key (zero length, ``*``) gives no condition. A key that the index does not match, or that belongs to a lower
level, is only a return key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from pydicom import Dataset
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement

from dcm4py_leading.archive.index.keys import (
    COUNTS,
    ISSUER_OF_PATIENT_ID,
    KEYS,
    LEVELS,
    MODALITIES_IN_STUDY,
    PATIENT_ID,
    SOP_CLASSES_IN_STUDY,
    UNIQUE_KEYS,
    Comparison,
)
from dcm4py_leading.dataset.normal import (
    PADDING,
    first_text,
    normal_date,
    normal_name_group,
    normal_number,
    spellings,
    time_span,
    values_text,
)
from dcm4py_leading.dataset.text.unreadable import UNREADABLE
from dcm4py_leading.errors import IdentifierMismatch
from dcm4py_leading.model import bounds
from dcm4py_leading.model.values import InformationModel, Level

_QUERY_RETRIEVE_LEVEL = 0x00080052
_NO_VALUE = (None, "", b"")
_NO_KEYS = frozenset({0x00080005, 0x00080052, 0x00080054, 0x00080056})
"""Attributes that tell about the query, or of the archive: Query/Retrieve Level, Retrieve AE Title and so on."""
_COMPUTED = frozenset({*COUNTS, MODALITIES_IN_STUDY, SOP_CLASSES_IN_STUDY})
_IN_STUDY: Mapping[int, Comparison] = {MODALITIES_IN_STUDY: Comparison.TEXT, SOP_CLASSES_IN_STUDY: Comparison.UID}


@dataclass(frozen=True, slots=True)
class Value:
    """Single value matching (PS3.4 C.2.2.2.1)."""

    text: str


@dataclass(frozen=True, slots=True)
class Wildcard:
    """``*`` stands for any characters, ``?`` for one (PS3.4 C.2.2.2.4)."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Range:
    """Range matching, both values included; None is open (PS3.4 C.2.2.2.5)."""

    low: str | None
    high: str | None
    past_midnight: bool = False
    """A range of times from one day into the next, ``low`` being later than ``high``."""


@dataclass(frozen=True, slots=True)
class NameGroup:
    """Matching of person names: one of ``alternatives`` in one of the component ``groups``, counted from 0."""

    groups: tuple[int, ...]
    alternatives: tuple[Value | Wildcard, ...]


Matching = Value | Wildcard | Range | NameGroup


@dataclass(frozen=True, slots=True)
class KeyCondition:
    """A matching key: an attribute, and alternatives of which one must match."""

    tag: int
    any_of: tuple[Matching, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A C-FIND: the entities of ``level`` that fulfil all ``conditions``."""

    level: Level
    conditions: tuple[KeyCondition, ...] = ()
    computed: frozenset[int] = frozenset()
    """Return keys that are counted or collected: Modalities in Study, Number of Study Related Series and so on."""
    unmatched: frozenset[int] = frozenset()
    """Keys with a value that is not matched."""


@dataclass(frozen=True, slots=True)
class OrderBy:
    """An attribute by which matches are sorted, one that is a key; those without a value come last."""

    tag: int
    is_descending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The part of the matches that is wanted: so many of them from one on, in an order."""

    order: tuple[OrderBy, ...] = ()
    """Where it leaves several, they are in an order that does not change."""
    offset: int = 0
    limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieveKeys:
    """Keys of a C-MOVE or C-GET: the instances below the named entities; an empty tuple or None means no limit."""

    level: Level
    patient_id: str | None = None
    issuer_of_patient_id: str | None = None
    study_instance_uids: tuple[str, ...] = ()
    series_instance_uids: tuple[str, ...] = ()
    sop_instance_uids: tuple[str, ...] = ()

    @property
    def is_hierarchical(self) -> bool:
        """True if the retrieve is hierarchical in the Study Root model (PS3.4 C.4.2.2.2)."""
        above = {Level.SERIES: 1, Level.IMAGE: 2}.get(self.level, 0)
        return all(len(uids) == 1 for uids in (self.study_instance_uids, self.series_instance_uids)[:above])


def parse_query(identifier: Dataset, model: InformationModel, *, relational: bool) -> Query:
    """Read the identifier of a C-FIND.

    A hierarchical query (not ``relational``) names one entity of each level above by its unique key, and matches no
    other key of those levels; in Study Root, the patient's attributes belong to the study (PS3.4 C.4.1.2, C.4.1.3).
    Raises IdentifierMismatch.
    """
    level = _level(identifier, model)
    if not relational:
        for upper in _levels_above(level, model):
            _require_single(identifier, upper, level)
    # Most keys are empty, which matches everything: do not decode them.
    elements = identifier.items()
    valued = {int(tag) for tag, element in elements if element.value not in _NO_VALUE}
    computed = _COMPUTED.intersection(int(tag) for tag, _ in elements)
    comparisons = _comparisons(level, model, relational)
    return Query(
        level=level,
        conditions=tuple(
            condition
            for tag, comparison in comparisons.items()
            if tag in valued
            for condition in _conditions(identifier, tag, comparison)
        ),
        unmatched=frozenset(
            tag
            for tag in valued - comparisons.keys() - _NO_KEYS
            if tag & 0xFFFF and not _matches_everything(identifier[tag])  # a group length is no key
        ),
        computed=frozenset(tag for tag in computed if _is_computed_at(tag, level)),
    )


def matched_hierarchically(identifier: Dataset, model: InformationModel) -> frozenset[int] | None:
    """Attributes that a hierarchical C-FIND (PS3.4 C.4.1.2.1) matches; None if the identifier is not hierarchical."""
    try:
        query = parse_query(identifier, model, relational=False)
    except IdentifierMismatch:
        return None
    return frozenset(condition.tag for condition in query.conditions)


def _matches_everything(element: DataElement) -> bool:
    """True if a key is universal, a sequence with all that is in it (PS3.4 C.2.2.2.3, C.2.2.2.6)."""
    value = element.value
    if element.VR == "SQ":
        return all(_matches_everything(nested) for item in value for nested in item)
    return value in _NO_VALUE or (isinstance(value, str) and not value.strip("*"))


@lru_cache(maxsize=32)
def _comparisons(level: Level, model: InformationModel, relational: bool) -> Mapping[int, Comparison]:
    """The keys that are matched in a query, and how."""
    matched = set(LEVELS[: LEVELS.index(level) + 1]) if relational else _levels_at(level, model)
    unique_above = {UNIQUE_KEYS[upper] for upper in _levels_above(level, model)}
    if PATIENT_ID in unique_above:
        unique_above.add(ISSUER_OF_PATIENT_ID)
    comparisons = {key.tag: key.comparison for key in KEYS if key.level in matched or key.tag in unique_above}
    if Level.STUDY in matched:
        comparisons.update(_IN_STUDY)
    return comparisons


def parse_retrieve(identifier: Dataset, model: InformationModel, *, relational: bool) -> RetrieveKeys:
    """Read the identifier of a C-MOVE or C-GET (PS3.4 C.4.2.2, C.4.3.2). Raises IdentifierMismatch.

    The unique key of the level is required, a list of UIDs is allowed; a hierarchical retrieve needs one value for
    each level above as well. Other keys are ignored.
    """
    level = _level(identifier, model)
    if level is Level.PATIENT:
        _require_single(identifier, level, level)
    elif not _unique_values(identifier, level):
        raise _missing(UNIQUE_KEYS[level], level)
    for upper in _levels_above(level, model):
        if not relational:
            _require_single(identifier, upper, level)
        elif len(_unique_values(identifier, upper)) > 1:
            raise IdentifierMismatch(f"{_name(UNIQUE_KEYS[upper])} must have one value at level {level.value}")
    reached = LEVELS[: LEVELS.index(level) + 1]

    def uids(of: Level) -> tuple[str, ...]:
        return _unique_values(identifier, of) if of in reached else ()

    patient_ids = _unique_values(identifier, Level.PATIENT) if model is InformationModel.PATIENT_ROOT else ()
    return RetrieveKeys(
        level=level,
        patient_id=patient_ids[0] if patient_ids else None,
        issuer_of_patient_id=next(iter(_values(identifier, ISSUER_OF_PATIENT_ID)), None) if patient_ids else None,
        study_instance_uids=uids(Level.STUDY),
        series_instance_uids=uids(Level.SERIES),
        sop_instance_uids=uids(Level.IMAGE),
    )


def _level(identifier: Dataset, model: InformationModel) -> Level:
    text = first_text(identifier, _QUERY_RETRIEVE_LEVEL)
    if text is None:
        raise IdentifierMismatch("QueryRetrieveLevel is missing")
    try:
        level = Level(text)
    except ValueError as err:
        raise IdentifierMismatch("QueryRetrieveLevel must be PATIENT, STUDY, SERIES or IMAGE") from err
    if level is Level.PATIENT and model is InformationModel.STUDY_ROOT:
        raise IdentifierMismatch("the Study Root model has no QueryRetrieveLevel PATIENT")
    return level


def _levels_above(level: Level, model: InformationModel) -> tuple[Level, ...]:
    top = 0 if model is InformationModel.PATIENT_ROOT else 1
    return LEVELS[top : LEVELS.index(level)]


def _levels_at(level: Level, model: InformationModel) -> set[Level]:
    """The levels whose attributes the model has at ``level``."""
    if level is Level.STUDY and model is InformationModel.STUDY_ROOT:
        return {Level.PATIENT, Level.STUDY}
    return {level}


def _values(identifier: Dataset, tag: int) -> list[str]:
    """The values of a key. Raises IdentifierMismatch if a value is not text; it must not match everything."""
    values = values_text(identifier, tag)
    if not values and not _is_empty(identifier, tag):
        raise IdentifierMismatch(f"{_name(tag)} cannot be read")
    return values


def _is_empty(identifier: Dataset, tag: int) -> bool:
    try:
        element = identifier.get(tag)
    except UNREADABLE:
        return False
    if element is None or element.is_empty:
        return True
    if isinstance(element.value, bytes):
        return not element.value.strip(b" \0")
    return bool(element.VR != "SQ")


def _unique_values(identifier: Dataset, level: Level) -> tuple[str, ...]:
    """The values of the level's unique key, which takes no wild cards."""
    values = _values(identifier, UNIQUE_KEYS[level])
    if any("*" in value or "?" in value for value in values):
        if values == ["*"]:
            return ()
        raise IdentifierMismatch(f"{_name(UNIQUE_KEYS[level])} must not have wild cards here")
    return tuple(values)


def _require_single(identifier: Dataset, of: Level, level: Level) -> None:
    values = _unique_values(identifier, of)
    if not values:
        raise _missing(UNIQUE_KEYS[of], level)
    if len(values) > 1:
        raise IdentifierMismatch(f"{_name(UNIQUE_KEYS[of])} must have one value at level {level.value}")


def _missing(tag: int, level: Level) -> IdentifierMismatch:
    return IdentifierMismatch(f"{_name(tag)} is missing, which level {level.value} needs")


def _name(tag: int) -> str:
    return keyword_for_tag(tag)


def _is_computed_at(tag: int, level: Level) -> bool:
    of = COUNTS[tag][0] if tag in COUNTS else Level.STUDY
    return LEVELS.index(of) <= LEVELS.index(level)


def _conditions(identifier: Dataset, tag: int, comparison: Comparison) -> list[KeyCondition]:
    """Conditions of one key; none if it is universal. Raises IdentifierMismatch on a malformed value."""
    values = _values(identifier, tag)
    if not values or any(not value.strip("*") for value in values):
        return []
    if max(map(len, values)) > bounds.KEY_CHARACTERS:
        raise IdentifierMismatch(f"{_name(tag)} has a value of more than {bounds.KEY_CHARACTERS} characters")
    if comparison is Comparison.NAME:
        names = [_name_groups(value) for value in values]
        if sum(len(group.alternatives) for groups in names for group in groups) > bounds.KEY_PATTERNS:
            raise IdentifierMismatch(f"{_name(tag)} has more than {bounds.KEY_PATTERNS} components")
        if len(names) == 1:
            return [KeyCondition(tag, (group,)) for group in names[0]]
        if any(len(groups) != 1 for groups in names):
            raise IdentifierMismatch(f"{_name(tag)} has several values, of which one has several component groups")
        return [KeyCondition(tag, tuple(group for groups in names for group in groups))]
    matchings = [_matching(value, tag, comparison) for value in values]
    found = tuple(matching for matching in matchings if matching is not None)
    if sum(not isinstance(matching, Value) for matching in found) > bounds.KEY_PATTERNS:
        raise IdentifierMismatch(f"{_name(tag)} has more than {bounds.KEY_PATTERNS} wild cards or ranges")
    return [KeyCondition(tag, found)] if len(found) == len(matchings) else []


def _matching(text: str, tag: int, comparison: Comparison) -> Matching | None:
    match comparison:
        case Comparison.TEXT:
            return _text(text)
        case Comparison.NUMBER:
            number = normal_number(text)
            if number is None:
                raise IdentifierMismatch(f"{_name(tag)} must be an integer")
            return Value(number)
        case Comparison.DATE:
            return _range(text, tag, _date_span)
        case Comparison.TIME:
            return _range(text, tag, time_span)
        case _:
            return Value(text)


def _text(text: str) -> Value | Wildcard:
    return Wildcard(text) if "*" in text or "?" in text else Value(text)


def _date_span(text: str) -> tuple[str, str] | None:
    date = normal_date(text)
    return None if date is None else (date, date)


def _range(text: str, tag: int, span: Callable[[str], tuple[str, str] | None]) -> Value | Range | None:
    low_text, dash, high_text = (part.strip(PADDING) for part in text.partition("-"))
    low, high = span(low_text), span(high_text)
    if (low_text and low is None) or (high_text and high is None):
        raise IdentifierMismatch(f"{_name(tag)} must be a date or time, or a range of them")
    if not dash and low is not None:
        return Value(low[0]) if low[0] == low[1] else Range(*low)
    if low is None and high is None:
        return None
    first, last = low[0] if low else None, high[1] if high else None
    past_midnight = span is time_span and first is not None and last is not None and first > last
    return Range(first, last, past_midnight)


def _name_groups(text: str) -> list[NameGroup]:
    """Conditions on the component groups of a name; one group alone may be any of the three (PS3.5 6.2.1)."""
    groups = text.split("=")[:3]
    wanted = [((number,) if len(groups) > 1 else (0, 1, 2), group) for number, group in enumerate(groups)]
    return [NameGroup(where, _alternatives(group)) for where, group in wanted if group.strip("*^ ")]


def _alternatives(group: str) -> tuple[Value | Wildcard, ...]:
    """``DOE^*`` also matches DOE, whose further components are empty."""
    pattern = re.sub(r"\*+", "*", normal_name_group(group))
    patterns = [pattern]
    while pattern.endswith("^*"):
        pattern = pattern.removesuffix("^*").rstrip("^")
        patterns.append(pattern)
    return tuple(_text(spelling) for pattern in patterns for spelling in spellings(pattern))
