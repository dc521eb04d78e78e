"""Lint of values that the schema allows and the service refuses, by the service's own converters and compilers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache

from dcm4py_leading.coercion.conditions import compile_condition
from dcm4py_leading.config.attributes import OBJECT_CLASSES, archive, coercion
from dcm4py_leading.config.binding import Row, bind, build
from dcm4py_leading.config.dn import dn_key, rdn_values
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.ldif.lines import Line
from dcm4py_leading.config.ldif.schema import is_single_valued
from dcm4py_leading.config.placeholders import Expand
from dcm4py_leading.errors import Problem
from dcm4py_leading.model.coercion import AnyRule, CoercionRule, CoercionRule2
from dcm4py_leading.model.device import DeviceDescription

CheckRule = Callable[[AnyRule], Iterable[Problem]]
"""Check of one rule by another layer."""

_OTHERS = {
    "dcmAttributeFilter": ("dcmEntity", archive.OTHER_ENTITIES),
    "dcmAttributeSet": ("dcmAttributeSetType", archive.OTHER_ATTRIBUTE_SET_TYPES),
}
"""Entries of services that are not built are not read: class, and the values of an attribute that mark them."""


def value_problems(entry: Entry, expand: Expand, check_rule: CheckRule) -> tuple[Problem, ...]:
    """Objections of the service to the values of an entry; what the entry lacks is the schema's business."""
    known = _with_placeholders_known(entry, expand)
    problems: list[Problem] = []
    for object_class in OBJECT_CLASSES:
        # A device's description counts only where a rule refers to it.
        if known.is_a(object_class.name) and object_class.model is not DeviceDescription and not _is_other(known):
            bind(object_class.rows, known, problems, expand)
    told = [problem for problem in dict.fromkeys(problems) if not _is_the_schemas(problem, known)]
    return (*told, *_rule_problems(known, expand, check_rule))


def line_problem(dn: str, line: Line, expand: Expand) -> Problem | None:
    """Objection of the service to one value, when the class of the entry is not known: only what no class takes."""
    entry = _with_placeholders_known(Entry.of(dn, {line.name: [line.value]}), expand)
    found = None
    for row in _rows().get(line.name.lower(), ()):
        problems: list[Problem] = []
        bind([row], entry, problems, expand)
        if not problems:
            return None
        found = problems[0]
    return found if found is not None and found.value is not None else None


def condition_problem(dn: str, line: Line) -> Problem | None:
    """Fault of a condition that is given to an entry which looks like a rule: the others that have
    dcmProperty are named by another attribute than cn."""
    if not line.named("dcmproperty") or not rdn_values(dn_key(dn)[:1], "cn"):
        return None
    try:
        compile_condition(line.value)
    except ValueError as err:
        return Problem(dn=dn, attribute=line.name, value=line.value, reason=str(err))
    return None


def _rule_problems(entry: Entry, expand: Expand, check_rule: CheckRule) -> Iterator[Problem]:
    ignored: list[Problem] = []  # told by value_problems
    rule: AnyRule | None = None
    if entry.is_a("dcmArchiveAttributeCoercion"):
        rule = build(CoercionRule, coercion.ARCHIVE_ATTRIBUTE_COERCION, entry, ignored, expand)
    elif entry.is_a("dcmArchiveAttributeCoercion2"):
        rule = build(CoercionRule2, coercion.ARCHIVE_ATTRIBUTE_COERCION2, entry, ignored, expand)
    if rule is not None:
        yield from check_rule(rule)


def _is_the_schemas(problem: Problem, entry: Entry) -> bool:
    attribute = problem.attribute or ""
    return problem.value is None or (len(entry.values(attribute)) > 1 and is_single_valued(attribute))


def _is_other(entry: Entry) -> bool:
    return any(
        entry.is_a(name) and others.intersection(entry.values(attribute))
        for name, (attribute, others) in _OTHERS.items()
    )


def _with_placeholders_known(entry: Entry, expand: Expand) -> Entry:
    """Without the values whose ``${...}`` only the installation knows: nothing can be said of them here."""

    def is_known(value: str) -> bool:
        try:
            expand(value)
        except ValueError:
            return False
        return True

    return Entry.of(
        entry.dn, {entry.spell(name): [value for value in entry.values(name) if is_known(value)] for name in entry}
    )


@cache
def _rows() -> Mapping[str, tuple[Row, ...]]:
    found: dict[str, tuple[Row, ...]] = {}
    for object_class in OBJECT_CLASSES:
        if object_class.model is not DeviceDescription:
            for row in object_class.rows:
                found[row.attribute.lower()] = (*found.get(row.attribute.lower(), ()), row)
    return found
