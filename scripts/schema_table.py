#!/usr/bin/env python3
"""Write dcm4py_leading/config/ldif/schema_table.py: what schema/*.schema says of names, syntaxes and classes, for the
installed package, which has no .schema files.

Only the .schema files are edited. With --check nothing is written, and the exit status is 1 when the table is out of
date.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.schema_ldif import NAMES, SCHEMA, definitions

TARGET = SCHEMA.parent / "dcm4py_leading" / "config" / "ldif" / "schema_table.py"

SYNTAXES = {
    "5": "binary",
    "7": "boolean",
    "12": "dn",
    "15": "text",
    "26": "ia5",
    "27": "integer",
    "38": "oid",
    "40": "octets",
}
"""By the last number of the OID, which all syntaxes share up to there (RFC 4517 3.3)."""

_DESCRIPTION = re.compile(r" DESC '[^']*'")
_SYNTAX = re.compile(r"SYNTAX 1\.3\.6\.1\.4\.1\.1466\.115\.121\.1\.(\d+)")
_NAME = re.compile(r"NAME '([^']+)'")


def attribute_line(definition: str) -> str:
    """``name syntax [single] [fold]``; ``fold``: equal without regard to case."""
    words = [_only(_NAME, definition), SYNTAXES[_only(_SYNTAX, definition)]]
    if "SINGLE-VALUE" in definition:
        words.append("single")
    if re.search(r"EQUALITY caseIgnore", definition):
        words.append("fold")
    return " ".join(words)


def class_line(definition: str) -> str:
    """``name kind: required; allowed``."""
    kind = next(word for word in ("STRUCTURAL", "AUXILIARY", "ABSTRACT") if word in definition.split())
    return f"{_only(_NAME, definition)} {kind}: {_listed('MUST', definition)}; {_listed('MAY', definition)}"


def table(schemas: Iterable[str]) -> str:
    """The text of the module."""
    found = [(kind, _DESCRIPTION.sub("", text)) for schema in schemas for kind, text in definitions(schema)]
    attributes = sorted(attribute_line(text) for kind, text in found if kind == "attributetype")
    classes = sorted(class_line(text) for kind, text in found if kind == "objectclass")
    return "\n".join(_module(attributes, classes)) + "\n"


def _module(attributes: Iterable[str], classes: Iterable[str]) -> Iterator[str]:
    yield '"""Generated from schema/*.schema by scripts/schema_table.py: do not edit."""'
    yield ""
    yield 'ATTRIBUTE_TYPES = """'
    yield from attributes
    yield '"""'
    yield '"""``name syntax [single] [fold]``."""'
    yield ""
    yield 'OBJECT_CLASSES = """'
    for line in classes:
        yield from textwrap.wrap(line, 116, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    yield '"""'
    yield '"""``name KIND: required; allowed``; an indented line continues the one before."""'


def _listed(keyword: str, definition: str) -> str:
    match = re.search(rf"\b{keyword} (?:\(([^)]*)\)|(\w+))", definition)
    return " ".join(re.findall(r"\w+", match[1] or match[2])) if match else ""


def _only(pattern: re.Pattern[str], definition: str) -> str:
    match = pattern.search(definition)
    if match is None:
        raise ValueError(f"expected {pattern.pattern} in {definition}")
    return match[1]


def main() -> int:
    """Write the table, or with --check compare it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the table is out of date")
    check = parser.parse_args().check
    text = table((SCHEMA / f"{name}.schema").read_text("utf-8") for name in NAMES)
    if TARGET.is_file() and TARGET.read_text("utf-8") == text:
        return 0
    if not check:
        TARGET.write_text(text, "utf-8")
    print(f"{TARGET.relative_to(SCHEMA.parent)}: {'out of date' if check else 'written'}")
    return 1 if check else 0


if __name__ == "__main__":
    sys.exit(main())
