import logging
import threading
from concurrent.futures import Future
from datetime import timedelta

import pytest

from dcm4py_leading.config.remote import RemoteAEResolver
from dcm4py_leading.errors import ConfigInvalid, ConfigUnavailable
from tests.fixtures import trees
from tests.fixtures.clock import Clock


@pytest.fixture
def clock():
    return Clock(1000.0)


@pytest.fixture
def source():
    return trees.EntrySource([trees.device(), trees.connection(), trees.ae(), *trees.remote("QRSCP")])


def test_ae_is_found_with_the_address_to_call(source, clock):
    ae = RemoteAEResolver(source, None, clock=clock).resolve("QRSCP")
    assert ae is not None
    assert (ae.ae_title, ae.device_name, ae.connections[0].port) == ("QRSCP", "remote", 11113)


def test_ae_of_our_own_device_resolves_too(source, clock):
    ae = RemoteAEResolver(source, None, clock=clock).resolve("DCM4CHEE")
    assert ae is not None and ae.connections[0].port == 11112


@pytest.mark.ldap("dcmAECacheStaleTimeout")
def test_answer_is_asked_again_when_it_is_stale_and_not_before(source, clock):
    resolver = RemoteAEResolver(source, timedelta(minutes=5), clock=clock)
    resolver.resolve("QRSCP")
    clock.now += 299
    resolver.resolve("QRSCP")
    assert source.reads == ["QRSCP"]
    clock.now += 1
    resolver.resolve("QRSCP")
    assert source.reads == ["QRSCP", "QRSCP"]


@pytest.mark.ldap("dcmAECacheStaleTimeout")
def test_without_a_stale_timeout_an_answer_is_kept(source, clock):
    resolver = RemoteAEResolver(source, None, clock=clock)
    resolver.resolve("QRSCP")
    clock.now += 1e9
    resolver.resolve("QRSCP")
    assert source.reads == ["QRSCP"]


@pytest.mark.ldap("dcmAECacheStaleTimeout")
def test_not_found_is_remembered_too(source, clock):
    resolver = RemoteAEResolver(source, timedelta(minutes=5), clock=clock)
    assert resolver.resolve("NOBODY") is None
    assert resolver.resolve("NOBODY") is None
    assert source.reads == ["NOBODY"]


def test_last_known_answer_serves_while_the_directory_is_down(source, clock, caplog):
    resolver = RemoteAEResolver(source, timedelta(minutes=5), clock=clock)
    known = resolver.resolve("QRSCP")
    source.down = ConfigUnavailable("ldap://gone: refused")
    clock.now += 301
    with caplog.at_level(logging.WARNING):
        assert resolver.resolve("QRSCP") is known
        assert resolver.resolve("QRSCP") is known
    assert len(caplog.records) == 1
    assert "QRSCP" in caplog.text
    assert "ldap://gone" in caplog.text
    assert len(source.reads) == 2


def test_directory_is_tried_again_half_a_minute_after_it_was_down(source, clock):
    resolver = RemoteAEResolver(source, timedelta(minutes=5), clock=clock)
    resolver.resolve("QRSCP")
    source.down = ConfigUnavailable("down")
    clock.now += 301
    resolver.resolve("QRSCP")
    source.down = None
    source.entries = trees.remote("QRSCP", port="104")
    clock.now += 31
    ae = resolver.resolve("QRSCP")
    assert ae is not None and ae.connections[0].port == 104


def test_unknown_ae_while_the_directory_is_down_is_an_error_and_not_remembered(source, clock):
    resolver = RemoteAEResolver(source, None, clock=clock)
    source.down = ConfigUnavailable("down")
    with pytest.raises(ConfigUnavailable):
        resolver.resolve("QRSCP")
    source.down = None
    assert resolver.resolve("QRSCP") is not None


def test_clear_forgets(source, clock):
    resolver = RemoteAEResolver(source, None, clock=clock)
    resolver.resolve("QRSCP")
    resolver.clear()
    resolver.resolve("QRSCP")
    assert source.reads == ["QRSCP", "QRSCP"]


def test_answer_asked_for_before_a_clear_does_not_outlive_it(source, clock):
    resolver = RemoteAEResolver(source, None, clock=clock)
    read_ae = source.read_ae

    def read_and_meanwhile_clear(ae_title):
        entries = read_ae(ae_title)
        resolver.clear()
        return entries

    source.read_ae = read_and_meanwhile_clear
    resolver.resolve("QRSCP")
    source.read_ae = read_ae
    resolver.resolve("QRSCP")
    assert source.reads == ["QRSCP", "QRSCP"]


def test_a_slow_directory_does_not_hold_up_known_aes(source, clock):
    resolver = RemoteAEResolver(source, None, clock=clock)
    resolver.resolve("QRSCP")
    asked, go_on = threading.Event(), threading.Event()
    read_ae = source.read_ae

    def slow(ae_title):
        asked.set()
        assert go_on.wait(60)
        return read_ae(ae_title)

    source.read_ae = slow
    other = threading.Thread(target=resolver.resolve, args=("NOBODY",))
    other.start()
    assert asked.wait(60)
    assert resolver.resolve("QRSCP") is not None
    go_on.set()
    other.join(10)


def test_ae_with_a_broken_entry_is_an_error(clock):
    source = trees.EntrySource(trees.remote("QRSCP", port="high"))
    with pytest.raises(ConfigInvalid, match="dicomPort: high: expected a whole number"):
        RemoteAEResolver(source, None, clock=clock).resolve("QRSCP")


def together(count, call):
    """What ``call`` returns, or raises, in that many threads at once."""
    outcomes = []
    ready = threading.Barrier(count)

    def run():
        ready.wait(60)
        try:
            outcomes.append(call())
        except ConfigUnavailable as err:
            outcomes.append(str(err))

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    return outcomes


class Waiting(threading.Condition):
    """Counts who waits for an answer that another thread fetches."""

    count = 0

    def add(self):
        with self:
            self.count += 1
            self.notify_all()

    def await_count(self, expected):
        with self:
            assert self.wait_for(lambda: self.count >= expected, 10)


@pytest.fixture
def overlapped(source, monkeypatch):
    """The source, which answers only when seven threads wait for what an eighth asks."""
    waiting = Waiting()
    result = Future.result
    read_ae = source.read_ae

    def counted(self, timeout=None):
        waiting.add()
        return result(self, timeout)

    def held(ae_title):
        waiting.await_count(7)
        return read_ae(ae_title)

    monkeypatch.setattr(Future, "result", counted)
    monkeypatch.setattr(source, "read_ae", held)
    return source


def test_concurrent_callers_share_one_look_up(overlapped, clock):
    resolver = RemoteAEResolver(overlapped, None, clock=clock)
    found = together(8, lambda: resolver.resolve("QRSCP"))
    assert [ae.connections[0].port for ae in found] == [11113] * 8
    assert overlapped.reads == ["QRSCP"]


def test_concurrent_callers_share_a_failure_and_the_next_tries_again(overlapped, clock):
    resolver = RemoteAEResolver(overlapped, None, clock=clock)
    overlapped.down = ConfigUnavailable("down")
    assert together(8, lambda: resolver.resolve("QRSCP")) == ["down"] * 8
    overlapped.down = None
    assert resolver.resolve("QRSCP") is not None
    assert overlapped.reads == ["QRSCP", "QRSCP"]


def test_titles_without_end_are_not_remembered_without_end(source, clock):
    resolver = RemoteAEResolver(source, None, clock=clock, most_answers=3)
    for title in ("QRSCP", "A", "B", "C", "B", "QRSCP"):
        resolver.resolve(title)
    assert source.reads == ["QRSCP", "A", "B", "C", "QRSCP"]
