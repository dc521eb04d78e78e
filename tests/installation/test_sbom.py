"""Bill of materials: the program, its libraries, and what its wheel holds of others."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from scripts.sbom import PROGRAM, VENDORED, completed

MANIFEST = json.loads(VENDORED.read_text("utf-8"))


def listed() -> dict[str, Any]:
    """Bill of materials by cyclonedx-py, of an environment with the program and one library."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {},
        "components": [
            {
                "type": "library",
                "bom-ref": PROGRAM,
                "name": PROGRAM,
                "version": "1.0",
                "externalReferences": [{"type": "distribution", "url": "file:///somewhere/x.whl"}],
            },
            {"type": "library", "bom-ref": "pydicom==3.0.2", "name": "pydicom", "version": "3.0.2"},
        ],
        "dependencies": [{"ref": PROGRAM, "dependsOn": ["pydicom==3.0.2"]}, {"ref": "pydicom==3.0.2"}],
    }


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    (tmp_path / "x.whl").write_bytes(b"wheel")
    return tmp_path / "x.whl"


def test_bill_of_materials_names_the_program_and_what_the_wheel_holds(wheel: Path) -> None:
    bom = completed(listed(), wheel, MANIFEST)
    program = bom["metadata"]["component"]
    assert (program["name"], program["type"]) == (PROGRAM, "application")
    assert program["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(b"wheel").hexdigest()}]
    assert "file:" not in json.dumps(bom)
    assert {one["name"] for one in bom["components"]} == {"pydicom", *(one["name"] for one in MANIFEST["vendored"])}
    (needs,) = [one["dependsOn"] for one in bom["dependencies"] if one["ref"] == PROGRAM]
    assert set(needs) == {one["bom-ref"] for one in bom["components"]}


def test_bill_of_materials_that_breaks_the_schema_is_refused(wheel: Path) -> None:
    broken = listed()
    broken["components"][1]["type"] = "thing"
    with pytest.raises(ValueError, match="no CycloneDX"):
        completed(broken, wheel, MANIFEST)
