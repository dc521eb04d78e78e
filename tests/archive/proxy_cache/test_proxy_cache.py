"""What is kept of other archives: found when it is complete, removed when it was not used for long, and counted."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcm4py_leading.archive.proxy_cache.cached_study import CachedObject, CachedStudy, StudyWriter
from dcm4py_leading.archive.proxy_cache.proxy_cache import ProxyCache, throw_away
from dcm4py_leading.archive.proxy_cache.study_file import FilePart
from dcm4py_leading.errors import StorageUnavailable

PACS, OTHER_PACS = "PACS", "OTHER"
Open = Callable[..., ProxyCache]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "kept"


@pytest.fixture
def opened(directory: Path) -> Iterator[Open]:
    """Opens the cache; as often as one likes, as different processes would."""
    with ExitStack() as running:

        def open_cache(most_bytes: int = 1000) -> ProxyCache:
            cache = ProxyCache(directory, most_bytes=most_bytes)
            running.callback(cache.close)
            return cache

        yield open_cache


def begin(cache: ProxyCache, study: str, *sizes: int, scp: str = PACS) -> StudyWriter:
    """Write objects of these sizes, and no further."""
    writer = cache.begin(scp, study)
    assert writer is not None
    for number, size in enumerate(sizes):
        data = bytes([number + 1]) * size
        writer.append(CachedObject(f"{study}.1", f"{study}.1.{number}", "1.2.3", "1.2.840.10008.1.2", size), data)
    return writer


def keep(cache: ProxyCache, study: str, *sizes: int, scp: str = PACS) -> None:
    """Keep a study with objects of these sizes."""
    writer = begin(cache, study, *sizes, scp=scp)
    writer.complete()
    writer.close()


def is_kept(cache: ProxyCache, study: str, scp: str = PACS) -> bool:
    found = cache.find(scp, study)
    if found is not None:
        found.close()
    return found is not None


def kept(cache: ProxyCache, *studies: str) -> list[str]:
    return [study for study in studies if is_kept(cache, study)]


def use(cache: ProxyCache, study: str) -> None:
    found = cache.find(PACS, study)
    assert found is not None
    cache.hit(found)
    found.close()


def files(directory: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in directory.glob("*.study")}


def octets(part: FilePart) -> bytes:
    try:
        return os.pread(part.descriptor, part.length, part.offset)
    finally:
        os.close(part.descriptor)


def content(study: CachedStudy, number: int = 0) -> bytes:
    return octets(study.part(number))


def test_kept_object_is_found_as_it_came(opened: Open) -> None:
    cache = opened()
    keep(cache, "1.1", 10, 0, 20)
    study = cache.find(PACS, "1.1")
    assert study is not None
    assert (study.scp, study.study_instance_uid) == (PACS, "1.1")
    assert study.objects[2] == CachedObject("1.1.1", "1.1.1.2", "1.2.3", "1.2.840.10008.1.2", 20)
    assert [content(study, number) for number in range(3)] == [b"\1" * 10, b"", b"\3" * 20]
    study.close()


def test_an_object_can_be_read_when_its_study_is_closed(opened: Open) -> None:
    cache = opened(1 << 20)
    keep(cache, "1.1", 5000, 6000, 101)
    study = cache.find(PACS, "1.1")
    assert study is not None
    parts = [study.part(number) for number in range(3)]
    study.close()
    assert [octets(part) for part in parts] == [b"\1" * 5000, b"\2" * 6000, b"\3" * 101]


def test_a_study_is_found_only_as_the_archive_that_was_asked_sent_it(opened: Open) -> None:
    cache = opened()
    keep(cache, "1.1", 10)
    assert is_kept(cache, "1.1")
    assert not is_kept(cache, "1.1", OTHER_PACS)
    assert not is_kept(cache, "1.2")


def test_study_is_kept_only_when_complete_and_written_by_one_at_a_time(opened: Open, directory: Path) -> None:
    cache, other = opened(), opened()
    writer = begin(cache, "1.1", 10)
    for one in (cache, other):
        assert not is_kept(one, "1.1")
        assert one.begin(PACS, "1.1") is None
    assert other.begin(OTHER_PACS, "1.1") is not None
    writer.complete()
    assert is_kept(other, "1.1")
    writer.close()
    assert is_kept(other, "1.1")


def test_a_study_that_is_not_completed_leaves_nothing(opened: Open, directory: Path) -> None:
    cache = opened()
    begin(cache, "1.1", 10).close()
    assert (cache.counts().size, cache.counts().studies, files(directory)) == (0, 0, {})
    keep(cache, "1.1", 10)
    assert is_kept(cache, "1.1")


def test_a_study_that_is_kept_anew_takes_the_place_of_the_old_one(opened: Open, directory: Path) -> None:
    cache = opened()
    keep(cache, "1.1", 10)
    keep(cache, "1.1", 10, 20)
    study = cache.find(PACS, "1.1")
    assert study is not None and len(study.objects) == 2
    study.close()
    assert (cache.counts().studies, list(files(directory).values())) == (1, [30])


def test_least_recently_used_study_goes_first(opened: Open, directory: Path) -> None:
    cache = opened(100)
    for study in ("1.1", "1.2", "1.3"):
        keep(cache, study, 30)
    use(cache, "1.1")
    keep(cache, "1.4", 30)
    assert kept(cache, "1.1", "1.2", "1.3", "1.4") == ["1.1", "1.3", "1.4"]
    keep(cache, "1.5", 50)
    assert kept(cache, "1.1", "1.3", "1.4", "1.5") == ["1.4", "1.5"]
    assert cache.counts().removed == 3
    assert sum(files(directory).values()) == cache.counts().size == 80


def test_a_study_of_exactly_the_limit_is_kept_and_a_larger_one_is_not(opened: Open, directory: Path) -> None:
    cache = opened(100)
    keep(cache, "1.1", 60, 40)
    assert is_kept(cache, "1.1")
    writer = begin(cache, "1.2", 60)
    with pytest.raises(StorageUnavailable, match="larger than proxy-keep"):
        writer.append(CachedObject("", "", "", "", 41), bytes(41))
    writer.close()
    assert cache.counts().size == 0 and files(directory) == {}


def test_an_object_larger_than_the_limit_costs_no_other_study(opened: Open) -> None:
    cache = opened(100)
    keep(cache, "1.1", 60)
    writer = begin(cache, "1.2")
    with pytest.raises(StorageUnavailable, match="larger than proxy-keep"):
        writer.append(CachedObject("", "", "", "", 101), bytes(101))
    writer.close()
    assert is_kept(cache, "1.1")


def test_studies_being_sent_or_written_are_not_removed(opened: Open, directory: Path) -> None:
    cache, other = opened(100), opened(100)
    keep(cache, "1.1", 40)
    study = cache.find(PACS, "1.1")
    assert study is not None
    writer = begin(cache, "1.2", 40)
    third = begin(other, "1.3")
    with pytest.raises(StorageUnavailable, match="leaves no room"):
        third.append(CachedObject("", "", "", "", 40), bytes(40))
    third.close()
    study.close()
    keep(other, "1.3", 40)
    assert kept(other, "1.1", "1.2", "1.3") == ["1.3"]
    writer.complete()
    writer.close()
    assert kept(cache, "1.2", "1.3") == ["1.2", "1.3"]


def test_study_changed_in_the_other_archive_is_not_found_but_sent_to_its_end(opened: Open, directory: Path) -> None:
    cache = opened(100)
    keep(cache, "1.1", 40)
    sent, asked = cache.find(PACS, "1.1"), cache.find(PACS, "1.1")
    assert sent is not None and asked is not None
    cache.drop(asked)
    assert not is_kept(cache, "1.1")
    assert content(sent) == b"\1" * 40
    assert cache.counts().size == 40
    sent.close()
    keep(cache, "1.2", 10)
    assert files(directory).keys() == {"2.study"}
    assert cache.counts().size == 10


def test_all_processes_share_the_limit_and_what_is_kept(opened: Open, directory: Path) -> None:
    one, other = opened(100), opened(100)
    keep(one, "1.1", 60)
    keep(other, "1.2", 60)
    for cache in (one, other):
        assert kept(cache, "1.1", "1.2") == ["1.2"]
        assert (cache.counts().size, cache.counts().studies) == (60, 1)
    assert (one.counts().removed, other.counts().removed) == (0, 1)


def test_cached_studies_outlive_a_restart_and_keep_to_a_smaller_limit(opened: Open, directory: Path) -> None:
    cache = opened(100)
    for study in ("1.1", "1.2", "1.3"):
        keep(cache, study, 30)
    cache.close()
    assert kept(opened(100), "1.1", "1.2", "1.3") == ["1.1", "1.2", "1.3"]
    assert kept(opened(60), "1.1", "1.2", "1.3") == ["1.2", "1.3"]
    assert sum(files(directory).values()) == 60


def test_remains_of_a_crash_are_removed_at_the_next_start(opened: Open, directory: Path) -> None:
    cache = opened()
    keep(cache, "1.1", 10)
    program = (
        "import os, sys; from pathlib import Path;"
        "from dcm4py_leading.archive.proxy_cache.cached_study import CachedObject;"
        "from dcm4py_leading.archive.proxy_cache.proxy_cache import ProxyCache;"
        "writer = ProxyCache(Path(sys.argv[1]), most_bytes=1000).begin('PACS', '1.2');"
        "writer.append(CachedObject('', '', '', '', 20), bytes(20));"
        "os._exit(7)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(directory)]).returncode == 7
    (directory / "99.study").write_bytes(b"no row")
    alive = begin(cache, "1.3", 5)
    assert sorted(files(directory).values()) == [5, 6, 10, 20]

    restarted = opened()
    assert sorted(files(directory).values()) == [5, 10]
    assert kept(restarted, "1.1", "1.2", "1.3") == ["1.1"]
    alive.complete()
    alive.close()
    assert restarted.counts().size == 15


def test_leftover_of_a_crash_does_not_prevent_caching(opened: Open, directory: Path) -> None:
    cache = opened()
    begin(cache, "1.1", 10).file.close()
    (directory / "2.study").write_bytes(b"its row was not committed")
    keep(cache, "1.1", 20)
    assert is_kept(cache, "1.1")
    assert list(files(directory).values()) == [20]


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"short")])
def test_a_file_that_is_gone_or_cut_is_not_served(
    opened: Open, directory: Path, damage: Callable[[Path], object]
) -> None:
    cache = opened()
    keep(cache, "1.1", 10)
    damage(directory / "1.study")
    assert not is_kept(cache, "1.1")
    assert (cache.counts().size, files(directory)) == (0, {})


def test_a_database_that_is_none_is_said(directory: Path, opened: Open) -> None:
    directory.mkdir()
    (directory / "index.sqlite").write_bytes(b"this is no database" * 100)
    with pytest.raises(StorageUnavailable, match="not a database"):
        opened()
    throw_away(directory)
    assert not directory.exists()
    throw_away(directory)


@pytest.mark.slow
def test_processes_may_open_and_throw_away_at_the_same_time(directory: Path) -> None:
    imports = "import sys; from pathlib import Path; from dcm4py_leading.archive.proxy_cache.proxy_cache import *;"
    for program in (
        "cache = ProxyCache(Path(sys.argv[1]), most_bytes=1000); assert cache.counts().studies == 0",
        "throw_away(Path(sys.argv[1]))",
    ):
        running = [subprocess.Popen([sys.executable, "-c", imports + program, str(directory)]) for _ in range(4)]
        assert [process.wait() for process in running] == [0] * 4
    assert not directory.exists()


def test_only_its_own_user_may_read_what_is_kept(opened: Open, directory: Path) -> None:
    keep(opened(), "1.1", 10)
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o600}


Step = tuple[str, str, int]
STEPS = st.tuples(
    st.sampled_from(["keep", "use", "begin", "append", "abandon", "restart"]),
    st.sampled_from(["1.1", "1.2", "1.3", "1.4"]),
    st.integers(min_value=0, max_value=60),
)


@settings(max_examples=30)
@given(steps=st.lists(STEPS, max_size=15))
def test_the_limit_holds_whatever_is_done(tmp_path_factory: pytest.TempPathFactory, steps: list[Step]) -> None:
    directory = tmp_path_factory.mktemp("kept")
    cache = ProxyCache(directory, most_bytes=100)
    writing: dict[str, StudyWriter] = {}
    for action, study, size in steps:
        writer = writing.get(study)
        try:
            match action:
                case "keep" if writer is None:
                    one = cache.begin(PACS, study)
                    assert one is not None
                    try:
                        one.append(CachedObject("", "", "", "", size), bytes(size))
                        one.complete()
                    finally:
                        one.close()
                    assert is_kept(cache, study)
                case "begin" if writer is None:
                    one = cache.begin(PACS, study)
                    assert one is not None
                    writing[study] = one
                case "append" if writer is not None:
                    writer.append(CachedObject("", "", "", "", size), bytes(size))
                case "abandon" if writer is not None:
                    writing.pop(study).close()
                case "use" if is_kept(cache, study):
                    use(cache, study)
                case "restart":
                    cache.close()
                    for left in writing.values():
                        left.file.close()
                    writing.clear()
                    cache = ProxyCache(directory, most_bytes=100)
        except StorageUnavailable:
            pass
        assert sum(files(directory).values()) <= cache.counts().size <= 100
    for left in writing.values():
        left.close()
    cache.close()


def test_forgotten_study_is_removed_for_every_archive(opened: Open, directory: Path) -> None:
    cache = opened()
    for study, scp in (("1.1", PACS), ("1.1", OTHER_PACS), ("1.2", PACS)):
        keep(cache, study, 10, scp=scp)
    cache.forget("1.1")
    assert (is_kept(cache, "1.1"), is_kept(cache, "1.1", OTHER_PACS), is_kept(cache, "1.2")) == (False, False, True)
    assert len(list(directory.glob("*.study"))) == 1


def test_a_study_that_is_forgotten_while_it_is_sent_is_read_to_its_end(opened: Open) -> None:
    cache = opened()
    keep(cache, "1.1", 10)
    found = cache.find(PACS, "1.1")
    assert found is not None
    cache.forget("1.1")
    assert not is_kept(cache, "1.1")
    assert content(found) == b"\x01" * 10
    found.close()
