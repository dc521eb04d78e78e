"""Hints that a live directory may give besides its entries; implemented by `config.ldap.hints.LdapHints`."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Author of the last change of an entry (RFC 4512 3.4), as far as the server tells."""

    dn: str
    name: str
    at: datetime


class Listening(enum.Enum):
    """Way in which listening ended."""

    NOT_OFFERED = "not offered"
    ENDED = "ended"


class OpenSession(Protocol):
    """A session with a server."""

    def abandon(self) -> None:
        """End it, from whatever thread."""
        ...


class Marks(Protocol):
    """Marks that tell cheaply whether it is worth while to read a directory again."""

    def mark(self, device_names: Iterable[str], ae_titles: Iterable[str]) -> str | None:
        """As long as it is the same, these devices and AEs have hardly changed; None where nothing tells.

        Raises ConfigUnavailable, ConfigInvalid.
        """
        ...


class Talking(Protocol):
    """A directory that may tell of changes."""

    def listen(self, device_name: str, heard: Callable[[], None], opened: Callable[[OpenSession], None]) -> Listening:
        """Let the directory tell of changes of the device until the connection ends; ``heard`` is called for each.

        ``opened`` is given the session, which another thread may abandon. Raises ConfigUnavailable, ConfigInvalid.
        """
        ...


class DirectoryHints(Marks, Talking, Protocol):
    """All that a directory may tell."""

    def authors(self, dns: Sequence[str]) -> tuple[Author, ...]:
        """Authors of the last changes of these entries; none of those that are gone. Raises ConfigUnavailable."""
        ...
