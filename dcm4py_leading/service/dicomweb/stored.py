"""Request to store by STOW-RS, and what became of each of its objects, as they pass between processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from dcm4py_leading.service.dicomweb.web_request import WebRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedStore:
    """Request to store what its body holds."""

    request: WebRequest
    study_instance_uid: str | None
    """The only study that objects may be of, where the URL names one."""
    media_type: str
    """That of the parts, or of the body."""
    boundary: str
    """Empty for a body that is one object."""

    def to_json(self) -> Any:
        """As it passes between processes."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The same out of what `to_json` made."""
        return cls(**{**value, "request": WebRequest.from_json(value["request"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredInstance:
    """Outcome of an object; its UIDs are empty as far as they are not known."""

    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    status: int = 0
    """DIMSE status: success, a warning, or the reason of the failure."""
    is_stored: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOutcome:
    """Outcome of a request."""

    instances: tuple[StoredInstance, ...] = ()
    fault: str = ""
    """Reason why the body was not read to its end; what stands before is stored."""
    is_too_much: bool = False
    """True if a bound is that reason."""

    def to_json(self) -> Any:
        """As it passes between processes."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The same out of what `to_json` made."""
        return cls(**{**value, "instances": tuple(StoredInstance(**one) for one in value["instances"])})
