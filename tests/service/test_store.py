"""Storing an object, from its bytes to file and entry."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pydicom
import pytest

from dcm4py_leading.dataset import data_sets
from dcm4py_leading.errors import IndexUnavailable, InvalidObject, ObjectMismatch, StorageUnavailable
from dcm4py_leading.service import store as store_module
from tests.fixtures.archive import find
from tests.fixtures.ingest import CHUNK, STUDY, Ingest, data_set, received, sop_instance_uid
from tests.fixtures.service import Seed

MAX_CALLS = 530
"""A tenth more than there are."""


@pytest.fixture
def ingest(seed: Seed) -> Iterator[Ingest]:
    ingest = Ingest.of(seed.site)
    yield ingest
    ingest.close()


def files(seed: Seed) -> list[Path]:
    return [path for path in (seed.data_dir / "storage").rglob("*") if path.is_file()]


def test_object_is_stored_as_it_came_whatever_the_pieces(seed: Seed, ingest: Ingest) -> None:
    assert len(data_set(1)) > 2 * CHUNK
    stored = ingest.store(received(1))
    assert (stored.study_instance_uid, stored.what) == (STUDY, "new")
    (file,) = files(seed)
    assert file.read_bytes().endswith(data_set(1))
    meta = pydicom.dcmread(file).file_meta
    assert meta.MediaStorageSOPInstanceUID == sop_instance_uid(1)
    assert meta.SourceApplicationEntityTitle == "MODALITY"
    assert [ds.PatientName for ds in find(ingest.index)] == ["CompressedSamples^CT1"]


def test_pydicom_reads_nothing_of_a_further_object_of_a_series(
    seed: Seed, ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest.store(received(1))

    def fail(*args: object, **kwargs: object) -> None:
        raise AssertionError

    monkeypatch.setattr(data_sets, "read_dataset", fail)
    assert ingest.store(received(2)).what == "new"
    assert len(files(seed)) == 2


def test_further_object_of_a_series_takes_few_calls(ingest: Ingest) -> None:
    """Counted, since that is the same on every machine. Above the bound, look at what was added for each object."""
    objects = [received(number) for number in range(1, 61)]
    for obj in objects[:10]:
        ingest.store(obj)
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        for obj in objects[10:]:
            ingest.store(obj)
    finally:
        sys.setprofile(None)
    assert 50 < calls / 50 < MAX_CALLS, f"{calls / 50:.0f} calls for each object"


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", InvalidObject),
        (data_set(1)[:-1], InvalidObject),
        (data_set(2), ObjectMismatch),
        (data_set(1).replace(b"1.2.840.10008.5.1.4.1.1.2\0", b"1.2.840.10008.5.1.4.1.1.4\0"), ObjectMismatch),
    ],
    ids=["empty", "truncated", "another instance", "another class"],
)
def test_refused_object_leaves_nothing(seed: Seed, ingest: Ingest, data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        ingest.store(received(1, data))
    assert files(seed) == []
    assert find(ingest.index, "PATIENT") == []


def test_transfer_that_breaks_off_leaves_nothing(seed: Seed, ingest: Ingest) -> None:
    class Aborted(Exception):
        pass

    def breaks_off() -> Iterator[bytes]:
        yield data_set(1)[:CHUNK]
        raise Aborted

    obj = received(1)
    object.__setattr__(obj, "data", breaks_off())
    with pytest.raises(Aborted):
        ingest.store(obj)
    assert files(seed) == []


@pytest.mark.parametrize("error", [IndexUnavailable("no"), StorageUnavailable("no"), RuntimeError()])
def test_index_that_fails_leaves_nothing(
    seed: Seed, ingest: Ingest, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr(type(ingest.index), "store", fail)
    with pytest.raises(type(error)):
        ingest.store(received(1))
    assert files(seed) == []


def test_object_that_cannot_be_cut_is_stored_alike(seed: Seed, ingest: Ingest, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest.store(received(1))
    monkeypatch.setattr(store_module, "_cut", lambda *args: None)
    ingest.store(received(2))
    first, second = find(ingest.index, "IMAGE", relational=True, StudyInstanceUID=STUDY)
    second.SOPInstanceUID = first.SOPInstanceUID
    assert first == second
