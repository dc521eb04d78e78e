#!/usr/bin/env python3
"""Write the help of the pages' fields (web/pages/fields/help.json), from what docs/configuration.md is made of.

With --check nothing is written, and the exit status is 1 when the file is out of date.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dcm4py_leading.config.attributes import OBJECT_CLASSES
from dcm4py_leading.config.report.status import READ_BY_LOADER
from scripts.config_docs import described_default, status_of, values_of
from scripts.schema_ldif import SCHEMA
from scripts.schema_text import load_schema

TARGET = SCHEMA.parent / "dcm4py_leading" / "web" / "pages" / "fields" / "help.json"

_NOT_READ = "no"


def help_texts() -> dict[str, dict[str, dict[str, str]]]:
    """By object class and attribute: meaning, values, default, what is missing; what is empty is left out."""
    types = load_schema().attribute_types
    found: dict[str, dict[str, dict[str, str]]] = {}
    for name in dict.fromkeys(object_class.name for object_class in OBJECT_CLASSES):
        schema_class = load_schema().object_classes[name]
        texts = found[name] = {
            attribute: {"meaning": types[attribute].description, "status": _NOT_READ}
            for attribute in (*schema_class.must, *schema_class.may)
        }
        for object_class in OBJECT_CLASSES:
            for row in object_class.rows if object_class.name == name else ():
                default = described_default(object_class, row)
                texts[row.attribute] = {
                    "meaning": types[row.attribute].meaning,
                    "values": values_of(row),
                    "default": default.text,
                    "remark": default.remark,
                    "status": status_of(name, row.attribute),
                }
        for attribute, (values, text) in READ_BY_LOADER.get(name, {}).items():
            meaning = types[attribute].meaning
            texts[attribute] = {"meaning": meaning, "values": values, "default": text.strip("`"), "status": "yes"}
    return {
        name: {attribute: {key: text for key, text in told.items() if text} for attribute, told in texts.items()}
        for name, texts in found.items()
    }


def document() -> str:
    """The whole file."""
    return json.dumps(help_texts(), indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the file, or with --check compare it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the file is out of date")
    check = parser.parse_args().check
    text = document()
    if TARGET.is_file() and TARGET.read_text("utf-8") == text:
        return 0
    if check:
        print(f"{TARGET.name} is out of date: run scripts/field_help.py", file=sys.stderr)
        return 1
    TARGET.write_text(text, "utf-8")
    print(f"{TARGET.name}: written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
