"""Outstanding C-STOREs of one association; responses may come in any order (PS3.7 9.3.1, D.3.3.3)."""

from __future__ import annotations

from collections import deque

from dcm4py_leading.errors import SubOperationFailed
from dcm4py_leading.service.retrieve.sub_operations import Ending


class StoresUnderWay:
    """Message IDs of the C-STOREs sent, and the outcome of each."""

    def __init__(self) -> None:
        self.due: set[int] = set()
        """Those to which no response has come."""
        self.ended: deque[Ending] = deque()
        """Those that have ended, until they are told."""

    def take(self, response: tuple[int, int] | None) -> bool:
        """Record a response; False if it answers none of them, which makes the association unusable."""
        if response is None or response[0] not in self.due:
            return False
        self.due.remove(response[0])
        self.ended.append(response)
        return True

    def fail(self, failure: SubOperationFailed | None) -> None:
        """Fail the outstanding C-STOREs, as no response can come; ``failure`` None: not known why."""
        self.ended.extend((message_id, failure) for message_id in sorted(self.due))
        self.due.clear()
