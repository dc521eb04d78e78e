"""Peers that open connections and no more: those who are admitted, and those who ask, are served."""

from __future__ import annotations

import logging
import socket
from contextlib import ExitStack, closing

import pytest

from dcm4py_leading.dicom.scp import listener
from dcm4py_leading.model.descriptors import Shares
from tests.fixtures.raw_echo import ACCEPTED, DATA, ECHO, REJECTED, RELEASE, RELEASED, RawAssociation
from tests.fixtures.service import DEVICE, Seed


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> Shares:
    """Room for few connections."""
    shares = Shares(unadmitted=8, admitted=4, http=4)
    monkeypatch.setattr(listener, "shares", lambda: shares)
    return shares


def associated(seed: Seed, running: ExitStack) -> RawAssociation:
    association = running.enter_context(closing(RawAssociation(seed.archive_port)))
    assert association.receive()[0] == ACCEPTED
    return association


def echo(association: RawAssociation) -> None:
    association.socket.sendall(ECHO)
    assert association.receive()[0] == DATA


def silent(seed: Seed, running: ExitStack, begun: bytes = b"") -> socket.socket:
    sock = running.enter_context(socket.create_connection(("127.0.0.1", seed.archive_port), timeout=60))
    if begun:
        sock.sendall(begun)
    return sock


@pytest.mark.parametrize("begun", [b"", b"\x01\0\0\0\1\0"], ids=["silent", "in the middle of a request"])
def test_silent_connections_give_way_to_those_who_ask(
    seed: Seed, few: Shares, begun: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    seed.start()
    with ExitStack() as running:
        standing = associated(seed, running)
        first, *_ = [silent(seed, running, begun) for _ in range(40)]
        assert first.recv(1) == b""
        echo(standing)
        echo(associated(seed, running))
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert told == ["a connection from 127.0.0.1 was ended, as more than 8 have no association"]


def test_released_but_unclosed_connections_are_closed_for_new_ones(seed: Seed, few: Shares) -> None:
    seed.set(f"cn=dicom,{DEVICE}", dcmAAACTimeout="60000")
    seed.start()
    with ExitStack() as running:
        for _ in range(30):
            association = associated(seed, running)
            association.socket.sendall(RELEASE)
            assert association.receive()[0] == RELEASED
        echo(associated(seed, running))


def test_more_associations_than_there_is_room_for_are_rejected_for_now(seed: Seed, few: Shares) -> None:
    seed.start()
    with ExitStack() as running:
        standing = [associated(seed, running) for _ in range(few.admitted)]
        for _ in range(20):
            refused = running.enter_context(closing(RawAssociation(seed.archive_port)))
            assert refused.receive() == (REJECTED, b"\0\2\3\2")
        for association in standing:
            echo(association)
        standing[0].socket.sendall(RELEASE)
        assert standing[0].receive()[0] == RELEASED
        echo(associated(seed, running))
