"""Attributes of each object class as members of a JSON object."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from dcm4py_leading.config.attributes import OBJECT_CLASSES
from dcm4py_leading.config.binding import Row
from dcm4py_leading.config.device_json.more_attributes import ON_AE, ON_BOTH, ON_DEVICE
from dcm4py_leading.config.ldif.schema import Syntax, attribute_types, object_classes
from dcm4py_leading.secret_text import is_secret


class Kind(enum.Enum):
    """JSON form of the values of an attribute."""

    VALUE = enum.auto()
    """As they are."""
    SECRET = enum.auto()
    """Not at all."""
    PRESENCE = enum.auto()
    """Only whether there are any."""
    POINTER = enum.auto()
    """DNs of connections, as JSON Pointers (RFC 6901) into the document."""
    DEVICE_NAME = enum.auto()
    """The DN of a device, by the device's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One attribute of one object class."""

    name: str
    syntax: Syntax
    is_array: bool
    kind: Kind
    is_required: bool
    """MUST of the class."""
    row: Row | None = None
    """Row by which it is read; None where what its absence means is not known, or inherited."""
    default: object = None
    """Value that the service takes where the attribute is absent, as ``row`` converts it."""

    def is_default(self, values: tuple[str, ...]) -> bool:
        """True if these values mean the same as none."""
        if self.row is None or not values:
            return False
        try:
            converted = [self.row.convert(value) for value in values]
        except ValueError:
            return False
        return (converted[0] if self.row.collect is None else self.row.collect(converted)) == self.default


_KINDS: Mapping[str, Kind] = {
    "dicomVendorData": Kind.PRESENCE,
    "dicomNetworkConnectionReference": Kind.POINTER,
    "dcmSupplementFromDeviceReference": Kind.DEVICE_NAME,
}
_SINGLE_IN_JSON = frozenset(
    {
        "cn",
        "dcmAuditAssigningAuthorityOfPatientID",
        "dcmNullifyIssuerOfPatientID",
        "hl7PrimaryAssigningAuthorityOfPatientID",
    }
)
"""Multi-valued in the directory; dcm4chee reads and writes one value."""
_INHERITING = frozenset({"dcmArchiveNetworkAE"})
"""Classes that take an absent value from the device: one that is the default of both may still say something."""
_MORE = {"dcmArchiveDevice": (ON_BOTH, ON_DEVICE), "dcmArchiveNetworkAE": (ON_BOTH, ON_AE)}


@cache
def fields_of(object_class: str) -> tuple[Field, ...]:
    """The members of an object of this class, in the schema's order."""
    found = object_classes()[object_class.lower()]
    own = (_field(found.name, name, is_required=name in found.must) for name in (*found.must, *found.may))
    return (*own, *(field for text in _MORE.get(object_class, ()) for field in _more(text)))


def _field(object_class: str, name: str, *, is_required: bool) -> Field:
    known = attribute_types().get(name.lower())
    syntax = Syntax.TEXT if known is None else known.syntax
    row, default = (None, None) if is_required else _default(object_class, name)
    return Field(
        name=name,
        syntax=syntax,
        is_array=not (name in _SINGLE_IN_JSON or (known is not None and known.single)),
        kind=_kind(name),
        is_required=is_required,
        row=row,
        default=default,
    )


def _kind(name: str) -> Kind:
    return _KINDS.get(name, Kind.SECRET if is_secret(name) else Kind.VALUE)


def _default(object_class: str, name: str) -> tuple[Row | None, object]:
    if object_class not in _INHERITING:
        for known in OBJECT_CLASSES:
            for row in known.rows:
                if known.name == object_class and row.attribute == name and not row.required:
                    return row, _model_default(known.model, row.field)
    return None, None


def _model_default(model: type, name: str) -> object:
    field = next(found for found in dataclasses.fields(model) if found.name == name)
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _more(text: str) -> Iterator[Field]:
    for line in text.replace("\n  ", " ").strip().split("\n"):
        form, _, names = line.partition(": ")
        syntax, *flags = form.split()
        for name in names.split():
            yield Field(
                name=name,
                syntax=Syntax(syntax),
                is_array="single" not in flags and name not in _SINGLE_IN_JSON,
                kind=_kind(name),
                is_required=False,
            )
