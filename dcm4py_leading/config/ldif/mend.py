"""Fixing of one LDIF record, line by line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from dcm4py_leading.config.ldif.lines import Fault, Faults, Line, logical
from dcm4py_leading.config.ldif.schema import NOT_FOR_USERS, Syntax, attribute_types, is_single_valued

_OPERATIONS = frozenset({"add", "delete", "replace"})


@dataclass(frozen=True, slots=True)
class Piece:
    """A logical line of the text, or a comment, with its number in the text as it was given."""

    number: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """A record, and the changes made to it."""

    pieces: tuple[Piece, ...]
    mended: tuple[Fault, ...]
    left_out: tuple[Fault, ...] = ()
    unrepeatable: tuple[Fault, ...]


def keyword(piece: Piece) -> str | None:
    """The name before the colon in lower case, ``-`` for that line; None for comments and what cannot be read."""
    line = logical(piece.number, piece.text, Faults())
    return None if line is None else line.name.lower()


def mend_record(pieces: Sequence[Piece]) -> Mended:
    """The lines between two blank ones, fixed where there is only one way to do it."""
    mending = _Mending()
    mended = tuple(mending.record(list(pieces)))
    return Mended(pieces=mended, mended=tuple(mending.mended.found), unrepeatable=tuple(mending.unrepeatable.found))


@dataclass(slots=True)
class _Group:
    """A modification on its way."""

    head: Piece
    operation: str
    attribute: str
    pieces: list[Piece] = field(default_factory=list)
    """Values and comments below the head."""


class _Mending:
    def __init__(self) -> None:
        self.mended = Faults()
        self.unrepeatable = Faults()

    def record(self, pieces: list[Piece]) -> Iterator[Piece]:
        start = next((index for index, piece in enumerate(pieces) if keyword(piece) == "dn"), None)
        yield from self._before(pieces[:start])
        if start is None:
            return
        dn, rest = pieces[start], pieces[start + 1 :]
        yield dn
        kind, rest = self._changetype(dn, rest)
        if kind is None:
            yield from rest
            return
        yield kind
        match kind.text.partition(": ")[2]:
            case "add":
                yield from self._add(rest)
            case "modify":
                yield from self._modify(rest)
            case "modrdn" | "moddn":
                yield from self._values(
                    self._without_ends(rest, "'-' ends a modification, and there is none: remove it")
                )
            case "delete":
                yield from self._without_ends(rest, "nothing may follow changetype: delete: remove the line")
            case _:
                yield from rest

    def _before(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """Comments, and the version line."""
        for piece in pieces:
            if keyword(piece) == "version" and piece.text != "version: 1":
                line = _line(piece)
                if line is not None and line.value.strip() != "1":
                    self.mended.add(piece.number, f"version {line.value} of LDIF is unknown: expected version: 1")
                yield Piece(piece.number, "version: 1")
            else:
                yield piece

    def _changetype(self, dn: Piece, rest: list[Piece]) -> tuple[Piece | None, list[Piece]]:
        """The changetype line as it must be, and the lines without it; None where ldapmodify is given a control."""
        names = [name for piece in rest if (name := keyword(piece)) is not None]
        if "control" in names:
            return None, rest
        found = [piece for piece in rest if keyword(piece) == "changetype"]
        others = [piece for piece in rest if keyword(piece) != "changetype"]
        kinds = {_value(piece).strip().lower() for piece in found}
        if len(kinds) > 1:
            return None, rest
        if not found:
            kind = "modify" if names and names[0] in _OPERATIONS else "add"
            self.mended.add(dn.number, f"the record has no changetype: put 'changetype: {kind}' below the dn")
            return Piece(dn.number, f"changetype: {kind}"), others
        if len(found) > 1 or names[0] != "changetype":
            self.mended.add(found[0].number, "changetype must stand once, directly below the dn")
        if _value(found[0]) != _value(found[0]).rstrip():
            self.mended.add(found[0].number, "a blank behind the changetype: remove it")
        return Piece(found[0].number, f"changetype: {kinds.pop()}"), others

    def _without_ends(self, pieces: Iterable[Piece], reason: str) -> Iterator[Piece]:
        for piece in pieces:
            if keyword(piece) == "-":
                self.mended.add(piece.number, reason)
            else:
                yield piece

    def _add(self, pieces: Sequence[Piece]) -> Iterator[Piece]:
        reason = "'-' ends a modification, and an entry to add has none: remove the line"
        named = list(self._values(self._without_ends(pieces, reason)))
        lines = [line for piece in named if (line := _line(piece)) is not None]
        is_version_2 = any(
            line.named("objectclass") and line.value.lower() == "dcmarchiveattributecoercion2" for line in lines
        )
        leading = [line for line in lines if line.named("dcmleadingcfindscp")]
        if not is_version_2 or len(leading) != 1 or any(line.named("dcmuri") for line in lines):
            yield from named
            return
        for piece in named:
            if piece.number == leading[0].number:
                self.mended.add(piece.number, "a version-2 rule names the leading archive by dcmURI: leading-arc:AET")
                yield Piece(piece.number, f"dcmURI: leading-arc:{leading[0].value}")
            else:
                yield piece

    def _modify(self, pieces: Sequence[Piece]) -> Iterator[Piece]:
        cleared: set[str] = set()
        before, groups = self._groups(pieces)
        yield from before
        for group in groups:
            yield from self._modification(group, cleared)

    def _groups(self, pieces: Iterable[Piece]) -> tuple[list[Piece], list[_Group]]:
        """Lines before the first modification, and the modifications."""
        before: list[Piece] = []
        groups: list[_Group] = []
        is_open = False
        for piece in pieces:
            name = keyword(piece)
            line = _line(piece)
            if name == "-":
                if line is not None and line.value:
                    self.mended.add(piece.number, "a blank behind '-', which ldapmodify cannot read: remove it")
                if not is_open:
                    self.mended.add(piece.number, "'-' without a modification before it: remove the line")
                is_open = False
            elif line is not None and name in _OPERATIONS and (not is_open or groups[-1].attribute.lower() != name):
                if is_open:
                    self.mended.add(piece.number, "a line with '-' is missing above")
                if line.value != line.value.rstrip():
                    self.mended.add(piece.number, f"a blank behind {line.name}: {line.value.rstrip()}: remove it")
                groups.append(_Group(piece, name, line.value.strip()))
                is_open = True
            elif is_open or (name is None and groups):
                groups[-1].pieces.append(piece)
            elif groups:
                # A value behind '-': nobody knows of which modification.
                groups.append(_Group(piece, "", ""))
            else:
                before.append(piece)
        return before, groups

    def _modification(self, group: _Group, cleared: set[str]) -> Iterator[Piece]:
        if not group.operation:
            yield group.head
            return
        values = list(self._values(group.pieces))
        has_values = any(not piece.text.startswith("#") for piece in values)
        operation, name = group.operation, group.attribute.lower()
        if operation == "add" and not has_values:
            self.mended.add(group.head.number, f"add: {group.attribute} has no value below it: remove it")
            yield from values
            return
        if operation == "add" and is_single_valued(name):
            self.mended.add(group.head.number, f"add: {group.attribute} takes one value: replace: can be run again")
            operation = "replace"
        elif operation == "delete" and not has_values:
            reason = f"delete: {group.attribute} fails where it is absent: replace: without a value can be run again"
            self.mended.add(group.head.number, reason)
            operation = "replace"
        elif operation in ("add", "delete") and not (operation == "add" and name in cleared):
            self.unrepeatable.add(
                group.head.number, f"{operation}: {group.attribute} is refused when the file is run again"
            )
        if operation == "replace":
            cleared.add(name)
        yield Piece(group.head.number, f"{operation}: {group.attribute}")
        yield from values
        yield Piece(group.head.number, "-")

    def _values(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """Lines with values, each once, as a server takes them."""
        seen: set[tuple[str, str]] = set()
        for piece in pieces:
            line = _line(piece)
            if line is None:
                yield piece
                continue
            if line.name.partition(";")[0].lower() in NOT_FOR_USERS:
                reason = f"{line.name}: the server keeps this attribute itself and refuses it: remove the line"
                self.mended.add(piece.number, reason)
                continue
            piece = self._value(piece, line)
            mended = _line(piece)
            key = (line.name.lower(), "" if mended is None else mended.value)
            if key in seen:
                self.mended.add(piece.number, f"{line.name}: the same value stands above: remove the line")
                continue
            seen.add(key)
            yield piece

    def _value(self, piece: Piece, line: Line) -> Piece:
        if piece.text[len(line.name) :].startswith(("::", ":<")):
            return piece
        text = piece.text.rstrip(" \r")
        if text != piece.text and line.value.strip(" "):
            self.mended.add(piece.number, f"{line.name} ends in a blank, which is a part of the value: remove it")
        else:
            text = piece.text
        known = attribute_types().get(line.name.lower())
        upper = line.value.strip(" ").upper()
        if known is not None and known.syntax is Syntax.BOOLEAN and upper in ("TRUE", "FALSE"):
            if line.value.strip(" ") != upper:
                self.mended.add(piece.number, f"{line.name}: expected {upper}, in capitals")
            text = f"{line.name}: {upper}"
        return Piece(piece.number, text)


def _line(piece: Piece) -> Line | None:
    return logical(piece.number, piece.text, Faults())


def _value(piece: Piece) -> str:
    line = _line(piece)
    return "" if line is None else line.value
