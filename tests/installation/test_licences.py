"""Licences of what this project depends on: none is the GPL, which its own licence does not go with."""

from __future__ import annotations

import re
from configparser import ConfigParser
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent.parent
GPL = re.compile(r"(?<!L)(?<!L-)(?<!Lesser )(?<!Library )(?:\bA?GPL|General Public License)", re.IGNORECASE)


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


def licence(name: str) -> str:
    metadata = distribution(name).metadata
    told = [metadata["License-Expression"] or "", (metadata["License"] or "").partition("\n")[0]]
    told += [one for one in metadata.get_all("Classifier") or () if one.startswith("License ::")]
    return "; ".join(filter(None, told))


def test_no_dependency_is_under_the_gpl() -> None:
    names = needed()
    assert {"imagecodecs", "numpy", "pillow", "pydicom", "pylibjpeg-openjpeg", "pylibjpeg-rle"} <= names
    assert "pylibjpeg-libjpeg" not in names
    told = {name: licence(name) for name in names}
    assert {name: text for name, text in told.items() if GPL.search(text.replace("LGPL", ""))} == {}
    assert GPL.search("License :: OSI Approved :: GNU General Public License v3 (GPLv3)")
