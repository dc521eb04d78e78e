"""Statements of the hot path: compiled once, and run without SQLAlchemy's work for each execution."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Insert, Select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import IntegrityError as RefusedByConstraint


class Prepared:
    """A statement with named parameters. Safe for threads."""

    def __init__(self, statement: Insert | Select[Any], *, columns: Sequence[str] | None = None) -> None:
        """``columns`` are those that an INSERT gives values to."""
        self._statement = statement
        self._columns = columns
        self._sqlite: tuple[str, tuple[str, ...]] | None = None

    def rows(self, connection: Connection, values: Mapping[str, object]) -> Sequence[Sequence[Any]]:
        """Execute it within the transaction of ``connection``; all rows. Raises SQLAlchemyError.

        With SQLite, values go to the driver as they are; for other databases SQLAlchemy converts them.
        """
        driver: object = connection.connection.dbapi_connection
        if not isinstance(driver, sqlite3.Connection):
            result = connection.execute(self._statement, values)
            return result.all() if result.returns_rows else ()
        text, names = self._sqlite or self._compile(connection)
        try:
            return driver.execute(text, [values[name] for name in names]).fetchall()
        except sqlite3.IntegrityError as err:
            raise RefusedByConstraint(text, None, err) from err
        except sqlite3.Error as err:
            raise DBAPIError(text, None, err) from err

    def _compile(self, connection: Connection) -> tuple[str, tuple[str, ...]]:
        compiled = self._statement.compile(dialect=connection.dialect, column_keys=self._columns)
        self._sqlite = (str(compiled), tuple(compiled.positiontup or ()))
        return self._sqlite
