"""Peers that send or take a few octets now and then: they are given up, whatever time-outs they keep to."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest

from dcm4py_leading.dicom.upper import link as link_module
from dcm4py_leading.dicom.upper.association import Association
from dcm4py_leading.dicom.upper.failures import AssociationFailed
from dcm4py_leading.dicom.upper.link import Link, LinkTimeout
from dcm4py_leading.dicom.upper.pace import OF_ANSWERS, OF_PEERS, Pace, patience
from dcm4py_leading.dicom.upper.pdu_codec import data_header
from dcm4py_leading.model.bounds import UNCONFIGURED_WAIT_SECONDS
from tests.fixtures.links import CONTEXTS, linked, tcp_pair


class Slow:
    """A clock by which each wait for the peer takes ``seconds``."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.now = 1000.0

    def monotonic(self) -> float:
        self.now += self.seconds
        return self.now


@pytest.fixture
def pair() -> Iterator[tuple[Link, Link]]:
    one, other = linked(*tcp_pair())
    with closing(one), closing(other):
        yield one, other


def test_the_pace_is_looked_at_after_its_time_and_on_average() -> None:
    pace = Pace(60.0, 64)
    assert not pace.is_missed(60.0, 0)
    assert pace.is_missed(60.1, 3840)
    assert not pace.is_missed(100.0, 6400)
    assert pace.is_missed(1000.0, 63_999)


def test_objects_of_slow_modalities_keep_the_pace() -> None:
    # A kilobyte a second, as over a telephone line; one PDU of 16 KiB, then four minutes of nothing.
    assert not OF_PEERS.is_missed(3600.0, 3600 * 1024)
    assert not OF_PEERS.is_missed(240.0, 16_384)
    assert OF_ANSWERS.seconds >= OF_PEERS.seconds


def due(link: Link) -> Association:
    """An association on which a data set is due."""
    association = Association(link, CONTEXTS, 131072)
    association._is_data_due, association._data_context_id = True, 1
    return association


@pytest.mark.parametrize("value", [b"", b"ab"], ids=["of zero length", "of two octets"])
def test_fragments_that_hold_nearly_nothing_end_the_association(
    pair: tuple[Link, Link], value: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer, link = pair
    monkeypatch.setattr(link_module, "time", Slow(10.0))
    taken = 0
    with pytest.raises(AssociationFailed, match="are too few: aborted"):
        peer.send_data([data_header(1, 0, len(value)) + value])
        for _ in due(link).data(None):
            taken += 1
            assert taken < 20
            peer.send_data([data_header(1, 0, len(value)) + value])
    assert 1 < taken < 10


def test_time_that_is_not_spent_in_waiting_does_not_count(pair: tuple[Link, Link]) -> None:
    peer, link = pair
    peer.send_data([data_header(1, 0, 2) + b"ab"] * 4 + [data_header(1, 2, 2) + b"cd"])
    pieces = []
    for piece in due(link).data(60, pace=Pace(5.0, 1 << 40)):
        pieces.append(bytes(piece))
    assert pieces == [b"ab"] * 4 + [b"cd"]
    assert link.waited < 5


def dripping(sock: socket.socket, octets: bytes) -> Iterator[None]:
    for at in range(len(octets)):
        sock.sendall(octets[at : at + 1])
        yield


def test_a_pdu_that_drips_is_given_up_though_no_timeout_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = tcp_pair()
    peer, link = linked(one, other)
    with closing(peer), closing(link):
        link.set_send_timeout(None)
        drops = dripping(one, data_header(1, 0, 10_000) + bytes(200))
        fill = link._fill

        def one_drop_a_minute(*, is_waiting: bool) -> int:
            next(drops)
            clock.now += 60
            return fill(is_waiting=is_waiting)

        clock = Slow(0.0)
        monkeypatch.setattr(link_module, "time", clock)
        monkeypatch.setattr(link, "_fill", one_drop_a_minute)
        with pytest.raises(LinkTimeout, match="too slowly"):
            link.receive(None)
        assert clock.now < 1000 + 5 * 60


def test_waiting_for_the_first_octet_is_not_dripping(pair: tuple[Link, Link], monkeypatch: pytest.MonkeyPatch) -> None:
    peer, link = pair
    fill, clock = link._fill, Slow(0.0)

    def after_hours(*, is_waiting: bool) -> int:
        if clock.now < 5000:
            clock.now += 5000
            peer._socket.sendall((data_header(1, 3, 4) + b"abcd")[:7])
        else:
            peer._socket.sendall((data_header(1, 3, 4) + b"abcd")[7:])
        return fill(is_waiting=is_waiting)

    monkeypatch.setattr(link_module, "time", clock)
    monkeypatch.setattr(link, "_fill", after_hours)
    assert link.receive(None)


class TakesLittle:
    """A socket whose peer takes an octet whenever the time-out is over."""

    def __init__(self, clock: Slow) -> None:
        self.calls = 0
        self._clock = clock

    def sendmsg(self, buffers: list[bytes]) -> int:
        self.calls += 1
        self._clock.now += 60
        return 1


def test_a_peer_that_takes_little_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Slow(0.0)
    monkeypatch.setattr(link_module, "time", clock)
    sock = TakesLittle(clock)
    with pytest.raises(BlockingIOError):
        link_module._send_all(sock, [bytes(1000)])  # type: ignore[arg-type]
    assert sock.calls < 5


def test_where_the_directory_has_no_timeout_there_is_an_end() -> None:
    assert patience(None) == UNCONFIGURED_WAIT_SECONDS
    assert patience(timedelta(hours=2)) == 7200.0


def test_a_p_data_tf_without_any_value_is_malformed(pair: tuple[Link, Link]) -> None:
    peer, link = pair
    peer.send_data([b"\x04\x00\x00\x00\x00\x00"])
    with pytest.raises(AssociationFailed, match="no presentation data value"):
        Association(link, CONTEXTS, 131072).receive(60)
