"""Changes as LDIF change records (RFC 2849), which ldapmodify takes."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator

from dcm4py_leading.config.secret_values import masked
from dcm4py_leading.config.writing.changes import AttributeChange, EntryChange, Kind
from dcm4py_leading.config.writing.values import octets_of

_SAFE = re.compile(rb"(?![ :<\t\v\f])[\x01-\x09\x0b\x0c\x0e-\x7f]*(?<! )\Z")
"""SAFE-STRING, and without a trailing blank, which would not be seen."""

Shown = Callable[[str, str], str]
"""Of an attribute and a value, what is written."""


def ldif_of(changes: Iterable[EntryChange]) -> str:
    """The records, with an empty line between them. They hold secrets that are changed."""
    return "\n".join(_record(change, _as_it_is) for change in changes)


def shown_ldif_of(changes: Iterable[EntryChange]) -> str:
    """The same to be shown: in the place of a password, PIN or key stands ``***``."""
    return "\n".join(_record(change, _masked_in(change)) for change in changes)


def content_record(change: EntryChange) -> str:
    """An entry to add as a content record."""
    return "".join((value_line("dn", change.dn), *_body(change, _as_it_is)))


def value_line(name: str, value: str) -> str:
    """One line ``name: value``, in base64 where it must be."""
    octets = octets_of(name, value)
    if _SAFE.match(octets):
        return f"{name}: {octets.decode()}\n"
    return f"{name}:: {base64.b64encode(octets).decode()}\n"


def _as_it_is(_: str, value: str) -> str:
    return value


def _masked_in(change: EntryChange) -> Shown:
    classes = [value for found in change.attributes if found.attribute.lower() == "objectclass" for value in found.new]
    return lambda attribute, value: masked(attribute, value, classes)


def _record(change: EntryChange, shown: Shown) -> str:
    return "".join((value_line("dn", change.dn), f"changetype: {change.kind.value}\n", *_body(change, shown)))


def _body(change: EntryChange, shown: Shown) -> Iterator[str]:
    match change.kind:
        case Kind.ADD:
            for found in change.attributes:
                yield from _values(found.attribute, found.new, shown)
        case Kind.MODIFY:
            for found in change.attributes:
                yield from _modification(found, shown)
        case Kind.DELETE:
            pass


def _modification(found: AttributeChange, shown: Shown) -> Iterator[str]:
    """Each old value is deleted as the new one is added: a server refuses both when the old one is not there."""
    for operation, values in (("delete", found.removed), ("add", found.added)):
        if values:
            yield f"{operation}: {found.attribute}\n"
            yield from _values(found.attribute, values, shown)
            yield "-\n"


def _values(attribute: str, values: Iterable[str], shown: Shown) -> Iterator[str]:
    return (value_line(attribute, shown(attribute, value)) for value in values)
