"""Answers without an end: too long, or too slow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace

import pytest

from dcm4py_leading.dicom.scu.incoming import joined
from dcm4py_leading.dicom.upper import association as module
from dcm4py_leading.dicom.upper.association import Association
from dcm4py_leading.dicom.upper.failures import AssociationFailed
from dcm4py_leading.dicom.upper.link import LinkTimeout
from dcm4py_leading.dicom.upper.pdu_codec import data_header
from dcm4py_leading.model.bounds import ANSWER_BYTES
from tests.fixtures.clock import Clock
from tests.fixtures.links import CONTEXTS, linked, tcp_pair


def pieces(length: int, count: int) -> Iterator[memoryview]:
    piece = memoryview(bytes(length))
    for _ in range(count):
        yield piece


def test_an_answer_up_to_the_bound_is_taken() -> None:
    assert len(joined(pieces(ANSWER_BYTES // 16, 16))) == ANSWER_BYTES


def test_an_answer_without_end_is_given_up_when_it_is_too_long() -> None:
    endless = pieces(1 << 17, 1 << 40)
    with pytest.raises(AssociationFailed, match="longer than 16777216 bytes"):
        joined(endless)
    assert next(endless)  # it was not read further


def test_all_pieces_of_an_answer_together_have_until_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=clock))
    peer, link = linked(*tcp_pair())
    with closing(peer), closing(link):
        association = Association(link, CONTEXTS, 131072)
        association._is_data_due, association._data_context_id = True, 1
        peer.send_data([data_header(1, 0, 2) + b"ab"] * 10)
        data = association.data(20, ends_at=3.5)
        taken = 0
        with pytest.raises(LinkTimeout):
            for _ in data:
                taken += 1
                clock.now += 1
        assert taken == 4


def test_a_command_that_does_not_come_to_its_end_aborts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COMMAND_SECONDS", 0.05)
    peer, link = linked(*tcp_pair())
    with closing(peer), closing(link):
        association = Association(link, CONTEXTS, 131072)
        peer.send_data([data_header(1, 1, 2) + b"\0\0"])
        with pytest.raises(AssociationFailed, match="does not come to its end"):
            association.receive(None)
