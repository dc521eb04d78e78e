"""An object that arrives in pieces of any length is written in large ones, which start on a page."""

from __future__ import annotations

import errno
import hashlib
import os
from itertools import accumulate, pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dcm4py_leading.archive.storage.file_storage import _GATHERED_BYTES, FileStorage
from dcm4py_leading.errors import StorageUnavailable
from tests.fixtures.archive import make_descriptor, make_header

LARGE = b"".join(number.to_bytes(4, "big") for number in range(200_000))
PDU = 131_060


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(1, len(LARGE)), max_size=12).map(sorted), looks=st.sets(st.integers(0, 12)))
def test_file_digest_and_view_are_those_of_the_pieces(tmp_path: Path, cuts: list[int], looks: set[int]) -> None:
    storage = FileStorage(make_descriptor(tmp_path, digest_algorithm="SHA-256"))
    with storage.receive() as incoming:
        for number, (start, end) in enumerate(pairwise([0, *cuts])):
            incoming.write(memoryview(LARGE)[start:end])
            if number in looks and end:
                with incoming.mapped() as view:
                    assert bytes(view) == LARGE[:end]
                incoming.start_sync()
        expected = LARGE[: cuts[-1]] if cuts else b""
        with incoming.reader() as file:
            assert file.read() == expected
        location = incoming.finish(make_header())
        assert (location.size, location.digest) == (len(expected), hashlib.sha256(expected).hexdigest())


def test_pieces_of_pdus_are_written_from_page_to_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[int] = []
    write = os.write

    def counted(file: int, data: bytes) -> int:
        lengths.append(len(data))
        return write(file, data)

    monkeypatch.setattr(os, "write", counted)
    with FileStorage(make_descriptor(tmp_path)).receive() as incoming:
        for at in range(0, len(LARGE), PDU):
            incoming.write(LARGE[at : at + PDU])
        incoming.finish(make_header())
    assert sum(lengths) == len(LARGE)
    assert len(lengths) == -(-len(LARGE) // _GATHERED_BYTES)
    assert all(start % 4096 == 0 for start in [0, *accumulate(lengths)][:-1])


def test_head_is_still_told_when_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: int, data: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with FileStorage(make_descriptor(tmp_path)).receive() as incoming:
        incoming.write(b"abc")
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(StorageUnavailable, match="No space left"):
            incoming.start_sync()
        with incoming.mapped() as view:
            assert bytes(view) == b"abc"


def test_buffers_are_used_again(tmp_path: Path) -> None:
    storage = FileStorage(make_descriptor(tmp_path))
    with storage.receive() as first:
        buffer = first._buffer
    with storage.receive() as second:
        assert second._buffer is buffer
        second.write(b"new")
        with second.mapped() as view:
            assert bytes(view) == b"new"
