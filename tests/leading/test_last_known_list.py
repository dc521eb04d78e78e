"""The list of last known answers: of which studies and how old, and nobody is kept waiting by it."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from dcm4py_leading.errors import StatusError
from dcm4py_leading.leading.last_known import FILE_NAME, AnswerScope, LastKnown
from dcm4py_leading.leading.last_known_list import KnownStudies, known_studies
from dcm4py_leading.model.values import UID, AETitle, Tag
from tests.fixtures.rules import LEADING, data_set

ASKED = AnswerScope(LEADING, frozenset({Tag(0x00100010)}), None)
OTHER_KEYS = AnswerScope(LEADING, frozenset({Tag(0x00100020)}), None)
OTHER_SCP = AnswerScope(AETitle("OTHER"), frozenset({Tag(0x00100010)}), None)


class Scene:
    def __init__(self, folder: Path) -> None:
        self.seconds = 1000.0
        self.path = folder / FILE_NAME
        self.known = LastKnown(self.path, max_rows=1000, now=lambda: self.seconds)

    def remember(self, *uids: str, asked: AnswerScope = ASKED) -> None:
        self.known.remember(asked, {UID(uid): data_set(StudyInstanceUID=uid, PatientName="A^B") for uid in uids})
        self.seconds += 10

    def listed(self, containing: str = "", start: int = 0, limit: int = 10) -> KnownStudies:
        return known_studies(self.path, containing=containing, start=start, limit=limit, now=lambda: self.seconds)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def uids(listed: KnownStudies) -> list[str]:
    return [study.study_instance_uid for study in listed.page]


def test_without_a_file_nothing_is_known(scene: Scene) -> None:
    assert scene.listed() == KnownStudies()


def test_an_empty_file_tells_no_ages(scene: Scene) -> None:
    scene.remember("1.2.3")
    scene.known.drop(None)
    assert scene.listed() == KnownStudies()


def test_studies_are_told_with_archive_and_age_the_oldest_first(scene: Scene) -> None:
    scene.remember("1.2.3")
    scene.remember("1.2.2", asked=OTHER_SCP)
    listed = scene.listed()
    assert [(one.leading_cfind_scp, one.study_instance_uid, one.age.total_seconds()) for one in listed.page] == [
        ("QRSCP", "1.2.3", 20),
        ("OTHER", "1.2.2", 10),
    ]
    assert (listed.count, listed.oldest, listed.newest) == (2, timedelta(seconds=20), timedelta(seconds=10))


def test_study_with_several_answers_is_listed_once_with_the_newest_age(scene: Scene) -> None:
    scene.remember("1.2.3")
    scene.remember("1.2.3", asked=OTHER_KEYS)
    listed = scene.listed()
    assert (listed.count, listed.page[0].age) == (1, timedelta(seconds=10))


def test_pages_follow_one_another(scene: Scene) -> None:
    for number in range(5):
        scene.remember(f"1.2.{number}")
    assert uids(scene.listed(limit=2)) == ["1.2.0", "1.2.1"]
    assert uids(scene.listed(start=4, limit=2)) == ["1.2.4"]
    assert uids(scene.listed(start=6, limit=2)) == []
    assert scene.listed(start=6, limit=2).count == 5


def test_a_part_of_the_uid_finds_a_study_and_wild_cards_mean_nothing(scene: Scene) -> None:
    scene.remember("1.2.33", "1.2.34", "1.2.5")
    assert sorted(uids(scene.listed(".3"))) == ["1.2.33", "1.2.34"]
    assert scene.listed(".3").count == 2
    for nothing in ("%", "_", "*", "' OR 1"):
        assert uids(scene.listed(nothing)) == []


def test_the_list_is_read_while_somebody_writes(scene: Scene) -> None:
    scene.remember("1.2.3")
    with sqlite3.connect(scene.path, isolation_level=None) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM last_known")
        assert uids(scene.listed()) == ["1.2.3"]
        writer.execute("ROLLBACK")
    writer.close()


def test_a_clock_that_was_put_back_makes_nothing_younger_than_now(scene: Scene) -> None:
    scene.remember("1.2.3")
    scene.seconds = 0
    assert scene.listed().page[0].age == timedelta(0)


def test_unreadable_file_is_named(scene: Scene) -> None:
    scene.path.write_bytes(b"no database, but long enough to be looked at" * 100)
    with pytest.raises(StatusError, match=FILE_NAME):
        scene.listed()
