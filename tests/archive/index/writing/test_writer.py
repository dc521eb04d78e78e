"""Stores that come at once share a transaction, and what other processes did to a known series is noticed."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, func, select

from dcm4py_leading.archive.index import database
from dcm4py_leading.archive.index.index import Index
from dcm4py_leading.archive.index.indexed_attributes import AttributeExtractor
from dcm4py_leading.archive.index.tables import instance
from dcm4py_leading.archive.index.writing import storing, writer
from dcm4py_leading.archive.index.writing.entities import RecentSeries
from dcm4py_leading.archive.index.writing.storing import NewObject, Policies, StoreOutcome, new_object
from dcm4py_leading.errors import IndexUnavailable, ObjectRefused
from dcm4py_leading.model.archive import Entity, OverwritePolicy, RelationalMismatchPolicy
from dcm4py_leading.model.coercion import UpdatePolicy
from tests.fixtures.archive import find, make_filter, make_header, make_location, store

ALWAYS = OverwritePolicy.ALWAYS
KEEPER = AttributeExtractor({})
OVERWRITE = {Entity.STUDY: make_filter(Entity.STUDY, 0x00081030, policy=UpdatePolicy.OVERWRITE)}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'index.sqlite'}"


@pytest.fixture
def index(url: str) -> Iterator[Index]:
    index = Index.open(url)
    yield index
    index.close()


@pytest.fixture
def other_process(url: str, index: Index) -> Iterator[Index]:
    """The same database, as another process has it open: with a memory of its own."""
    other = Index.open(url)
    yield other
    other.close()


class Traced:
    """What the database is asked to do meanwhile."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def count(self, beginning: str) -> int:
        return sum(statement.startswith(beginning) for statement in self.statements)


@contextmanager
def traced(index: Index) -> Iterator[Traced]:
    trace = Traced()

    def opened(connection: sqlite3.Connection, *_: object) -> None:
        connection.set_trace_callback(trace.statements.append)

    with index._database.writing() as connection:
        opened(connection.connection.driver_connection)  # type: ignore[arg-type]
    trace.statements.clear()
    pool = index._database._engine.pool
    event.listen(pool, "checkout", opened)
    try:
        yield trace
    finally:
        event.remove(pool, "checkout", opened)


@contextmanager
def held_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The first store that writes waits; set when it does."""
    real: Callable[..., StoreOutcome] = vars(writer)["store"]
    begun, go_on = threading.Event(), threading.Event()

    def slow(*args: object) -> StoreOutcome:
        if not begun.is_set():
            begun.set()
            assert go_on.wait(60)
        return real(*args)

    monkeypatch.setattr(writer, "store", slow)
    yield begun
    go_on.set()


def wait_for(index: Index, waiting: int) -> None:
    """Until so many stores wait for their turn."""
    while len(index._writer._waiting) < waiting:
        pass


def store_at_once(
    index: Index, monkeypatch: pytest.MonkeyPatch, *others: tuple[str, str]
) -> tuple[Traced, list[Future[StoreOutcome]]]:
    """Store while another store is being written; study and SOP Instance UID of each."""
    with ThreadPoolExecutor(len(others) + 1) as pool, traced(index) as trace:
        with held_up(monkeypatch) as begun:
            first = pool.submit(store, index, make_header("1.9", "1.9.1", "1.9.1.1"))
            assert begun.wait(60)
            futures = [
                pool.submit(
                    store,
                    index,
                    make_header(study, f"{study}.1", sop),
                    overwrite=ALWAYS,
                    mismatch=RelationalMismatchPolicy.REJECT,
                )
                for study, sop in others
            ]
            wait_for(index, len(others))
        assert first.result(10).stored
        for future in futures:
            future.exception(10)
    return trace, futures


def test_stores_that_wait_are_written_in_one_transaction(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    trace, futures = store_at_once(index, monkeypatch, *(("1.2", f"1.2.1.{number}") for number in range(7)))
    assert all(future.result().stored for future in futures)
    assert trace.count("COMMIT") == 2
    assert len(find(index, "IMAGE", StudyInstanceUID="1.2", SeriesInstanceUID="1.2.1")) == 7


def test_store_that_is_refused_does_not_take_the_others_with_it(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    store(index, make_header("1.3", "1.3.1", "1.3.1.1"))
    _, futures = store_at_once(index, monkeypatch, ("1.2", "1.2.1.1"), ("1.4", "1.3.1.1"), ("1.2", "1.2.1.2"))
    assert [type(future.exception()) for future in futures] == [type(None), ObjectRefused, type(None)]
    assert {ds.StudyInstanceUID for ds in find(index)} == {"1.2", "1.3", "1.9"}
    assert len(find(index, "IMAGE", StudyInstanceUID="1.2", SeriesInstanceUID="1.2.1")) == 2


def test_bug_in_one_store_does_not_fail_others(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    real = storing.store

    def fails_for_one(connection: Connection, new: NewObject, *args: object) -> StoreOutcome:
        outcome = real(connection, new, *args)  # type: ignore[arg-type]
        if new.sop_instance_uid == "1.3.1.1":
            raise RuntimeError
        return outcome

    monkeypatch.setattr(writer, "store", fails_for_one)
    _, futures = store_at_once(index, monkeypatch, ("1.2", "1.2.1.1"), ("1.3", "1.3.1.1"), ("1.4", "1.4.1.1"))
    assert [type(future.exception()) for future in futures] == [type(None), RuntimeError, type(None)]
    assert {ds.StudyInstanceUID for ds in find(index)} == {"1.2", "1.4", "1.9"}


def test_database_that_fails_fails_all_that_wait_and_serves_those_after(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(connection: Connection) -> None:
        raise OSError("no space left")

    engine = index._database._engine
    real = writer.Writer._write_together

    def fails(self: writer.Writer, jobs: list[writer._Job[Any]]) -> None:
        event.listen(engine, "commit", fail)
        try:
            real(self, jobs)
        finally:
            event.remove(engine, "commit", fail)

    monkeypatch.setattr(writer.Writer, "_write_together", fails)
    _, futures = store_at_once(index, monkeypatch, ("1.2", "1.2.1.1"), ("1.3", "1.3.1.1"))
    assert [type(future.exception()) for future in futures] == [IndexUnavailable] * 2
    assert [ds.StudyInstanceUID for ds in find(index)] == ["1.9"]
    assert store(index, make_header("1.2", "1.2.1", "1.2.1.1")).stored


def test_commit_that_fails_without_sqlalchemy_leaves_nothing(index: Index) -> None:
    store(index, make_header())

    def lose_series(connection: Connection) -> None:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.execute("PRAGMA defer_foreign_keys = ON")
        driver.execute("UPDATE instance SET series_fk = 999")

    with pytest.raises(IndexUnavailable):
        index._writer.write(lose_series)
    assert store(index, make_header(sop="1.2.1.1.2")).stored
    assert len(find(index, "IMAGE", StudyInstanceUID="1.2.1", SeriesInstanceUID="1.2.1.1")) == 2


def test_work_of_sqlalchemy_is_in_the_same_transaction(index: Index) -> None:
    def work(connection: Connection) -> None:
        storing.store(connection, new, policies, RecentSeries())
        assert connection.scalar(select(func.count()).select_from(instance)) == 1
        raise RuntimeError

    new = new_object(
        KEEPER.take(make_header()),
        make_location(),
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        sending_ae_title="A",
        retrieve_aets=("A",),
    )
    policies = Policies(keeper=KEEPER, overwrite=ALWAYS, relational_mismatch=RelationalMismatchPolicy.REJECT)
    with pytest.raises(RuntimeError):
        index._writer.write(work)
    assert find(index, "PATIENT") == []
    assert store(index, make_header()).stored


def test_database_that_is_locked_for_long_is_told_and_serves_afterwards(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_BUSY_TIMEOUT_MS", 1)
    index = Index.open(url)
    locking = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    locking.execute("BEGIN IMMEDIATE")
    with pytest.raises(IndexUnavailable):
        store(index, make_header())
    locking.execute("ROLLBACK")
    locking.close()
    assert store(index, make_header()).stored
    index.close()


def test_further_object_of_a_series_costs_three_statements(index: Index) -> None:
    store(index, make_header())
    with traced(index) as trace:
        store(index, make_header(sop="1.2.1.1.2"))
    asked = [statement.split()[0] for statement in trace.statements]
    assert asked == ["BEGIN", "SELECT", "SELECT", "INSERT", "COMMIT"]


def test_further_object_that_says_something_else_updates_the_study(index: Index) -> None:
    for number, description in enumerate(("first", "second", "second", "first")):
        store(index, make_header(sop=f"1.2.{number}", StudyDescription=description), filters=OVERWRITE)
        assert find(index)[0].StudyDescription == description


def test_update_by_another_process_in_between_is_updated_again(index: Index, other_process: Index) -> None:
    store(index, make_header(sop="1.1", StudyDescription="ours"), filters=OVERWRITE)
    store(other_process, make_header(sop="1.2", StudyDescription="theirs"), filters=OVERWRITE)
    assert find(index)[0].StudyDescription == "theirs"
    store(index, make_header(sop="1.3", StudyDescription="ours"), filters=OVERWRITE)
    assert find(index)[0].StudyDescription == "ours"


def test_retrieve_ae_titles_that_another_process_added_stay(index: Index, other_process: Index) -> None:
    store(index, make_header(sop="1.1"), retrieve_aets=("A",))
    store(other_process, make_header(sop="1.2"), retrieve_aets=("B",))
    store(index, make_header(sop="1.3"), retrieve_aets=("A",))
    store(index, make_header(sop="1.4"), retrieve_aets=("C",))
    assert find(index)[0].RetrieveAETitle == ["A", "B", "C"]


def test_series_that_another_process_removed_is_made_again(index: Index, other_process: Index) -> None:
    store(index, make_header("1.1", "1.1.1", "1.5"))
    # Its last object moves to another study, whose rows get the keys of those that go.
    moved = make_header("1.2", "1.2.1", "1.5", PatientID="P2")
    policy = RelationalMismatchPolicy.OVERWRITE
    store(other_process, moved, make_location("b"), overwrite=ALWAYS, mismatch=policy)
    assert [ds.StudyInstanceUID for ds in find(index)] == ["1.2"]
    store(index, make_header("1.1", "1.1.1", "1.6"))
    found = find(index, "IMAGE", StudyInstanceUID="1.1", SeriesInstanceUID="1.1.1")
    assert [(ds.SOPInstanceUID, ds.PatientID) for ds in found] == [("1.6", "P1")]
    assert {ds.PatientID for ds in find(index, "PATIENT")} == {"P1", "P2"}


def test_key_of_a_removed_series_may_be_that_of_another(index: Index, other_process: Index) -> None:
    store(index, make_header("1.1", "1.1.1", "1.5"))
    policy = RelationalMismatchPolicy.OVERWRITE
    store(other_process, make_header("1.2", "1.2.1", "1.5"), make_location("b"), overwrite=ALWAYS, mismatch=policy)
    store(other_process, make_header("1.3", "1.3.1", "1.5"), make_location("c"), overwrite=ALWAYS, mismatch=policy)
    store(index, make_header("1.1", "1.1.1", "1.6"))
    assert {ds.StudyInstanceUID for ds in find(index)} == {"1.1", "1.3"}
    assert len(find(index, "IMAGE", StudyInstanceUID="1.1", SeriesInstanceUID="1.1.1")) == 1


def test_processes_that_store_at_once_lose_nothing(index: Index, other_process: Index) -> None:
    def work(number: int) -> None:
        for each_instance in range(10):
            each = (index, other_process)[number % 2]
            assert store(each, make_header("1.2", "1.2.1", f"1.{number}.{each_instance}")).stored

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(work, number) for number in range(8)]:
            future.result(30)
    (study,) = find(index, NumberOfStudyRelatedInstances=None)
    assert study.NumberOfStudyRelatedInstances == 80
