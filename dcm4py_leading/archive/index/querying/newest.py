"""One page of matching studies, newest first, at a cost almost independent of the size of the index.

First the matches of each indexed condition are counted, up to `NARROW`. If the smallest count is below this limit, the
matches of that condition are the candidates, which are sorted. Otherwise the index of Study Date is read from its end
until a page is full, or `WALK` studies were tested: then the page is short, and the next page continues there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, or_, select, union_all

from dcm4py_leading.archive.index.keys import KEY_OF, PATIENT_ID, STUDY_INSTANCE_UID
from dcm4py_leading.archive.index.querying.query import KeyCondition, Query
from dcm4py_leading.archive.index.querying.statements import alternatives, fulfils
from dcm4py_leading.archive.index.tables import TABLES, patient, study
from dcm4py_leading.model.values import Level

NARROW = 2_000
"""Number of rows, patients or studies, up to which a condition gives the candidates."""

WALK = 10_000
"""Number of studies that are looked at for a page where there are no candidates."""

_STUDY_DATE = 0x00080020
_PATIENT_NAME = 0x00100010
_PATIENT_BIRTH_DATE = 0x00100030
_ACCESSION_NUMBER = 0x00080050
_INDEXED = frozenset({_PATIENT_NAME, PATIENT_ID, _PATIENT_BIRTH_DATE, _ACCESSION_NUMBER, STUDY_INSTANCE_UID})
"""A range of dates is a part of the index that is walked."""


class Position(NamedTuple):
    """The last study of a page: its Study Date as YYYYMMDD, if it has one, and its primary key."""

    study_date: str | None
    pk: int


_BEFORE_UNDATED = Position(None, 2**63 - 1)
"""Studies without a date come last."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Candidates: primary keys of the patients or studies that fulfil a condition; duplicates are possible."""

    condition: KeyCondition
    pks: Sequence[int]


@dataclass(frozen=True, slots=True)
class NewestPage:
    """A page."""

    found: Sequence[Position]
    next: Position | None
    """The next page begins after it, even if it is no match; None if there is no other."""


def newest(connection: Connection, query: Query, after: Position | None, most: int) -> NewestPage:
    """The next ``most`` studies after a position, by Study Date. Raises SQLAlchemyError."""
    among = candidates(connection, query)
    is_tested = any(condition.tag != _STUDY_DATE for condition in query.conditions)
    found: list[Position] = []
    while True:
        end = _read_end(connection, query, after) if among is None and is_tested else None
        found += _read(connection, page(query, among, after, end, most + 1 - len(found)))
        if len(found) > most:
            return NewestPage(found[:most], found[most - 1])
        if end is not None:
            return NewestPage(found, end)
        if after is None or after.study_date is None:
            return NewestPage(found, None)
        after = _BEFORE_UNDATED


def _read_end(connection: Connection, query: Query, after: Position | None) -> Position | None:
    row = connection.execute(end_of_walk(query, after)).first()
    return None if row is None else Position(row[1], row[0])


def _read(connection: Connection, statement: Select[int, str]) -> list[Position]:
    return [Position(date, pk) for pk, date in connection.execute(statement)]


def candidates(connection: Connection, query: Query) -> Candidates | None:
    """Candidates of the condition with the fewest matches; None if every condition has more than `NARROW`."""
    best: Candidates | None = None
    for condition in query.conditions:
        if condition.tag in _INDEXED:
            pks = connection.scalars(narrowing(condition)).all()
            if len(pks) <= NARROW and (best is None or len(pks) < len(best.pks)):
                best = Candidates(condition, pks)
    return best


def narrowing(condition: KeyCondition) -> Select[int]:
    """Primary keys of patients or studies that fulfil a condition, by indexes only, up to one over the limit."""
    table = TABLES[KEY_OF[condition.tag].level]
    # Not joined by OR, for which SQLite reads the rows.
    parts = [select(table.c.pk).where(part) for part in alternatives(_columns(condition), condition.any_of)]
    pks = union_all(*parts).subquery()
    return select(pks.c.pk).limit(NARROW + 1)


def end_of_walk(query: Query, after: Position | None) -> Select[int, str]:
    """The last of the `WALK` studies after a position; none if there are fewer."""
    dates = [fulfils(condition) for condition in query.conditions if condition.tag == _STUDY_DATE]
    return _ordered(study.c.study_date, [*dates, *_later(study.c.study_date, after)]).offset(WALK - 1).limit(1)


def page(
    query: Query, among: Candidates | None, after: Position | None, end: Position | None, most: int
) -> Select[int, str]:
    """Primary key and Study Date of studies that match: after a position, up to another one, among the candidates."""
    others = [one for one in query.conditions if among is None or one is not among.condition]
    conditions = [_tested(one, is_walked=among is None) for one in others]
    # An expression prevents SQLite from using the index of this column.
    date: ColumnElement[str] = study.c.study_date if among is None else study.c.study_date.concat("")
    if among is not None:
        is_of_patients = KEY_OF[among.condition.tag].level is Level.PATIENT
        conditions.append((study.c.patient_fk if is_of_patients else study.c.pk).in_(among.pks))
    return _ordered(date, [*conditions, *_later(date, after), *_up_to(date, end)]).limit(most)


def _ordered(date: ColumnElement[str], conditions: Sequence[ColumnElement[bool]]) -> Select[int, str]:
    rows = select(study.c.pk, study.c.study_date).where(*conditions)
    return rows.order_by(date.desc().nulls_last(), study.c.pk.desc())


def _later(date: ColumnElement[str], after: Position | None) -> list[ColumnElement[bool]]:
    """Conditions on studies after a position; after a dated one, only dated studies."""
    if after is None:
        return []
    if after.study_date is None:
        return [date.is_(None), study.c.pk < after.pk]
    return [date <= after.study_date, or_(date < after.study_date, study.c.pk < after.pk)]


def _up_to(date: ColumnElement[str], end: Position | None) -> list[ColumnElement[bool]]:
    if end is None:
        return []
    if end.study_date is None:
        return [or_(date.is_not(None), study.c.pk >= end.pk)]
    return [date >= end.study_date, or_(date > end.study_date, study.c.pk >= end.pk)]


def _tested(condition: KeyCondition, *, is_walked: bool) -> ColumnElement[bool]:
    """The condition on each study; a range of dates limits the walk."""
    key = KEY_OF.get(condition.tag)
    if key is None or (key.tag == _STUDY_DATE and is_walked):
        return fulfils(condition)
    test = or_(*alternatives([column.concat("") for column in _columns(condition)], condition.any_of))
    if key.level is Level.STUDY:
        return test
    return select(patient.c.pk).where(patient.c.pk == study.c.patient_fk, test).correlate(study).exists()


def _columns(condition: KeyCondition) -> Sequence[ColumnElement[str]]:
    key = KEY_OF[condition.tag]
    return [TABLES[key.level].c[name] for name in key.columns]
