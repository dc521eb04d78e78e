"""Outcomes of coercion of the matches of a C-FIND, remembered: the same elements and answers give the same outcome.

Remembered are bytes and who changed them, so that a match that comes again is not decoded. The leading archives are
asked for each page all the same; an answer that is another object makes the coercion be done again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from dcm4py_leading.coercion.chain import Answer, Executed
from dcm4py_leading.coercion.question import LeadingQuestion
from dcm4py_leading.coercion.select import Selection
from dcm4py_leading.model.bounds import COERCED_MATCH_BYTES, COERCED_MATCHES


@dataclass(frozen=True, slots=True)
class RememberedCoercion:
    """The outcome."""

    selection: Selection
    asked: tuple[LeadingQuestion, ...]
    answers: tuple[Answer, ...]
    """Of the leading archives; kept, so that no other object has their identity."""
    executed: tuple[Executed, ...]
    edited: Mapping[int, bytes | None]
    """Each element that may be touched, as it is afterwards."""

    def is_by(self, answers: tuple[Answer, ...]) -> bool:
        """True if it came from these very answers."""
        return len(answers) == len(self.answers) and all(
            one is other for one, other in zip(answers, self.answers, strict=True)
        )


class RememberedCoercions:
    """A bounded memory for one configuration; the least recently used outcome goes first. One lock.

    The keys say which coercion it is: of whose messages, and the elements that it may look at or change.
    """

    def __init__(self, most: int = COERCED_MATCHES) -> None:
        self._lock = threading.Lock()
        self._most = most
        self._known: OrderedDict[bytes, RememberedCoercion] = OrderedDict()

    def get(self, key: bytes) -> RememberedCoercion | None:
        """The last outcome, if it is still known."""
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
            return known

    def remember(self, key: bytes, coercion: RememberedCoercion) -> None:
        """Keep the outcome in place of an earlier one."""
        size = len(key) + sum(len(element) for element in coercion.edited.values() if element is not None)
        with self._lock:
            self._known.pop(key, None)
            if size > COERCED_MATCH_BYTES:
                return
            self._known[key] = coercion
            if len(self._known) > self._most:
                self._known.popitem(last=False)


@dataclass(frozen=True, slots=True)
class RememberedAnswer:
    """The encoded answer that a match became."""

    coercion: RememberedCoercion
    encoded: bytes


class RememberedAnswers:
    """Answers by all that they are made of: the form of the answer, whose messages, and the bytes of the match.

    Bounded, for one configuration; the least recently used goes first. One lock.
    """

    def __init__(self, most: int = COERCED_MATCHES) -> None:
        self._lock = threading.Lock()
        self._most = most
        self._known: OrderedDict[Hashable, RememberedAnswer] = OrderedDict()

    def get(self, key: Hashable) -> RememberedAnswer | None:
        """The last answer, if it is still known; it holds while `RememberedCoercion.is_by` does."""
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
            return known

    def remember(self, key: Hashable, answer: RememberedAnswer) -> None:
        """Keep the answer in place of an earlier one."""
        with self._lock:
            self._known.pop(key, None)
            if len(answer.encoded) > COERCED_MATCH_BYTES:
                return
            self._known[key] = answer
            if len(self._known) > self._most:
                self._known.popitem(last=False)
