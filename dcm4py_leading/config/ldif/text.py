"""Entries as LDIF content records (RFC 2849), which any directory, and LdifSource, reads."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable

from dcm4py_leading.config.entry import Entry

_SAFE = re.compile(r"(?![ :<\t\v\f])[\x01-\x09\x0b\x0c\x0e-\x7f]*(?<! )\Z")
"""SAFE-STRING, and without a trailing blank, which would not be seen."""


def to_ldif(entries: Iterable[Entry]) -> str:
    """The records, in their order, each with an empty line before it."""
    return "".join(f"\n{_record(entry)}" for entry in entries)


def _record(entry: Entry) -> str:
    lines = [_line("dn", entry.dn)]
    for name in sorted(entry, key=lambda name: (name != "objectclass", name)):
        lines += [_line(entry.spell(name), value) for value in sorted(entry.values(name))]
    return "".join(lines)


def _line(name: str, value: str) -> str:
    if _SAFE.match(value):
        return f"{name}: {value}\n"
    return f"{name}:: {base64.b64encode(value.encode()).decode()}\n"
