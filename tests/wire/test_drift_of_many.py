"""A comparison of 40,000 studies: few questions, constant memory, at its rate, whatever happens on the way."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from dcm4py_leading.service.drift.state import read
from tests.fixtures.many_studies import DOWN_SECONDS, RATE, day, expected, fill, uid
from tests.fixtures.service import Seed
from tests.fixtures.workers import until

pytestmark = pytest.mark.slow

STUDIES = 40_000
PAGE = 100
_MAX_KILOBYTES = 5_000
"""Growth from a tenth of the studies to all of them; one study kept would be more than one kilobyte."""


def begin(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "tests.fixtures.many_studies", str(folder)])


def compared(folder: Path) -> int:
    kept = read(folder / "drift.state")
    return 0 if kept is None else kept.state.summary.studies


def test_killed_comparison_resumes_with_the_outcome_of_a_naive_one(seed: Seed) -> None:
    seed.lead()
    folder = seed.directory
    fill(seed.data_dir, STUDIES)
    process = begin(folder)
    try:
        until(lambda: compared(folder) >= STUDIES // 4 or process.poll() is not None, seconds=300)
    finally:
        process.kill()
        process.wait()
    at = compared(folder)
    assert STUDIES // 4 <= at < STUDIES
    assert begin(folder).wait(500) == 0
    told = json.loads((folder / "told.json").read_text())

    numbers = range(1, STUDIES + 1)
    with (folder / "drift.csv").open(newline="") as file:
        rows = [(row["StudyInstanceUID"], row["outcome"], row["attributes"]) for row in csv.DictReader(file)]
    assert rows == [(uid(number), *expected(number)) for number in numbers]
    outcomes = Counter(expected(number)[0] for number in numbers)
    assert told["summary"]["outcomes"] == {**dict.fromkeys(("unusable", "unasked"), 0), **outcomes}
    named = Counter(f"{day(n)[:4]}-{day(n)[4:6]}" for n in numbers if "PatientName" in expected(n)[1])
    assert told["summary"]["staleByAttribute"]["PatientName"] == named

    questions = [tuple(map(int, line.split())) for line in (folder / "questions").read_text().splitlines()]
    pages = [(first, PAGE) for first in range(1, STUDIES + 1, PAGE)]
    # An archive that lacks a study may not understand lists: it is asked once for one that it must lack, by each run.
    assert sorted({question for question in questions if question[1] > 1}) == pages
    assert len(questions) <= len(pages) + 4  # and the one under way when it was killed

    assert told["least"] >= 1 / RATE
    assert told["seconds"] >= DOWN_SECONDS + (STUDIES - at) / PAGE / RATE
    assert max(told["kilobytes"]) - told["kilobytes"][0] < _MAX_KILOBYTES
