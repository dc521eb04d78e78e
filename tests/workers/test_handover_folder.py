"""The folder of a supervisor, and what those leave that are killed."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from dcm4py_leading.workers.handover_folder import HandoverFolder

_HOLD = """
import sys
from dcm4py_leading.workers.handover_folder import HandoverFolder
print(HandoverFolder().path, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_the_folder_of_a_killed_supervisor_goes_at_the_next_start_others_stay(temporary_files: Path) -> None:
    foreign = temporary_files / "dcm4py-of-somebody-else"
    foreign.mkdir()
    living = HandoverFolder()
    with subprocess.Popen([sys.executable, "-c", _HOLD], stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout is not None
        left = Path(process.stdout.readline().strip())
        (left / "worker").write_text("")
        HandoverFolder().remove()
        assert left.is_dir()
        process.kill()
    HandoverFolder().remove()
    assert sorted(temporary_files.iterdir()) == sorted([foreign, living.path])
    living.remove()
    assert list(temporary_files.iterdir()) == [foreign]
