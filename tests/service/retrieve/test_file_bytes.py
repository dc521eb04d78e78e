"""The bytes of stored files: read at once where they are small, else mapped or read piece by piece."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian

from dcm4py_leading.dataset.object_bytes import BATCH
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE, Buffer, Unscannable, scan
from dcm4py_leading.errors import StorageUnavailable
from dcm4py_leading.model.bounds import LOOKED_AT_BYTES, MAPPED_BYTES
from dcm4py_leading.service.retrieve.file_bytes import HEAD, Buffers, FileBytes
from tests.fixtures.outgoing import write_object

MIB = 1 << 20


Batches = Callable[[FileBytes, Sequence[Buffer], int], Iterator[Sequence[Buffer]]]
WAYS = pytest.mark.parametrize("batches", [FileBytes.batches, FileBytes.batches_for_system])


def opened(path: Path, buffers: Buffers | None = None) -> FileBytes:
    return FileBytes(os.open(path, os.O_RDONLY), path.stat().st_size, buffers or Buffers())


def sparse(path: Path, size: int) -> Path:
    """An object of ``size`` octets of Pixel Data, which take no room on the disk."""
    header = b"\xe0\x7f\x10\x00OB\0\0" + size.to_bytes(4, "little")
    write_object(path, header, ExplicitVRLittleEndian)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + size)
    return path


def resident() -> int:
    """Octets of memory of this process that are its own or a mapped file's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("RssAnon", "RssFile")))


@WAYS
@pytest.mark.parametrize("all_of_it", [False, True])
@pytest.mark.parametrize(
    "size", [0, 1, HEAD - 500, HEAD + 1, 200_000, BATCH - 1000, BATCH, MAPPED_BYTES + HEAD, MAPPED_BYTES * 2]
)
def test_pieces_and_the_rest_leave_in_order_whatever_the_size(
    tmp_path: Path, size: int, all_of_it: bool, batches: Batches
) -> None:
    data = bytes(range(251)) * (size // 251 + 1)
    stored = opened(write_object(tmp_path / "object", data[:size], ExplicitVRLittleEndian))
    if all_of_it:
        while stored.look_further():
            pass
        assert bytes(stored.view[stored.start :]) == data[:size]
        assert stored.is_in_memory
    else:
        assert bytes(stored.view[stored.start :]) == data[:size][: HEAD - stored.start]
    skipped = min(size, 10)
    out = b"".join(bytes(b) for batch in batches(stored, [b"new", b"head"], stored.start + skipped) for b in batch)
    assert out == b"newhead" + data[skipped:size]
    stored.close()


@WAYS
def test_a_large_file_leaves_piece_by_piece(tmp_path: Path, batches: Batches) -> None:
    stored = opened(sparse(tmp_path / "object", 3 * MAPPED_BYTES))
    sizes = [sum(map(len, batch)) for batch in batches(stored, (), stored.start)]
    assert max(sizes) <= (HEAD + MAPPED_BYTES if batches is FileBytes.batches_for_system else BATCH)
    assert sum(sizes) == stored.size - stored.start


@WAYS
@pytest.mark.slow
def test_a_file_of_one_gibibyte_takes_no_memory_on_its_way_out(tmp_path: Path, batches: Batches) -> None:
    stored = opened(sparse(tmp_path / "object", 1024 * MIB))
    before = most = resident()
    sent = 0
    for batch in batches(stored, (), stored.start):
        for buffer in batch:
            sent += len(buffer)
            bytes(memoryview(buffer)[::4096])  # brings every page in, as sending it would
        most = max(most, resident())
    assert sent == 1024 * MIB + 12
    assert most - before < 64 * MIB


def test_memory_is_used_again_once_an_object_is_closed(tmp_path: Path) -> None:
    path = write_object(tmp_path / "object", bytes(1000), ExplicitVRLittleEndian)
    buffers = Buffers()
    first = opened(path, buffers)
    second = opened(path, buffers)
    first.close()
    first.close()
    third = opened(path, buffers)
    assert third.view.obj is first.view.obj
    assert third.view.obj is not second.view.obj


@WAYS
def test_a_large_file_that_has_become_shorter_is_storage_unavailable(tmp_path: Path, batches: Batches) -> None:
    path = sparse(tmp_path / "object", 3 * MAPPED_BYTES)
    stored = opened(path)
    coming = batches(stored, (), stored.start)
    next(coming)
    with path.open("r+b") as file:
        file.truncate(2 * BATCH)
    with pytest.raises(StorageUnavailable):
        list(coming)


@pytest.mark.parametrize("size", [100, HEAD + 100])
@pytest.mark.parametrize("more", [-1, 1])
def test_truncated_file_is_storage_unavailable(tmp_path: Path, size: int, more: int) -> None:
    path = write_object(tmp_path / "object", bytes(size), ExplicitVRLittleEndian)
    with pytest.raises(StorageUnavailable):
        FileBytes(os.open(path, os.O_RDONLY), path.stat().st_size + more, Buffers())


@pytest.mark.parametrize("content", [b"", b"short", bytes(1000), bytes(128) + b"DICM", bytes(200_000)])
def test_foreign_file_is_storage_unavailable(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "object"
    path.write_bytes(content)
    with pytest.raises(StorageUnavailable):
        opened(path)


def test_a_file_that_ends_within_its_meta_information_is_storage_unavailable(tmp_path: Path) -> None:
    path = write_object(tmp_path / "object", b"", ExplicitVRLittleEndian)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(StorageUnavailable):
        opened(path)


def fragments_of(*lengths: int) -> bytes:
    """Encapsulated Pixel Data of fragments of these lengths."""
    items = b"".join(struct.pack("<HHL", 0xFFFE, 0xE000, length) + bytes(length) for length in (0, *lengths))
    return b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + items + b"\xfe\xff\xdd\xe0\0\0\0\0"


@pytest.mark.parametrize(
    "content",
    [
        fragments_of(*[1000] * 300),
        fragments_of(3 * MIB),
        fragments_of(70_000, 2, 2, 100_000, 4094, 2),
        b"\xe0\x7f\x10\x00OB\0\0" + struct.pack("<L", 200_000) + bytes(200_000) + b"\xfc\xff\xfc\xffOB\0\0\2\0\0\0\0\0",
    ],
    ids=["small", "large", "mixed", "native"],
)
def test_headers_beyond_the_head_are_read_where_they_are(tmp_path: Path, content: bytes) -> None:
    stored = opened(write_object(tmp_path / "object", content, ExplicitVRLittleEndian))
    expected = scan(content, EXPLICIT_LITTLE)
    spans, end = scan(stored, EXPLICIT_LITTLE, start=stored.start, end=stored.size)
    moved = {tag: tuple(at - stored.start for at in span) for tag, span in spans.items()}
    assert (moved, end - stored.start) == expected
    assert len(stored.view) == HEAD
    cut = opened(write_object(tmp_path / "cut", content[:-2], ExplicitVRLittleEndian))
    with pytest.raises(Unscannable, match="ends"):
        scan(cut, EXPLICIT_LITTLE, start=cut.start, end=cut.size)


def test_a_file_that_is_cut_off_while_its_fragments_are_looked_at_is_storage_unavailable(tmp_path: Path) -> None:
    path = write_object(tmp_path / "object", fragments_of(*[MIB] * 3), ExplicitVRLittleEndian)
    stored = opened(path)
    os.truncate(path, 2 * MIB)
    with pytest.raises(StorageUnavailable):
        scan(stored, EXPLICIT_LITTLE, start=stored.start, end=stored.size)
    with pytest.raises(StorageUnavailable):
        while stored.look_further():
            pass
    with pytest.raises(StorageUnavailable):
        stored.all()


def test_no_more_is_looked_at_than_the_bound(tmp_path: Path) -> None:
    stored = opened(sparse(tmp_path / "object", LOOKED_AT_BYTES + MIB))
    while stored.look_further():
        pass
    assert len(stored.view) == LOOKED_AT_BYTES
    assert not stored.is_in_memory


def test_a_part_of_a_file_leaves_as_that_part(tmp_path: Path) -> None:
    content = bytes(range(256)) * 2000
    path = tmp_path / "study"
    path.write_bytes(b"before!" + content + b"behind")
    for batches in (FileBytes.batches, FileBytes.batches_for_system):
        part = FileBytes(os.open(path, os.O_RDONLY), len(content), Buffers(), origin=7)
        out = b"".join(bytes(b) for batch in batches(part, [], 10) for b in batch)
        assert out == content[10:]
        assert bytes(part.all()) == content
        part.close()
    with pytest.raises(StorageUnavailable):
        FileBytes(os.open(path, os.O_RDONLY), path.stat().st_size, Buffers(), origin=7)
