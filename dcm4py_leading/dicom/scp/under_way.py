"""Requests of one association that wait for another archive, where the peer may have several outstanding."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dcm4py_leading.dicom.message import Request
from dcm4py_leading.model.bounds import FORWARDED_AT_ONCE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferred:
    """The rest of a request, of which only the answer of another archive is missing."""

    end: Callable[[], tuple[int, Mapping[str, object]]]
    """Waits for the answer and sends the response; returns the outcome."""
    has_ended: Callable[[], bool]
    """True if `end` would not wait."""
    wait: Callable[[int], None]
    """Waits until the archive sends something or a descriptor is readable, at most as long as `end` would."""
    octets: int
    """Memory that it holds."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A request and its rest."""

    request: Request
    rest: Deferred
    started: float
    """By the monotonic clock."""


class RequestsUnderWay(deque[UnderWay]):
    """Those of one association, in the order in which they came: they are answered in it."""

    def is_full(self, most: int) -> bool:
        """True if the first one must end before another request is taken; ``most`` were granted to the peer."""
        return len(self) >= most or sum(one.rest.octets for one in self) >= FORWARDED_AT_ONCE_BYTES
