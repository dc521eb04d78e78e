import logging
from datetime import UTC, datetime, timedelta

import pytest

from dcm4py_leading.config.following.fallback_source import FallbackSource
from dcm4py_leading.config.following.last_good import LastGood
from dcm4py_leading.config.sources.directory_state import DirectoryState
from dcm4py_leading.config.sources.recording import Recording
from dcm4py_leading.errors import ConfigInvalid, ConfigUnavailable, Problem
from tests.fixtures import trees

NAME = "dcm4chee-arc"
OWN = (trees.device(), trees.connection(), trees.ae())
BEGIN = datetime(2026, 1, 2, tzinfo=UTC)


class Directory(trees.EntrySource):
    """Counts what it is asked, of devices too."""

    def read_device(self, device_name):
        self.reads.append(device_name)
        if self.down is not None:
            raise self.down
        return super().read_device(device_name)


class Time:
    seconds = 0.0

    def clock(self):
        return self.seconds

    def now(self):
        return BEGIN + timedelta(seconds=self.seconds)


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def directory():
    return Directory([*OWN, *trees.remote("QRSCP")])


@pytest.fixture
def start(tmp_path, directory, time):
    """A source of a process that has just started."""

    def start():
        last_good = LastGood(tmp_path, directory=["ldap://one"], device_name=NAME)
        return FallbackSource(directory, last_good, now=time.now, clock=time.clock)

    return start


@pytest.fixture
def in_force(start):
    """A source whose configuration was read from the directory and put in force."""

    def in_force():
        source = start()
        source.put_in_force(Recording(devices={NAME: source.read_device(NAME)}))
        return source

    return in_force


def down(directory):
    directory.down = ConfigUnavailable("ldap://one: cannot connect")


def test_device_that_was_in_force_serves_a_start_without_directory(start, in_force, directory, caplog):
    in_force()
    down(directory)
    source = start()
    entries = source.read_device(NAME)
    assert {entry.key for entry in entries} == {entry.key for entry in OWN}
    assert "THE DIRECTORY IS DOWN" in caplog.text and "cannot connect" in caplog.text
    source.put_in_force(Recording(devices={NAME: entries}))
    assert source.state.is_last_good
    assert source.describe() == "entries (last good configuration)"
    assert len(source.state.degraded) == 2


def test_device_that_was_read_and_not_put_in_force_is_not_kept(start, directory):
    start().read_device(NAME)
    down(directory)
    with pytest.raises(ConfigUnavailable, match="cannot connect"):
        start().read_device(NAME)


def test_broken_directory_is_not_down(start, in_force, directory):
    in_force()
    directory.down = ConfigInvalid([Problem(dn="x", reason="broken")])
    source = start()
    with pytest.raises(ConfigInvalid):
        source.read_device(NAME)
    assert source.state.is_reachable


def test_start_without_directory_asks_it_once(start, in_force, directory):
    in_force().read_ae("QRSCP")
    down(directory)
    directory.reads.clear()
    source = start()
    source.read_device(NAME)
    assert source.read_ae("QRSCP")
    assert source.read_ae("NOBODY") == ()
    assert source.read_device("other") == ()
    assert directory.reads == [NAME]


def test_reload_without_directory_fails_whatever_is_kept(start, in_force, directory):
    running = in_force()
    down(directory)
    with pytest.raises(ConfigUnavailable):
        running.read_device(NAME)
    started = start()
    started.put_in_force(Recording(devices={NAME: started.read_device(NAME)}))
    with pytest.raises(ConfigUnavailable):
        started.read_device(NAME)


def test_reload_after_the_directory_is_back_ends_the_emergency(start, in_force, directory):
    in_force()
    down(directory)
    source = start()
    source.put_in_force(Recording(devices={NAME: source.read_device(NAME)}))
    directory.down = None
    source.put_in_force(Recording(devices={NAME: source.read_device(NAME)}))
    assert not source.state.is_last_good
    assert source.state.degraded == []
    assert source.describe() == "entries"


def test_known_ae_serves_while_the_directory_is_down_another_process_may_have_asked(start, in_force, directory, caplog):
    in_force().read_ae("QRSCP")
    down(directory)
    source = start()
    assert source.read_ae("QRSCP")[-1].values("dicomAETitle") == ("QRSCP",)
    assert "QRSCP" in caplog.text
    with pytest.raises(ConfigUnavailable):
        source.read_ae("NOBODY")


def test_ae_of_the_own_device_serves_too(in_force, directory):
    source = in_force()
    down(directory)
    assert source.read_ae("DCM4CHEE")


def test_directory_that_is_down_is_not_asked_for_a_known_ae_for_half_a_minute(in_force, directory, time):
    source = in_force()
    source.read_ae("QRSCP")
    down(directory)
    directory.reads.clear()
    for _ in range(3):
        source.read_ae("QRSCP")
    assert directory.reads == ["QRSCP"]
    time.seconds += 30
    directory.down = None
    source.read_ae("QRSCP")
    source.read_ae("QRSCP")
    assert directory.reads == ["QRSCP"] * 3


def test_any_answer_ends_the_half_minute(in_force, directory):
    source = in_force()
    source.read_ae("QRSCP")
    down(directory)
    source.read_ae("QRSCP")
    directory.down = None
    source.read_device(NAME)
    directory.reads.clear()
    source.read_ae("QRSCP")
    assert directory.reads == ["QRSCP"]


def test_ae_that_was_deleted_does_not_come_back_in_an_outage(in_force, directory):
    source = in_force()
    source.read_ae("QRSCP")
    directory.entries = list(OWN)
    assert source.read_ae("QRSCP") == ()
    down(directory)
    with pytest.raises(ConfigUnavailable):
        source.read_ae("QRSCP")


def test_state_tells_the_last_answer_and_the_failure_since(in_force, directory, time, caplog):
    caplog.set_level(logging.INFO)
    source = in_force()
    assert source.state == DirectoryState(asked_at=BEGIN, last_read_at=BEGIN)
    down(directory)
    time.seconds = 60
    for _ in range(2):
        with pytest.raises(ConfigUnavailable):
            source.read_device(NAME)
    assert not source.state.is_reachable
    assert source.state.last_read_at == BEGIN
    assert source.state.asked_at == BEGIN + timedelta(minutes=1)
    directory.down = None
    source.read_device(NAME)
    assert source.state.is_reachable
    told = [record.getMessage() for record in caplog.records]
    assert told == ["the directory cannot be read: ldap://one: cannot connect", "the directory can be read again"]


def test_process_that_asked_later_knows_more_than_the_other():
    early = DirectoryState(asked_at=BEGIN, last_read_at=BEGIN, is_last_good=True)
    late = DirectoryState(asked_at=BEGIN + timedelta(seconds=1), failure="cannot connect")
    never = DirectoryState()
    both = DirectoryState(
        asked_at=late.asked_at, last_read_at=early.last_read_at, failure="cannot connect", is_last_good=True
    )
    assert early.newer(late) == both
    assert never.newer(early) == DirectoryState(asked_at=BEGIN, last_read_at=BEGIN)
    assert early.newer(never) == early
    assert DirectoryState.from_json(both.to_json()) == both
