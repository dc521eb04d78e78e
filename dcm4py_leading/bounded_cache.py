"""The cache of whatever is asked often: bounded, and cheap to ask."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class BoundedCache(Generic[K, V]):
    """Values by key; the least recently used goes first. Safe under threads.

    It is asked for each match of a query: cachetools.LRUCache in its place takes nearly twice the calls. That is for
    caches whose entries expire, or whose lock guards other state besides.
    """

    def __init__(self, max_size: int, *, max_value_size: int | None = None) -> None:
        """``max_size`` bounds all values together, ``max_value_size`` each of them, in the unit of `put`."""
        self._lock = threading.Lock()
        self._max_size = max_size
        self._max_value_size = max_size if max_value_size is None else max_value_size
        self._size = 0
        self._known: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def get(self, key: K) -> V | None:
        """The last value, if it is still known."""
        with self._lock:
            known = self._known.get(key)
            if known is None:
                return None
            self._known.move_to_end(key)
            return known[0]

    def put(self, key: K, value: V, size: int = 1) -> None:
        """Keep the value in place of an earlier one; one that is too large is not kept, and ends the earlier one."""
        with self._lock:
            _, earlier_size = self._known.pop(key, (None, 0))
            self._size -= earlier_size
            if size > self._max_value_size:
                return
            self._known[key] = value, size
            self._size += size
            while self._size > self._max_size:
                _, (_, freed) = self._known.popitem(last=False)
                self._size -= freed

    def __len__(self) -> int:
        return len(self._known)


def put_flushing(known: dict[K, V], key: K, value: V, max_entries: int) -> None:
    """Put a value into a plain dict, which is emptied when it is full.

    For what is asked for each object or PDU: the order of use would cost more than it saves.
    """
    if len(known) >= max_entries:
        known.clear()
    known[key] = value
