"""Distinguished names as keys: equal when the directory holds them equal, however they are spelt (RFC 4514)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

Rdn = frozenset[tuple[str, str]]
DnKey = tuple[Rdn, ...]
"""From the entry's own RDN up to the suffix. ``key[1:]`` is the parent."""

_ESCAPE = re.compile(r"((?:\\[0-9A-Fa-f]{2})+)|\\(.)")
_SPECIAL = re.compile(r'([,+"\\<>;=])')


def dn_key(dn: str) -> DnKey:
    """The key of ``dn``: case and blanks do not count, and a multi-valued RDN is a set.

    Raises ValueError for text that is no distinguished name.
    """
    return tuple(map(_rdn, _split(dn, ",")))


@lru_cache(maxsize=4096)
def _rdn(text: str) -> Rdn:
    """Most RDNs of a directory stand in many names."""
    return frozenset(_assertion(part) for part in _split(text, "+"))


def parent_dn(dn: str) -> str:
    """The DN above, spelt as in ``dn``; empty above a suffix."""
    return dn[len(next(_split(dn, ","))) + 1 :].lstrip(" ")


def rdn_values(key: DnKey, attribute: str) -> list[str]:
    """The values, in lower case, of ``attribute`` in the entry's own RDN."""
    return [value for name, value in (key[0] if key else ()) if name == attribute.lower()]


def rdn_assertions(dn: str) -> list[tuple[str, str]]:
    """Attribute and value of each assertion in the entry's own RDN, in the spelling of ``dn``."""
    parts = (part.partition("=") for part in _split(next(_split(dn, ",")), "+"))
    return [(name.strip(), _unescaped(value)) for name, _, value in parts]


def escape_rdn_value(value: str) -> str:
    """Write ``value`` so that it can stand in a distinguished name (RFC 4514 2.4)."""
    escaped = _SPECIAL.sub(r"\\\1", value).replace("\0", "\\00")
    if escaped.startswith((" ", "#")):
        escaped = "\\" + escaped
    if escaped.endswith(" ") and not escaped.endswith("\\ "):
        escaped = escaped[:-1] + "\\ "
    return escaped


def _split(text: str, separator: str) -> Iterator[str]:
    """Split at each separator that is neither escaped nor quoted; a semicolon is a comma (RFC 2253 4)."""
    separators = ",;" if separator == "," else separator
    if "\\" not in text and '"' not in text and ";" not in text:
        yield from text.split(separator)
        return
    start = 0
    position = 0
    quoted = False
    while position < len(text):
        char = text[position]
        if char == "\\":
            position += 1
        elif char == '"':
            quoted = not quoted
        elif char in separators and not quoted:
            yield text[start:position]
            start = position + 1
        position += 1
    yield text[start:]


def _assertion(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    name = name.strip().lower()
    if not equals or not name:
        raise ValueError(
            f"expected a distinguished name such as cn=Devices,dc=example, but {text.strip()!r} has no '='"
        )
    return name, _plain(value)


def _plain(value: str) -> str:
    return " ".join(_unescaped(value).split()).casefold()


def _unescaped(value: str) -> str:
    value = value.strip(" ")
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = value[1:-1]
    return _ESCAPE.sub(_unescape, value) if "\\" in value else value


def _unescape(match: re.Match[str]) -> str:
    if match[1] is not None:
        return bytes.fromhex(match[1].replace("\\", "")).decode("utf-8", "backslashreplace")
    return match[2]
