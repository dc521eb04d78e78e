"""One attribute of an entry as the value of a JSON member, and back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from dcm4py_leading.config.device_json.fields import Field, Kind
from dcm4py_leading.config.dn import DnKey, dn_key, escape_rdn_value, parent_dn, rdn_assertions
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.ldif.schema import Syntax, dn_fault
from dcm4py_leading.config.secret_values import masked
from dcm4py_leading.secret_text import MASK

Json = str | int | bool | None | list["Json"] | dict[str, "Json"]


class Absent:
    """The type of ABSENT."""


ABSENT: Final = Absent()
"""There is no such member."""


@dataclass(frozen=True, slots=True)
class Links:
    """Form of DNs in the document: connections by their place, devices by their name."""

    devices_dn: str
    """The entry below which the devices are."""
    pointers: Mapping[DnKey, str] = field(default_factory=dict)

    def device_name(self, dn: str) -> str:
        """The name of the device at ``dn``; the DN itself where it is not one beside this device."""
        try:
            assertions = rdn_assertions(dn)
            is_sibling = dn_key(parent_dn(dn)) == dn_key(self.devices_dn)
        except ValueError:
            return dn
        (name, value), *more = assertions
        return value if is_sibling and not more and name.lower() == "dicomdevicename" else dn

    def device_dn(self, name: str) -> str:
        """The DN of the device of that name beside this one."""
        return f"dicomDeviceName={escape_rdn_value(name)},{self.devices_dn}"

    def pointer(self, dn: str) -> str:
        """The place of a connection in the document; the DN itself where it is not in it."""
        try:
            return self.pointers.get(dn_key(dn), dn)
        except ValueError:
            return dn


def shown(told: Field, entry: Entry, links: Links) -> Json | Absent:
    """The value of a member, such that a PUT of it changes nothing."""
    values = entry.values(told.name)
    if told.kind is Kind.PRESENCE:
        # Of a device in any case, as dcm4chee does.
        return bool(values) if values or entry.is_a("dicomDevice") else ABSENT
    if not values or told.kind is Kind.SECRET:
        return ABSENT
    named = named_value(entry, told.name)
    if named is None and told.is_default(values):
        return ABSENT
    if told.is_array:
        return [shown_value(told, value, entry, links) for value in values]
    if len(values) > 1:
        values = () if named is None else (named,)
    return shown_value(told, values[0], entry, links) if values else ABSENT


def shown_value(told: Field, value: str, entry: Entry, links: Links) -> Json:
    """One value; as plain text if it cannot be read in the attribute's syntax."""
    if told.kind is Kind.POINTER:
        return links.pointer(value)
    if told.kind is Kind.DEVICE_NAME:
        return links.device_name(value)
    match told.syntax:
        case Syntax.BOOLEAN if value.strip().upper() in ("TRUE", "FALSE"):
            return value.strip().upper() == "TRUE"
        case Syntax.INTEGER if Syntax.INTEGER.fault(value) is None and len(value) <= _MAX_DIGITS:
            return int(value)
    if "=" not in value and "://" not in value:  # most of them
        return value
    return masked(told.name, value, entry.values("objectClass"))


def text_of(told: Field, value: Json, links: Links, object_classes: Collection[str]) -> str:
    """The attribute value that a JSON value stands for, in an entry of these classes.

    Raises ValueError with what was expected.
    """
    match told.syntax:
        case Syntax.BOOLEAN:
            if not isinstance(value, bool):
                raise ValueError("expected true or false")
            return "TRUE" if value else "FALSE"
        case Syntax.INTEGER:
            if not isinstance(value, int) or isinstance(value, bool):
                raise ValueError("expected a whole number")
            return str(value)
    if not isinstance(value, str):
        raise ValueError("expected a text")
    if told.kind is Kind.DEVICE_NAME and ("=" not in value or dn_fault(value) is not None):
        value = links.device_dn(value)
    if (fault := told.syntax.fault(value) or _not_text(value)) is not None:
        raise ValueError(fault)
    if MASK in value and masked(told.name, value.replace(MASK, "x"), object_classes) == value:
        raise ValueError("expected the value itself: what stands behind the mask is not known here")
    return value


def named_value(entry: Entry, attribute: str) -> str | None:
    """The value of the attribute that is in the entry's RDN; None where it does not name the entry."""
    if attribute.lower() not in entry.dn.lower():  # as most are not, and reading a DN takes time
        return None
    for name, value in rdn_assertions(entry.dn):
        if name.lower() == attribute.lower():
            held = entry.values(attribute)
            folded = value.strip().casefold()
            return next((found for found in held if found.strip().casefold() == folded), value)
    return None


_MAX_DIGITS = 19
"""Of a number; a 64-bit integer has no more."""


def _not_text(value: str) -> str | None:
    try:
        value.encode()
    except UnicodeEncodeError:
        return "expected characters that UTF-8 can write, not half of a surrogate pair"
    return "expected a text without the character NUL" if "\0" in value else None
