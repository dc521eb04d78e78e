"""The commands that ask a running service, and what it says when it starts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from click.testing import CliRunner, Result

from dcm4py_leading import log
from dcm4py_leading.__main__ import main
from tests.fixtures.service import Seed
from tests.fixtures.workers import Served


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for all, which they ask, and reload without a change."""
    with ExitStack() as running:
        seed = Seed(tmp_path_factory.mktemp("service"), running)
        seed.lead()
        yield Served(seed, running, workers=1).await_ready()


def run(service: Served, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--http", f"127.0.0.1:{service.http_port}"])


def test_status_is_readable_and_json_has_everything(service: Served) -> None:
    lines = run(service, "status").stdout.splitlines()
    assert lines[0] == "UP"
    assert lines[1].startswith("configuration    device dcm4chee-arc, fingerprint ")
    assert "leading archive  QRSCP, asked by DCM4CHEE: not asked yet" in lines
    assert "associations     0" in lines
    assert json.loads(run(service, "status", "--json").stdout) == service.state()


def test_reload_says_what_is_in_force(service: Served) -> None:
    result = run(service, "reload")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith("reloaded: device dcm4chee-arc, fingerprint ")


def test_empty_cache_is_told(service: Served) -> None:
    result = run(service, "cache", "list")
    assert (result.stdout, result.stderr) == ("", "no answers are remembered\n")


def test_log_reference_is_the_one_in_the_log(service: Served) -> None:
    log.use_reference_key(service.seed.data_dir)
    told = run(service, "log-reference", "1.2.3")
    assert told.stdout == f"{log.ref('1.2.3')}\n"
    assert run(service, "log-reference", "not a UID").exit_code == 2


def test_start_is_told_in_few_lines_with_offset_and_data_directory(service: Served) -> None:
    lines = service.told().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}[+-]\d{4} [A-Z]+ assoc=", line) for line in lines)
    assert "alembic" not in service.told() and "uvicorn" not in service.told()
    assert any(line.endswith(f"data directory {service.seed.data_dir}") for line in lines)
    ready = [number for number, line in enumerate(lines) if "dcm4py_leading: ready, control on http://" in line]
    assert len(ready) == 1 and ready[0] < 9
