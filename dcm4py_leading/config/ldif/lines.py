"""Lines of LDIF (RFC 2849): unfolded and parsed, with errors by line number."""

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
        """True if it has this attribute or keyword, in any case."""
        return self.name.lower() == name


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Error in a line, with the remedy."""

    line: int
    reason: str
    dn: str | None = None
    """Of the record, where that is known."""
    is_ours: bool = False
    """True if ldapmodify takes the line, and only we do not carry it out."""


class Faults:
    """The faults of one file."""

    def __init__(self) -> None:
        self.found: list[Fault] = []

    def add(self, line: int, reason: str, dn: str | None = None, *, is_ours: bool = False) -> None:
        self.found.append(Fault(line=line, reason=reason, dn=dn, is_ours=is_ours))


_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9.;-]*)(::|:<|:)")
_IS_KEYWORD = re.compile(r"\s*(dn|changetype|objectclass|version)::?(\s|$)", re.IGNORECASE)
_STARTS_RECORD = re.compile(r"\s+(dn|changetype|objectclass|version)::?(\s|$)", re.IGNORECASE)


def unfolded(text: str, faults: Faults) -> Iterator[tuple[int, str]]:
    """Logical lines with the number of their first physical line; '' is the blank line that ends a record.

    As ldapmodify reads them: a blank continues the line above, whatever follows, and only line feeds, with one carriage
    return before, separate lines.
    """
    start, parts = 0, [""]
    lines = _unindented([_without_return(number, line, faults) for number, line in _physical(text)], faults)
    for number, line in enumerate(lines, start=1):
        if line and not line.strip() and _ends_a_record(lines, number):
            # A continuation by the letter of RFC 2849: the next record would be read as part of this one.
            faults.add(number, "the line holds only blanks, which does not end a record: make it empty")
            line = ""
        if line.startswith(" ") and start:
            if len(parts) == 1 and ":" not in parts[0] and not parts[0].startswith("#"):
                faults.add(number, "a name is folded, which ldapmodify cannot read: write it on one line")
            parts.append(line[1:])
            continue
        if line[:1] in (" ", "\t"):
            why = (
                "there is no line before it to continue" if line[0] == " " else "a tab does not continue the one above"
            )
            faults.add(number, f"the line is indented, but {why}")
            line = line.lstrip()
        if start:
            yield start, "".join(parts)
        start, parts = (number, [line]) if line else (0, [""])
        if not line:
            yield number, ""
    if start:
        yield start, "".join(parts)


def _physical(text: str) -> Iterator[tuple[int, str]]:
    return enumerate(text.split("\n"), start=1)


def _without_return(number: int, line: str, faults: Faults) -> str:
    line = line.removesuffix("\r")
    if "\r" in line:
        faults.add(number, "a carriage return within the line, which ldapmodify cannot read: end lines by line feeds")
        line = line.replace("\r", "")
    return line


def _ends_a_record(lines: list[str], number: int) -> bool:
    """True if a line of blanks, counted from 1, stands where a record was meant to end: before the next one."""
    following = next((line for line in lines[number:] if line.strip()), "")
    return _STARTS_RECORD.match(f" {following}") is not None or following.startswith("#")


def _unindented(lines: list[str], faults: Faults) -> list[str]:
    """Undo, and report once, the indentation of text pasted from a page: each line would continue the one before.

    That is certain where a record begins indented with nothing above that it could continue, or where it would continue
    a line that nobody folds so, such as ``changetype: add``.
    """
    above = ""
    begins_indented = False
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            above = ""
            continue
        is_indented = line[0] in " \t"
        if not above:
            begins_indented = is_indented
        match = _STARTS_RECORD.match(line)
        if match is not None and (begins_indented or _IS_KEYWORD.match(above)):
            faults.add(
                number, "the text is indented, so each line only continues the one before: remove the indentation"
            )
            width = match.start(1)
            return [line[min(width, len(line) - len(line.lstrip())) :] for line in lines]
        if not is_indented or not above:
            above = line
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
    value = line[match.end() :].lstrip(" \t\v\f")  # as ldapmodify does
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
