"""Each attribute of each class: told, changed by itself, taken away by itself, kept while others change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dcm4py_leading.config.device_json import document, requested_tree
from dcm4py_leading.config.device_json.fields import Field, Kind
from dcm4py_leading.config.device_json.shapes import DEVICE, ObjectShape
from dcm4py_leading.config.ldif.schema import Syntax
from tests.fixtures.every_attribute import every_attribute

ENTRIES = every_attribute()
TOLD: Any = document(ENTRIES)
OTHERS = {Syntax.INTEGER: 8, Syntax.OID: "1.2.4", Syntax.DN: "cn=other,dc=example"}


def members(
    shape: ObjectShape, path: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], Field, bool]]:
    """Each member of the document by the path of its object, and whether it names the entry."""
    names = shape.naming[0] if shape.naming else ()
    for field in shape.fields:
        yield path, field, field.name in names
    for extension in shape.extensions:
        yield from members(extension, (*path, extension.object_class))
    for child in shape.children:
        yield from members(child, (*path, child.object_class, 0))


MEMBERS = list(members(DEVICE))


def test_there_is_every_attribute() -> None:
    assert len(MEMBERS) > 600
    assert requested_tree(TOLD, ENTRIES).entries == ENTRIES
    told = (field.name in at(TOLD, path) for path, field, _ in MEMBERS if field.kind is Kind.VALUE)
    assert all(told)


@pytest.mark.slow
def test_each_is_changed_by_itself() -> None:
    for path, field, is_name in MEMBERS:
        if not is_name and field.kind not in (Kind.PRESENCE, Kind.POINTER):
            assert differences(path, {field.name: other(path, field)}) == [field.name.lower()], (path, field.name)


def test_all_of_an_object_are_taken_away_but_for_secrets_and_the_rest_stays() -> None:
    for path in {path for path, _, _ in MEMBERS}:
        free = [field for at_path, field, _ in MEMBERS if at_path == path and not field.is_required]
        told = [field.name for field in free if field.kind in (Kind.VALUE, Kind.DEVICE_NAME) and field.name != "cn"]
        assert differences(path, dict.fromkeys(told)) == sorted(map(str.lower, told))


def other(path: tuple[str | int, ...], field: Field) -> Any:
    """A value that is not there."""
    if field.syntax is Syntax.BOOLEAN:
        return not at(TOLD, path)[field.name]
    value = OTHERS.get(field.syntax, "other")
    return [value] if field.is_array else value


def at(told: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        told = told[step]
    return told


def differences(path: tuple[str | int, ...], values: dict[str, Any]) -> list[str]:
    """The attributes that differ with other values of some members of an object."""
    found = at(TOLD, path)
    before = dict(found)
    found.update(values)
    after = {entry.key: entry for entry in requested_tree(TOLD, ENTRIES).entries}
    found.clear()
    found.update(before)
    return [
        attribute
        for old in ENTRIES
        for attribute in sorted({*old, *after[old.key]})
        if old.values(attribute) != after[old.key].values(attribute)
    ]
