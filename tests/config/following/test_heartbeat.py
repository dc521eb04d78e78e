from dataclasses import replace

import pytest

from dcm4py_leading.config.following.fallback_source import FallbackSource
from dcm4py_leading.config.following.heartbeat import Heartbeat, Pauses
from dcm4py_leading.config.following.last_good import LastGood
from dcm4py_leading.config.sources.recording import Recording
from dcm4py_leading.errors import ConfigInvalid, ConfigUnavailable, Problem
from tests.fixtures import trees
from tests.fixtures.workers import until

NAME = "dcm4chee-arc"
PAUSES = Pauses(well=0.01, first=0.001, longest=0.01)


class Directory(trees.EntrySource):
    asked = 0
    probes = 0

    def probe(self):
        self.probes += 1
        if self.down is not None:
            raise self.down

    def read_device(self, device_name):
        self.asked += 1
        if self.down is not None:
            raise self.down
        return super().read_device(device_name)


@pytest.fixture
def directory():
    return Directory([trees.device(), trees.connection(), trees.ae()])


@pytest.fixture
def make(tmp_path, directory):
    def make():
        return FallbackSource(directory, LastGood(tmp_path, directory=["ldap://one"], device_name=NAME))

    return make


class Service:
    """Takes whatever is read, unless it is told to refuse."""

    def __init__(self, source):
        self.source = source
        self.reloads = 0
        self.refusal = None
        self.put_in_force()

    def put_in_force(self):
        self.source.put_in_force(Recording(devices={NAME: self.source.read_device(NAME)}))

    def reload(self):
        self.reloads += 1
        if self.refusal is not None:
            raise self.refusal
        self.put_in_force()


@pytest.fixture
def emergency(make, directory):
    """A service that has started without the directory."""
    Service(make())
    directory.down = ConfigUnavailable("down")
    return Service(make())


def beats(directory, more=3):
    """Wait for some more beats."""
    asked = directory.asked + directory.probes
    until(lambda: directory.asked + directory.probes >= asked + more)


def test_directory_that_is_back_is_taken_once(emergency, directory):
    with Heartbeat(emergency.source, NAME, emergency.reload, pauses=PAUSES):
        beats(directory)
        assert emergency.reloads == 0
        directory.down = None
        until(lambda: not emergency.source.state.is_last_good)
        beats(directory)
    assert emergency.reloads == 1


def test_directory_is_only_probed_where_it_was_read_at_start(make, directory):
    service = Service(make())
    asked = directory.asked
    with Heartbeat(service.source, NAME, service.reload, pauses=PAUSES):
        beats(directory)
        directory.down = ConfigUnavailable("down")
        until(lambda: not service.source.state.is_reachable)
        directory.down = None
        until(lambda: service.source.state.is_reachable)
    assert (service.reloads, directory.asked) == (0, asked)


def test_reload_by_somebody_else_ends_the_emergency(emergency, directory):
    with Heartbeat(emergency.source, NAME, emergency.reload, pauses=replace(PAUSES, first=0.2, longest=0.2)):
        directory.down = None
        emergency.put_in_force()
        beats(directory)
    assert emergency.reloads == 0


def test_tree_that_was_refused_is_tried_again_when_it_changes(emergency, directory):
    emergency.refusal = ConfigInvalid([Problem(dn="x", reason="broken")])
    with Heartbeat(emergency.source, NAME, emergency.reload, pauses=PAUSES):
        directory.down = None
        until(lambda: emergency.reloads == 1)
        beats(directory)
        assert emergency.reloads == 1
        emergency.refusal = None
        directory.entries[0] = trees.device(dicomDescription="mended")
        until(lambda: not emergency.source.state.is_last_good)
    assert emergency.reloads == 2


def test_directory_that_goes_away_again_is_tried_again(emergency, directory):
    emergency.refusal = ConfigUnavailable("gone again")
    with Heartbeat(emergency.source, NAME, emergency.reload, pauses=PAUSES):
        directory.down = None
        until(lambda: emergency.reloads > 2)
        emergency.refusal = None
        until(lambda: not emergency.source.state.is_last_good)


def test_bug_in_one_attempt_is_logged_and_retried(emergency, directory, caplog):
    emergency.refusal = KeyError("bug")
    with Heartbeat(emergency.source, NAME, emergency.reload, pauses=PAUSES):
        directory.down = None
        until(lambda: emergency.reloads > 1)
        emergency.refusal = None
        until(lambda: not emergency.source.state.is_last_good)
    assert "KeyError" in caplog.text


def test_no_reload_after_the_end(emergency, directory):
    with Heartbeat(emergency.source, NAME, emergency.reload, pauses=PAUSES):
        directory.down = None
        until(lambda: emergency.reloads > 0)
    reloads = emergency.reloads
    emergency.source.put_in_force(Recording())
    assert emergency.reloads == reloads
