"""The AEs of ours whose studies can be looked at."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from dcm4py_leading.model.archive import AllowDeleteStudy
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import TransferRole
from dcm4py_leading.service.runtime import Runtime

_STORAGE = "1.2.840.10008.5.1.4.1.1."
"""UIDs of Storage SOP classes begin with it (PS3.6 Table A-1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudiesAE:
    """An AE as a pick list and the page of a study need it."""

    ae_title: str
    description: str
    archives: tuple[str, ...]
    """Archives that it stands in front of, and asks about studies; none if it has its studies here."""
    may_delete: bool
    """True if dcmAllowDeleteStudyPermanently lets studies be deleted, and they are here."""
    accepted_user_roles: tuple[str, ...] = ()
    """dcmAcceptedUserRole: roles or groups of those who may look at them; none for everybody."""

    def to_json(self) -> dict[str, Any]:
        """As JSON, for other processes."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> StudiesAE:
        """AE out of what `to_json` made."""
        roles = tuple(value["accepted_user_roles"])
        return cls(**{**value, "archives": tuple(value["archives"]), "accepted_user_roles": roles})


def studies_aes(runtime: Runtime) -> list[StudiesAE]:
    """The installed ones that accept associations; those that objects can be stored to come first.

    Further AEs often are other views of the same archive, which deliver objects as they were received.
    """
    aes = [ae for ae in runtime.device.application_entities if ae.installed and ae.association_acceptor]
    return [_told(ae) for ae in sorted(aes, key=lambda ae: not _takes_objects(ae))]


def _takes_objects(ae: ApplicationEntity) -> bool:
    capabilities = ae.transfer_capabilities
    return not capabilities or any(
        one.transfer_role is TransferRole.SCP and one.sop_class.startswith(_STORAGE) for one in capabilities
    )


def _told(ae: ApplicationEntity) -> StudiesAE:
    settings = ae.settings
    is_allowed = settings.allow_delete_study_permanently is AllowDeleteStudy.ALWAYS
    return StudiesAE(
        ae_title=ae.ae_title,
        description=ae.description or "",
        archives=tuple(settings.spanning_cfind_scps),
        may_delete=is_allowed and settings.archive_behind is None,
        accepted_user_roles=tuple(sorted(settings.accepted_user_roles)),
    )
