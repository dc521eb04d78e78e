"""Writer to LDIF files: each is replaced as a whole, and only if it then holds exactly the entries wanted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from dcm4py_leading.config.dn import DnKey, dn_key
from dcm4py_leading.config.durable_file import put_in_place, throw_away, write_beside
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.ldif.directory import Directory
from dcm4py_leading.config.ldif.records import decode_ldif
from dcm4py_leading.config.ldif.source import LdifSource
from dcm4py_leading.config.writing.applied import applied
from dcm4py_leading.config.writing.changes import EntryChange
from dcm4py_leading.config.writing.conflicts import conflict_of
from dcm4py_leading.config.writing.ldif_edit import edited
from dcm4py_leading.config.writing.values import spelling
from dcm4py_leading.errors import ConfigInvalid, ConfigUnavailable, Problem, ReadOnlyDirectory, WriteRefused

_ATTEMPTS = 3


class LdifWriter:
    """Writes to LDIF files, if that is allowed. Whoever uses it lets one thread write at a time.

    Several files are replaced one after the other: a crash in between leaves the first ones changed.
    """

    def __init__(self, source: LdifSource, *, is_allowed: bool) -> None:
        self._source = source
        self._paths = tuple(path.resolve() for path in source.paths)
        self._is_allowed = is_allowed

    @property
    def why_not(self) -> str | None:
        """Reason why nothing can be written, None when it can (see `config.writing.editor.Writer`)."""
        if not self._is_allowed:
            return "LDIF files are changed only with serve --ldif-writable: take the LDIF of the change instead"
        closed = [str(path.parent) for path in self._paths if not os.access(path.parent, os.W_OK)]
        return f"no file can be made in {', '.join(closed)}" if closed else None

    def write(self, changes: Sequence[EntryChange]) -> None:
        """Carry the changes out (see `config.writing.editor.Writer`)."""
        for _ in range(_ATTEMPTS):
            if self._is_written(changes):
                return
        raise ConfigUnavailable(f"{self._source.describe()}: changes again and again while it is to be written")

    def _is_written(self, changes: Sequence[EntryChange]) -> bool:
        """True if the files could be written; False when somebody else has written to one meanwhile."""
        old = [_read(path) for path in self._paths]
        before = _tree(self._named(old))
        found = {entry.key: entry for entry in before}
        for change in changes:
            conflict = conflict_of(change, found.get(dn_key(change.dn)))
            if conflict is not None:
                raise conflict
        new = edited(self._named(old), changes)
        if not _holds(self._named(new), applied(before, changes)):
            reason = "cannot be changed in the LDIF files, for other records in them: take the LDIF of the change"
            raise WriteRefused(Problem(dn=change.dn, reason=reason) for change in changes)
        return self._replaced(old, new)

    def _named(self, data: Iterable[bytes]) -> list[tuple[str, bytes]]:
        return [(str(path), octets) for path, octets in zip(self._paths, data, strict=True)]

    def _replaced(self, old: Sequence[bytes], new: Sequence[bytes]) -> bool:
        changed = [number for number in range(len(old)) if old[number] != new[number]]
        beside: dict[int, Path] = {}
        try:
            for number in changed:
                path = self._paths[number]
                beside[number] = write_beside(path, new[number], like=path.stat())
            if any(_read(path) != octets for path, octets in zip(self._paths, old, strict=True)):
                return False
            for number in changed:
                put_in_place(beside.pop(number), self._paths[number])
        except OSError as err:
            raise ReadOnlyDirectory(f"cannot write the LDIF file {err.filename}: {err.strerror}") from err
        finally:
            for temporary in beside.values():
                throw_away(temporary)
        return True


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as err:
        raise ConfigUnavailable(f"cannot read the LDIF file {path}: {err.strerror}") from err


def _tree(files: Iterable[tuple[str, bytes]]) -> tuple[Entry, ...]:
    """The entries that the files make. Raises ConfigInvalid."""
    read = [decode_ldif(data, name) for name, data in files]
    directory = Directory()
    problems = [problem for file in read for problem in file.problems]
    problems = problems or [problem for file in read for problem in directory.apply(file)]
    if problems:
        raise ConfigInvalid(problems)
    return tuple(directory)


def _holds(files: Iterable[tuple[str, bytes]], wanted: Iterable[Entry]) -> bool:
    """True if the files say what is wanted."""
    try:
        return _canonical(_tree(files)) == _canonical(wanted)
    except ConfigInvalid:
        return False


def _canonical(entries: Iterable[Entry]) -> dict[DnKey, dict[str, frozenset[str]]]:
    return {
        entry.key: {name: frozenset(spelling(name, value) for value in entry.values(name)) for name in entry}
        for entry in entries
    }
