"""docs/installation.md: its backup, restored, delivers what was stored; and what it names is there."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

from tests.fixtures.datasets import make_study
from tests.fixtures.peers_required import require
from tests.fixtures.processes import find_program
from tests.fixtures.scu import get, identifier, store
from tests.fixtures.service import Seed
from tests.fixtures.slapd import REPOSITORY

PAGE = (REPOSITORY / "docs" / "installation.md").read_text("utf-8")
STUDY = "1.2.826.0.1.3680043.8.498.31"


def blocks(heading: str) -> list[str]:
    """The shell commands below a heading, in their order."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


def run(commands: str, seed: Seed) -> None:
    """Run what the page says on the data directory of the test."""
    here = re.sub(r"~/dcm4py(?!-)", str(seed.data_dir), commands)
    environment = {"PATH": os.environ["PATH"], "HOME": str(seed.directory)}
    done = subprocess.run(["sh", "-e", "-c", here], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def names_of_delivered(seed: Seed) -> list[str]:
    responses, objects = get(seed.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))
    assert responses[-1][0].Status == 0x0000
    return [str(ds.PatientName) for ds in objects]


@pytest.mark.peers
def test_restored_backup_delivers_what_was_stored(seed: Seed) -> None:
    require(find_program("sqlite3") is not None, "sqlite3 (Debian package sqlite3)")
    backup, restore = blocks("Back up and restore")
    service = seed.start()
    files = make_study(seed.directory / "study", patient_id="1", patient_name="Doe^Jane", study_uid=STUDY, instances=3)
    assert store(seed.archive_port, files) == [0x0000] * 3
    key = (seed.data_dir / "log-reference.key").read_bytes()

    # The service goes on running, and the index has not been written into its file yet.
    run(backup, seed)
    service.stop(5)
    seed.data_dir.rename(seed.directory / "lost")
    run(restore, seed)
    seed.start()

    assert names_of_delivered(seed) == ["Doe^Jane"] * 3
    assert (seed.data_dir / "log-reference.key").read_bytes() == key


@pytest.mark.peers
def test_restored_index_takes_the_place_of_a_later_one(seed: Seed) -> None:
    require(find_program("sqlite3") is not None, "sqlite3 (Debian package sqlite3)")
    backup, restore = blocks("Back up and restore")
    service = seed.start()
    run(backup, seed)
    files = make_study(seed.directory / "study", patient_id="1", patient_name="Doe^Jane", study_uid=STUDY, instances=1)
    assert store(seed.archive_port, files) == [0x0000]
    service.stop(5)

    run(restore, seed)
    seed.start()

    assert names_of_delivered(seed) == []


@pytest.mark.peers
def test_only_the_owner_can_read_the_backup(seed: Seed) -> None:
    require(find_program("sqlite3") is not None, "sqlite3 (Debian package sqlite3)")
    seed.start()
    files = make_study(seed.directory / "study", patient_id="1", patient_name="Doe^Jane", study_uid=STUDY, instances=1)
    assert store(seed.archive_port, files) == [0x0000]

    run(blocks("Back up and restore")[0], seed)

    backup = seed.directory / "dcm4py-backup"
    assert stat.S_IMODE(backup.stat().st_mode) == 0o700
    assert stat.S_IMODE((backup / "index.sqlite").stat().st_mode) == 0o600
    assert stat.S_IMODE((backup / "log-reference.key").stat().st_mode) == 0o600
    assert [path for path in backup.rglob("*") if path.is_file() and path.stat().st_mode & stat.S_IRWXO] == []


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\bdeploy/[\w.-]+", PAGE))))
def test_file_that_is_named_is_there(path: str) -> None:
    assert Path(REPOSITORY, path).is_file()
