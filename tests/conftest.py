"""Fixtures by topic live in tests/fixtures; each module is a plugin."""

from dcm4py_leading import log

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
