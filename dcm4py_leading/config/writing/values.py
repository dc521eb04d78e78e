"""Attribute values as compared before writing, and as the octets that are sent."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable

from dcm4py_leading.config.dn import dn_key
from dcm4py_leading.config.entry import text_of
from dcm4py_leading.config.ldif.schema import Syntax, attribute_types

_BINARY = frozenset(
    [
        "audio",
        "authorityrevocationlist",
        "cacertificate",
        "certificaterevocationlist",
        "crosscertificatepair",
        "deltarevocationlist",
        "jpegphoto",
        "photo",
        "supportedalgorithms",
        "usercertificate",
        "userpkcs12",
        "usersmimecertificate",
        "x500uniqueidentifier",
    ]
)
"""Attributes of standards whose values are octets (RFC 2798, RFC 4523)."""
_ESCAPED = re.compile(rb"\\x([0-9a-f]{2})")


def base_name(attribute: str) -> str:
    """The attribute without options such as ``;binary``, in lower case."""
    return attribute.partition(";")[0].lower()


def is_binary(attribute: str) -> bool:
    """True if the values are octets, of which an entry shows those that are not UTF-8 as ``\\xNN``."""
    known = attribute_types().get(base_name(attribute))
    return (
        base_name(attribute) in _BINARY
        or ";binary" in attribute.lower()
        or (known is not None and known.syntax is Syntax.BINARY)
    )


def octets_of(attribute: str, value: str) -> bytes:
    """The octets of a value that an entry holds as text: the way back from `config.entry.text_of`."""
    plain = value.encode()
    if not is_binary(attribute):
        return plain
    octets = _ESCAPED.sub(lambda match: bytes.fromhex(match[1].decode()), plain)
    return octets if text_of(octets) == value else plain


def identity(attribute: str, value: str) -> str:
    """Key that is equal exactly for values that the directory holds to be one (RFC 4517 4.2).

    Blanks at the ends do not count, nor how many stand between words; nor case, where the schema says so.
    """
    name = base_name(attribute)
    known = attribute_types().get(name)
    if is_binary(attribute) or (known is not None and known.syntax is Syntax.OCTETS):
        return value
    if known is not None and known.syntax is Syntax.DN:
        return _dn(value)
    squeezed = " ".join(value.split())
    ignores_case = name == "objectclass" or (known is not None and known.ignores_case)
    return squeezed.casefold() if ignores_case else squeezed


def spelling(attribute: str, value: str) -> str:
    """Key that is equal exactly for values that nobody would replace by each other.

    Case and blanks of a text are seen by people, so another spelling of it is a change; of a DN or a class it is none.
    """
    name = base_name(attribute)
    known = attribute_types().get(name)
    is_name = name == "objectclass" or (known is not None and known.syntax is Syntax.DN)
    return identity(attribute, value) if is_name else value


def without(
    attribute: str, values: Iterable[str], others: Iterable[str], compared_by: Callable[[str, str], str] = spelling
) -> tuple[str, ...]:
    """The values that are not among the others; a class ``top`` is never missed, since some servers add it."""
    known = {compared_by(attribute, other) for other in others}
    if base_name(attribute) == "objectclass":
        known.add("top")
    return tuple(value for value in values if compared_by(attribute, value) not in known)


def _dn(value: str) -> str:
    try:
        return json.dumps([sorted(rdn) for rdn in dn_key(value)])
    except ValueError:
        return value
