"""Every kind of index and of storage that the contract is tested on. A further kind is a further parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dcm4py_leading.archive.index.index import Index
from dcm4py_leading.archive.storage.file_storage import FileStorage
from dcm4py_leading.archive.storage.storage import Storage
from dcm4py_leading.model.archive import StorageDescriptor
from tests.fixtures.archive import empty_index, make_descriptor


@pytest.fixture(params=["sqlite"])
def index_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without rows."""
    (tmp_path / "index.sqlite").write_bytes(empty_index())
    return {"sqlite": f"sqlite:///{tmp_path / 'index.sqlite'}"}[request.param]


@pytest.fixture
def index(index_url: str) -> Iterator[Index]:
    """An empty index."""
    index = Index.open(index_url)
    yield index
    index.close()


@pytest.fixture(params=["file"])
def storage_kind(request: pytest.FixtureRequest) -> Callable[[StorageDescriptor], Storage]:
    """How a storage is opened."""
    kinds: dict[str, Callable[[StorageDescriptor], Storage]] = {"file": FileStorage}
    return kinds[request.param]


@pytest.fixture
def storage(storage_kind: Callable[[StorageDescriptor], Storage], tmp_path: Path) -> Storage:
    """An empty storage with MD5 digests and one path for each SOP Instance UID."""
    descriptor = make_descriptor(tmp_path / "fs1", storage_path_format="objects/{00080018}", digest_algorithm="MD5")
    return storage_kind(descriptor)
