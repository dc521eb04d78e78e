"""Request of a C-FIND."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pydicom import Dataset

from dcm4py_leading.archive.index.querying.query import Part
from dcm4py_leading.coercion.select import Peer
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import InformationModel


@dataclass(frozen=True, slots=True, kw_only=True)
class FindRequest:
    """A C-FIND, or a search by DICOMweb: identifier, our AE, and the peer."""

    identifier: Dataset
    model: InformationModel
    sop_class_uid: str
    transfer_syntax_uid: str
    """Of the responses."""
    relational: bool
    local_ae: ApplicationEntity
    sending: Peer
    receiving: Peer
    part: Part | None = None
    """The part of the matches that is wanted; None for all, as an archive gives them."""
    is_coerced: bool = True
    """False: no rule is about the responses, unless they are matched leading-first."""
    is_over: Callable[[], bool] = lambda: False
    """True if the client waits no more."""
