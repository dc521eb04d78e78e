"""kill -9 at every step of a deletion: rows, files and last known answers are all there, or all gone."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path
from types import FrameType

import pytest
from pydicom import Dataset

from dcm4py_leading.composition.check import Checked, check
from dcm4py_leading.composition.site import Site
from dcm4py_leading.leading.last_known import FILE_NAME, AnswerScope, LastKnown
from dcm4py_leading.model.values import UID, AETitle, Tag
from dcm4py_leading.service.deleting.delete import Deletion, delete_study, finish_deletions
from tests.fixtures.archive import find
from tests.fixtures.ingest import STUDY, Ingest, received
from tests.fixtures.service import DEVICE, Seed

OBJECTS = 3
STEPS = frozenset({"execute", "executemany", "commit", "unlink", "rmdir", "open", "stat", "fsync"})
"""Functions of SQLite and the file system: nothing that lasts happens between two of them."""


def remember(site: Site) -> None:
    """A last known answer about the study."""
    study = Dataset()
    study.StudyInstanceUID, study.PatientName = STUDY, "Right^Name"
    asked = AnswerScope(AETitle("QRSCP"), frozenset({Tag(0x00100010)}), None)
    with closing(LastKnown(site.data_dir / FILE_NAME, max_rows=10, now=time.time)) as last_known:
        last_known.remember(asked, {UID(STUDY): study})


def last_known(site: Site) -> int:
    with closing(sqlite3.connect(site.data_dir / FILE_NAME)) as db:
        (count,) = db.execute("SELECT count(*) FROM last_known WHERE study_instance_uid = ?", (STUDY,)).fetchone()
    return int(count)


def delete_until(site: Site, checked: Checked, step: int) -> None:
    """Delete the study, and be killed before that step."""
    ingest = Ingest.of(site, checked)
    done = 0

    def count(_: FrameType, event: str, function: object) -> None:
        nonlocal done
        if event == "c_call" and getattr(function, "__name__", "") in STEPS:
            done += 1
            if done == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)
    delete_study(ingest.runtime, Deletion(ae_title="DCM4CHEE", study_instance_uid=STUDY))
    sys.setprofile(None)


def is_killed(site: Site, checked: Checked, step: int) -> bool:
    """Delete the study in a process of its own; False where it came to its end before that step."""
    child = os.fork()
    if child == 0:
        try:
            delete_until(site, checked, step)
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL)
    return status != 0


def files(root: Path) -> int:
    return sum(path.is_file() for path in root.rglob("*"))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.timeout(600)  # a process for each step
def test_all_is_there_or_all_is_gone_after_a_restart(seed: Seed) -> None:
    seed.set(DEVICE, dcmAllowDeleteStudyPermanently="ALWAYS")
    site = seed.site
    checked = check(site)
    root = seed.data_dir / "storage" / "fs1"
    outcomes: list[str] = []
    step = 1
    while not outcomes or outcomes[-1] != "ended":
        with_study = Ingest.of(site, checked)
        for number in range(OBJECTS):
            with_study.store(received(number))
        with_study.close()
        remember(site)
        assert (files(root), last_known(site)) == (OBJECTS, 1)

        was_killed = is_killed(site, checked, step)
        restarted = Ingest.of(site, checked)
        has_begun = bool(restarted.index.deletions.pending())
        assert finish_deletions(restarted.runtime) == []
        rows = len(find(restarted.index, "IMAGE", relational=True))
        assert restarted.index.deletions.pending() == []
        restarted.close()
        assert (rows, files(root), last_known(site)) in ((OBJECTS, OBJECTS, 1), (0, 0, 0))
        outcomes.append("ended" if not was_killed else "finished" if has_begun else "void" if rows else "done")
        step += 1
    assert outcomes == sorted(outcomes, key=["void", "finished", "done", "ended"].index)
    assert outcomes.count("void") > 5
    assert outcomes.count("finished") > 5 + OBJECTS
