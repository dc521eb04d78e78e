#!/usr/bin/env python3
"""Write schema/ldif/*.ldif, the cn=config form of schema/*.schema.

A directory under slapd.conf includes the .schema files; one under cn=config takes these, by ldapadd or slapadd. They
say the same: only the .schema files are edited. With --check nothing is written, and the exit status is 1 when a file
is out of date.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

SCHEMA = Path(__file__).resolve().parent.parent / "schema"
NAMES = ("dicom", "dcm4che", "dcm4chee-archive")
"""In the order in which they have to be loaded."""
CONFIG_ATTRIBUTES = {"attributetype": "olcAttributeTypes", "objectclass": "olcObjectClasses"}


def definitions(schema: str) -> Iterator[tuple[str, str]]:
    """Each definition of a .schema file as (keyword, definition on one line); comments and layout are dropped."""
    logical: list[str] = []
    for line in schema.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if line[0].isspace():
            logical[-1] += " " + line.strip()
        else:
            logical.append(line.strip())
    for text in logical:
        keyword, _, definition = text.partition(" ")
        yield keyword.lower(), definition


def config_ldif(name: str, schema: str) -> str:
    """The olcSchemaConfig entry of a schema file: attribute types first, since the classes name them."""
    lines = [
        f"# Generated from schema/{name}.schema by scripts/schema_ldif.py: do not edit.",
        f"dn: cn={name},cn=schema,cn=config",
        "objectClass: olcSchemaConfig",
        f"cn: {name}",
    ]
    found = list(definitions(schema))
    for keyword, attribute in CONFIG_ATTRIBUTES.items():
        lines += [_folded(f"{attribute}: {text}") for kind, text in found if kind == keyword]
    return "\n".join(lines) + "\n\n"


def _folded(line: str) -> str:
    # LDIF drops the line end and one blank: the second blank of each further line is the one between two words.
    return "\n  ".join(textwrap.wrap(line, 76, break_long_words=False, break_on_hyphens=False))


def main() -> int:
    """Write the files, or with --check compare them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file is out of date")
    check = parser.parse_args().check
    stale = []
    for name in NAMES:
        target = SCHEMA / "ldif" / f"{name}.ldif"
        text = config_ldif(name, (SCHEMA / f"{name}.schema").read_text("utf-8"))
        if target.is_file() and target.read_text("utf-8") == text:
            continue
        stale.append(target)
        if not check:
            target.parent.mkdir(exist_ok=True)
            target.write_text(text, "utf-8")
    for target in stale:
        print(f"{target.relative_to(SCHEMA.parent)}: {'out of date' if check else 'written'}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
