"""Fixtures by topic live in tests/fixtures; each module is a plugin."""

import os
import sys
from pathlib import Path

from dcm4py_leading import log

if sys.dont_write_bytecode:
    # None may be written beside the sources, but without any, each process that the tests start compiles the program.
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(Path(__file__).resolve().parents[1] / "build" / "pycache")
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# One that others import stands before them.
pytest_plugins = [
    "tests.fixtures.slapd",
    "tests.fixtures.directories",
    "tests.fixtures.dcmtk",
    "tests.fixtures.orthanc",
    "tests.fixtures.scripted",
    "tests.fixtures.pacs",
    "tests.fixtures.storing_pacs",
    "tests.fixtures.windowed_sink",
    "tests.fixtures.cutting",
    "tests.fixtures.service",
    "tests.fixtures.http",
    "tests.fixtures.workers",
    "tests.fixtures.tls",
    "tests.fixtures.pages",
    "tests.fixtures.configured",
    "tests.fixtures.chromium",
    "tests.fixtures.users",
    "tests.fixtures.scene",
    "tests.fixtures.lanes",
    "tests.fixtures.studies",
]


def pytest_configure() -> None:
    """The process-wide setting of the service; warnings are errors here."""
    log.quieten_pydicom()
