#!/usr/bin/env python3
"""Follow one LDAP attribute: schema, row, model, check, behaviour, tests, docs, as lines that an editor can open.

Behaviour is found by the name of the model's field, which other classes may have too. Exit status 1 when the schema
does not know the attribute.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import sys
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dcm4py_leading.config.attributes import OBJECT_CLASSES
from dcm4py_leading.config.converters import text
from scripts.schema_ldif import NAMES, SCHEMA
from scripts.schema_text import CN, load_schema

ROOT = SCHEMA.parent
PACKAGE = ROOT / "dcm4py_leading"
ROWS = PACKAGE / "config" / "attributes"
TELLING = frozenset({PACKAGE / "config" / "device_json", PACKAGE / "config" / "writing", PACKAGE / "web"})
CHECK = PACKAGE / "config" / "check.py"
LOADER = PACKAGE / "config" / "loader.py"
TESTS = ROOT / "tests"
DOCS = ROOT / "docs" / "configuration.md"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """One line of one file."""

    path: Path
    line: int

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"

    @property
    def text(self) -> str:
        """Text that stands there."""
        return lines(self.path)[self.line - 1].strip()


def spelt(attribute: str) -> str | None:
    """The attribute as the schema spells it, from any case; None when it has none of that name."""
    return next((name for name in load_schema().attribute_types if name.lower() == attribute.lower()), None)


def trace(attribute: str) -> dict[str, list[Place]]:
    """Where each step of the way is, in order; ``attribute`` is spelt as in the schema."""
    fields = fields_of(attribute)
    uses = [place for field in fields.values() for place in field_uses().get(field, ())]
    uses += names_in_code().get(attribute, [])
    return {
        "schema": list(schema_lines(attribute)),
        "row": [*row_lines().get(attribute, ()), *constants(LOADER).get(attribute, ())],
        "model": sorted({place for model, field in fields.items() for place in field_lines(model, field)}),
        "check": sorted({*converter_lines(attribute), *(place for place in uses if place.path == CHECK)}),
        "behaviour": sorted({place for place in uses if PACKAGE / "config" not in place.path.parents}),
        "test": sorted(marked_tests().get(attribute, ())),
        "docs": list(docs_lines(attribute)),
    }


def fields_of(attribute: str) -> dict[type, str]:
    """The model classes that the attribute's rows fill, and the field of each."""
    return {
        object_class.model: row.field
        for object_class in OBJECT_CLASSES
        for row in object_class.rows
        if row.attribute == attribute
    }


def schema_lines(attribute: str) -> Iterator[Place]:
    """The definition of the attribute type."""
    for name in NAMES:
        path = SCHEMA / f"{name}.schema"
        for number, line in enumerate(lines(path), start=1):
            if line.startswith("attributetype") and f"NAME '{attribute}'" in line:
                yield Place(path, number)


@cache
def row_lines() -> Mapping[str, list[Place]]:
    """Each ``one(...)`` and ``many(...)`` by its attribute."""
    found: dict[str, list[Place]] = defaultdict(list)
    for path in sorted(ROWS.glob("*.py")):
        for node in nodes(path):
            match node:
                case ast.Call(func=ast.Name(id="one" | "many"), args=[ast.Constant(value=str(attribute)), *_]):
                    found[attribute].append(Place(path, node.lineno))
    return found


def converter_lines(attribute: str) -> Iterator[Place]:
    """Places of what reads the text of the attribute, and refuses it; text that may be anything has none."""
    for object_class in OBJECT_CLASSES:
        for row in object_class.rows:
            if row.attribute == attribute and row.convert is not text:
                source = inspect.getsourcefile(row.convert)
                assert source is not None
                yield Place(Path(source), inspect.getsourcelines(row.convert)[1])


def second_defaults() -> Iterator[tuple[str, Place]]:
    """Where the package gives a field that a row fills a value of its own, apart from the field's definition: as the
    default of a parameter or of a field elsewhere of that name, or behind ``or``."""
    models = {object_class.model.__name__ for object_class in OBJECT_CLASSES}
    fields = {row.field for object_class in OBJECT_CLASSES for row in object_class.rows}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in nodes(path):
            for name, value in _given_values(node, models):
                if name in fields and not _is_nothing(value):
                    yield name, Place(path, node.lineno)  # type: ignore[attr-defined]


def _given_values(node: ast.AST, models: Collection[str]) -> Iterator[tuple[str, ast.expr]]:
    match node:
        case ast.ClassDef(name=name) if name not in models:
            for statement in node.body:
                match statement:
                    case ast.AnnAssign(target=ast.Name(id=field), value=ast.expr() as value):
                        yield field, value
        case ast.FunctionDef(args=arguments):
            positional = (*arguments.posonlyargs, *arguments.args)
            defaults = arguments.defaults
            pairs = [*zip(positional[len(positional) - len(defaults) :], defaults, strict=True)]
            pairs += [
                (argument, default)
                for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
                if default is not None
            ]
            yield from ((argument.arg, default) for argument, default in pairs)
        case ast.BoolOp(op=ast.Or(), values=[*asked, ast.Constant() as value]):
            for found in asked:
                yield from ((part.attr, value) for part in ast.walk(found) if isinstance(part, ast.Attribute))


def _is_nothing(value: ast.expr) -> bool:
    """None, an empty text, an empty tuple, 0 or FALSE: no value that could differ from the model's."""
    match value:
        case ast.Constant(value=constant):
            return not constant
        case ast.Tuple(elts=[]):
            return True
    return False


def field_lines(model: type, field: str) -> Iterator[Place]:
    """Where a class of the model defines a field."""
    path = Path(inspect.getfile(model))
    for node in nodes(path):
        if isinstance(node, ast.ClassDef) and node.name == model.__name__:
            for statement in node.body:
                match statement:
                    case ast.AnnAssign(target=ast.Name(id=name)) if name == field:
                        yield Place(path, statement.lineno)


@cache
def field_uses() -> Mapping[str, list[Place]]:
    """Where the package reads an attribute of an object, by its Python name."""
    found: dict[str, list[Place]] = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in nodes(path):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                found[node.attr].append(Place(path, node.lineno))
    return found


@cache
def names_in_code() -> Mapping[str, list[Place]]:
    """Where the package names an LDAP attribute, apart from rows, and from where attributes are only told."""
    found: dict[str, list[Place]] = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.parent != ROWS and TELLING.isdisjoint(path.parents):
            for text, places in constants(path).items():
                found[text] += places
    return found


@cache
def marked_tests() -> Mapping[str, list[Place]]:
    """Tests that show an attribute: those with the mark, and the examples of the tests whose mark is computed."""
    found: dict[str, list[Place]] = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        named, computed = marks(path)
        for attribute, places in named.items():
            found[attribute] += places
        for attribute, places in keys(path).items() if computed else ():
            found[attribute] += places
    return found


@cache
def marks(path: Path) -> tuple[Mapping[str, list[Place]], bool]:
    """Names that ``pytest.mark.ldap`` has in a module, and True if it is also computed there, as for the rows."""
    if ".mark.ldap" not in path.read_text("utf-8"):
        return {}, False
    decorated = {
        id(decorator): node.lineno
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        for decorator in node.decorator_list
    }
    named: dict[str, list[Place]] = defaultdict(list)
    computed = False
    for node in nodes(path):
        match node:
            case ast.Call(
                func=ast.Attribute(attr="ldap", value=ast.Attribute(attr="mark")),
                args=[ast.Constant(value=str(attribute))],
            ):
                named[attribute].append(Place(path, decorated.get(id(node), node.lineno)))
            case ast.Call(func=ast.Attribute(attr="ldap", value=ast.Attribute(attr="mark"))):
                computed = True
    return named, computed


def docs_lines(attribute: str) -> Iterator[Place]:
    """The rows of the attribute in the configuration reference."""
    for number, line in enumerate(lines(DOCS), start=1):
        if line.startswith(f"| `{attribute}` |"):
            yield Place(DOCS, number)


@cache
def constants(path: Path) -> Mapping[str, list[Place]]:
    """The texts in a module."""
    return _texts(path, nodes(path))


@cache
def keys(path: Path) -> Mapping[str, list[Place]]:
    """The texts that are keys of a dict display in a module."""
    return _texts(path, (key for node in nodes(path) if isinstance(node, ast.Dict) for key in node.keys))


def _texts(path: Path, parts: Iterable[ast.AST | None]) -> Mapping[str, list[Place]]:
    found: dict[str, list[Place]] = defaultdict(list)
    for node in parts:
        match node:
            case ast.Constant(value=str(text)):
                found[text].append(Place(path, node.lineno))
    return found


@cache
def nodes(path: Path) -> Sequence[ast.AST]:
    """The nodes of the syntax tree of a file."""
    return list(ast.walk(ast.parse(path.read_text("utf-8"))))


@cache
def lines(path: Path) -> Sequence[str]:
    """The lines of a file."""
    return path.read_text("utf-8").splitlines()


def main() -> int:
    """Print the way of the attribute that is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attribute", metavar="ATTRIBUTE", help="LDAP name, such as dcmLeadingCFindSCP")
    asked = parser.parse_args().attribute
    attribute = spelt(asked)
    if attribute is None:
        print(f"{asked}: in none of schema/*.schema", file=sys.stderr)
        return 1
    for step, places in trace(attribute).items():
        for place in places:
            print(f"{place}: {step}: {place.text}")
        if not places and (step != "schema" or attribute != CN.name):
            print(f"{attribute}: {step}: nothing", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
