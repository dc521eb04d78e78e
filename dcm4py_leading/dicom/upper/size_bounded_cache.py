"""Cache whose size in octets is bounded."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SizeBoundedCache(Generic[K, V]):
    """Cache with a maximum size in octets. Safe under threads.

    A full cache is cleared completely, which costs less than to keep the order of use.
    """

    def __init__(self, most_bytes: int, longest_bytes: int) -> None:
        """Holds ``most_bytes`` in total, and no entry longer than ``longest_bytes``."""
        self._most = most_bytes
        self._longest = longest_bytes
        self._size = 0
        self._values: dict[K, V] = {}
        self.get = self._values.get
        """The value of a key; None where it is not known."""

    def put(self, key: K, value: V, size: int) -> None:
        """Cache ``value``; key and value together have ``size`` octets."""
        if size > self._longest:
            return
        if self._size + size > self._most:
            self._values.clear()
            self._size = 0
        self._values[key] = value
        self._size += size

    def __len__(self) -> int:
        return len(self._values)
