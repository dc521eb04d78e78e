#!/usr/bin/env python3
"""Write the forms of schema/*.schema that directory servers load: they say the same, and only .schema is edited.

schema/ldif      OpenLDAP under cn=config, by ldapadd or slapadd; under slapd.conf it includes the .schema files
schema/389       389 Directory Server: files to be put into the instance's schema directory, before a restart
schema/apacheds  ApacheDS, by ldapadd

With --check nothing is written, and the exit status is 1 when a file is out of date.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

SCHEMA = Path(__file__).resolve().parent.parent / "schema"
NAMES = ("dicom", "dcm4che", "dcm4chee-archive")
"""In the order in which they have to be loaded."""
CONFIG_ATTRIBUTES = {"attributetype": "olcAttributeTypes", "objectclass": "olcObjectClasses"}
SUBSCHEMA_ATTRIBUTES = {"attributetype": "attributeTypes", "objectclass": "objectClasses"}

_TOKEN = re.compile(r"'([^']*)'|([()$])|([^\s()$']+)")
_FLAGS = frozenset(
    {"SINGLE-VALUE", "OBSOLETE", "STRUCTURAL", "AUXILIARY", "ABSTRACT", "COLLECTIVE", "NO-USER-MODIFICATION"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One attribute type or object class of RFC 4512 4.1, taken apart."""

    oid: str
    values: dict[str, list[str]] = field(default_factory=dict)
    """By keyword, such as NAME, SYNTAX or MUST."""
    flags: frozenset[str] = frozenset()
    """Keywords without a value, such as SINGLE-VALUE."""

    @classmethod
    def parse(cls, definition: str) -> Definition:
        """Read what stands behind the keyword of a .schema file, on one line. Raises ValueError."""
        tokens = [quoted or sign or word for quoted, sign, word in _TOKEN.findall(definition)]
        if len(tokens) < 3 or tokens[0] != "(" or tokens[-1] != ")":
            raise ValueError(f"expected ( OID ... ), not {definition}")
        values: dict[str, list[str]] = {}
        flags = set()
        rest = iter(tokens[2:-1])
        for keyword in rest:
            if keyword in _FLAGS:
                flags.add(keyword)
                continue
            value = next(rest, None)
            if value is None:
                raise ValueError(f"expected a value of {keyword} in {definition}")
            values[keyword] = [value] if value != "(" else [one for one in takewhile(")".__ne__, rest) if one != "$"]
        return cls(oid=tokens[1], values=values, flags=frozenset(flags))


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
        yield keyword.lower(), definition.strip()


def config_ldif(name: str, schema: str) -> str:
    """OpenLDAP's form: the olcSchemaConfig entry, attribute types first, since the classes name them."""
    head = [f"dn: cn={name},cn=schema,cn=config", "objectClass: olcSchemaConfig", f"cn: {name}"]
    return _record([*head, *_listed(CONFIG_ATTRIBUTES, schema)])


def subschema_ldif(_name: str, schema: str) -> str:
    """389's form: a part of the subschema entry itself."""
    return _record(["dn: cn=schema", *_listed(SUBSCHEMA_ATTRIBUTES, schema)])


def apacheds_ldif(name: str, schema: str) -> str:
    """ApacheDS's form: one entry for each definition."""
    root = f"cn={name},ou=schema"
    records = [["dn: " + root, "objectClass: metaSchema", f"cn: {name}", "m-dependencies: system"]]
    if name != NAMES[0]:
        before = NAMES[: NAMES.index(name)]
        records[0] += [f"m-dependencies: {other}" for other in before]
    found = [(kind, Definition.parse(text)) for kind, text in definitions(schema)]
    for kind, unit, entry in (
        ("attributetype", "attributeTypes", _meta_attribute_type),
        ("objectclass", "objectClasses", _meta_object_class),
    ):
        below = f"ou={unit},{root}"
        records.append([f"dn: {below}", "objectClass: organizationalUnit", f"ou: {unit}"])
        records += [entry(below, definition) for found_kind, definition in found if found_kind == kind]
    return "".join(map(_record, records))


def _meta_attribute_type(below: str, definition: Definition) -> list[str]:
    attributes = {"EQUALITY": "m-equality", "ORDERING": "m-ordering", "SUBSTR": "m-substr", "SYNTAX": "m-syntax"}
    entry = _meta("metaAttributeType", below, definition, attributes)
    return entry + ["m-singleValue: TRUE"] * ("SINGLE-VALUE" in definition.flags)


def _meta_object_class(below: str, definition: Definition) -> list[str]:
    attributes = {"SUP": "m-supObjectClass", "MUST": "m-must", "MAY": "m-may"}
    kind = next((flag for flag in ("AUXILIARY", "ABSTRACT") if flag in definition.flags), "STRUCTURAL")
    return [*_meta("metaObjectClass", below, definition, attributes), f"m-typeObjectClass: {kind}"]


def _meta(object_class: str, below: str, definition: Definition, attributes: dict[str, str]) -> list[str]:
    lines = [f"dn: m-oid={definition.oid},{below}", f"objectClass: {object_class}", f"m-oid: {definition.oid}"]
    for keyword, attribute in {"NAME": "m-name", "DESC": "m-description", **attributes}.items():
        lines += [f"{attribute}: {value}" for value in definition.values.get(keyword, ())]
    return lines + ["m-obsolete: TRUE"] * ("OBSOLETE" in definition.flags)


FORMS = (
    ("ldif/{name}.ldif", config_ldif),
    ("389/9{number}-{name}.ldif", subschema_ldif),
    ("apacheds/{name}.ldif", apacheds_ldif),
)
"""Where a form is written, below schema/, and how it is made."""


def written(name: str, schema: str) -> Iterator[tuple[str, str]]:
    """Each form of a .schema file: its path below schema/, and its text."""
    for pattern, form in FORMS:
        origin = f"# Generated from schema/{name}.schema by scripts/schema_ldif.py: do not edit.\n"
        yield pattern.format(name=name, number=NAMES.index(name) + 1), origin + form(name, schema)


def _listed(attributes: dict[str, str], schema: str) -> list[str]:
    found = list(definitions(schema))
    return [f"{attributes[keyword]}: {text}" for keyword in attributes for kind, text in found if kind == keyword]


def _record(lines: Sequence[str]) -> str:
    return "\n".join(map(_folded, lines)) + "\n\n"


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
        for path, text in written(name, (SCHEMA / f"{name}.schema").read_text("utf-8")):
            target = SCHEMA / path
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
