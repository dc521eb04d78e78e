"""Writer to a directory server (RFC 4511): one operation for each entry, none of which overwrites other changes.

A server changes one entry at a time. So each operation leaves a valid tree, and when one fails, those before it are
taken back as far as they can be.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dcm4py_leading.config.dn import parent_dn
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.ldap.session import Modification, reported
from dcm4py_leading.config.ldap.source import DirectorySession, LdapSource
from dcm4py_leading.config.writing.changes import EntryChange, Kind
from dcm4py_leading.config.writing.conflicts import conflict_of
from dcm4py_leading.config.writing.values import is_binary, octets_of
from dcm4py_leading.errors import (
    ConfigError,
    ConfigUnavailable,
    Problem,
    ReadOnlyDirectory,
    WriteConflict,
    WriteDenied,
    WriteError,
    WriteInterrupted,
    WriteRefused,
)

LOG = logging.getLogger(__name__)

_SUCCESS, _REFERRAL, _INAPPROPRIATE_MATCHING, _NO_SUCH_OBJECT, _HAS_CHILDREN = 0, 10, 18, 32, 66
_DENIED = (8, 13, 48, 50)
"""strongerAuthRequired, confidentialityRequired, inappropriateAuthentication, insufficientAccessRights."""
_NOT_NOW = (51, 52)
"""busy, unavailable."""


class LdapWriter:
    """Writes to the first server that answers and is no copy of another. Safe under threads."""

    why_not = None
    """None: what may be written, the server decides."""

    def __init__(self, source: LdapSource) -> None:
        self._source = source

    def write(self, changes: Sequence[EntryChange]) -> None:
        """Carry the changes out (see `config.writing.editor.Writer`)."""
        reasons: list[str] = []
        error: type[ConfigError] = ConfigUnavailable
        for turn in self._source.turns() if changes else ():
            writing = _Writing(changes)
            try:
                turn.use(writing.run, may_write=True)
            except ReadOnlyDirectory as err:
                error = ReadOnlyDirectory
                reasons.append(str(err))
            except WriteError:
                raise
            except ConfigUnavailable as err:
                if writing.has_sent:
                    raise writing.interrupted(err) from err
                reasons.append(str(err))
            else:
                return
        if reasons:
            raise error("; ".join(reasons))


class _Writing:
    """Changes on their way to one server."""

    def __init__(self, changes: Sequence[EntryChange]) -> None:
        self._changes = changes
        self._done: list[EntryChange] = []
        self.has_sent = False
        """True if the server may have changed something."""

    def run(self, directory: DirectorySession) -> None:
        """Raises WriteError, ConfigUnavailable; and what `Session` raises."""
        for change in self._changes:
            refusal = self._carried_out(directory, change)
            if refusal is not None:
                self._take_back(directory)
                raise self._with_progress(refusal)
            self._done.append(change)

    def interrupted(self, err: ConfigUnavailable) -> WriteError:
        """There was no answer: what is known of it."""
        reason = f"{err}; whether {self._changes[len(self._done)].dn} was changed is not known"
        return self._with_progress(WriteInterrupted(reason))

    def _carried_out(self, directory: DirectorySession, change: EntryChange) -> WriteError | None:
        """Carry out one change; what is returned says why it was not."""
        session = directory.session
        if change.kind is Kind.DELETE:
            # Other than a value, an entry is deleted whatever it has become.
            overtaken = conflict_of(change, _entry(directory, change.dn))
            if overtaken is not None:
                return overtaken
        self.has_sent = True
        match change.kind:
            case Kind.ADD:
                attributes = {found.attribute: _octets(found.attribute, found.new) for found in change.attributes}
                result = session.add(change.dn, attributes)
            case Kind.DELETE:
                result = session.delete(change.dn)
            case Kind.MODIFY:
                result = session.modify(change.dn, list(_modifications(change)))
                if result["result"] == _INAPPROPRIATE_MATCHING:
                    overtaken = conflict_of(change, _entry(directory, change.dn))
                    if overtaken is not None:
                        return overtaken
                    result = session.modify(change.dn, list(_replacing(change)))
        return None if result["result"] == _SUCCESS else self._refusal(directory, change, result)

    def _refusal(self, directory: DirectorySession, change: EntryChange, result: Mapping[str, Any]) -> WriteError:
        """Why the server has not made the change."""
        code, url = result["result"], directory.url
        said = result["description"] + (f" ({result['message']})" if result.get("message") else "")
        what = f"{url}: {change.kind.value} {change.dn}: {said}"
        if code == _REFERRAL:
            self.has_sent = bool(self._done)
            others = ", ".join(result.get("referrals") or ())
            return ReadOnlyDirectory(f"{url}: the server is a copy and refers to {others}: name that one first")
        if code in _NOT_NOW:
            return WriteInterrupted(what)
        if code in _DENIED:
            return WriteDenied(f"the directory does not let us change it: {what}")
        overtaken = conflict_of(change, _entry(directory, change.dn))
        if overtaken is not None:
            return overtaken
        if change.kind is Kind.ADD and code == _NO_SUCH_OBJECT:
            return WriteConflict(parent_dn(change.dn))
        if change.kind is Kind.DELETE and code == _HAS_CHILDREN:
            return WriteConflict(change.dn)
        named = (found.attribute for found in change.attributes if found.attribute.lower() in said.lower())
        return WriteRefused([Problem(dn=change.dn, attribute=next(named, None), reason=f"{url} refuses it: {said}")])

    def _take_back(self, directory: DirectorySession) -> None:
        """Undo what was done, the last first. What was deleted cannot be brought back as it was, so then all stays."""
        if any(change.kind is Kind.DELETE for change in self._done):
            return
        while self._done:
            change = self._done[-1]
            refusal: ConfigError | None
            try:
                with reported(directory.session):
                    refusal = self._carried_out(directory, change.reversed())
            except ConfigError as err:
                refusal = err
            if refusal is not None:
                LOG.warning("the change of %s cannot be undone, undo it by hand: %s", change.dn, refusal)
                return
            self._done.pop()

    def _with_progress(self, err: WriteError) -> WriteError:
        err.written = tuple(change.dn for change in self._done)
        err.left = tuple(change.dn for change in self._changes[len(self._done) :])
        return err


def _entry(directory: DirectorySession, dn: str) -> Entry | None:
    return next(iter(directory.search(dn, "(objectClass=*)", scope="BASE")), None)


def _octets(attribute: str, values: Sequence[str]) -> list[bytes]:
    return [octets_of(attribute, value) for value in values]


def _modifications(change: EntryChange) -> Iterator[Modification]:
    """Each old value is deleted as the new one is added: the server refuses both when somebody was faster."""
    for found in change.attributes:
        if found.removed:
            yield found.attribute, "delete", _octets(found.attribute, found.removed)
        if found.added:
            yield found.attribute, "add", _octets(found.attribute, found.added)


def _replacing(change: EntryChange) -> Iterator[Modification]:
    """The same for attributes whose values cannot be compared, such as dicomVendorData, which has no EQUALITY."""
    for modification in _modifications(change):
        if not is_binary(modification[0]):
            yield modification
    for found in change.attributes:
        if is_binary(found.attribute):
            yield found.attribute, "replace", _octets(found.attribute, found.new)
