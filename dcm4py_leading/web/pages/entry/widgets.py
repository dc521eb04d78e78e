"""Widgets: how a field is shown, typed, and read back from the form."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from dcm4py_leading.config.dn import rdn_assertions
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.secret_values import masked
from dcm4py_leading.secret_text import is_secret
from dcm4py_leading.web.pages.changing.form import Form, one_of
from dcm4py_leading.web.pages.fields.field import Field, InputType
from dcm4py_leading.web.pages.fields.reading import tag_of, uid_of

CONDITION_KEY, CONDITION_OPERATOR, CONDITION_VALUE = ".key", ".operator", ".value"
SCHEME, SPECIFIC = ".scheme", ".specific"
"""Behind the attribute's name: the parts of a value that is typed in parts."""
_OPERATORS = ("=", "!=")


class Widget(enum.Enum):
    """The elements of a form."""

    SHOWN = "shown"
    """No field: it names the entry, is secret, or cannot be typed."""
    INPUT = "input"
    SELECT = "select"
    CHECKS = "checks"
    ROWS = "rows"
    """A line for each value, with suggestions."""
    LINES = "lines"
    """One area, each value on a line."""
    CONDITIONS = "conditions"
    SCHEME = "scheme"


@dataclass(frozen=True, slots=True)
class ConditionParts:
    """A dcmProperty of a rule in its parts."""

    key: str
    operator: str
    value: str

    @property
    def text(self) -> str:
        """As it stands in the directory."""
        return f"{self.key}{self.operator}{self.value}"


def condition_of(text: str) -> ConditionParts:
    """The parts of a dcmProperty; what is no condition is all key."""
    key, equals, value = text.partition("=")
    if not equals:
        return ConditionParts(text, "", "")
    return ConditionParts(key.removesuffix("!"), "!=" if key.endswith("!") else "=", value)


def widget_of(field: Field, entry: Entry, *, names: Iterable[str]) -> Widget:
    """The widget of a field of ``entry``; ``names`` are the attributes that name it and cannot be changed."""
    if field.attribute in names or not _can_be_typed(field, entry):
        return Widget.SHOWN
    if field.attribute == "dcmProperty" and field.task == "conditions":
        return Widget.CONDITIONS
    if field.attribute == "dcmURI" and field.object_class == "dcmArchiveAttributeCoercion2":
        return Widget.SCHEME
    if field.choices:
        return Widget.SELECT if field.single else Widget.CHECKS
    if field.single:
        return Widget.INPUT
    if field.attribute == "dicomNetworkConnectionReference":
        return Widget.CHECKS
    return Widget.ROWS if field.shape in (InputType.AE_TITLE, InputType.UID) else Widget.LINES


def naming_attributes(entry: Entry) -> frozenset[str]:
    """The attributes in the RDN of an entry, in the schema's spelling where the entry has them."""
    return frozenset(entry.spell(name) for name, _ in rdn_assertions(entry.dn))


def _can_be_typed(field: Field, entry: Entry) -> bool:
    """False for what holds a secret, even a part of it, or is no text."""
    values = entry.values(field.attribute)
    is_plain = all(value.isprintable() and "\\x" not in value for value in values)
    return is_plain and not is_secret(field.attribute) and shown_values(entry, field.attribute) == values


def shown_values(entry: Entry, attribute: str) -> tuple[str, ...]:
    """The values of an attribute to be looked at: secrets are hidden."""
    classes = entry.values("objectClass")
    return tuple(masked(attribute, value, classes) for value in entry.values(attribute))


def typed_values(field: Field, widget: Widget, form: Form) -> tuple[str, ...]:
    """Values that were typed into a field; blank lines are none."""
    name = field.attribute
    match widget:
        case Widget.CONDITIONS:
            values = list(_conditions(name, form))
        case Widget.SCHEME:
            scheme = one_of(form, name + SCHEME)
            values = [f"{scheme}:{one_of(form, name + SPECIFIC)}"] if scheme else []
        case Widget.LINES:
            values = [line for text in form.get(name, ()) for line in text.splitlines()]
        case _:
            values = list(form.get(name, ()))
    typed = (value.strip() for value in values if value.strip())
    return tuple(dict.fromkeys(_meant(field, value) for value in typed))


def _conditions(name: str, form: Form) -> Iterable[str]:
    parts = (form.get(name + part, ()) for part in (CONDITION_KEY, CONDITION_OPERATOR, CONDITION_VALUE))
    for key, operator, value in zip(*parts, strict=False):
        if key.strip():
            yield ConditionParts(key.strip(), operator if operator in _OPERATORS else "", value).text


def _meant(field: Field, value: str) -> str:
    match field.shape:
        case InputType.UID:
            return uid_of(value)
        case InputType.TAG:
            return tag_of(value)
    return value
