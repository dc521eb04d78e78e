from __future__ import annotations

import logging
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from pydicom import Dataset

from dcm4py_leading.leading.last_known import FILE_NAME, AnswerScope, LastKnown
from dcm4py_leading.model.values import UID, AETitle, Tag
from tests.fixtures.clock import Clock
from tests.fixtures.rules import LEADING, data_set

A, B, C = UID("1.2.3"), UID("1.2.4"), UID("1.2.5")
ASKED = AnswerScope(LEADING, frozenset({Tag(0x00100010), Tag(0x0020000D)}), None)
DAY = timedelta(hours=24)


def study(uid: UID, **values: object) -> Dataset:
    return data_set(StudyInstanceUID=uid, **{"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Müller^Ö", **values})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / FILE_NAME


def store(path: Path, clock: Clock | None = None, max_rows: int = 1000) -> LastKnown:
    return LastKnown(path, max_rows=max_rows, now=clock or Clock(1e9))


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"SpecificCharacterSet": ["", "ISO 2022 IR 87"], "PatientName": "Yamada^Tarou=山田^太郎"},
        {"SpecificCharacterSet": "GB18030", "PatientName": "王^小东"},
        {"PatientID": "", "StudyDate": "20260102", "NumberOfStudyRelatedInstances": 7, "PatientWeight": 70.5},
        {"ProcedureCodeSequence": [data_set(CodeMeaning="Schädel", CodeValue="X")]},
        {"OtherPatientNames": ["A^B", "Ü^D"]},
    ],
)
def test_answer_is_the_same_after_a_restart(path: Path, values: dict[str, object]) -> None:
    answer = study(A, **values)
    before = store(path)
    before.remember(ASKED, {A: answer})
    before.close()
    assert store(path).recall(ASKED, [A, B], DAY) == {A: answer}


def test_answer_without_a_character_set_stays_without(path: Path) -> None:
    answer = data_set(StudyInstanceUID=A, PatientName="A^B")
    kept = store(path)
    kept.remember(ASKED, {A: answer})
    assert kept.recall(ASKED, [A], DAY)[A] == answer


def test_remembering_leaves_the_answer_as_it_is(path: Path) -> None:
    answer = study(A)
    store(path).remember(ASKED, {A: answer})
    assert answer == study(A)


@pytest.mark.parametrize(
    "other",
    [
        AnswerScope(AETitle("OTHER"), ASKED.return_keys, None),
        AnswerScope(LEADING, frozenset({Tag(0x00100010)}), None),
        AnswerScope(LEADING, ASKED.return_keys, "ISO_IR 144"),
    ],
)
def test_answer_to_something_else_is_never_served(path: Path, other: AnswerScope) -> None:
    kept = store(path)
    kept.remember(ASKED, {A: study(A)})
    assert kept.recall(other, [A], DAY) == {}


def test_answer_that_is_too_old_is_not_served(path: Path) -> None:
    clock = Clock(1e9)
    kept = store(path, clock)
    kept.remember(ASKED, {A: study(A)})
    clock.now += DAY.total_seconds()
    assert A in kept.recall(ASKED, [A], DAY)
    clock.now += 1
    assert kept.recall(ASKED, [A], DAY) == {}


def test_study_that_is_unknown_now_is_forgotten(path: Path) -> None:
    kept = store(path)
    kept.remember(ASKED, {A: study(A), B: study(B)})
    kept.remember(ASKED, {A: None})
    assert set(kept.recall(ASKED, [A, B], DAY)) == {B}


def test_drop_forgets_one_study_or_all(path: Path) -> None:
    kept = store(path)
    kept.remember(ASKED, {uid: study(uid) for uid in (A, B, C)})
    kept.drop(A)
    assert set(kept.recall(ASKED, [A, B, C], DAY)) == {B, C}
    kept.drop(None)
    assert kept.recall(ASKED, [A, B, C], DAY) == {}


def test_oldest_answers_go_when_there_are_too_many(path: Path) -> None:
    clock = Clock(1e9)
    kept = store(path, clock, max_rows=20)
    uids = [UID(f"1.3.{n}") for n in range(60)]
    for uid in uids:
        clock.now += 1
        kept.remember(ASKED, {uid: study(uid)})
    left = kept.recall(ASKED, uids, DAY)
    assert 18 <= len(left) <= 20
    assert set(left) == set(uids[-len(left) :])


def test_only_the_owner_may_read_the_file(path: Path) -> None:
    store(path).remember(ASKED, {A: study(A)})
    files = list(path.parent.iterdir())
    assert path in files
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_many_studies_are_recalled_at_once(path: Path) -> None:
    kept, uids = store(path, max_rows=2000), [UID(f"1.3.{n}") for n in range(1200)]
    kept.remember(ASKED, {uid: study(uid) for uid in uids})
    assert len(kept.recall(ASKED, uids, DAY)) == 1200


def test_broken_file_costs_one_warning_and_no_exception(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.write_bytes(b"this is no database, " * 1000)
    kept = store(path)
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            kept.remember(ASKED, {A: study(A)})
            assert kept.recall(ASKED, [A], DAY) == {}
            kept.drop(None)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert FILE_NAME in record.getMessage()


def test_folder_that_is_not_there_costs_no_exception(tmp_path: Path) -> None:
    kept = store(tmp_path / "none" / FILE_NAME)
    kept.remember(ASKED, {A: study(A)})
    assert kept.recall(ASKED, [A], DAY) == {}


def test_locked_file_is_used_again_when_it_is_free(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = store(path)
    kept.remember(ASKED, {A: study(A)})
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    kept.remember(ASKED, {B: study(B)})
    other.execute("ROLLBACK")
    other.close()
    assert len(caplog.records) == 1
    kept.remember(ASKED, {C: study(C)})
    assert set(kept.recall(ASKED, [A, B, C], DAY)) == {A, C}


def test_threads_share_it(path: Path) -> None:
    kept, uids = store(path), [UID(f"1.3.{n}") for n in range(40)]

    def remember(uid: UID) -> bool:
        kept.remember(ASKED, {uid: study(uid)})
        return uid in kept.recall(ASKED, [uid], DAY)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(remember, uids))
