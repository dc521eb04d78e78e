"""The fields of an entry, by task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache, lru_cache

from dcm4py_leading.config.attributes import OBJECT_CLASSES
from dcm4py_leading.config.binding import Row
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.ldif.schema import attribute_types, object_classes
from dcm4py_leading.web.pages.fields.field import Field, field_of_row, field_of_type
from dcm4py_leading.web.pages.fields.helping import help_of
from dcm4py_leading.web.pages.fields.tasks import OTHER, TASKS, rank_of, task_of


@cache
def fields_of_class(object_class: str) -> tuple[Field, ...]:
    """The fields of an object class, those that are read first; empty for a class that we do not know."""
    told = help_of().get(object_class, {})
    rows = _rows().get(object_class, {})
    schema_class = object_classes().get(object_class.lower())
    must = schema_class.must if schema_class else ()
    read = [field_of_row(row, object_class, task_of(object_class, name), told[name]) for name, row in rows.items()]
    others = []
    for attribute, text in told.items():
        known = attribute_types().get(attribute.lower())
        if attribute not in rows and known is not None:
            task = task_of(object_class, attribute) if text.is_read else OTHER
            others.append(field_of_type(known, object_class, task, attribute in must, text))
    return (*sorted(read, key=lambda field: rank_of(field.attribute)), *others)


def fields_of(entry: Entry) -> Mapping[str, Field]:
    """The fields of an entry by attribute: all that its object classes allow, as far as we know them."""
    return _fields_of(frozenset(value.strip().lower() for value in entry.values("objectClass")))


@lru_cache(maxsize=64)
def _fields_of(object_classes: frozenset[str]) -> Mapping[str, Field]:
    """There are few combinations of classes, and hundreds of entries below a device."""
    found: dict[str, Field] = {}
    for object_class in _rows():
        if object_class.lower() in object_classes:
            for field in fields_of_class(object_class):
                if field.attribute not in found or field.help.is_read:
                    found[field.attribute] = field
    return found


def by_task(fields: Mapping[str, Field]) -> Iterator[tuple[str, list[Field]]]:
    """Tasks that have fields, in the order of a page; what is not read comes last."""
    for task in (*TASKS, OTHER):
        members = [field for field in fields.values() if field.task == task]
        if members:
            yield task, sorted(members, key=lambda field: rank_of(field.attribute))


def unknown_attributes(entry: Entry, fields: Mapping[str, Field]) -> list[str]:
    """Attributes that an entry holds beside its fields, as the directory spells them: shown, and left alone."""
    known = {attribute.lower() for attribute in fields}
    return sorted(entry.spell(name) for name in entry if name.partition(";")[0] not in known and name != "objectclass")


@cache
def _rows() -> Mapping[str, Mapping[str, Row]]:
    """The rows of each object class by attribute; of a device that is read in two ways, of both."""
    found: dict[str, dict[str, Row]] = {}
    for object_class in OBJECT_CLASSES:
        rows = found.setdefault(object_class.name, {})
        for row in object_class.rows:
            rows.setdefault(row.attribute, row)
    return found
