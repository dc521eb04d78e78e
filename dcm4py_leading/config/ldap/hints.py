"""Hints of a live directory besides its entries: whether anything changed, when, and who did it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from dcm4py_leading.config.dn import dn_key
from dcm4py_leading.config.ldap.session import Session, reported
from dcm4py_leading.config.ldap.source import DirectorySession, LdapSource
from dcm4py_leading.config.sources.hints import Author, DirectoryHints, Listening
from dcm4py_leading.config.sources.recording import Recording

_SYNC = ("1.3.6.1.4.1.4203.1.9.1.1", bytes.fromhex("30 03 0a 01 03"))
"""Content synchronization (RFC 4533 2.2), refreshAndPersist."""
_PERSISTENT_SEARCH = ("2.16.840.1.113730.3.4.3", bytes.fromhex("30 09 02 01 0f 01 01 ff 01 01 ff"))
"""Persistent search (draft-ietf-ldapext-psearch): all types of change, changes only, entry change notifications."""
_SEARCH_RESULT_DONE = 5
_TIMES = ("modifyTimestamp",)
_RECENT_SECONDS = 600
"""Capabilities that changed in the last ten or twenty minutes belong to a mark; clocks may differ by so much."""


class LdapHints(DirectoryHints):
    """Hints of the servers of one `LdapSource`. Safe under threads."""

    def __init__(self, source: LdapSource, *, now: Callable[[], float] = time.time) -> None:
        """``now`` is Unix time."""
        self._source = source
        self._now = now

    def mark(self, device_names: Iterable[str], ae_titles: Iterable[str]) -> str | None:
        """Mark of the directory (see `Marks`).

        The contextCSN of an OpenLDAP server that keeps one, which moves with every change of the database; else a
        digest of what is there. Of transfer capabilities, of which an AE may have hundreds, only those are in it that
        the server says were changed lately: one that is merely deleted does not show.
        """
        lately = datetime.fromtimestamp((self._now() // _RECENT_SECONDS - 1) * _RECENT_SECONDS, UTC)
        return self._source.first_answer(
            lambda directory: _context_csn(directory) or _digest(directory, device_names, ae_titles, lately)
        )

    def authors(self, dns: Sequence[str]) -> tuple[Author, ...]:
        """Authors of the last changes of these entries; none of those that are gone. Raises ConfigUnavailable."""
        return self._source.first_answer(
            lambda directory: tuple(found for dn in dns if (found := _author(directory, dn)) is not None)
        )

    def listen(self, device_name: str, heard: Callable[[], None], opened: Callable[[Session], None]) -> Listening:
        """Let the directory tell of changes of the device until the connection ends; ``heard`` is called for each.

        ``opened`` is given the session, which another thread may abandon. Raises ConfigUnavailable, ConfigInvalid.
        """
        session = self._source.open_session()
        try:
            opened(session)
            with reported(session):
                directory = DirectorySession(session)
                control = _control(directory)
                if control is None:
                    return Listening.NOT_OFFERED
                has_heard = False
                for kind in session.changes(directory.device_dn(device_name), control):
                    if kind == _SEARCH_RESULT_DONE:
                        return Listening.ENDED if has_heard else Listening.NOT_OFFERED
                    has_heard = True
                    heard()
                return Listening.ENDED
        finally:
            session.close()


def _control(directory: DirectorySession) -> tuple[str, bytes] | None:
    """The better control that the server offers: ApacheDS knows both, but reports no modifications by the first."""
    offered = directory.values("", "supportedControl")
    return next((control for control in (_PERSISTENT_SEARCH, _SYNC) if control[0] in offered), None)


def _context_csn(directory: DirectorySession) -> str | None:
    # Others have an attribute of that name too, which does not move with each deletion.
    if "OpenLDAProotDSE" not in directory.values("", "objectClass"):
        return None
    base = dn_key(directory.url.base_dn)
    for suffix in directory.values("", "namingContexts"):
        key = dn_key(suffix)
        if base[len(base) - len(key) :] == key and (numbers := directory.values(suffix, "contextCSN")):
            return f"{directory.url} {' '.join(sorted(numbers))}"
    return None


def _digest(
    directory: DirectorySession, device_names: Iterable[str], ae_titles: Iterable[str], lately: datetime
) -> str:
    since = lately.strftime("%Y%m%d%H%M%SZ")
    recent = f"(&(objectClass=dicomTransferCapability)(|(modifyTimestamp>={since})(createTimestamp>={since})))"
    devices = {}
    times = []
    for name in dict.fromkeys(device_names):
        dn = directory.device_dn(name)
        devices[name] = directory.search(dn, "(!(objectClass=dicomTransferCapability))")
        times += [(entry.dn, *entry.values("modifyTimestamp")) for entry in directory.search(dn, recent, _TIMES)]
    aes = {title: directory.ae_parts(title) for title in ae_titles}
    return f"{directory.url} {Recording(devices=devices, aes=aes).digest()} {sorted(times)}"


def _author(directory: DirectorySession, dn: str) -> Author | None:
    for name, timestamp in (("modifiersName", "modifyTimestamp"), ("creatorsName", "createTimestamp")):
        names, times = directory.values(dn, name), directory.values(dn, timestamp)
        if names and times and (at := _generalized_time(times[0])) is not None:
            return Author(dn=dn, name=names[0], at=at)
    return None


def _generalized_time(text: str) -> datetime | None:
    """RFC 4517 3.3.13 as servers write it; seconds are enough."""
    try:
        return datetime.strptime(text[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
