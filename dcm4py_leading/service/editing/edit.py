"""Edits of a patient or a study of an AE of ours: the index changes, stored objects stay.

A retrieve delivers edited values, unless a rule takes the value of a leading archive.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from pydicom.datadict import keyword_for_tag

from dcm4py_leading.archive.index.writing.editing import EditNote, PatientIdentifier
from dcm4py_leading.dataset.dicom_json.model import Json, data_set_of
from dcm4py_leading.errors import EditRefused, Refusal
from dcm4py_leading.log import ref, word
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import UID, Level
from dcm4py_leading.service.runtime import Runtime

LOG = logging.getLogger(__name__)

REASONS = ("CORRECT", "COERCE")
"""Reason for the Attribute Modification (0400,0565), as far as an edit may have it."""
_ESCAPED = {"F": "|", "S": "^", "T": "&", "R": "~", "E": "\\"}
_MAX_SOURCE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Request for an edit: the change, and the user."""

    ae_title: str
    level: Level
    """PATIENT or STUDY."""
    identifier: str
    """Of a study the Study Instance UID, of a patient the IDs; see `patient_identifiers`."""
    attributes: Json
    """All attributes that it is to have, in the DICOM JSON Model (PS3.18 Annex F)."""
    reason: str = REASONS[0]
    source_of_previous_values: str = ""
    author: str = ""

    def to_json(self) -> Json:
        """As JSON, for other processes."""
        return {**asdict(self), "level": self.level.value}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Edit:
        """Edit out of what `to_json` made."""
        return cls(**{**value, "level": Level(value["level"])})


def make_edit(runtime: Runtime, edit: Edit, *, now: datetime) -> None:
    """Make the edit. Raises EditRefused, DocumentInvalid, IndexUnavailable."""
    ae = holding_ae(runtime, edit.ae_title)
    if edit.reason not in REASONS:
        raise EditRefused(Refusal.WRONG, f"reasonForModification: expected {' or '.join(REASONS)}")
    if len(edit.source_of_previous_values) > _MAX_SOURCE or "\\" in edit.source_of_previous_values:
        raise EditRefused(Refusal.WRONG, f"sourceOfPreviousValues: expected at most {_MAX_SOURCE} characters (LO)")
    wanted = data_set_of(edit.attributes)
    note = EditNote(
        modifying_system=ae.ae_title,
        source_of_previous_values=edit.source_of_previous_values,
        reason=edit.reason,
        now=now,
    )
    keeper = runtime.keeper
    if edit.level is Level.PATIENT:
        identifiers = patient_identifiers(edit.identifier)
        changed = runtime.index.edit_patient(identifiers, wanted, keeper=keeper, note=note)
        log_edit(edit.level, None, edit.author, changed)
    else:
        try:
            uid = UID(edit.identifier)
        except ValueError:
            raise EditRefused(Refusal.UNKNOWN, "there is no such study") from None
        changed = runtime.index.edit_study(uid, wanted, keeper=keeper, note=note)
        log_edit(edit.level, uid, edit.author, changed)


def log_edit(level: Level, study_instance_uid: UID | None, author: str, changed: Collection[int]) -> None:
    """Log an edit of a study, or of a patient, perhaps by one of the studies: who changed which attributes."""
    whose = "" if study_instance_uid is None else f"study {ref(study_instance_uid)}"
    what = whose if level is Level.STUDY else f"the patient of {whose}" if whose else "a patient"
    names = ", ".join(keyword_for_tag(tag) or f"{tag:08X}" for tag in sorted(changed))
    LOG.info("%s was edited by %s: %s", what, word(author) or "-", names or "nothing was different")


def patient_identifiers(text: str) -> Sequence[PatientIdentifier]:
    """Parse ``ID^^^Issuer&UniversalID&Type``, several separated by ``~`` (HL7 v2 CX). Raises EditRefused."""
    found = []
    for repetition in text.split("~"):
        components = [*repetition.split("^"), "", "", "", ""]
        issuer = [*components[3].split("&"), ""]
        patient_id = _unescaped(components[0])
        if not patient_id:
            raise EditRefused(Refusal.WRONG, "there is no Patient ID in the path")
        found.append(
            PatientIdentifier(
                id=patient_id, namespace=_unescaped(issuer[0]) or None, universal_id=_unescaped(issuer[1]) or None
            )
        )
    return found


def _unescaped(text: str) -> str:
    return re.sub(r"\\([FSTRE])\\", lambda match: _ESCAPED[match[1]], text).strip()


def holding_ae(runtime: Runtime, title: str) -> ApplicationEntity:
    """The AE of a title that shows the local archive. Raises EditRefused."""
    ae = runtime.device.application_entity(title)
    if ae is None or not ae.installed:
        raise EditRefused(Refusal.UNKNOWN, f"AE {word(title)} is none of device {runtime.device.device_name}")
    if ae.settings.archive_behind is not None:
        raise EditRefused(
            Refusal.CONFLICT,
            f"AE {ae.ae_title} is in front of {ae.settings.archive_behind} and holds nothing itself: do it there",
        )
    return ae
