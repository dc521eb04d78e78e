#!/usr/bin/env python3
"""Complete a bill of materials (CycloneDX) of the installed program; scripts/package runs it.

cyclonedx-py lists what stands in a virtual environment. Added here are what it cannot know: which of these is the
program, the digest of its wheel, and the libraries of others that the wheel itself holds, for the pages.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).resolve().parent.parent
VENDORED = ROOT / "dcm4py_leading" / "web" / "pages" / "assets" / "manifest.json"
PROGRAM = "dcm4py-leading"


def vendored(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Components for the files of others that the wheel holds, a component for each file."""
    return [
        {
            "type": "library",
            "bom-ref": f"{one['name']}@{one['version']}#{one['path']}",
            "name": one["name"],
            "version": one["version"],
            "purl": f"pkg:npm/{one['name']}@{one['version']}",
            "description": f"{one['file']}, part of the wheel",
            "hashes": [{"alg": "SHA-256", "content": one["sha256"]}],
            "licenses": [{"license": {"id": one["licence"], "acknowledgement": "declared"}}],
        }
        for one in manifest["vendored"]
    ]


def completed(bom: dict[str, Any], wheel: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """The bill of materials of this wheel, made of the one of the environment that it is installed in.

    :raises ValueError: when the program is not in it, or it does not follow the schema of CycloneDX
    """
    (program,) = [one for one in bom["components"] if one["name"] == PROGRAM]
    program |= {"type": "application"}
    # Says where the wheel lay when it was installed.
    program.pop("externalReferences", None)
    program["hashes"] = [{"alg": "SHA-256", "content": hashlib.sha256(wheel.read_bytes()).hexdigest()}]
    inside = vendored(manifest)
    for one in bom["dependencies"]:
        if one["ref"] == program["bom-ref"]:
            one["dependsOn"] = sorted([*one.get("dependsOn", ()), *(other["bom-ref"] for other in inside)])
    bom["metadata"]["component"] = program
    bom["components"] = [one for one in bom["components"] if one is not program] + inside
    version = SchemaVersion.from_version(bom["specVersion"])
    if error := JsonStrictValidator(version).validate_str(json.dumps(bom)):
        raise ValueError(f"no CycloneDX: {error}")
    return bom


def main() -> None:
    """Complete what standard input has, for the wheel named by the argument, on standard output."""
    manifest = json.loads(VENDORED.read_text("utf-8"))
    json.dump(completed(json.load(sys.stdin), Path(sys.argv[1]), manifest), sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
