"""Editor of the directory: reads, plans and checks a change, then writes all of it or nothing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from dcm4py_leading.config.dn import dn_key
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.sources.recording import Recording
from dcm4py_leading.config.writing import tree as listing
from dcm4py_leading.config.writing.changes import EntryChange, changes_between
from dcm4py_leading.config.writing.conflicts import conflict_of
from dcm4py_leading.config.writing.plan import Plan, Preview
from dcm4py_leading.config.writing.registry import entering, removing, with_registry
from dcm4py_leading.config.writing.state import etag
from dcm4py_leading.config.writing.tree import Tree
from dcm4py_leading.errors import Problem, ReadOnlyDirectory, WriteConflict, WriteRefused

LOG = logging.getLogger(__name__)


class Writer(Protocol):
    """Writer that carries changes out."""

    @property
    def why_not(self) -> str | None:
        """Why nothing can be written at all; None when it can, as far as can be told before trying."""
        ...

    def write(self, changes: Sequence[EntryChange]) -> None:
        """Carry them out in order. Raises WriteError, ConfigUnavailable."""
        ...


class Editor:
    """One directory, to be read as it is right now and to be changed. Safe under threads.

    Whatever reads raises ConfigUnavailable, ConfigInvalid where the directory cannot be read.
    """

    def __init__(
        self,
        tree: Tree,
        writer: Writer,
        preview: Callable[[str, Sequence[EntryChange]], Preview],
        recorded: Callable[[Sequence[EntryChange]], Recording],
    ) -> None:
        """``preview`` tells what changes of the device of that name would do, ``recorded`` what a reload would read."""
        self._tree = tree
        self._writer = writer
        self._preview = preview
        self._recorded = recorded
        self._lock = threading.Lock()

    @property
    def is_writable(self) -> bool:
        """True if changes can be saved, as far as can be told before trying."""
        return self.why_not is None

    @property
    def why_not(self) -> str | None:
        """Why nothing can be saved, in words; None when it can."""
        return self._writer.why_not

    def devices(self) -> Sequence[Entry]:
        """All dicomDevice entries with the attributes that a list shows, by one search."""
        return listing.devices(self._tree)

    def aes(self) -> Sequence[Entry]:
        """All dicomNetworkAE entries, likewise; the DN tells the device."""
        return listing.aes(self._tree)

    def connections(self) -> Sequence[Entry]:
        """All dicomNetworkConnection entries, likewise."""
        return listing.connections(self._tree)

    def registered_aes(self) -> Sequence[Entry]:
        """The entries of the Unique AE Titles Registry."""
        return listing.registered_aes(self._tree)

    def device_dn(self, device_name: str) -> str:
        """Where the device of that name is, or would be."""
        return listing.device_dn(self._tree, device_name)

    def entries(self, device_name: str) -> tuple[Entry, ...]:
        """The device and everything below it, read anew from the directory; empty if it does not exist."""
        return self._tree.subtree(device_name) if device_name else ()  # a server would take such a DN for a wrong one

    def plan(
        self,
        device_name: str,
        wanted: Iterable[Entry],
        *,
        base: Iterable[Entry] | None = None,
        expected: str | None = None,
        registers: bool = False,
    ) -> Plan:
        """Plan that makes the subtree of the device as ``wanted`` has it, and what that would do. Nothing is written.

        ``wanted`` is made of entries that were read, so that attributes which nobody knows stay; ``base`` are those
        entries as they were read. What others have changed since stays; where it would be overwritten, WriteConflict
        is raised. Without ``base`` it is the tree of now; then ``expected``, the `etag` of the subtree that was seen,
        is to tell that it still is the same, else WriteConflict is raised. With ``registers`` the titles of AEs that
        come or go are entered in or removed from the Unique AE Titles Registry.

        Raises WriteRefused for what cannot be said as a change; what the configuration has against it, the plan tells.
        """
        now = self.entries(device_name)
        if expected is not None and etag(now) != expected:
            raise WriteConflict(now[0].dn if now else self.device_dn(device_name))
        changes = changes_between(now if base is None else base, wanted)
        if changes:
            _refuse_others(changes, self.device_dn(device_name))
        found = {entry.key: entry for entry in now}
        for change in changes:
            conflict = conflict_of(change, found.get(dn_key(change.dn)))
            if conflict is not None:
                raise conflict
        if registers:
            changes = with_registry(changes, self._tree)
        return Plan(device_name=device_name, changes=changes, preview=self._preview(device_name, changes))

    def configuration_after(self, plan: Plan) -> Recording:
        """Entries that a reload of this service would read, had the plan been carried out; nothing is written.

        Raises ConfigInvalid with every problem where it would be refused.
        """
        return self._recorded(plan.changes)

    def save(self, plan: Plan, *, author: str = "") -> None:
        """Carry the plan out; ``author`` is for the log.

        Raises WriteRefused when the plan has errors or the server refuses, ReadOnlyDirectory, WriteConflict when
        somebody was faster, WriteDenied, ConfigUnavailable. A WriteError tells what was changed all the same.
        """
        self._refuse_read_only()
        if plan.errors:
            raise WriteRefused(plan.errors)
        self._write(plan.changes, author)

    def register(self, ae_title: str, *, author: str = "") -> bool:
        """Enter a title in the Unique AE Titles Registry; True if it was not there yet. Raises as `save` does."""
        return self._write_one(entering(ae_title, self._tree), author)

    def unregister(self, ae_title: str, *, author: str = "") -> bool:
        """Remove a title from the Unique AE Titles Registry; True if it was there. Raises as `save` does."""
        return self._write_one(removing(ae_title, self._tree), author)

    def _write_one(self, change: EntryChange | None, author: str) -> bool:
        self._refuse_read_only()
        if change is None:
            return False
        self._write([change], author)
        return True

    def _refuse_read_only(self) -> None:
        if self.why_not is not None:
            raise ReadOnlyDirectory(self.why_not)

    def _write(self, changes: Sequence[EntryChange], author: str) -> None:
        with self._lock:
            self._writer.write(changes)
        by = f" by {author}" if author else ""
        for change in changes:
            LOG.info("directory changed%s: %s %s", by, change.kind.value, change.dn)


def _refuse_others(changes: Iterable[EntryChange], device_dn: str) -> None:
    """Raise WriteRefused for entries that are not the device's."""
    device = dn_key(device_dn)
    outside = [change.dn for change in changes if dn_key(change.dn)[-len(device) :] != device]
    if outside:
        reason = f"cannot save: it is neither {device_dn} nor below it"
        raise WriteRefused(Problem(dn=dn, reason=reason) for dn in outside)
