"""Context of a message for the selection of rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from dcm4py_leading.model.coercion import Dimse
from dcm4py_leading.model.values import TransferRole


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One end of a message, for conditions; None: unknown."""

    host: str | None = None
    ae_title: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CoercionContext:
    """The message that is coerced. On a retrieve, the archive is the sender and the destination the receiver."""

    dimse: Dimse
    transfer_role: TransferRole
    """Role of the other system."""
    sop_class: str
    """Of the instance on C-STORE, of the information model on C-FIND."""
    sending: Peer
    receiving: Peer
    now: Callable[[], datetime] = datetime.now
    """The local time, for §CURRENT_DATE and ``{now,...}``."""
