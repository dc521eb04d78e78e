"""Outcomes of the coercion of objects, remembered from one retrieve to the next.

The same elements, coerced by the same rules for the same peers with the very same answers, become the same: then
nothing has to be decoded. The leading archives are asked on each retrieve all the same, so an answer that is another
object makes the coercion be done again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from dcm4py_leading.coercion.question import Answer, Question
from dcm4py_leading.dataset.splice import Edits
from dcm4py_leading.model.bounds import COERCED_OBJECT_BYTES, COERCED_OBJECTS
from dcm4py_leading.service.counts import Key

Asked = tuple[tuple[Question, Answer], ...]
"""Questions that were asked, and the answers; kept, so that no other object has their identity."""


@dataclass(frozen=True, slots=True)
class CoercedElements:
    """Elements of an object that concern index and rules, as they become."""

    edits: Edits
    counted: tuple[Key, ...]
    """The steps that were carried out, as they are counted."""
    changes_character_set: bool

    @property
    def length(self) -> int:
        """Octets of the new elements."""
        return sum(len(element) for _, element in self.edits if element is not None)


class OutcomeMemo:
    """A bounded memory for one configuration; the least recently used outcome goes first. One lock.

    The keys say which coercion it is: by which rules, for whom, and all elements that it may look at or change.
    """

    def __init__(self, most: int = COERCED_OBJECTS) -> None:
        self._lock = threading.Lock()
        self._most = most
        self._known: OrderedDict[Hashable, tuple[CoercedElements, Asked]] = OrderedDict()

    def get(self, key: Hashable) -> tuple[CoercedElements, Asked] | None:
        """The last outcome; it holds as long as each question has that very answer."""
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
            return known

    def remember(self, key: Hashable, length: int, outcome: CoercedElements, asked: Asked) -> None:
        """Keep the outcome in place of an earlier one; ``length`` is that of the elements in the key."""
        with self._lock:
            self._known.pop(key, None)
            if length + outcome.length > COERCED_OBJECT_BYTES:
                return
            self._known[key] = outcome, asked
            if len(self._known) > self._most:
                self._known.popitem(last=False)
