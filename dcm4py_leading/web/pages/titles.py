"""AE titles of the directory, for suggestions and for checks of conditions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.model.bounds import SUGGESTED_TITLES_SECONDS
from dcm4py_leading.web.pages.places import name_of


class Listing(Protocol):
    """Source of the list of AEs."""

    def aes(self) -> Sequence[Entry]:
        """All dicomNetworkAE entries with the attributes that a list shows."""
        ...


@dataclass(frozen=True, slots=True)
class Title:
    """One AE title, and its AE."""

    value: str
    text: str


class Titles:
    """All titles of the directory, other titles of AEs too (dcmOtherAETitle), by name. Safe under threads.

    They are remembered for a while: there are thousands, and a condition asks for them with each key that is pressed.
    """

    def __init__(self, listing: Listing, clock: Callable[[], float]) -> None:
        self._listing = listing
        self._clock = clock
        self._lock = threading.Lock()
        self._known: tuple[Title, ...] = ()
        self._read_at: float | None = None

    def all(self) -> Sequence[Title]:
        """The titles, at most `SUGGESTED_TITLES_SECONDS` old. Raises ConfigUnavailable."""
        now = self._clock()
        with self._lock:
            if self._read_at is not None and now - self._read_at < SUGGESTED_TITLES_SECONDS:
                return self._known
        found = titles_of(self._listing.aes())
        with self._lock:
            self._known, self._read_at = found, now
        return found

    def forget(self) -> None:
        """Ask the directory again next time, because something has changed."""
        with self._lock:
            self._read_at = None


def titles_of(aes: Sequence[Entry]) -> tuple[Title, ...]:
    """The titles of these AEs."""
    found: dict[str, str] = {}
    for ae in aes:
        description = next(iter(ae.values("dicomDescription")), "")
        for title in ae.values("dicomAETitle"):
            found.setdefault(title, description)
        for title in ae.values("dcmOtherAETitle"):
            found.setdefault(title, f"= {name_of(ae)}")
    return tuple(Title(title, text) for title, text in sorted(found.items()))
