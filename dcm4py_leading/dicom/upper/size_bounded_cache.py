"""Values cached by key, bounded by their size in octets."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SizeBoundedCache(Generic[K, V]):
    """A cache bounded by what its entries hold, whoever made them. Safe under threads.

    When it is full all is forgotten, which costs less than to keep the order of use.
    """

    def __init__(self, most_bytes: int, longest_bytes: int) -> None:
        """Of ``most_bytes`` in all, and of none that has more than ``longest_bytes``."""
        self._most = most_bytes
        self._longest = longest_bytes
        self._size = 0
        self._values: dict[K, V] = {}
        self.get = self._values.get
        """The value of a key; None where it is not known."""

    def put(self, key: K, value: V, size: int) -> None:
        """Remember ``value``, which holds ``size`` octets together with its key."""
        if size > self._longest:
            return
        if self._size + size > self._most:
            self._values.clear()
            self._size = 0
        self._values[key] = value
        self._size += size

    def __len__(self) -> int:
        return len(self._values)
