"""What a coercion asks for, and what it may be told."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom import Dataset

from dcm4py_leading.errors import LeadingUnavailable
from dcm4py_leading.model.values import UID, AETitle


@dataclass(frozen=True, slots=True)
class LeadingQuestion:
    """Which attributes has this study in the leading archive (dcmLeadingCFindSCP)?"""

    leading_cfind_scp: AETitle
    study_instance_uid: UID


LeadingAnswer = Dataset | None | LeadingUnavailable
"""The return keys of that study, read only; None: it is unknown there; or why there is no answer."""
