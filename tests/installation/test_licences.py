"""Licences of what this project depends on: only those that go with its own, Apache-2.0, and with use in a hospital."""

from __future__ import annotations

import json
import re
from configparser import ConfigParser
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent.parent
# The LGPL is ldap3's, a library that is used as it is.
ALLOWED = {
    "0BSD",
    "Apache Software License",
    "Apache-2.0",
    "BSD License",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "CNRI-Python",
    "GNU Lesser General Public License v3 (LGPLv3)",
    "MIT",
    "MIT License",
    "MIT-0",
    "MIT-CMU",
    "PSF-2.0",
    "Zlib",
}


def needed() -> set[str]:
    """Names of all distributions that an installation with the extra codecs has."""
    settings = ConfigParser()
    settings.read(ROOT / "setup.cfg")
    texts = settings["options"]["install_requires"] + "\n" + settings["options.extras_require"]["codecs"]
    left = [Requirement(line) for line in texts.splitlines() if line and not line.startswith("#")]
    found: set[str] = set()
    while left:
        requirement = left.pop()
        name = canonicalize_name(requirement.name)
        extras = requirement.extras or {""}
        found.add(name)
        for text in distribution(name).requires or ():
            inner = Requirement(text)
            applies = inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in extras)
            if applies and canonicalize_name(inner.name) not in found:
                left.append(inner)
    return found


def licences(name: str) -> list[str]:
    """Licences as a distribution declares them: by an expression of SPDX, or else by classifiers."""
    metadata = distribution(name).metadata
    told = metadata["License-Expression"]
    if told is None:
        told = " AND ".join(
            one.rpartition(" :: ")[2] for one in metadata.get_all("Classifier") or () if one.startswith("License ::")
        )
    return re.split(r" AND | OR ", told or metadata["License"] or "none")


def test_every_dependency_has_an_allowed_licence() -> None:
    names = needed()
    assert {"imagecodecs", "numpy", "pillow", "pydicom", "pylibjpeg-openjpeg", "pylibjpeg-rle"} <= names
    told = {name: licences(name) for name in names}
    assert {name: texts for name, texts in told.items() if not set(texts) <= ALLOWED} == {}


def test_vendored_assets_have_an_allowed_licence() -> None:
    manifest = json.loads((ROOT / "dcm4py_leading" / "web" / "pages" / "assets" / "manifest.json").read_text("utf-8"))
    assert {vendored["licence"] for vendored in manifest["vendored"]} <= ALLOWED
