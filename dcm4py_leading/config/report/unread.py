"""Attributes and entries of a tree that nobody reads anywhere: told, so that a misspelt name is not silence. What
dcm4chee reads and this version does not is in the inventory."""

from __future__ import annotations

from collections.abc import Iterable

from dcm4py_leading.config.attributes import coercion
from dcm4py_leading.config.attributes.known import ATTRIBUTES, GENERAL_ATTRIBUTES, OBJECT_CLASSES
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.errors import Problem, Severity

_RULE_CLASSES = ("dcmArchiveAttributeCoercion", "dcmArchiveAttributeCoercion2")


def report_unread(entries: Iterable[Entry], problems: list[Problem]) -> None:
    """Append a WARNING for each attribute or object class that no schema knows, at its first entry, and for each
    attribute of a rule that dcm4chee stopped reading."""
    known = ATTRIBUTES | GENERAL_ATTRIBUTES
    unknown: set[str] = set()
    for entry in entries:
        if any(entry.is_a(name) for name in _RULE_CLASSES):
            problems.extend(_no_longer_read(entry))
        for name in entry:
            name, _, _ = name.partition(";")
            if name not in known and name not in unknown:
                unknown.add(name)
                problems.append(
                    _warning(entry, entry.spell(name), "no such attribute in the DICOM, dcm4che or archive schema")
                )
        for value in entry.values("objectClass"):
            folded = value.strip().lower()
            if folded not in OBJECT_CLASSES and folded not in unknown:
                unknown.add(folded)
                problems.append(
                    _warning(entry, "objectClass", "no such class in the DICOM, dcm4che or archive schema", value)
                )


def _no_longer_read(entry: Entry) -> Iterable[Problem]:
    for attribute, instead in coercion.NO_LONGER_READ.items():
        if entry.values(attribute):
            yield _warning(entry, attribute, f"dcm4chee no longer reads it on a rule, nor do we: {instead}")


def _warning(entry: Entry, attribute: str, reason: str, value: str | None = None) -> Problem:
    return Problem(dn=entry.dn, attribute=attribute, value=value, reason=reason, severity=Severity.WARNING)
