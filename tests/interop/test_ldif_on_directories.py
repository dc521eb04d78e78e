"""The seed's LDIF on each kind of directory server: found at fault, mended, foreseen and taken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from dcm4py_leading.__main__ import main
from dcm4py_leading.config.ldif.fix import fix_ldif
from tests.fixtures.directories import SERVERS, DirectoryOf
from tests.fixtures.directory import BASE_DN, DirectoryServer
from tests.fixtures.ldif import seed_ldif

# ApacheDS takes most of a minute to fill, more on a busy machine.
pytestmark = [pytest.mark.peers, pytest.mark.timeout(400)]

ARCHIVE = f"dicomDeviceName=dcm4chee-arc,cn=Devices,cn=DICOM Configuration,{BASE_DN}"
RULE = f"cn=Leading DCMQRSCP,{ARCHIVE}"
SIZE = "dcmLeadingCFindSCPQueryCacheSize"


@pytest.fixture(params=SERVERS)
def stock(request: pytest.FixtureRequest, directory_of: DirectoryOf) -> Iterator[DirectoryServer]:
    directory = directory_of(request.param, "stock")
    without_rule = f"dn: {RULE}\nchangetype: delete\n"
    without_size = f"dn: {ARCHIVE}\nchangetype: modify\nreplace: {SIZE}\n-\n"
    for change in (without_rule, without_size):
        directory.ldapmodify(change)  # another test may have left them
    yield directory
    for change in (without_rule, without_size):
        directory.ldapmodify(change)


def told(command: str, directory: DirectoryServer, path: Path) -> list[dict[str, object]]:
    source = ["--ldap-url", f"{directory.url}/{BASE_DN}", "--bind-dn", directory.bind_dn]
    password = {"DCM4PY_BIND_PASSWORD": directory.password}
    result = CliRunner().invoke(main, ["ldif", command, str(path), "--json", *source], env=password)
    told = json.loads(result.stdout)
    found: list[dict[str, object]] = told if command == "lint" else told["differences"]
    return found


def test_seed_is_found_at_fault_mended_foreseen_and_taken(stock: DirectoryServer, tmp_path: Path) -> None:
    path = tmp_path / "seed.ldif"
    path.write_text(seed_ldif())
    assert {5, 14, 21} <= {found["line"] for found in told("lint", stock, path) if found["severity"] == "ERROR"}

    path.write_text(fix_ldif(seed_ldif()).text)
    assert [found for found in told("lint", stock, path) if found["severity"] == "ERROR"] == []
    assert [f"device dcm4chee-arc: {SIZE} from 10 to 50", "added"] == [
        found["text"] if found["attribute"] else found["kind"] for found in told("diff", stock, path)
    ]

    taken = stock.ldapmodify(path)
    assert taken.returncode == 0, taken.stderr
    assert stock.entry(RULE)["dcmleadingcfindscp"] == ["QRSCP"]
    modifications = path.read_text().partition(f"dn: {RULE}")[0]
    assert stock.ldapmodify(modifications).returncode == 0
