"""Associations of one process for the monitor: numbered, counted, abortable."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any, NamedTuple, Protocol
from weakref import WeakValueDictionary

from dcm4py_leading import log
from dcm4py_leading.dicom.message import COMMANDS
from dcm4py_leading.dicom.upper import command as dimse
from dcm4py_leading.dicom.upper.association import Association
from dcm4py_leading.dicom.upper.state import State
from dcm4py_leading.service.monitor.associations import MessageCounts, OpenAssociation

LOG = logging.getLogger(__name__)

_ESTABLISHED = frozenset(
    {State.STA6, State.STA7, State.STA8, State.STA9, State.STA10, State.STA11, State.STA12}
)  # PS3.8 9.2.1


class AssociationNumber(NamedTuple):
    """Number and time by which an association is known."""

    serial_number: int
    connected_at: datetime


def serial_numbers() -> Callable[[], int]:
    """Serial numbers of a service in one process: 1, 2, 3, ... Safe under threads."""
    return count(1).__next__


class MonitoredAssociation(Protocol):
    """An accepted or requested association."""

    def snapshot(self) -> OpenAssociation | None:
        """State of the association; None after its end. May be called from any thread."""
        ...

    def abort_on_command(self) -> None:
        """Abort on an administrator's command; may be called from any thread."""
        ...


class OpenAssociations:
    """The open associations of one process, by serial number. Safe under threads."""

    def __init__(
        self, next_number: Callable[[], int], *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """``next_number`` gives serial numbers that are unique among all processes of the service."""
        self._next_number = next_number
        self._now = now
        self._lock = threading.Lock()
        self._associations: WeakValueDictionary[int, MonitoredAssociation] = WeakValueDictionary()

    def enter(self, association: MonitoredAssociation) -> AssociationNumber:
        """Register an association and number it."""
        numbered = AssociationNumber(self._next_number(), self._now())
        with self._lock:
            self._associations[numbered.serial_number] = association
        return numbered

    def snapshots(self) -> list[OpenAssociation]:
        """State of all associations, in the order of their serial numbers."""
        with self._lock:
            associations = sorted(self._associations.items())
        return [snapshot for _, association in associations if (snapshot := association.snapshot()) is not None]

    def abort(self, number: int) -> bool:
        """Abort the association of that serial number; False if there is none."""
        with self._lock:
            association = self._associations.get(number)
        snapshot = None if association is None else association.snapshot()
        if association is None or snapshot is None:
            return False
        LOG.warning("association %d with %s is aborted by an administrator", number, log.word(snapshot.remote_ae_title))
        association.abort_on_command()
        return True


def is_established(association: Association) -> bool:
    """True if the association is established, or one side has asked to release it."""
    return association.link.state in _ESTABLISHED


def performed(association: Association) -> dict[str, MessageCounts]:
    """Counts of the peer's requests to us, by service."""
    return _counts(association.received, association.sent)


def invoked(association: Association) -> dict[str, MessageCounts]:
    """Counts of our requests to the peer, by service."""
    return _counts(association.sent, association.received)


def _counts(requests: Mapping[Any, int], responses: Mapping[Any, int]) -> dict[str, MessageCounts]:
    return {
        name: MessageCounts(requests[field], responses.get(field | dimse.RESPONSE, 0))
        for field, name in COMMANDS.items()
        if requests.get(field)
    }
