"""Queries as prepared SQL text: compiled once for each form, then run by SQLite's driver with new values."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Select
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from dcm4py_leading.archive.index.querying import statements
from dcm4py_leading.archive.index.querying.query import (
    KeyCondition,
    Matching,
    NameGroup,
    Query,
    Range,
    RetrieveKeys,
    Value,
    Wildcard,
)

_DIALECT = SQLiteDialect_pysqlite(paramstyle="qmark")
_MAX_VALUES = 32
_MARK = "\0"
_PLACES = tuple(f"{_MARK}{number}" for number in range(_MAX_VALUES))
"""Texts that stand for the values of a query in its form. No wild card is among them."""

Rows = Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class _Text:
    """An SQLite statement. Each parameter is the number of a value, or else a constant."""

    sql: str
    parameters: tuple[tuple[int | None, object], ...]

    def bound(self, values: Sequence[str]) -> list[object]:
        return [constant if number is None else values[number] for number, constant in self.parameters]


def pages(connection: Connection, query: Query, fetch_size: int) -> Iterator[Rows]:
    """The rows of `statements.matches`, ``fetch_size`` at a time. Raises SQLAlchemyError, sqlite3.Error."""
    formed = _form(query) if connection.dialect.name == "sqlite" else None
    if formed is None:
        result = connection.execution_options(yield_per=fetch_size).execute(statements.matches(query))
        yield from result.partitions()
        return
    form, values = formed
    text = _matches(form)
    cursor = _driver(connection).execute(text.sql, text.bound(values))
    while rows := cursor.fetchmany(fetch_size):
        yield rows


def count(connection: Connection, query: Query, most: int | None) -> int:
    """Number of entities that match, as `statements.count` has it. Raises SQLAlchemyError, sqlite3.Error."""
    formed = _form(query) if connection.dialect.name == "sqlite" else None
    if formed is None:
        return connection.execute(statements.count(query, most)).scalar_one()
    form, values = formed
    text = _count(form, most)
    row: tuple[int] = _driver(connection).execute(text.sql, text.bound(values)).fetchone()
    return row[0]


def storage_ids(connection: Connection) -> frozenset[str]:
    """The storages of all instances. Raises SQLAlchemyError."""
    found: set[str] = set()
    last: str | None = ""
    while (last := connection.execute(statements.NEXT_STORAGE, {"last": last}).scalar()) is not None:
        found.add(last)
    return frozenset(found)


def rows_below(connection: Connection, statement: Select[*tuple[Any, ...]], pks: Sequence[int]) -> Rows:
    """The rows of a statement that takes `statements.PKS`. Raises SQLAlchemyError, sqlite3.Error."""
    if connection.dialect.name != "sqlite" or not pks:
        return connection.execute(statement, {statements.PKS: pks}).all()
    size = 1
    while size < len(pks):
        size *= 4
    # Some keys twice do no harm, and there are few texts to compile.
    padded = [*pks, *[pks[-1]] * (size - len(pks))]
    return _driver(connection).execute(_below(statement, size), padded).fetchall()


def instances(connection: Connection, keys: RetrieveKeys) -> Rows:
    """The rows of `statements.instances`. Raises SQLAlchemyError, sqlite3.Error."""
    uids = (*keys.study_instance_uids, *keys.series_instance_uids, *keys.sop_instance_uids)
    if connection.dialect.name != "sqlite" or len(uids) > _MAX_VALUES // 4:
        return connection.execute(statements.instances(keys)).all()
    values: list[str] = []

    def place(text: str) -> str:
        values.append(text)
        return _PLACES[len(values) - 1]

    form = RetrieveKeys(
        level=keys.level,
        patient_id=None if keys.patient_id is None else place(keys.patient_id),
        issuer_of_patient_id=None if keys.issuer_of_patient_id is None else place(keys.issuer_of_patient_id),
        study_instance_uids=tuple(map(place, keys.study_instance_uids)),
        series_instance_uids=tuple(map(place, keys.series_instance_uids)),
        sop_instance_uids=tuple(map(place, keys.sop_instance_uids)),
    )
    text = _instances(form)
    return _driver(connection).execute(text.sql, text.bound(values)).fetchall()


@lru_cache(maxsize=256)
def _instances(form: RetrieveKeys) -> _Text:
    return _compiled(statements.instances(form))


@lru_cache(maxsize=256)
def _matches(form: Query) -> _Text:
    return _compiled(statements.matches(form))


@lru_cache(maxsize=256)
def _count(form: Query, most: int | None) -> _Text:
    return _compiled(statements.count(form, most))


@lru_cache(maxsize=128)
def _below(statement: Select[*tuple[Any, ...]], size: int) -> str:
    return _compiled(statement, {statements.PKS: list(range(size))}).sql


def _compiled(statement: Select[*tuple[Any, ...]], given: Mapping[str, object] | None = None) -> _Text:
    state = statement.compile(dialect=_DIALECT).construct_expanded_state(given)
    return _Text(state.statement, tuple(_parameter(value) for value in state.positional_parameters))


def _parameter(value: object) -> tuple[int | None, object]:
    if isinstance(value, str) and value.startswith(_MARK):
        return int(value[1:]), None
    return None, value


def _form(query: Query) -> tuple[Query, list[str]] | None:
    """``query`` with a mark for each value, and the values as SQL compares them; None if there are many."""
    if sum(len(condition.any_of) for condition in query.conditions) > _MAX_VALUES // 4:
        return None
    values: list[str] = []

    def place(text: str) -> str:
        values.append(text)
        return _PLACES[len(values) - 1]

    def text_form(matching: Value | Wildcard) -> Value | Wildcard:
        if isinstance(matching, Value):
            return Value(place(matching.text))
        return Wildcard(place(statements.like_pattern(matching.pattern)))

    def form(matching: Matching) -> Matching:
        match matching:
            case Range(low, high, past_midnight):
                return Range(None if low is None else place(low), None if high is None else place(high), past_midnight)
            case NameGroup(groups, alternatives):
                return NameGroup(groups, tuple(map(text_form, alternatives)))
            case _:
                return text_form(matching)

    try:
        conditions = tuple(KeyCondition(one.tag, tuple(map(form, one.any_of))) for one in query.conditions)
    except IndexError:
        return None
    return Query(level=query.level, conditions=conditions), values


def _driver(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver
