"""Statements of the hot path: compiled once, and run without what SQLAlchemy does for each execution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, CursorResult, Insert, Select
from sqlalchemy.engine import Dialect


class Prepared:
    """A statement with named parameters. Safe for threads."""

    def __init__(self, statement: Insert | Select[Any], *, columns: Sequence[str] | None = None) -> None:
        """``columns`` are those that an INSERT gives values to."""
        self._statement = statement
        self._columns = columns
        self._compiled: dict[str, tuple[str, tuple[str, ...]]] = {}

    def run(self, connection: Connection, values: Mapping[str, object]) -> CursorResult[Any]:
        """Execute it. Values go to SQLite's driver as they are; for other databases SQLAlchemy converts them."""
        dialect = connection.dialect
        if dialect.name != "sqlite":
            return connection.execute(self._statement, values)
        text, names = self._compiled.get(dialect.name) or self._compile(dialect)
        return connection.exec_driver_sql(text, tuple([values[name] for name in names]))

    def _compile(self, dialect: Dialect) -> tuple[str, tuple[str, ...]]:
        compiled = self._statement.compile(dialect=dialect, column_keys=self._columns)
        made = (str(compiled), tuple(compiled.positiontup or ()))
        self._compiled[dialect.name] = made
        return made
