"""Objects on their way through: small ones in memory, large ones in a file that has no name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dcm4py_leading.errors import StorageUnavailable
from dcm4py_leading.service.proxy.spool import Spool

MEBI = 1 << 20


def in_one_buffer(*pieces: bytes) -> Iterator[memoryview]:
    """As an association has them: each is good until the next one."""
    room = bytearray(max(map(len, pieces)))
    for piece in pieces:
        room[: len(piece)] = piece
        yield memoryview(room)[: len(piece)]


def anonymous_memory() -> int:
    """Bytes."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon")]
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("most", [0, 3, 5, 8, 9])
def test_the_parts_come_out_in_their_order(tmp_path: Path, most: int) -> None:
    spool = Spool(tmp_path, most_in_memory=most)
    assert bytes(spool.collect(in_one_buffer(b"abc", b"de", b"fgh"))) == b"abcdefgh"
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_nothing(tmp_path: Path) -> None:
    assert bytes(Spool(tmp_path).collect(())) == b""


def test_a_large_object_does_not_take_memory(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    piece = bytes(range(256)) * 4096
    before = anonymous_memory()
    data = spool.collect(in_one_buffer(*[piece] * 200))
    assert len(data) == 200 * MEBI
    assert data[137 * MEBI : 138 * MEBI] == piece
    assert anonymous_memory() - before < 64 * MEBI


def test_a_disk_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable, match="no room for an object on its way through: No such file"):
        Spool(tmp_path / "missing", most_in_memory=1).collect(in_one_buffer(b"abc", b"de"))
