"""Files that are being received, and what a crash leaves of them."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from dcm4py_leading.archive.storage.in_flight import forget, record, sweep, temporary_file

SHORT, ODD = "2026/11/30/ABCDEF", "a=b/100%41/c"
LONG = "/".join(["d" * 100] * 4)
"""Longer than a name may be."""


def left(directory: Path, place: str | None = None) -> Path:
    """A file that a process had in flight when it ended."""
    descriptor, path = temporary_file(str(directory))
    if place is not None:
        path = record(path, place)
    os.close(descriptor)
    return Path(path)


def swept(directory: Path) -> list[tuple[Path, str]]:
    settled: list[tuple[Path, str]] = []
    sweep(directory, lambda path, place: settled.append((path, place)))
    return settled


@pytest.mark.parametrize("place", [SHORT, ODD, LONG])
def test_a_file_that_may_have_its_place_is_settled_by_it(tmp_path: Path, place: str) -> None:
    path = left(tmp_path, place)
    assert swept(tmp_path) == [(path, place)]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("places", [(SHORT, ODD), (SHORT, LONG), (LONG, LONG + "x")])
def test_the_last_place_that_was_recorded_counts(tmp_path: Path, places: tuple[str, str]) -> None:
    path = Path(record(str(left(tmp_path, places[0])), places[1]))
    assert swept(tmp_path) == [(path, places[1])]
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_a_place_is_removed_and_not_settled(tmp_path: Path) -> None:
    left(tmp_path)
    assert swept(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", [SHORT, LONG])
def test_a_file_that_a_living_process_has_is_left_alone(tmp_path: Path, place: str) -> None:
    descriptor, path = temporary_file(str(tmp_path))
    path = record(path, place)
    try:
        assert swept(tmp_path) == []
        assert Path(path).exists()
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("place", [None, SHORT, LONG])
def test_a_file_is_forgotten_with_its_place_and_again(tmp_path: Path, place: str | None) -> None:
    path = left(tmp_path, place)
    for _ in range(2):
        forget(str(path))
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_ours_is_left_alone_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "object.dcm").touch()
    (tmp_path / "0123456789abcdef").mkdir()
    with caplog.at_level(logging.WARNING):
        assert swept(tmp_path) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0123456789abcdef", "object.dcm"]
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}: 2 files or directories are not ours, and are left alone: move them elsewhere"
    ]


def test_a_file_that_cannot_be_settled_stays(tmp_path: Path) -> None:
    def fails(path: Path, place: str) -> None:
        raise OSError("no")

    path = left(tmp_path, SHORT)
    with pytest.raises(OSError, match="no"):
        sweep(tmp_path, fails)
    assert path.exists()
