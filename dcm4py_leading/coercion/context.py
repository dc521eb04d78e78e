"""The message that rules are selected for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from dcm4py_leading.model.coercion import Dimse
from dcm4py_leading.model.values import TransferRole


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One end of a message as conditions see it; None is unknown."""

    host: str | None = None
    ae_title: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CoercionContext:
    """Which message is coerced. On a retrieve the archive is sending and the destination receiving."""

    dimse: Dimse
    transfer_role: TransferRole
    """Role of the other system."""
    sop_class: str
    """Of the instance on C-STORE, of the information model on C-FIND."""
    sending: Peer
    receiving: Peer
    now: Callable[[], datetime] = datetime.now
    """The local time, for §CURRENT_DATE and ``{now,...}``."""
