#!/usr/bin/env python3
"""Write the table of bounds in docs/operations.md, from `dcm4py_leading/model/bounds.py`.

With --check nothing is written, and the exit status is 1 when the table is out of date.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dcm4py_leading.model import bounds as model

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "dcm4py_leading" / "model" / "bounds.py"
PAGE = ROOT / "docs" / "operations.md"

BEGIN = "<!-- bounds: written by scripts/bounds_docs.py -->\n"
END = "<!-- end of bounds -->\n"


@dataclass(frozen=True, slots=True)
class Bound:
    """One constant of the module."""

    section: str
    name: str
    value: float
    of: str
    beyond: str

    @property
    def shown(self) -> str:
        """The value as a reader wants it: 64 MiB, 0.5 s, 10,000."""
        if self.name.endswith("_SECONDS"):
            return f"{self.value:g} s"
        if self.name.endswith("_BYTES"):
            for power, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
                if self.value >= 1 << power:
                    return f"{self.value / (1 << power):g} {unit}"
            return f"{self.value:g} bytes"
        return f"{self.value:,}"


def bounds() -> Iterator[Bound]:
    """All of them, in their order. Raises ValueError for one that lacks its text, or a part of it."""
    source = SOURCE.read_text("utf-8")
    sections = {
        number: line.removeprefix("# -- ").strip()
        for number, line in enumerate(source.splitlines(), 1)
        if line.startswith("# -- ")
    }
    statements = ast.parse(source).body
    for statement, following in zip(statements, [*statements[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            name = statement.target.id
            text = ""
            if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
                text = " ".join(str(following.value.value).split())
            of, separator, beyond = text.partition(" Beyond: ")
            before = [section for line, section in sections.items() if line < statement.lineno]
            if not separator or not before or not name.isupper():
                raise ValueError(f"{name}: expected a section above it and a text below it with 'Beyond:'")
            yield Bound(before[-1], name, getattr(model, name), of, beyond)


def table() -> str:
    """All rows, below a heading for each section."""
    lines = []
    section = None
    for bound in bounds():
        if bound.section != section:
            section = bound.section
            lines += ["", f"**{section}**", "", "| bound | of what | beyond it |", "| --- | --- | --- |"]
        lines.append(f"| {bound.shown} | {bound.of.rstrip('.')} | {bound.beyond.rstrip('.')} |")
    return "\n".join([*lines[1:], ""])


def page(current: str) -> str:
    """The page with the table as it should be. Raises ValueError where it has no place for it."""
    before, begin, rest = current.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"docs/{PAGE.name}: expected {BEGIN.strip()} and {END.strip()}")
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def main() -> int:
    """Write the page, or with --check compare it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the page is out of date")
    current = PAGE.read_text("utf-8")
    wanted = page(current)
    if current == wanted:
        return 0
    if parser.parse_args().check:
        print(f"docs/{PAGE.name} is out of date: run scripts/bounds_docs.py", file=sys.stderr)
        return 1
    PAGE.write_text(wanted, "utf-8")
    print(f"docs/{PAGE.name}: written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
