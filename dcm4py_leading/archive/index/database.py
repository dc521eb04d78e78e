"""The database of the index: connections, transactions, and SQL errors turned into ours."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from dcm4py_leading import progress
from dcm4py_leading.errors import IndexUnavailable

LOG = logging.getLogger(__name__)

_BUSY_TIMEOUT_MS = 30_000
_MIGRATIONS = Path(__file__).parents[1] / "migrations"
HEAD = "0008"
"""The newest revision of the tables."""


class Conflict(Exception):
    """Another transaction has written the same entity: try again."""


class Database:
    """A pool of connections to a database whose tables are those of `tables`. Safe for threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # Kept open, as opening takes a tenth of the time of a store.
        self._writer: Connection | None = None
        is_sqlite = engine.dialect.name == "sqlite"
        self._reading_engine = engine if is_sqlite else engine.execution_options(isolation_level="REPEATABLE READ")

    @classmethod
    def open(cls, url: str, *, may_upgrade: bool = True) -> Database:
        """Connect to a SQLAlchemy URL; upgrade the tables if ``may`` allows it. Raises IndexUnavailable."""
        with _ERRORS:
            engine = _engine(url, may_be_made=may_upgrade)
        database = cls(engine)
        try:
            with database.writing() if may_upgrade else database.reading() as connection:
                if is_current(connection):
                    pass
                elif may_upgrade:
                    upgrade(connection)
                else:
                    raise IndexUnavailable(
                        "the index is not there, or of another version. A service that starts alone on its data "
                        "directory makes it, or brings it up to date: stop the others first"
                    )
        except BaseException:  # cleans up and raises on, whatever it was
            database.close()
            raise
        return database

    def close(self) -> None:
        """Close idle connections now, and those in use when they are returned."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database and does not block writers. Raises IndexUnavailable."""
        with _ERRORS, self._reading_engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is durable once the block has ended; for one thread at a time.

        Raises IndexUnavailable, Conflict.
        """
        with _ERRORS:
            connection = self._writer
            self._writer = None
            if connection is None:
                connection = self._engine.connect()
            driver: object = connection.connection.dbapi_connection
            try:
                if isinstance(driver, sqlite3.Connection):
                    # Without SQLAlchemy, which costs more than a store, as long as nobody executes by it. IMMEDIATE: a
                    # transaction that begins to write after it has read fails when another wrote in between.
                    driver.execute("BEGIN IMMEDIATE")
                    yield connection
                    (connection if connection.in_transaction() else driver).commit()
                else:
                    with connection.begin():
                        yield connection
            except BaseException as err:  # after any error, the next transaction uses a new connection
                try:
                    if isinstance(driver, sqlite3.Connection):
                        driver.rollback()
                finally:
                    connection.close()
                if isinstance(err, IntegrityError | sqlite3.IntegrityError):
                    raise Conflict from err
                raise
            self._writer = connection


def is_current(connection: Connection) -> bool:
    """True if the tables are those of the newest revision."""
    revision = text("SELECT version_num FROM alembic_version")
    return inspect(connection).has_table("alembic_version") and connection.scalars(revision).all() == [HEAD]


def upgrade(connection: Connection) -> None:
    """Upgrade the tables to the newest revision, in the transaction of ``connection``."""
    # Loading it is a sixth of what a process takes to start, and mostly there is nothing to do.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    if inspect(connection).has_table("alembic_version"):
        LOG.info("the index is brought up to date, which may take minutes where it has many objects")
    try:
        with progress.waiting("the index is brought up to date"):
            command.upgrade(config, "head")
    except CommandError as err:
        raise IndexUnavailable(f"the tables of the index cannot be brought up to date: {err}") from err


def _engine(url: str, *, may_be_made: bool) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, max_overflow=-1, hide_parameters=True)
    if parsed.database in (None, "", ":memory:"):
        raise IndexUnavailable("the index needs a file, as in sqlite:////var/lib/dcm4py/index.sqlite")
    # It holds patient data; SQLite gives its other files the mode of this one.
    if may_be_made:
        Path(str(parsed.database)).touch(mode=0o600)
    else:
        Path(str(parsed.database)).stat()
    engine = create_engine(parsed, max_overflow=-1, hide_parameters=True, connect_args={"check_same_thread": False})
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_sqlite, not by the driver's guess
    for pragma in (
        f"busy_timeout = {_BUSY_TIMEOUT_MS}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "case_sensitive_like = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    driver: Any = connection.connection.driver_connection
    if not driver.in_transaction:  # one that writes has begun: see `Database.writing`
        driver.execute("BEGIN")


class _Errors:
    """Errors of the database in the block become IndexUnavailable."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, err: BaseException | None, traceback: object) -> None:
        if isinstance(err, SQLAlchemyError | ArgumentError | NoSuchModuleError | OSError | sqlite3.Error):
            # Its text may quote statements with their values: patient data.
            cause = getattr(err, "orig", None) or err
            raise IndexUnavailable(f"the index database cannot be used ({type(cause).__name__})") from err


_ERRORS = _Errors()
