"""What coercion made of the matches of a C-FIND, remembered: the same elements and answers give the same outcome.

Remembered are bytes and who changed them, so that a match that comes again is not decoded. The leading archives are
asked for each page all the same; an answer that is another object makes the coercion be done again.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from cachetools import LRUCache

from dcm4py_leading.coercion.chain import Answer, Executed
from dcm4py_leading.coercion.select import Peer, Selection
from dcm4py_leading.model.values import UID, AETitle

MOST_MATCHES = 10_000


@dataclass(frozen=True, slots=True)
class RememberedKey:
    """Which coercion: of whose messages, and the elements that it may look at or change."""

    ae_title: AETitle
    sop_class_uid: str
    sending: Peer
    receiving: Peer
    touched: bytes
    """The elements, in order, in Explicit VR Little Endian."""


@dataclass(frozen=True, slots=True)
class RememberedCoercion:
    """The outcome."""

    selection: Selection
    study: UID | None
    answers: tuple[Answer, ...]
    """Of the leading archives; kept, so that no other object has their identity."""
    executed: tuple[Executed, ...]
    edited: Mapping[int, bytes | None]
    """Each element that may be touched, as it is afterwards."""

    def is_by(self, answers: tuple[Answer, ...]) -> bool:
        """Whether it came from these very answers."""
        return len(answers) == len(self.answers) and all(
            one is other for one, other in zip(answers, self.answers, strict=True)
        )


class RememberedCoercions:
    """A bounded memory for one configuration; the least recently used outcome goes first. One lock."""

    def __init__(self, most: int = MOST_MATCHES) -> None:
        self._lock = threading.Lock()
        self._known: LRUCache[RememberedKey, RememberedCoercion] = LRUCache(most)

    def get(self, key: RememberedKey) -> RememberedCoercion | None:
        """The last outcome, if it is still known."""
        with self._lock:
            return self._known.get(key)

    def remember(self, key: RememberedKey, coercion: RememberedCoercion) -> None:
        """Keep the outcome in place of an earlier one."""
        with self._lock:
            self._known[key] = coercion
