"""LDAP view of the model: its values as a tree of entries under LDAP names.

A field goes under the name of the attribute whose row fills it, so what is added to the rows is here without new code.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dcm4py_leading.config.attributes import OBJECT_CLASSES, device
from dcm4py_leading.config.binding import Row
from dcm4py_leading.config.dn import Rdn, dn_key
from dcm4py_leading.config.report.show import shown
from dcm4py_leading.model.device import RemoteAE


@dataclass(frozen=True, slots=True)
class Value:
    """Value that an attribute holds."""

    value: object
    row: Row | None = field(compare=False)
    """None: no attribute of its own is read into it."""
    is_default: bool = field(default=False, compare=False)

    def texts(self) -> list[str]:
        """Each single value as the directory spells it; none where the attribute is absent."""
        plain = self.value if self.row is None else shown(self.row, self.value)
        members = plain if isinstance(plain, Sequence) and not isinstance(plain, str) else [plain]
        return [_text(member) for member in members if member is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """One entry: attributes by LDAP name, and the entries below it."""

    object_class: str
    rdn: Rdn = field(compare=False)
    name: str
    attributes: Mapping[str, Value]
    children: tuple[Outline, ...]


def outline(found: object) -> Outline:
    """The outline of an object of the model that has a DN."""
    object_class, rows = _rows(type(found))
    attributes, children = _content(found, rows)
    rdn = dn_key(_dn(found))[0]
    naming = {name for name, _ in rdn}
    names = [text for name, value in attributes.items() if name.lower() in naming for text in value.texts()]
    return Outline(
        object_class=object_class,
        rdn=rdn,
        name=" ".join(names or sorted(value for _, value in rdn)),
        attributes=attributes,
        children=tuple(children),
    )


def _rows(model: type) -> tuple[str, Mapping[str, Row]]:
    """The object class of a class of the model, and its rows by field."""
    if model is RemoteAE:
        return "dicomNetworkAE", {row.field: row for row in (device.AE_TITLE, device.DICOM_DEVICE[0])}
    classes = [found for found in OBJECT_CLASSES if found.model is model]
    return (classes[0].name if classes else model.__name__), {row.field: row for found in classes for row in found.rows}


def _content(found: object, rows: Mapping[str, Row]) -> tuple[dict[str, Value], list[Outline]]:
    """Attributes and children. A part without a DN, such as the settings of an AE, belongs to the whole."""
    attributes: dict[str, Value] = {}
    children: list[Outline] = []
    assert dataclasses.is_dataclass(found)
    for part in (part for part in dataclasses.fields(found) if part.compare):
        value, row = getattr(found, part.name), rows.get(part.name)
        below = _entries(value)
        if below and row is None:
            children += map(outline, below)
        elif below and row is not None:  # a reference: what it refers to is told where that stands
            attributes[row.attribute] = Value(tuple(outline(entry).name for entry in below), None)
        elif row is not None:
            attributes[row.attribute] = Value(value, row, value == part.default)
        elif dataclasses.is_dataclass(value):
            more, further = _content(value, _rows(type(value))[1])
            attributes |= more
            children += further
        elif value and not isinstance(value, Mapping):
            attributes[part.name] = Value(value, None)
    return attributes, children


def _entries(value: object) -> list[object]:
    """The objects with a DN that a field holds."""
    members = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple) else ()
    return [member for member in members if _dn(member)]


def _dn(found: object) -> str:
    return str(getattr(found, "dn", ""))


def _text(value: object) -> str:
    match value:
        case bool():
            return str(value).upper()
        case _:
            return str(value)
