"""The lines of LDIF (RFC 2849): physical lines unfolded to logical ones, these taken apart; what is wrong, by line."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

from dcm4py_leading.config.entry import text_of


@dataclass(frozen=True, slots=True)
class Line:
    """A logical line: unfolded, decoded. ``name`` is ``-`` for the end of a modification, ``value`` what follows."""

    number: int
    """Of its first physical line, counted from 1."""
    name: str
    value: str

    def named(self, name: str) -> bool:
        """Whether it has this attribute or keyword, in any case."""
        return self.name.lower() == name


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why a line cannot be read as it stands, in terms of the remedy."""

    line: int
    reason: str
    dn: str | None = None
    """Of the record, where that is known."""
    is_ours: bool = False
    """Whether ldapmodify takes the line, and only we do not carry it out."""


class Faults:
    """The faults of one file."""

    def __init__(self) -> None:
        self.found: list[Fault] = []

    def add(self, line: int, reason: str, dn: str | None = None, *, is_ours: bool = False) -> None:
        self.found.append(Fault(line=line, reason=reason, dn=dn, is_ours=is_ours))


_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9.;-]*)(::|:<|:)")
_STARTS_RECORD = re.compile(r"\s+(dn|changetype|objectclass|version)::?(\s|$)", re.IGNORECASE)


def unfolded(text: str, faults: Faults) -> Iterator[tuple[int, str]]:
    """Logical lines with the number of their first physical line; '' is the blank line that ends a record."""
    start, parts = 0, [""]
    lines = [line.rstrip("\r") for line in text.split("\n")]
    for number, line in enumerate(_unindented(lines, faults), start=1):
        if line and not line.strip():
            # A continuation by the letter of RFC 2849: the next record would be read as part of this one.
            faults.add(number, "the line holds only blanks, which does not end a record: make it empty")
            line = ""
        if line.startswith(" ") and start:
            parts.append(line[1:])
            continue
        if line[:1] in (" ", "\t"):
            faults.add(number, "the line is indented, but there is no line before it to continue")
            line = line.lstrip()
        if start:
            yield start, "".join(parts)
        start, parts = (number, [line]) if line else (0, [""])
        if not line:
            yield number, ""
    if start:
        yield start, "".join(parts)


def _unindented(lines: list[str], faults: Faults) -> list[str]:
    """Undo, and report once, the indentation of text pasted from a page: each line would continue the one before."""
    for number, line in enumerate(lines, start=1):
        match = _STARTS_RECORD.match(line)
        if match is not None:
            faults.add(
                number, "the text is indented, so each line only continues the one before: remove the indentation"
            )
            width = match.start(1)
            return [line[min(width, len(line) - len(line.lstrip())) :] for line in lines]
    return lines


def logical(number: int, line: str, faults: Faults) -> Line | None:
    if line.startswith("#"):
        return None
    if line.rstrip() == "-":
        return Line(number, "-", line[1:])
    match = _LINE.match(line)
    if match is None:
        faults.add(number, f"expected 'attribute: value', not {line[:40]!r}")
        return None
    name, mark = match[1], match[2]
    value = line[match.end() :].lstrip(" ")
    if mark == ":<":
        faults.add(
            number,
            f"{name}: values from a URL are not read, since a configuration must not open other files:"
            " write the value here, in base64 after '::'",
            is_ours=True,
        )
        return Line(number, name, value)
    if mark == "::":
        try:
            value = text_of(base64.b64decode(value.rstrip(), validate=True))
        except (binascii.Error, ValueError):
            faults.add(number, f"{name}: expected base64 after '::'")
            return None
    return Line(number, name, value)
