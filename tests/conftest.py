"""Fixtures by topic live in tests/fixtures; each module is a plugin."""

pytest_plugins: list[str] = []
