"""Request of a C-FIND."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pydicom import Dataset

from dcm4py_leading.coercion.select import Peer
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import InformationModel


@dataclass(frozen=True, slots=True, kw_only=True)
class FindRequest:
    """A C-FIND: what is asked, of which of our AEs, by whom."""

    identifier: Dataset
    model: InformationModel
    sop_class_uid: str
    transfer_syntax_uid: str
    """Of the responses."""
    relational: bool
    local_ae: ApplicationEntity
    sending: Peer
    receiving: Peer
    is_over: Callable[[], bool] = lambda: False
    """True if the client waits no more."""
