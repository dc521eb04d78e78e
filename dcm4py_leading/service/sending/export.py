"""Export of objects to another AE, and its outcome."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from dcm4py_leading.archive.query import RetrieveKeys
from dcm4py_leading.model.values import Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A study, a series or an instance that an AE of ours is to send."""

    ae_title: str
    destination: str
    study_instance_uid: str
    series_instance_uid: str | None = None
    sop_instance_uid: str | None = None
    author: str = ""

    @property
    def keys(self) -> RetrieveKeys:
        """Keys that a C-MOVE would ask for."""
        level = Level.STUDY if self.series_instance_uid is None else Level.SERIES
        return RetrieveKeys(
            level=level if self.sop_instance_uid is None else Level.IMAGE,
            study_instance_uids=(self.study_instance_uid,),
            series_instance_uids=() if self.series_instance_uid is None else (self.series_instance_uid,),
            sop_instance_uids=() if self.sop_instance_uid is None else (self.sop_instance_uid,),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOutcome:
    """Number of objects that the destination took; nothing of all where there is nothing to send."""

    completed: int = 0
    warning: int = 0
    """Taken, with a status of warning."""
    failed: int = 0
    error: str = ""
    """Why something failed, where it is known."""


def to_json(value: Export | ExportOutcome) -> dict[str, Any]:
    """As it passes between processes; the constructor takes it."""
    return {field.name: getattr(value, field.name) for field in fields(value)}
