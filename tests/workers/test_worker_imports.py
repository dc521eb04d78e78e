"""A worker has in its memory what it serves with."""

from __future__ import annotations

import subprocess
import sys

LISTED = """
import sys
import dcm4py_leading.workers.worker
print(*(name for name in sys.modules if name.partition(".")[0] == "starlette" or name.startswith("dcm4py_leading.web")))
"""


def test_worker_does_not_import_the_web_server() -> None:
    done = subprocess.run((sys.executable, "-c", LISTED), capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == []
