"""From a Query to SQL, the same for SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

from sqlalchemy import BindParameter, Column, ColumnElement, FromClause, Select, and_, bindparam, func, or_, select

from dcm4py_leading.archive.keys import (
    COUNTS,
    KEYS,
    LEVELS,
    MODALITIES_IN_STUDY,
    SOP_CLASSES_IN_STUDY,
    Key,
)
from dcm4py_leading.archive.query import Condition, Matching, NameGroup, Query, Range, RetrieveKeys, Value, Wildcard
from dcm4py_leading.archive.tables import TABLES, instance, patient, series, study
from dcm4py_leading.model.values import Level

_KEY_OF: Mapping[int, Key] = {key.tag: key for key in KEYS}
_ESCAPE = "\\"
PKS = "pks"
"""The parameter that takes primary keys."""


def levels_to(level: Level) -> tuple[Level, ...]:
    """``level`` and those above it, from the top down."""
    return LEVELS[: LEVELS.index(level) + 1]


def pk_label(level: Level) -> str:
    """How `matches` calls the primary key of a level."""
    return f"{level.value.lower()}_pk"


def attributes_label(level: Level) -> str:
    """How `matches` calls the attributes of a level."""
    return f"{level.value.lower()}_attributes"


def matches(query: Query) -> Select[*tuple[Any, ...]]:
    """The rows that match, in the order in which they came into the index."""
    pk = TABLES[query.level].c.pk
    # SQLite would rather walk all rows in this order than sort the few of an index: an expression has no order.
    is_limited_above = any(_KEY_OF[c.tag].level is not query.level for c in query.conditions if c.tag in _KEY_OF)
    return _rows_of(query.level).where(*_where(query)).order_by(pk + 0 if is_limited_above else pk)


@lru_cache(maxsize=8)
def _rows_of(level: Level) -> Select[*tuple[Any, ...]]:
    columns: list[ColumnElement[object]] = []
    for upper in levels_to(level):
        columns += [
            TABLES[upper].c.pk.label(pk_label(upper)),
            TABLES[upper].c.attributes.label(attributes_label(upper)),
        ]
    return select(*columns).select_from(_joined(level))


def count(query: Query, most: int | None = None) -> Select[int]:
    """How many rows match; none beyond ``most`` is looked at."""
    if most is None:
        return select(func.count()).select_from(_joined(query.level)).where(*_where(query))
    found = select(TABLES[query.level].c.pk).select_from(_joined(query.level)).where(*_where(query)).limit(most)
    return select(func.count()).select_from(found.subquery())


def instances(keys: RetrieveKeys) -> Select[*tuple[Any, ...]]:
    """The instances of a retrieve, series by series, each with the primary key of its series; see `series_of`."""
    conditions: list[ColumnElement[bool]] = []
    if keys.patient_id is not None:
        conditions.append(patient.c.patient_id == keys.patient_id)
        if keys.issuer_of_patient_id is not None:
            conditions.append(patient.c.issuer_of_patient_id == keys.issuer_of_patient_id)
    for column, uids in (
        (study.c.study_instance_uid, keys.study_instance_uids),
        (series.c.series_instance_uid, keys.series_instance_uids),
        (instance.c.sop_instance_uid, keys.sop_instance_uids),
    ):
        if uids:
            conditions.append(column.in_(uids))
    return (
        select(
            series.c.pk,
            instance.c.sop_instance_uid,
            instance.c.sop_class_uid,
            instance.c.transfer_syntax_uid,
            instance.c.storage_id,
            instance.c.storage_path,
            instance.c.size,
            instance.c.digest,
            instance.c.attributes,
        )
        .select_from(_joined(Level.IMAGE))
        .where(*conditions)
        .order_by(study.c.pk, series.c.pk, instance.c.pk)
    )


@lru_cache(maxsize=1)
def series_of() -> Select[*tuple[Any, ...]]:
    """For each of the series `PKS`, the UIDs of study and series and the attributes of patient, study and series."""
    levels = levels_to(Level.SERIES)
    return (
        select(
            series.c.pk,
            study.c.study_instance_uid,
            series.c.series_instance_uid,
            *(TABLES[level].c.attributes.label(attributes_label(level)) for level in levels),
        )
        .select_from(_joined(Level.SERIES))
        .where(series.c.pk.in_(_pks()))
    )


@lru_cache(maxsize=64)
def related_count(tag: int) -> Select[int, int]:
    """For each of the entities `PKS`, how many of those below it there are (Number of Study Related Series ...)."""
    of, counted = COUNTS[tag]
    owner = TABLES[LEVELS[LEVELS.index(of) + 1]].c[f"{of.value.lower()}_fk"]
    below = levels_to(counted)[LEVELS.index(of) + 1 :]
    return select(owner, func.count()).select_from(_chain(below)).where(owner.in_(_pks())).group_by(owner)


@lru_cache(maxsize=64)
def collected(tag: int) -> Select[int, str]:
    """For each of the studies `PKS`, the different values of Modality, SOP Class UID, or Retrieve AE Title below it."""
    column, below = {
        MODALITIES_IN_STUDY: (series.c.modality, series),
        SOP_CLASSES_IN_STUDY: (instance.c.sop_class_uid, _chain((Level.SERIES, Level.IMAGE))),
    }[tag]
    return (
        select(series.c.study_fk, column)
        .select_from(below)
        .where(series.c.study_fk.in_(_pks()), column.is_not(None))
        .distinct()
        .order_by(series.c.study_fk, column)
    )


@lru_cache(maxsize=64)
def retrieve_ae_titles(level: Level) -> Select[int, str]:
    """For each of the studies or series `PKS`, the different lists of Retrieve AE Titles."""
    owner = series.c.study_fk if level is Level.STUDY else series.c.pk
    return select(owner, series.c.retrieve_ae_titles).where(owner.in_(_pks())).distinct()


def _pks() -> BindParameter[Sequence[int]]:
    return bindparam(PKS, expanding=True)


@lru_cache(maxsize=64)
def _joined(level: Level) -> FromClause:
    return _chain(levels_to(level))


def _chain(levels: Sequence[Level]) -> FromClause:
    """The tables of consecutive levels, joined."""
    joined: FromClause = TABLES[levels[0]]
    for upper, lower in pairwise(levels):
        joined = joined.join(TABLES[lower], TABLES[lower].c[f"{upper.value.lower()}_fk"] == TABLES[upper].c.pk)
    return joined


def _where(query: Query) -> list[ColumnElement[bool]]:
    return [_fulfils(condition) for condition in query.conditions]


def _fulfils(condition: Condition) -> ColumnElement[bool]:
    match condition.tag:
        case tag if tag == MODALITIES_IN_STUDY:
            below = select(series.c.pk).where(
                series.c.study_fk == study.c.pk, _any_of([series.c.modality], condition.any_of)
            )
            return below.correlate(study).exists()
        case tag if tag == SOP_CLASSES_IN_STUDY:
            below = (
                select(instance.c.pk)
                .select_from(_chain((Level.SERIES, Level.IMAGE)))
                .where(series.c.study_fk == study.c.pk, _any_of([instance.c.sop_class_uid], condition.any_of))
            )
            return below.correlate(study).exists()
        case tag:
            key = _KEY_OF[tag]
            return _any_of([TABLES[key.level].c[name] for name in key.columns], condition.any_of)


def _any_of(columns: Sequence[Column[str]], any_of: Sequence[Matching]) -> ColumnElement[bool]:
    values = [matching.text for matching in any_of if isinstance(matching, Value)]
    alternatives = [_compared(columns, matching) for matching in any_of if not isinstance(matching, Value)]
    if values:
        alternatives.append(columns[0].in_(values))
    return or_(*alternatives)


def _compared(columns: Sequence[Column[str]], matching: Matching) -> ColumnElement[bool]:
    column = columns[0]
    match matching:
        case Value(text):
            return column == text
        case Wildcard(pattern):
            return column.like(like_pattern(pattern), escape=_ESCAPE)
        case Range(low, high, past_midnight):
            bounds = [column >= low] if low is not None else []
            bounds += [column <= high] if high is not None else []
            return or_(*bounds) if past_midnight else and_(*bounds)
        case NameGroup(groups, alternatives):
            return or_(*(_compared([columns[group]], text) for group in groups for text in alternatives))


def like_pattern(pattern: str) -> str:
    """A DICOM wild card pattern as one of SQL's LIKE."""
    translation: dict[str, str] = {"*": "%", "?": "_", "%": r"\%", "_": r"\_", "\\": r"\\"}
    return "".join(translation.get(char, char) for char in pattern)
