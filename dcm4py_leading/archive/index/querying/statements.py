"""SQL of a Query, the same for SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    CompoundSelect,
    FromClause,
    Select,
    and_,
    bindparam,
    cast,
    func,
    or_,
    select,
    union_all,
)

from dcm4py_leading.archive.index.keys import (
    COUNTS,
    KEY_OF,
    LEVELS,
    MODALITIES_IN_STUDY,
    PATIENT_ID,
    SOP_CLASSES_IN_STUDY,
    UNIQUE_KEYS,
    Comparison,
)
from dcm4py_leading.archive.index.querying.query import (
    KeyCondition,
    Matching,
    NameGroup,
    OrderBy,
    Part,
    Query,
    Range,
    RetrieveKeys,
    Value,
    Wildcard,
)
from dcm4py_leading.archive.index.tables import TABLES, instance, patient, series, study
from dcm4py_leading.model.values import Level

_ESCAPE = "\\"
_PATIENT_NAME = 0x00100010
_STUDY_DATE = 0x00080020
_ACCESSION_NUMBER = 0x00080050
_NEARLY_UNIQUE = frozenset({*UNIQUE_KEYS.values(), _ACCESSION_NUMBER})
_INDEXED = frozenset({_PATIENT_NAME, PATIENT_ID, _STUDY_DATE, _ACCESSION_NUMBER})
PKS = "pks"
"""The parameter that takes primary keys."""


def levels_to(level: Level) -> tuple[Level, ...]:
    """``level`` and those above it, from the top down."""
    return LEVELS[: LEVELS.index(level) + 1]


def pk_label(level: Level) -> str:
    """Name that `matches` gives to the primary key of a level."""
    return f"{level.value.lower()}_pk"


def attributes_label(level: Level) -> str:
    """Name that `matches` gives to the attributes of a level."""
    return f"{level.value.lower()}_attributes"


def matches(query: Query) -> Select[*tuple[Any, ...]]:
    """The rows that match, in the order in which they were added to the index.

    If indexed conditions may have many matches, a subquery on the indexes gives the primary keys in order, and rows are
    read as they are fetched. Otherwise SQLite would read and sort all rows before the first one.
    """
    pk = TABLES[query.level].c.pk
    rows = _rows_of(query.level)
    if listed := _listed(query):
        return rows.where(*_where(query, listed)).order_by(pk)
    # SQLite would rather walk all rows in this order than sort the few of an index: an expression has no order.
    is_limited_above = any(KEY_OF[c.tag].level is not query.level for c in query.conditions if c.tag in KEY_OF)
    return rows.where(*_where(query)).order_by(pk + 0 if is_limited_above else pk)


def part(query: Query, wanted: Part) -> Select[int]:
    """The primary keys of a part of the rows that match; rows that are equal to the order are in that of `matches`."""
    pk = TABLES[query.level].c.pk
    rows = matches(query).with_only_columns(pk, maintain_column_froms=True)
    if wanted.order:
        rows = rows.order_by(None).order_by(*map(_ordered, wanted.order), pk)
    if wanted.limit is not None:
        rows = rows.limit(wanted.limit)
    return rows.offset(wanted.offset) if wanted.offset else rows


def _ordered(order: OrderBy) -> ColumnElement[Any]:
    key = KEY_OF[order.tag]
    column: ColumnElement[Any] = TABLES[key.level].c[key.column]
    if key.comparison is Comparison.NUMBER:
        column = cast(column, BigInteger)
    return (column.desc() if order.is_descending else column.asc()).nulls_last()


NEXT_STORAGE = select(func.min(instance.c.storage_id)).where(instance.c.storage_id > bindparam("last"))
"""The storage of an instance that comes next in order: as many look-ups in an index as there are storages."""


def studies_after(pk: int, most: int, since: str | None) -> Select[int, bytes, bytes]:
    """Primary key, attributes of the patient and of the study, of ``most`` studies above ``pk``, in that order.

    ``since`` is a Study Date as YYYYMMDD: of that day or later.
    """
    rows = select(study.c.pk, patient.c.attributes, study.c.attributes).select_from(_joined(Level.STUDY))
    rows = rows.where(study.c.pk > pk).order_by(study.c.pk).limit(most)
    # An expression has no index: all of that date would be sorted for each page.
    return rows if since is None else rows.where(study.c.study_date.concat("") >= since)


@lru_cache(maxsize=8)
def rows_of(level: Level) -> Select[*tuple[Any, ...]]:
    """The rows of `matches` for the entities `PKS`, in no order."""
    return _rows_of(level).where(TABLES[level].c.pk.in_(_pks()))


def matches_among(query: Query) -> Select[*tuple[Any, ...]]:
    """The rows of `matches` among the entities `PKS`, in no order.

    They are matched again, as SQLite may have reused the key of a deleted entity.
    """
    return rows_of(query.level).where(*_where(query))


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
    """Statement that counts the matching rows, up to ``most``."""
    # One index alone is walked until there are enough; of several, SQLite might walk the longer one.
    has_choice = sum(condition.tag in _INDEXED for condition in query.conditions) > 1
    conditions = _where(query, _listed(query) if has_choice else ())
    below = _chain(_levels_needed(query))
    if most is None:
        return select(func.count()).select_from(below).where(*conditions)
    found = select(TABLES[query.level].c.pk).select_from(below).where(*conditions).limit(most)
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
    """For each of the entities `PKS`, the number of entities below it (Number of Study Related Series ...)."""
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


def _levels_needed(query: Query) -> Sequence[Level]:
    """Levels from the uppermost one with a condition to that of the query."""
    tops = [KEY_OF[c.tag].level if c.tag in KEY_OF else Level.STUDY for c in query.conditions]
    return LEVELS[min(map(LEVELS.index, [*tops, query.level])) : LEVELS.index(query.level) + 1]


def _where(query: Query, listed: Sequence[KeyCondition] = ()) -> list[ColumnElement[bool]]:
    pk = TABLES[query.level].c.pk
    return [
        pk.in_(_list_of(condition, query.level)) if condition in listed else fulfils(condition)
        for condition in query.conditions
    ]


def _listed(query: Query) -> Sequence[KeyCondition]:
    """The conditions that `_list_of` can list, without those that read much of an index if others do not.

    None if another condition has only a few matches.
    """
    if any(c.tag in _NEARLY_UNIQUE and all(isinstance(m, Value) for m in c.any_of) for c in query.conditions):
        return ()
    listed = [condition for condition in query.conditions if condition.tag in _INDEXED]
    closed = [condition for condition in listed if not any(_is_open(matching) for matching in condition.any_of)]
    return closed or listed


def _is_open(matching: Matching) -> bool:
    """True if this condition reads much of an index."""
    match matching:
        case Range(low, high):
            return low is None or high is None
        case Wildcard(pattern):
            return pattern.startswith(("*", "?"))
        case NameGroup(_, alternatives):
            return any(_is_open(alternative) for alternative in alternatives)
        case Value():
            return False


def _list_of(condition: KeyCondition, level: Level) -> Select[int] | CompoundSelect[int]:
    """Primary keys of ``level`` that fulfil a condition, by indexes only: no row is read."""
    key = KEY_OF[condition.tag]
    table = TABLES[key.level]
    columns = [table.c[name] for name in key.columns]
    # Not joined by OR, for which SQLite reads the rows.
    parts = [select(table.c.pk).where(part) for part in alternatives(columns, condition.any_of)]
    found: Select[int] | CompoundSelect[int] = union_all(*parts) if len(parts) > 1 else parts[0]
    for upper, lower in pairwise(LEVELS[LEVELS.index(key.level) : LEVELS.index(level) + 1]):
        below = TABLES[lower]
        found = select(below.c.pk).where(below.c[f"{upper.value.lower()}_fk"].in_(found))
    return found


def fulfils(condition: KeyCondition) -> ColumnElement[bool]:
    """The condition on the row of its level, or of the study."""
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
            key = KEY_OF[tag]
            return _any_of([TABLES[key.level].c[name] for name in key.columns], condition.any_of)


def _any_of(columns: Sequence[ColumnElement[str]], any_of: Sequence[Matching]) -> ColumnElement[bool]:
    return or_(*alternatives(columns, any_of))


def alternatives(columns: Sequence[ColumnElement[str]], any_of: Sequence[Matching]) -> list[ColumnElement[bool]]:
    """Alternative conditions on the columns of a key."""
    values = [matching.text for matching in any_of if isinstance(matching, Value)]
    found: list[ColumnElement[bool]] = [columns[0].in_(values)] if values else []
    for matching in any_of:
        match matching:
            case Wildcard(pattern):
                # SQLite finds a pattern that begins with text by the index, where LIKE is case sensitive.
                found.append(columns[0].like(like_pattern(pattern), escape=_ESCAPE))
            case Range(low, high, past_midnight):
                bounds = [columns[0] >= low] if low is not None else []
                bounds += [columns[0] <= high] if high is not None else []
                found.append(or_(*bounds) if past_midnight else and_(*bounds))
            case NameGroup(groups, texts):
                found += [part for group in groups for part in alternatives([columns[group]], texts)]
    return found


def like_pattern(pattern: str) -> str:
    """A DICOM wild card pattern as one of SQL's LIKE."""
    translation: dict[str, str] = {"*": "%", "?": "_", "%": r"\%", "_": r"\_", "\\": r"\\"}
    return "".join(translation.get(char, char) for char in pattern)
