"""Binding of LDAP attributes to fields of the model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from dcm4py_leading.config.converters import text
from dcm4py_leading.config.dn import rdn_assertions
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.placeholders import Expand, unchanged
from dcm4py_leading.errors import Problem

Convert = Callable[[str], object]
Collect = Callable[[Iterable[Any]], object]
T = TypeVar("T")


def in_order(values: Iterable[Any]) -> tuple[Any, ...]:
    """A sorted tuple: an attribute is a set, and servers return its values in any order."""
    return tuple(sorted(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One LDAP attribute: its name, the model field it fills, and how its text is read."""

    attribute: str
    field: str
    convert: Convert
    collect: Collect | None = None
    """Container of the values of a multi-valued attribute; None: the attribute is single-valued."""
    required: bool = False
    """MUST of the object class."""
    expand: bool = True
    """True if ``${...}`` is a placeholder here; in conditions and formats it is not."""

    @property
    def single(self) -> bool:
        """True if the schema says SINGLE-VALUE."""
        return self.collect is None


def one(attribute: str, field: str, convert: Convert = text, *, required: bool = False, expand: bool = True) -> Row:
    """Row of a single-valued attribute."""
    return Row(attribute=attribute, field=field, convert=convert, required=required, expand=expand)


def many(
    attribute: str,
    field: str,
    convert: Convert = text,
    *,
    collect: Collect = in_order,
    required: bool = False,
    expand: bool = True,
) -> Row:
    """Row of a multi-valued attribute; equal values count once."""
    return Row(attribute=attribute, field=field, convert=convert, collect=collect, required=required, expand=expand)


def bind(rows: Iterable[Row], entry: Entry, problems: list[Problem], expand: Expand = unchanged) -> dict[str, Any]:
    """The fields that ``entry`` gives a value for; absent ones are left to the model's defaults.

    Whatever cannot be read is appended to ``problems``, and its field left out. (``Any``: each value has the type of
    its field, which only the model knows.)
    """
    fields: dict[str, Any] = {}
    for row in rows:
        values = entry.values(row.attribute)
        if not values:
            if row.required:
                problems.append(Problem(dn=entry.dn, attribute=row.attribute, reason="is required, but absent"))
            continue
        converted = [made for made in (_read(row, value, entry, problems, expand) for value in values) if made]
        if len(converted) < len(values):
            continue
        if row.collect is not None:
            fields[row.field] = row.collect(list(dict.fromkeys(made[0] for made in converted)))
        elif len(values) > 1 and (named := _naming_value(entry, row.attribute)) is not None:
            # A server lets an entry keep an old name beside its RDN (deleteoldrdn: 0); it is called by its RDN.
            fields[row.field] = next(made[0] for made, value in zip(converted, values, strict=True) if value == named)
        elif len(values) > 1:
            shown = ", ".join(sorted(values))
            problems.append(
                Problem(dn=entry.dn, attribute=row.attribute, value=shown, reason="expected one value, not several")
            )
        else:
            fields[row.field] = converted[0][0]
    return fields


def build(
    model: Callable[..., T], rows: Sequence[Row], entry: Entry, problems: list[Problem], expand: Expand, **more: Any
) -> T | None:
    """One object of the model from ``entry``; None when anything in the entry is wrong, told in ``problems``."""
    before = len(problems)
    fields = bind(rows, entry, problems, expand)
    return model(dn=entry.dn, **fields, **more) if len(problems) == before else None


def _read(row: Row, value: str, entry: Entry, problems: list[Problem], expand: Expand) -> tuple[object] | None:
    try:
        return (row.convert(expand(value) if row.expand else value),)
    except ValueError as err:
        problems.append(Problem(dn=entry.dn, attribute=row.attribute, value=value, reason=str(err)))
        return None


def _naming_value(entry: Entry, attribute: str) -> str | None:
    """That of the values of an attribute which is in the entry's RDN."""
    try:
        named = {value for name, value in rdn_assertions(entry.dn) if name.lower() == attribute.lower()}
    except ValueError:  # told elsewhere
        return None
    folded = {value.strip().casefold() for value in named}
    return next((value for value in entry.values(attribute) if value.strip().casefold() in folded), None)
