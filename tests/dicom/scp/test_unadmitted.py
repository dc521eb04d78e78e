"""Which connections without an association give way."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from dcm4py_leading.dicom.scp.unadmitted import Unadmitted
from dcm4py_leading.model.bounds import HTTP_CONNECTIONS, OPEN_ASSOCIATIONS, UNADMITTED_CONNECTIONS
from dcm4py_leading.model.descriptors import Shares


@dataclass(eq=False)
class Connection:
    """One that is gone as soon as it is ended."""

    among: Unadmitted
    remote_address: str = "192.0.2.1"
    has_ended: bool = field(default=False)

    def give_way(self) -> None:
        self.has_ended = True
        self.among.remove(self)


def opened(among: Unadmitted, count: int, address: str = "192.0.2.1") -> list[Connection]:
    connections = [Connection(among, address) for _ in range(count)]
    for connection in connections:
        among.add(connection)
    return connections


def ended(connections: list[Connection]) -> list[int]:
    return [number for number, connection in enumerate(connections) if connection.has_ended]


def test_up_to_the_bound_all_stay() -> None:
    assert ended(opened(Unadmitted(5), 5)) == []


def test_the_oldest_gives_way(caplog: pytest.LogCaptureFixture) -> None:
    among = Unadmitted(5)
    assert ended(opened(among, 9)) == [0, 1, 2, 3]
    assert len(among) == 5
    assert len(caplog.records) == 1
    assert "192.0.2.1" in caplog.text


def test_an_address_with_few_is_not_pushed_out_by_one_with_many() -> None:
    among = Unadmitted(5)
    few = opened(among, 2, "192.0.2.7")
    many = opened(among, 50)
    assert ended(few) == []
    assert len(ended(many)) == 47


def test_who_is_admitted_or_gone_does_not_count() -> None:
    among = Unadmitted(2)
    connections = opened(among, 2)
    among.remove(connections[0])
    assert ended(connections + opened(among, 1)) == []


def test_released_connection_counts_until_it_is_closed() -> None:
    among = Unadmitted(2)
    released, other = opened(among, 2)
    among.remove(released)
    among.enter(released)
    opened(among, 1)
    assert (released.has_ended, other.has_ended) == (False, True)


@pytest.mark.parametrize("descriptors", [16, 128, 256, 1024, 4096, 65_536, 1 << 30])
def test_descriptors_are_never_all_given_away(descriptors: int) -> None:
    shares = Shares.of(descriptors)
    assert min(shares.unadmitted, shares.admitted, shares.http) > 0
    if descriptors >= 128:
        # The reserve: an association takes more than its connection.
        assert shares.unadmitted + shares.http + 3 * shares.admitted < descriptors - 40


def test_many_descriptors_are_no_reason_to_give_more() -> None:
    shares = Shares.of(1 << 30)
    assert (shares.unadmitted, shares.admitted, shares.http) == (
        UNADMITTED_CONNECTIONS,
        OPEN_ASSOCIATIONS,
        HTTP_CONNECTIONS,
    )
