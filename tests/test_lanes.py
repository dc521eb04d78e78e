"""The fast lane holds what it should, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.fixtures.lanes import FAST_ROOMS

ROOT = Path(__file__).resolve().parent.parent


def collected(*options: str) -> list[str]:
    """Test files that pytest would run."""
    command = (sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *options)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode in (0, 5), done.stdout + done.stderr  # 5: there is none
    return [line.partition("::")[0] for line in done.stdout.splitlines() if "::" in line]


def test_it_has_single_rooms_without_peers() -> None:
    files = collected(
        "--fast", "tests/model", "tests/interop/test_echo.py", "tests/wire/test_store.py", "tests/config/writing"
    )
    assert "tests/model/test_options.py" in files
    assert "tests/config/writing/test_ldap_writer.py" not in files
    assert {Path(name).parts[1] for name in files} == {"model", "config"}


def test_use_of_a_peer_marks_a_test() -> None:
    assert collected("-m", "not peers", "tests/wire/test_health_of_archives.py", "-k", "test_workers_are_told") != []
    assert collected("-m", "not peers", "tests/browser/test_picture.py") == []


def test_its_rooms_are_there() -> None:
    assert [room for room in FAST_ROOMS if not (ROOT / "tests" / room).is_dir()] == []
