"""Descriptions in schema/*.schema: one value or several, in which object class, and what absence means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from scripts.schema_ldif import NAMES, SCHEMA, definitions

_NAME = re.compile(r"NAME '([^']+)'")
_DESCRIPTION = re.compile(r"DESC '([^']*)'")
_ABSENCE = re.compile(
    r"(?:^|; )(?P<text>[^;]*?) if absent(?: on an? (?P<where>[a-z ]+?))?(?: \((?P<remark>[^)]*)\))?(?=;|$)"
)
"""The clauses at the end of a description: ``10000 if absent (dcm4che: no timeout)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """Value that counts where an attribute is absent (``10000``), or words for it (``any AE may call``)."""

    text: str
    where: str = ""
    """The kind of entry for which it holds, such as ``attribute filter``; empty: every entry."""
    remark: str = ""
    """Difference to it in dcm4che or dcm4chee."""

    def holds_for(self, object_class: str) -> bool:
        """True if it holds for entries of a class: the class has the kind of entry in its name."""
        return self.where.replace(" ", "") in object_class.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeType:
    """One attributetype of a .schema file."""

    name: str
    description: str
    single: bool
    """SINGLE-VALUE."""

    @property
    def meaning(self) -> str:
        """The description without what it says of absence."""
        return _ABSENCE.sub("", self.description)

    def absence(self, object_class: str) -> Absence | None:
        """Absence as the description tells it for entries of that class that lack the attribute, or None."""
        for match in _ABSENCE.finditer(self.description):
            found = Absence(**match.groupdict(default=""))
            if found.holds_for(object_class):
                return found
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaClass:
    """One objectclass of a .schema file."""

    name: str
    description: str
    must: tuple[str, ...]
    may: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The three .schema files together, by name."""

    attribute_types: Mapping[str, AttributeType]
    object_classes: Mapping[str, SchemaClass]

    def is_value(self, text: str) -> bool:
        """True if the text of an `Absence` is a value, not words such as ``any`` or the name of another attribute."""
        return " " not in text and not re.fullmatch("[a-z]+", text) and text not in self.attribute_types


CN = AttributeType(name="cn", description="Name of the entry, of the core schema", single=False)


@cache
def load_schema() -> Schema:
    """The schema of this project, with ``cn`` out of the core schema."""
    attribute_types = {CN.name: CN}
    object_classes = {}
    for name in NAMES:
        for keyword, definition in definitions((SCHEMA / f"{name}.schema").read_text("utf-8")):
            if keyword == "attributetype":
                attribute_type = parse_attribute_type(definition)
                attribute_types[attribute_type.name] = attribute_type
            else:
                object_class = parse_object_class(definition)
                object_classes[object_class.name] = object_class
    return Schema(attribute_types=attribute_types, object_classes=object_classes)


def parse_attribute_type(definition: str) -> AttributeType:
    """Read what stands behind the keyword attributetype, on one line."""
    without_text = _DESCRIPTION.sub("", definition)
    return AttributeType(
        name=_only(_NAME, definition),
        description=_only(_DESCRIPTION, definition),
        single="SINGLE-VALUE" in without_text.split(),
    )


def parse_object_class(definition: str) -> SchemaClass:
    """Read what stands behind the keyword objectclass, on one line."""
    without_text = _DESCRIPTION.sub("", definition)
    return SchemaClass(
        name=_only(_NAME, definition),
        description=_only(_DESCRIPTION, definition),
        must=_listed("MUST", without_text),
        may=_listed("MAY", without_text),
    )


def _only(pattern: re.Pattern[str], definition: str) -> str:
    match = pattern.search(definition)
    if match is None:
        raise ValueError(f"expected {pattern.pattern} in {definition}")
    return match[1]


def _listed(keyword: str, definition: str) -> tuple[str, ...]:
    match = re.search(rf"\b{keyword} (?:\(([^)]*)\)|(\w+))", definition)
    return tuple(re.findall(r"\w+", match[1] or match[2])) if match else ()
