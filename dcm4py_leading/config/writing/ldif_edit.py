"""Edits of entries in the text of LDIF files; every other octet stays as it is.

An entry that one record makes, and no other record speaks of, is changed there. Where others do, a change record is
put at the end of the last file that does: it comes after all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dcm4py_leading.config.dn import DnKey, dn_key
from dcm4py_leading.config.ldif.lines import Line
from dcm4py_leading.config.ldif.records import AddEntry, Record, RenameEntry, decode_ldif
from dcm4py_leading.config.writing.changes import AttributeChange, EntryChange, Kind
from dcm4py_leading.config.writing.text import content_record, ldif_of, value_line
from dcm4py_leading.config.writing.values import identity


def edited(files: Sequence[tuple[str, bytes]], changes: Sequence[EntryChange]) -> list[bytes]:
    """The octets of the files, which are given with their names, after the changes. The files have no faults."""
    found = [_File(name, data) for name, data in files]
    place_of_new: dict[DnKey, _File] = {}
    for change in changes:
        key = dn_key(change.dn)
        if change.kind is Kind.ADD:
            file = place_of_new.get(key[1:]) or _place(found, key)
            place_of_new[key] = file
            file.append(change)
            continue
        others = [file for file in found if file.speaks_of(key, with_below=change.kind is Kind.DELETE)]
        if others:
            others[-1].append(change)
            continue
        for file in found:
            file.change_in_place(key, change)
    return [file.text() for file in found]


def _place(files: Sequence[_File], key: DnKey) -> _File:
    """Where a new entry goes: the last file that tells of it or its parent, else of brothers of it, else the last."""
    families = [file for file in files if any(file.tells_of(found) for found in (key, key[1:]))]
    brothers = [file for file in files if any(made[1:] == key[1:] for made in file.made)]
    return (families or brothers or list(files))[-1]


@dataclass(frozen=True, slots=True)
class _Edit:
    """Text that stands instead of physical lines, which are counted from 1."""

    first: int
    after: int
    """The line after the last one; ``first`` to put something in before it."""
    text: str = ""


class _File:
    """One file, and what is to be done to it."""

    def __init__(self, name: str, data: bytes) -> None:
        self._lines = [line + b"\n" for line in data.split(b"\n")]
        self._lines[-1] = self._lines[-1][:-1]
        self._end = b"\r\n" if self._lines[0].endswith(b"\r\n") else b"\n"
        self._edits: list[_Edit] = []
        self._appended: list[str] = []
        records = decode_ldif(data, name).records
        self.made = {dn_key(record.dn): record for record in records if isinstance(record, AddEntry)}
        """The entries that it makes."""
        self._others = [record for record in records if not isinstance(record, AddEntry)]
        self._is_content = all(isinstance(record, AddEntry) and record.is_content for record in records)

    def speaks_of(self, key: DnKey, *, with_below: bool) -> bool:
        """True if it changes, deletes or renames the entry, or, ``with_below``, one below it."""
        return any(_concerns(record, key, with_below=with_below) for record in self._others)

    def tells_of(self, key: DnKey) -> bool:
        """True if any record is about the entry."""
        return key in self.made or self.speaks_of(key, with_below=False)

    def append(self, change: EntryChange) -> None:
        """Put it at the end."""
        is_content = self._is_content and change.kind is Kind.ADD
        self._appended.append(content_record(change) if is_content else ldif_of([change]))

    def change_in_place(self, key: DnKey, change: EntryChange) -> None:
        """Change the record that makes the entry, if it is here."""
        record = self.made.get(key)
        if record is None:
            return
        if change.kind is Kind.DELETE:
            first, after = record.line, self._after(record.lines[-1])
            if self._is_blank(first - 1) and self._is_blank(after):
                after += 1
            self._edits.append(_Edit(first, after))
        else:
            for attribute in change.attributes:
                self._edits += self._edits_of(record, attribute)

    def _edits_of(self, record: AddEntry, change: AttributeChange) -> Iterator[_Edit]:
        """New values take the places of old ones as long as there are any."""
        name = change.attribute
        lines = [line for line in record.attributes if line.named(name.lower())]
        removed = {identity(name, value) for value in change.removed}
        gone = [line for line in lines if identity(name, line.value) in removed]
        new = [value_line(lines[0].name if lines else name, value) for value in change.added]
        for line, text in zip(gone, new, strict=False):
            yield _Edit(line.number, self._after(line), text)
        for line in gone[len(new) :]:
            yield _Edit(line.number, self._after(line))
        if len(new) > len(gone):
            last = self._after((lines or record.attributes)[-1])
            yield _Edit(last, last, "".join(new[len(gone) :]))

    def _after(self, line: Line) -> int:
        """The physical line after a logical one: those that begin with a blank continue it (RFC 2849)."""
        number = line.number + 1
        while number <= len(self._lines) and self._lines[number - 1].startswith(b" ") and not self._is_blank(number):
            number += 1
        return number

    def _is_blank(self, number: int) -> bool:
        return not 1 <= number <= len(self._lines) or not self._lines[number - 1].strip()

    def text(self) -> bytes:
        """The octets with all that was to be done."""
        lines: list[bytes] = []
        at = 1
        for edit in sorted(self._edits, key=lambda edit: (edit.first, edit.after)):
            lines += self._lines[at - 1 : edit.first - 1]
            if edit.text:
                lines = _ended(lines, self._end)
                lines.append(self._encoded(edit.text))
            at = edit.after
        lines += self._lines[at - 1 :]
        for text in self._appended:
            lines = _ended(lines, self._end)
            if lines and lines[-1].strip():
                lines.append(self._end)
            lines.append(self._encoded(text))
        return b"".join(lines)

    def _encoded(self, text: str) -> bytes:
        return text.encode().replace(b"\n", self._end)


def _ended(lines: list[bytes], end: bytes) -> list[bytes]:
    """The lines, the last one with a line end too."""
    lines = [line for line in lines if line]
    if lines and not lines[-1].endswith(b"\n"):
        lines[-1] += end
    return lines


def _concerns(record: Record, key: DnKey, *, with_below: bool) -> bool:
    names = [dn_key(record.dn)]
    if isinstance(record, RenameEntry):
        # All that is below it gets another name, too.
        names.append(dn_key(record.new_dn))
        if any(key[-len(name) :] == name for name in names):
            return True
    return any(name == key or (with_below and name[-len(key) :] == key) for name in names)
