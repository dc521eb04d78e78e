"""What is being kept beside its delivery: nothing that goes wrong with it reaches the delivery."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from dcm4py_leading.archive.proxy_cache.cached_study import CachedObject, CachedStudy, StudyState
from dcm4py_leading.archive.proxy_cache.proxy_cache import ProxyCache
from dcm4py_leading.archive.proxy_cache.study_file import StudyFile
from dcm4py_leading.errors import ArchiveUnavailable
from dcm4py_leading.model.values import AETitle
from dcm4py_leading.service.proxy import object_check
from dcm4py_leading.service.proxy.cache_writer import CacheWriter, CachingStream
from dcm4py_leading.service.proxy.caching_upstream import CachedStream
from dcm4py_leading.service.proxy.forwarded_retrieve import ArrivedObject, ForwardedRetrieve, UnsentObject
from dcm4py_leading.service.retrieve.encode import encoded
from tests.fixtures.pacs import make_object

STUDY, OTHER = "1.2.826.0.1.3680043.8.498.87", "1.2.826.0.1.3680043.8.498.88"
PACS = AETitle("PACS")
_NOT_PLACED = "an object has no series, or its elements are not in order"


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[ProxyCache]:
    cache = ProxyCache(tmp_path / "kept", most_bytes=1 << 20)
    yield cache
    cache.close()


def arrived(
    number: int, study: str = STUDY, syntax: str = ImplicitVRLittleEndian, **attributes: object
) -> ArrivedObject:
    ds = make_object(study, number, size=100, **attributes)
    return object_check.checked_object(ds.SOPClassUID, ds.SOPInstanceUID, syntax, encoded(ds, syntax))


def await_writers() -> None:
    for thread in threading.enumerate():
        if thread.name == "keeping a study":
            thread.join(30)
            assert not thread.is_alive()


def keep(cache: ProxyCache, *objects: ArrivedObject) -> None:
    keeping = CacheWriter(cache, STUDY, PACS)
    for one in objects:
        keeping.take(one)
    keeping.complete()
    keeping.close()
    await_writers()


def kept(cache: ProxyCache) -> CachedStudy | None:
    return cache.find(PACS, STUDY)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, "1.2.3.4.5"])
def test_objects_of_any_syntax_are_kept_by_their_series(cache: ProxyCache, syntax: str) -> None:
    if syntax == "1.2.3.4.5":  # not known: Explicit VR Little Endian (PS3.5 10)
        one = arrived(1, syntax="1.2.840.10008.1.2.1")
        one = ArrivedObject(
            **{**{name: getattr(one, name) for name in ArrivedObject.__slots__}, "transfer_syntax_uid": syntax}
        )
    else:
        one = arrived(1, syntax=syntax)
    keep(cache, one)
    study = kept(cache)
    assert study is not None
    assert study.objects == (
        CachedObject(f"{STUDY}.1", one.sop_instance_uid, one.sop_class_uid, syntax, len(one.octets)),
    )
    part = study.part(0)
    assert os.pread(part.descriptor, part.length, part.offset) == one.octets
    os.close(part.descriptor)
    study.close()


def no_series(number: int) -> ArrivedObject:
    ds = make_object(STUDY, number)
    del ds.SeriesInstanceUID
    data = encoded(ds, ImplicitVRLittleEndian)
    return object_check.checked_object(ds.SOPClassUID, ds.SOPInstanceUID, ImplicitVRLittleEndian, data)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: arrived(2, study=OTHER), "an object of another study came"),
        (lambda: no_series(2), _NOT_PLACED),
        (
            lambda: arrived(2, syntax=DeflatedExplicitVRLittleEndian),
            _NOT_PLACED,
        ),
    ],
)
def test_a_study_with_an_object_that_cannot_be_placed_is_not_kept(
    cache: ProxyCache, make: Callable[[], ArrivedObject], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    keep(cache, arrived(1), make(), arrived(3))
    assert kept(cache) is None
    assert cache.counts().size == 0
    assert reason in caplog.text
    assert STUDY not in caplog.text and OTHER not in caplog.text


def test_where_the_disk_is_too_slow_the_delivery_goes_on(
    cache: ProxyCache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    goes_on = threading.Event()
    append = StudyFile.append

    def hangs(file: StudyFile, data: bytes) -> None:
        assert goes_on.wait(60)
        append(file, data)

    monkeypatch.setattr(StudyFile, "append", hangs)
    keeping = CacheWriter(cache, STUDY, PACS, patience=0.01)
    for number in range(1, 20):
        keeping.take(arrived(number))
    keeping.complete()
    keeping.close()
    goes_on.set()
    await_writers()
    assert kept(cache) is None
    assert "is not kept: the disk is too slow" in caplog.text


def test_a_cache_that_is_closed_meanwhile_costs_the_study_and_leaves_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = ProxyCache(tmp_path / "kept", most_bytes=1 << 20)
    keeping = CacheWriter(cache, STUDY, PACS)
    keeping.take(arrived(1))
    with keeping._changed:
        assert keeping._changed.wait_for(lambda: not keeping._waiting, 20)
    cache.close()
    keeping.take(arrived(2))
    keeping.complete()
    keeping.close()
    await_writers()
    assert "is not kept" in caplog.text
    assert list((tmp_path / "kept").glob("*.study")) == []


def forward_of(*objects: ArrivedObject) -> ForwardedRetrieve:
    forward = ForwardedRetrieve(
        scp=PACS, originator=PACS, message_id=1, studies=frozenset({STUDY}), patience=20, asked=None
    )
    for one in objects:
        assert forward.offer(one)
    return forward


def test_study_in_passing_is_kept_when_wholly_taken(cache: ProxyCache) -> None:
    forward = forward_of(arrived(1), arrived(2))
    forward.end(total=2)
    passing = CachingStream(cache, STUDY, forward, lambda: None)
    assert [one.sop_instance_uid for one in passing] == [f"{STUDY}.1.1", f"{STUDY}.1.2"]
    passing.close()
    await_writers()
    study = kept(cache)
    assert study is not None and len(study.objects) == 2
    study.close()


def closed_early(forward: ForwardedRetrieve, passing: CachingStream) -> None:
    next(iter(passing))


def failed_one(forward: ForwardedRetrieve, passing: CachingStream) -> None:
    forward.end(failed=["1.2.3"], total=3)
    list(passing)


def counted_more(forward: ForwardedRetrieve, passing: CachingStream) -> None:
    forward.end(total=3)
    list(passing)


def failed_in_the_end(forward: ForwardedRetrieve, passing: CachingStream) -> None:
    forward.end(failure=ArchiveUnavailable("PACS: aborted"), total=2)
    list(passing)


def left_by_the_viewer(forward: ForwardedRetrieve, passing: CachingStream) -> None:
    passing.watch(lambda: True)
    list(passing)


@pytest.mark.parametrize("ends", [closed_early, failed_one, counted_more, failed_in_the_end, left_by_the_viewer])
def test_study_in_passing_is_not_kept_in_part(
    cache: ProxyCache, ends: Callable[[ForwardedRetrieve, CachingStream], None]
) -> None:
    forward = forward_of(arrived(1), arrived(2))
    passing = CachingStream(cache, STUDY, forward, lambda: None)
    ends(forward, passing)
    passing.close()
    await_writers()
    assert kept(cache) is None
    assert (cache.counts().size, cache.counts().studies) == (0, 0)


def test_state_of_the_study_is_kept_with_it(cache: ProxyCache) -> None:
    for state, digest in ((StudyState(1, "said"), "said"), (None, None)):

        def said(state: StudyState | None = state) -> StudyState | None:
            return state

        keeping = CacheWriter(cache, STUDY, PACS, said)
        keeping.take(arrived(1))
        keeping.complete()
        keeping.close()
        await_writers()
        study = kept(cache)
        assert study is not None and study.digest == digest
        study.close()


def test_a_kept_object_that_cannot_be_read_is_missing_and_the_study_is_kept_no_longer(cache: ProxyCache) -> None:
    keep(cache, arrived(1), arrived(2))
    study = kept(cache)
    assert study is not None
    offsets = study._offsets
    study._offsets = (0, 1 << 20)
    arriving = CachedStream(cache, study, (0, 1))
    first, second = arriving
    assert isinstance(first, ArrivedObject) and first.sop_instance_uid == f"{STUDY}.1.1"
    assert second == UnsentObject(f"{STUDY}.1.2", "a kept object cannot be read")
    assert offsets[1] == len(first.octets)
    arriving.close()
    assert kept(cache) is None


def test_kept_objects_end_when_nobody_waits_for_them(cache: ProxyCache) -> None:
    keep(cache, arrived(1), arrived(2), arrived(3))
    study = kept(cache)
    assert study is not None
    arriving = CachedStream(cache, study, (0, 1, 2))
    taken: list[object] = []
    arriving.watch(lambda: len(taken) == 2)
    for one in arriving:
        taken.append(one)
        assert arriving.remaining(len(taken)) == 3 - len(taken)
    assert len(taken) == 2
    arriving.close()
