"""Counts of sub-operations, the same for C-MOVE and C-GET (PS3.4 C.4.2.1, C.4.3.1)."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import Self


class SubOperation(enum.Enum):
    """Outcome of one C-STORE sub-operation."""

    COMPLETED = "completed"
    WARNING = "warning"
    FAILED = "failed"


def outcome_of(status: int | None) -> SubOperation:
    """Outcome of a C-STORE response (PS3.4 B.2.3); None (no response) is a failure."""
    if status == 0x0000:
        return SubOperation.COMPLETED
    if status is not None and (0xB000 <= status <= 0xBFFF or status in (0x0001, 0x0107, 0x0116)):
        return SubOperation.WARNING
    return SubOperation.FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class SubOperationTally:
    """Counts of one retrieve, as in its responses (PS3.7 9.3.3.2, 9.3.4.2)."""

    remaining: int
    completed: int = 0
    failed: int = 0
    warning: int = 0
    failed_sop_instance_uids: tuple[str, ...] = ()

    def record(self, outcome: SubOperation, sop_instance_uid: str) -> Self:
        """The tally after one more sub-operation."""
        failed_uids = self.failed_sop_instance_uids
        if outcome is SubOperation.FAILED and sop_instance_uid:
            failed_uids = (*failed_uids, sop_instance_uid)
        return type(self)(
            remaining=max(self.remaining - 1, 0),
            completed=self.completed + (outcome is SubOperation.COMPLETED),
            failed=self.failed + (outcome is SubOperation.FAILED),
            warning=self.warning + (outcome is SubOperation.WARNING),
            failed_sop_instance_uids=failed_uids,
        )

    @property
    def ended(self) -> int:
        """Number of sub-operations that have ended."""
        return self.completed + self.failed + self.warning

    def without_the_rest(self) -> Self:
        """The tally if nothing more can be sent: all remaining objects have failed."""
        return replace(self, remaining=0, failed=self.failed + self.remaining)

    def final_status(self) -> int:
        """Status of the final response without a cancel (PS3.4 C.4.2.1.5, C.4.3.1.4).

        0000 when every sub-operation succeeded, A702 when every one failed, else B000: complete with failures or
        warnings.
        """
        if self.failed == 0 and self.warning == 0:
            return 0x0000
        if self.completed == 0 and self.warning == 0:
            return 0xA702
        return 0xB000
