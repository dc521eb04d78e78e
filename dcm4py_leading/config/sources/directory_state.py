"""State of a live directory, as far as anybody has asked it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryState:
    """State of the directory when it was last asked."""

    asked_at: datetime | None = None
    """None: not asked yet; then it counts as reachable."""
    last_read_at: datetime | None = None
    """When it last gave an answer."""
    failure: str | None = None
    """Why it gave none when it was last asked."""
    is_last_good: bool = False
    """True if the configuration in force is the one that was kept on disk."""

    @property
    def is_reachable(self) -> bool:
        """True if it answered when it was last asked."""
        return self.failure is None

    def newer(self, other: DirectoryState) -> DirectoryState:
        """With what another process has seen of it later; the configuration in force is ours."""
        last = max((self, other), key=lambda state: state.asked_at or _LONG_AGO)
        reads = [read for read in (self.last_read_at, other.last_read_at) if read is not None]
        return DirectoryState(
            asked_at=last.asked_at,
            last_read_at=max(reads, default=None),
            failure=last.failure,
            is_last_good=self.is_last_good,
        )

    def to_json(self) -> dict[str, object]:
        """As JSON values, for people too."""
        return {
            "isReachable": self.is_reachable,
            "askedAt": None if self.asked_at is None else self.asked_at.isoformat(),
            "lastReadAt": None if self.last_read_at is None else self.last_read_at.isoformat(),
            "failure": self.failure,
            "isLastGood": self.is_last_good,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """State of which `to_json` made these values."""
        asked_at, last_read_at = value["askedAt"], value["lastReadAt"]
        return cls(
            asked_at=None if asked_at is None else datetime.fromisoformat(asked_at),
            last_read_at=None if last_read_at is None else datetime.fromisoformat(last_read_at),
            failure=value["failure"],
            is_last_good=value["isLastGood"],
        )

    @property
    def degraded(self) -> list[str]:
        """Reasons why not all is as it should be, in words; empty when all is well."""
        reasons = [] if self.failure is None else [f"the directory cannot be read: {self.failure}"]
        if self.is_last_good:
            reasons.append("the configuration in force is the last good one, because the directory was down at start")
        return reasons
