"""Minimum rate of a message: a peer that sends a few octets a minute is given up, whatever timeouts are configured."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from dcm4py_leading.model import bounds


@dataclass(frozen=True, slots=True)
class Pace:
    """The minimum rate at which a peer sends or reads."""

    seconds: float
    """Time that it is waited for before its rate is looked at."""
    bytes_a_second: int
    """The least average from its beginning."""

    def is_missed(self, waited: float, length: int) -> bool:
        """True if ``length`` bytes in ``waited`` seconds are too slow."""
        return waited > self.seconds and length < waited * self.bytes_a_second


OF_PEERS = Pace(bounds.MESSAGE_SECONDS, bounds.MESSAGE_BYTES_A_SECOND)
"""Of whoever has an association with us."""
OF_ANSWERS = Pace(bounds.ARRIVING_SECONDS, bounds.ARRIVING_BYTES_A_SECOND)
"""Of whoever was asked by us."""


def seconds(duration: timedelta | None) -> float | None:
    """A timeout in seconds for sockets; None: no limit."""
    return None if duration is None else duration.total_seconds()


def patience(duration: timedelta | None) -> float:
    """The same for the rest of a message or for a response, for which we never wait without limit."""
    return bounds.UNCONFIGURED_WAIT_SECONDS if duration is None else duration.total_seconds()
