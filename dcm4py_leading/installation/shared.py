"""Files that come with the program and are not code: schema, LDIF, deploy, documents.

In the source they lie beside the package, and ``share`` leads there by links; an installed package has copies.
"""

from __future__ import annotations

import shutil
from pathlib import Path

SHARE = Path(__file__).resolve().parents[1] / "share"
FOLDERS = ("schema", "ldif", "deploy", "docs")


def examples() -> tuple[str, ...]:
    """The names of the LDIF files: their paths below ldif/, without the ending."""
    ldif = SHARE / "ldif"
    return tuple(sorted(path.relative_to(ldif).with_suffix("").as_posix() for path in ldif.glob("**/*.ldif")))


def example(name: str) -> str:
    """The text of an LDIF file, with or without its ending. Raises KeyError where there is none of that name."""
    name = name.removeprefix("ldif/").removesuffix(".ldif")
    if name not in examples():
        raise KeyError(name)
    return (SHARE / "ldif" / f"{name}.ldif").read_text("utf-8")


def copy_to(directory: Path) -> None:
    """Copy all of them into a new or empty directory. Raises FileExistsError where there is anything in it."""
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise FileExistsError(f"{directory} is not empty: name a new directory")
    for folder in FOLDERS:
        shutil.copytree(SHARE / folder, directory / folder)
