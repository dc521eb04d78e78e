"""Objects that are sent as maps of their files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from pydicom.uid import ImplicitVRLittleEndian

from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.dicom.upper.association import Association
from dcm4py_leading.dicom.upper.failures import AssociationFailed
from dcm4py_leading.errors import StorageUnavailable
from dcm4py_leading.service.retrieve.encode import PreparedObject
from dcm4py_leading.service.retrieve.file_bytes import Buffers, FileBytes
from tests.fixtures.links import CONTEXTS, CT, IMPLICIT, linked, store_object, tcp_pair
from tests.fixtures.outgoing import write_object

SIZE = 1 << 20


@pytest.fixture
def both() -> Iterator[tuple[Association, Association]]:
    """The association of the requestor, and of the acceptor."""
    links = linked(*tcp_pair(8 << 20))
    requestor, acceptor = (Association(link, CONTEXTS, 131072) for link in links)
    yield requestor, acceptor
    for link in links:
        link.close()


def stored_object(path: Path) -> FileBytes:
    write_object(path, bytes(SIZE), ImplicitVRLittleEndian)
    return FileBytes(os.open(path, os.O_RDONLY), path.stat().st_size, Buffers())


def prepared(stored: FileBytes, batches: Iterator[Sequence[Buffer]]) -> PreparedObject:
    return PreparedObject(
        sop_class_uid=CT,
        sop_instance_uid="1",
        transfer_syntax_uid=IMPLICIT,
        length=SIZE,
        source=stored.batches((), stored.start),
        mapped=lambda: batches,
        release=stored.close,
    )


def test_a_file_that_is_cut_off_while_it_is_sent_fails_its_object_alone(
    both: tuple[Association, Association], tmp_path: Path
) -> None:
    requestor, acceptor = both
    path = tmp_path / "object"
    stored = stored_object(path)

    def cut_off() -> Iterator[Sequence[Buffer]]:
        for batch in stored.batches_for_system((), stored.start):
            os.truncate(path, 1 << 17)
            yield batch

    with pytest.raises(StorageUnavailable):
        store_object(requestor, prepared(stored, cut_off()), 1, None, 20)
    acceptor.receive(20)
    with pytest.raises(AssociationFailed):
        list(acceptor.data(20))
    assert not requestor.is_open


def test_nothing_is_mapped_that_tls_has_to_look_at(both: tuple[Association, Association], tmp_path: Path) -> None:
    requestor, acceptor = both
    requestor.link.is_tls = True
    stored = stored_object(tmp_path / "object")

    def mapped() -> Iterator[Sequence[Buffer]]:
        raise AssertionError("mapped")
        yield ()

    requestor.begin_store(prepared(stored, mapped()), 1, None)
    acceptor.receive(20)
    assert sum(map(len, acceptor.data(20))) == SIZE
