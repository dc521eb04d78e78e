"""Fixtures by topic live in tests/fixtures; each module is a plugin."""

from dcm4py_leading import log

pytest_plugins: list[str] = ["tests.fixtures.slapd"]


def pytest_configure() -> None:
    """The process-wide setting of the service; warnings are errors here."""
    log.quieten_pydicom()
