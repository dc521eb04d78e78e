"""Power cut at any moment: what was answered with success is there, as it was sent, and nothing is half there.

A real archive stores, replaces, edits and deletes while strace records what it writes and syncs; then it is started on
what a disk may have that lost its power in between (`tests.fixtures.power`). By default, some of the moments are tried
with one choice of what reached the disk unsynced; with ``DCM4PY_POWER_CUTS=all``, all of them with many.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from dcm4py_leading.composition.check import Checked, check
from dcm4py_leading.composition.data import open_storages, use_data_directory
from dcm4py_leading.composition.site import Site
from tests.fixtures.archive_steps import STEPS, Progress, State, found, replaced
from tests.fixtures.ingest import open_index
from tests.fixtures.power import Cut, Disk, traced
from tests.fixtures.service import DEVICE, Seed

ALL = os.environ.get("DCM4PY_POWER_CUTS") == "all"
CUTS = 100
CHOICES: list[tuple[bool | None, bool | None]] = [(False, False), (False, True), (True, False), (True, True)]
SEEDS = range(12)


def cuts(moments: Iterable[int]) -> Iterator[Cut]:
    """The cuts to be tried, in the order of time."""
    every = [
        [*(Cut(moment, *choice) for choice in CHOICES), *(Cut(moment, None, None, seed) for seed in SEEDS)]
        for moment in dict.fromkeys(moments)
    ]
    choose = random.Random(11)
    some = [choose.choice(cuts) for cuts in every]
    taken = sorted(choose.sample(range(len(some)), min(CUTS, len(some))))
    yield from (cut for cuts in every for cut in cuts) if ALL else (some[number] for number in taken)


def started(site: Site, checked: Checked) -> tuple[State, set[str]]:
    """State of the archive after a start, and the paths of its files."""
    use_data_directory(site, checked).close()
    index = open_index(site)
    try:
        return found(index, open_storages(checked.snapshot.device, {}, index))
    finally:
        index.close()


def content(root: Path) -> dict[str, bytes]:
    """All files below a directory, but not the memory that processes with SQLite share."""
    files = [path for path in root.rglob("*") if path.is_file() and not path.name.endswith("-shm")]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


@pytest.mark.peers
@pytest.mark.slow
@pytest.mark.timeout(3600 if ALL else 600)
@pytest.mark.parametrize("names", ["ordered", "unordered"])
def test_acknowledged_objects_survive_a_power_cut(seed: Seed, tmp_path: Path, names: str) -> None:
    seed.set(DEVICE, dcmAllowDeleteStudyPermanently="ALWAYS", dcmOverwritePolicy="ALWAYS")
    is_ordered = names == "ordered"
    (seed.data_dir / "storage").mkdir()
    disk = Disk(seed.data_dir)
    program = [sys.executable, "-m", "tests.fixtures.archive_steps"]
    command = [*program, *map(str, (*seed.tree_files, seed.data_dir)), names]
    lines = []
    for moment, line in disk.replay(traced(command, tmp_path / "calls")):
        lines.append((moment, line))
        if len(words := line.split(" ", 3)) == 4:
            disk.set_mtime(f"storage/fs1/{words[3]}", int(words[2]))
    assert len(lines) == 2 * sum(map(len, STEPS))
    disk.restore(tmp_path / "all", Cut(lines[-1][0], names=True, data=True), is_ordered=is_ordered)
    assert content(tmp_path / "all") == content(seed.data_dir)

    checked = check(seed.site)
    progress = Progress()
    for cut in cuts(disk.moments):
        while lines and lines[0][0] <= cut.after:
            progress.tell(lines.pop(0)[1])
        disk.restore(seed.data_dir, cut, is_ordered=is_ordered)
        try:
            state, paths = started(seed.site, checked)
        except Exception as err:
            err.add_note(f"{cut}, {progress}")
            raise
        assert state in progress.states(), f"{cut}, {progress}"
        if is_ordered:
            left = {one: data for one, data in content(seed.data_dir / "storage" / "fs1").items() if one not in paths}
            assert all(data.endswith(replaced()) for data in left.values()), f"{cut}, {progress}: {left.keys()}"
