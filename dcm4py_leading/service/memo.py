"""Bounded memory of outcomes for one configuration."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Memo(Generic[K, V]):
    """Values by key; the least recently used goes first. One lock.

    It is asked for each match of a query: cachetools.LRUCache does the same in Python, with several calls for each.
    """

    def __init__(self, *, max_entries: int, max_length: int) -> None:
        """``max_length`` is for one entry, in octets: a longer one is not kept."""
        self._lock = threading.Lock()
        self._max_entries = max_entries
        self._max_length = max_length
        self._known: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        """The last value, if it is still known."""
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
            return known

    def remember(self, key: K, value: V, length: int) -> None:
        """Keep the value, of so many octets, in place of an earlier one."""
        with self._lock:
            self._known.pop(key, None)
            if length > self._max_length:
                return
            self._known[key] = value
            if len(self._known) > self._max_entries:
                self._known.popitem(last=False)
