#!/usr/bin/env python3
"""Write deploy/constraints.txt: the versions of all that the program needs, as they are in this environment.

Run it in the environment in which the tests have passed: a site that installs with ``pip install -c`` gets what was
tested.
"""

from __future__ import annotations

import configparser
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "deploy" / "constraints.txt"
_HEAD = "# Versions with which the tests have passed; written by scripts/constraints.py. For pip install -c.\n"


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


def main() -> None:
    """Write the file."""
    lines = [f"{name}=={version}\n" for name, version in versions(requirements())]
    TARGET.write_text(_HEAD + "".join(lines), "utf-8")


if __name__ == "__main__":
    main()
