"""Peers that speak another protocol on a DICOM port."""

from __future__ import annotations

import logging

import pytest

from dcm4py_leading.dicom.upper.foreign import ForeignPeers, protocol_of
from dcm4py_leading.model.bounds import FOREIGN_PEERS


@pytest.mark.parametrize(
    ("beginning", "protocol"),
    [
        (b"\x16\x03\x01\x02\x00\x01", "TLS"),
        (b"GET / ", "HTTP"),
        (b"OPTION", "HTTP"),
        (b"PROXY ", "the PROXY protocol"),
        (b"\r\n\r\n\0\r\nQUIT\n", "the PROXY protocol"),
        (b"SSH-2.", "SSH"),
        (b"\x0bMSH|^", "HL7"),
        (b"\x01\x00\x00\x00\x00\xd0", None),  # an A-ASSOCIATE-RQ
        (b"", None),
    ],
)
def test_a_protocol_is_known_by_its_first_octets(beginning: bytes, protocol: str | None) -> None:
    assert protocol_of(beginning) == protocol


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_a_host_is_told_the_first_the_tenth_and_the_hundredth_time(caplog: pytest.LogCaptureFixture) -> None:
    peers = ForeignPeers()
    with caplog.at_level(logging.WARNING):
        for _ in range(150):
            peers.tell("10.0.0.1", "HTTP")
    assert told(caplog) == [
        f"10.0.0.1 speaks HTTP on a DICOM port ({count} so far): the web service has a port of its own, see --http"
        for count in (1, 10, 100)
    ]


def test_hosts_and_protocols_are_counted_apart(caplog: pytest.LogCaptureFixture) -> None:
    peers = ForeignPeers()
    for host, protocol in (("10.0.0.1", "TLS"), ("10.0.0.2", "TLS"), ("10.0.0.1", "SSH"), ("10.0.0.1", "TLS")):
        peers.tell(host, protocol)
    assert [line.partition(" on ")[0] for line in told(caplog)] == [
        "10.0.0.1 speaks TLS",
        "10.0.0.2 speaks TLS",
        "10.0.0.1 speaks SSH",
    ]


def test_hosts_are_forgotten_when_there_are_too_many(caplog: pytest.LogCaptureFixture) -> None:
    peers = ForeignPeers()
    for number in range(FOREIGN_PEERS):
        peers.tell(f"host-{number}", "TLS")
    caplog.clear()
    peers.tell("host-0", "TLS")
    assert ["(1 so far)" in line for line in told(caplog)] == [True]
