"""Converters of attribute text to values of the model. Each raises ValueError with what was expected."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from dcm4py_leading.config.dn import dn_key
from dcm4py_leading.dataset.text.character_sets import DEFINED_TERMS, declaration
from dcm4py_leading.model.coercion import UpdatePolicy
from dcm4py_leading.model.values import AETitle, parse_duration

E = TypeVar("E", bound=enum.Enum)

_INTEGER = re.compile(r"-?[0-9]+")
_MAX_STORE_ASSOCIATIONS = 64


def text(value: str) -> str:
    """Text as it stands. Trailing blanks are dropped: directories store them, nobody means them."""
    value = value.rstrip()
    if not value:
        raise ValueError("expected a value that is not blank")
    return value


def boolean(value: str) -> bool:
    """TRUE or FALSE in any case: ApacheDS also stores lower case."""
    match value.strip().upper():
        case "TRUE":
            return True
        case "FALSE":
            return False
    raise ValueError("expected TRUE or FALSE")


def integer(minimum: int, maximum: int | None = None) -> Callable[[str], int]:
    """A converter for whole numbers from ``minimum`` to ``maximum``, both included."""
    expected = f"expected a whole number of at least {minimum}"
    if maximum is not None:
        expected = f"expected a whole number from {minimum} to {maximum}"

    def convert(value: str) -> int:
        if not _INTEGER.fullmatch(value.strip()):
            raise ValueError(expected)
        number = int(value)
        if number < minimum or (maximum is not None and number > maximum):
            raise ValueError(expected)
        return number

    return convert


_INT32 = 2**31 - 1
any_integer = integer(-_INT32 - 1, _INT32)
_milliseconds = integer(0, _INT32)


def milliseconds(value: str) -> timedelta | None:
    """A timeout in ms, as on dcmNetworkConnection; 0 means none."""
    number = _milliseconds(value)
    return timedelta(milliseconds=number) if number else None


def interval(value: str) -> timedelta | None:
    """An ISO 8601 duration after which something is repeated; zero means never."""
    return parse_duration(value) or None


def enumerated(members: type[E]) -> Callable[[str], E]:
    """A converter for the values of an enumeration, spelt as the schema spells them."""
    expected = "expected one of " + ", ".join(str(member.value) for member in members)

    def convert(value: str) -> E:
        try:
            return members(value.strip())
        except ValueError:
            raise ValueError(expected) from None

    return convert


def among(*names: str) -> Callable[[str], str]:
    """A converter that lets only these names pass."""

    def convert(value: str) -> str:
        name = value.strip()
        if name not in names:
            raise ValueError("expected one of " + ", ".join(names))
        return name

    return convert


_update_policy = enumerated(UpdatePolicy)


def update_policy(value: str) -> UpdatePolicy:
    """dcmAttributeUpdatePolicy. REPLACE passes the schema, but dcm4che fails whenever it applies it."""
    if value.strip() == "REPLACE":
        raise ValueError(
            "REPLACE is refused, because dcm4che fails at every use of it;"
            " OVERWRITE takes over all attributes, MERGE those with a value"
        )
    return _update_policy(value)


def distinguished_name(value: str) -> str:
    """The DN of another entry."""
    dn_key(value)
    return value.strip()


_CHARACTER_SETS = DEFINED_TERMS - {""} | {"ISO_IR 6"}


def character_set(value: str) -> str:
    """dcmDefaultCharacterSet: a defined term, or several with a backslash between them, of which the first may be
    empty."""
    first, *more = (code.strip() for code in value.split("\\"))
    is_defined = (first in _CHARACTER_SETS or (not first and more)) and _CHARACTER_SETS.issuperset(more)
    if not is_defined or not declaration((first, *more)).is_known:
        raise ValueError("expected a defined term of Specific Character Set, such as ISO_IR 100 or ISO_IR 192")
    return "\\".join((first, *more))


def store_associations(value: str) -> str:
    """dcmMultipleStoreAssociations: a number of associations, for one AE if its title and a colon stand before it."""
    title, colon, count = value.strip().rpartition(":")
    count = count.strip()
    if not count.isdecimal() or not 1 <= int(count) <= _MAX_STORE_ASSOCIATIONS:
        raise ValueError(f"expected N or AET:N, with N from 1 to {_MAX_STORE_ASSOCIATIONS}")
    return f"{AETitle(title)}:{int(count)}" if colon else str(int(count))


def title_pair(value: str) -> tuple[AETitle, AETitle]:
    """dcmCStoreSCUOfCMoveSCP: two AE titles with an equals sign between them."""
    calling, equals, scp = value.strip().partition("=")
    if not equals:
        raise ValueError("expected CALLING=SCP, two AE titles")
    return AETitle(calling), AETitle(scp)


def date(value: str) -> str:
    """A date as DICOM writes it, YYYYMMDD."""
    value = value.strip()
    try:
        if len(value) != 8:
            raise ValueError
        datetime.strptime(value, "%Y%m%d")
    except ValueError:
        raise ValueError("expected a date as YYYYMMDD") from None
    return value


def ae_titles(value: str) -> tuple[AETitle, ...]:
    """AE titles in their order, with a backslash between them, as DICOM separates values (PS3.5 6.2)."""
    titles = [title.strip(" ") for title in value.split("\\")]
    if not all(titles):
        raise ValueError("expected an AE title of 1 to 16 characters, or several with a backslash between them")
    if len(set(titles)) < len(titles):
        raise ValueError("expected each AE title once")
    return tuple(map(AETitle, titles))


def masquerade(value: str) -> str:
    """dcmMasqueradeCallingAETitle: an AE title, for one called AE title if that stands before it in brackets."""
    value = value.strip()
    prefix, bracket, title = value.rpartition("]")
    if not bracket:
        return str(AETitle(value))
    if not prefix.startswith("["):
        raise ValueError("expected AET or [calledAET]AET")
    return f"[{AETitle(prefix[1:])}]{AETitle(title)}"
