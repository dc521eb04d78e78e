"""``/dcm4chee-arc/monitor``: associations under way, and the end of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from dcm4py_leading.service.monitor.associations import OpenAssociation


class Associations(Protocol):
    """What pages and routes may do with associations. Called from a worker thread."""

    def associations(self) -> Sequence[OpenAssociation]:
        """Those of all processes, the oldest first."""
        ...

    def abort_association(self, serial_number: int) -> bool:
        """True if there was such an association; it is aborted (A-ABORT), whatever is under way on it."""
        ...
