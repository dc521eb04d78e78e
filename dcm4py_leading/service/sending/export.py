"""Export of objects to another AE: request and outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from dcm4py_leading.archive.index.querying.query import RetrieveKeys
from dcm4py_leading.errors import EditRefused, MoveDestinationNotAllowed, MoveDestinationUnknown, Refusal
from dcm4py_leading.log import word
from dcm4py_leading.model.device import ApplicationEntity, RemoteAE
from dcm4py_leading.model.values import Level
from dcm4py_leading.service.retrieve.request import destination
from dcm4py_leading.service.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A study, a series or an instance that an AE of ours is to send."""

    ae_title: str
    destination: str
    study_instance_uid: str
    series_instance_uid: str | None = None
    sop_instance_uids: tuple[str, ...] = ()
    """Those alone; empty: all."""
    author: str = ""

    @property
    def keys(self) -> RetrieveKeys:
        """Keys of an equal C-MOVE."""
        level = Level.STUDY if self.series_instance_uid is None else Level.SERIES
        return RetrieveKeys(
            level=Level.IMAGE if self.sop_instance_uids else level,
            study_instance_uids=(self.study_instance_uid,),
            series_instance_uids=() if self.series_instance_uid is None else (self.series_instance_uid,),
            sop_instance_uids=self.sop_instance_uids,
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON, for other processes."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Parse the JSON of `to_json`."""
        return cls(**{**value, "sop_instance_uids": tuple(value["sop_instance_uids"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOutcome:
    """Counts of delivered and failed objects; all zero if there was nothing to send."""

    completed: int = 0
    warning: int = 0
    """Taken, with a status of warning."""
    failed: int = 0
    error: str = ""
    """Why something failed, where it is known."""
    not_sent: int = 0
    """Number of those that were left when it was cancelled, as far as it is known."""
    failures: tuple[str, ...] = ()
    """Object and reason of the first `JOB_PROBLEMS` that failed, for people. No patient data."""
    failed_sop_instance_uids: tuple[str, ...] = ()
    """The failed ones, where they are here and at most `SENT_AGAIN_OBJECTS`, and so can be sent again."""

    def to_json(self) -> dict[str, Any]:
        """As JSON, for other processes."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Parse the JSON of `to_json`."""
        lists = {name: tuple(value[name]) for name in ("failures", "failed_sop_instance_uids")}
        return cls(**{**value, **lists})


def parties(runtime: Runtime, wanted: Export) -> tuple[ApplicationEntity, RemoteAE]:
    """Our sending AE, and the destination.

    Raises EditRefused if an AE does not exist or is not an accepted destination, ConfigUnavailable.
    """
    ae = runtime.device.application_entity(wanted.ae_title)
    if ae is None or not ae.installed:
        raise EditRefused(Refusal.UNKNOWN, f"AE {word(wanted.ae_title)} is none of device {runtime.device.device_name}")
    try:
        return ae, destination(runtime, ae, wanted.destination)
    except MoveDestinationUnknown as err:
        raise EditRefused(Refusal.UNKNOWN, str(err)) from err
    except MoveDestinationNotAllowed as err:
        raise EditRefused(Refusal.CONFLICT, str(err)) from err
