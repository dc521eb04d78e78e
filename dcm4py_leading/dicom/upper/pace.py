"""Minimum pace of a message: a peer that sends a few octets a minute is given up, whatever time-outs are configured."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from dcm4py_leading.model import bounds


@dataclass(frozen=True, slots=True)
class Pace:
    """The least rate of what a peer sends or takes."""

    seconds: float
    """Time that it is waited for before its rate is looked at."""
    bytes_a_second: int
    """The least average from its beginning."""

    def is_missed(self, waited: float, length: int) -> bool:
        """True if ``length`` bytes in ``waited`` seconds are too few."""
        return waited > self.seconds and length < waited * self.bytes_a_second


OF_PEERS = Pace(bounds.MESSAGE_SECONDS, bounds.MESSAGE_BYTES_A_SECOND)
"""Of whoever has an association with us."""
OF_ANSWERS = Pace(bounds.ARRIVING_SECONDS, bounds.ARRIVING_BYTES_A_SECOND)
"""Of whoever was asked by us."""


def seconds(duration: timedelta | None) -> float | None:
    """As sockets want a time-out; None waits for ever."""
    return None if duration is None else duration.total_seconds()


def patience(duration: timedelta | None) -> float:
    """The same for what a peer owes us, within a message or in answer to one: that is not waited for without end."""
    return bounds.UNCONFIGURED_WAIT_SECONDS if duration is None else duration.total_seconds()
