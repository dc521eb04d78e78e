#!/usr/bin/env python3
"""Write the versions of all that the program needs to ``deploy/``.

``constraints.txt`` has the versions as they are in this environment: run it in the one in which the tests have passed.
``requirements.lock`` has the same versions with the digests of their files, for ``pip install --require-hashes``, and
``scripts/lib/package.lock`` those of what scripts/package builds with. Both need the program ``uv``.
"""

from __future__ import annotations

import configparser
import subprocess
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "deploy" / "constraints.txt"
LOCK = ROOT / "deploy" / "requirements.lock"
BUILD_LOCK = ROOT / "scripts" / "lib" / "package.lock"
_CONSTRAINTS_HEAD = "# Versions with which the tests have passed; written by scripts/lock.py. For pip install -c.\n"
_LOCK_HEAD = """\
# Versions with which the tests have passed, and the digests of their files, the extra codecs included.
# Written by scripts/lock.py. For pip install --require-hashes -r.
"""
_BUILD_HEAD = "# What scripts/package builds with; written by scripts/lock.py.\n"
_BUILD_TOOLS = "setuptools>=77,<84\ncyclonedx-bom>=7.5,<8\n"


def requirements() -> list[Requirement]:
    """Requirements of setup.cfg at run time, the extra codecs included."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", "utf-8")
    texts = settings["options"]["install_requires"] + settings["options.extras_require"]["codecs"]
    return [Requirement(line) for line in texts.splitlines() if line.strip() and not line.startswith("#")]


def versions(wanted: list[Requirement]) -> Iterator[tuple[str, str]]:
    """Name and version of each of these distributions, and of all that they need in turn, by name."""
    found: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    while wanted:
        requirement = wanted.pop()
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        installed = distribution(requirement.name)
        found[key[0]] = installed.version
        for text in installed.requires or ():
            needed = Requirement(text)
            extras = requirement.extras or {""}
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                wanted.append(needed)
    yield from sorted(found.items())


def locked(wanted: str, *options: str) -> str:
    """Lines of a requirements file: each version with the digests of all its files, for every Python from 3.11 on."""
    command = ["uv", "pip", "compile", "-", "--quiet", "--generate-hashes", "--universal", "--python-version", "3.11"]
    command += ["--no-header", "--no-annotate", *options]
    return subprocess.run(command, input=wanted, check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    """Write the files."""
    lines = [f"{name}=={version}\n" for name, version in versions(requirements())]
    CONSTRAINTS.write_text(_CONSTRAINTS_HEAD + "".join(lines), "utf-8")
    wanted = "".join(f"{requirement}\n" for requirement in requirements())
    LOCK.write_text(_LOCK_HEAD + locked(wanted, "--constraints", str(CONSTRAINTS)), "utf-8")
    BUILD_LOCK.write_text(_BUILD_HEAD + locked(_BUILD_TOOLS), "utf-8")


if __name__ == "__main__":
    main()
