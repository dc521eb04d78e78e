"""The AEs of ours whose studies can be looked at."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from dcm4py_leading.model.archive import AllowDeleteStudy
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.service.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class StudiesAE:
    """An AE as a pick list and the page of a study need it."""

    ae_title: str
    description: str
    archives: tuple[str, ...]
    """Archives that it stands in front of, and asks about studies; none where it has its studies here."""
    may_delete: bool
    """True if dcmAllowDeleteStudyPermanently lets studies be deleted, and they are here."""

    def to_json(self) -> dict[str, Any]:
        """As it passes between processes."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> StudiesAE:
        """AE out of what `to_json` made."""
        return cls(**{**value, "archives": tuple(value["archives"])})


def studies_aes(runtime: Runtime) -> list[StudiesAE]:
    """The installed ones that accept associations, in the order of the directory."""
    aes = runtime.device.application_entities
    return [_told(ae) for ae in aes if ae.installed and ae.association_acceptor]


def _told(ae: ApplicationEntity) -> StudiesAE:
    settings = ae.settings
    is_allowed = settings.allow_delete_study_permanently is AllowDeleteStudy.ALWAYS
    return StudiesAE(
        ae_title=ae.ae_title,
        description=ae.description or "",
        archives=tuple(settings.spanning_cfind_scps),
        may_delete=is_allowed and settings.archive_behind is None,
    )
