"""Questions that a coercion asks, and the answers that it may get."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom import Dataset

from dcm4py_leading.errors import LeadingUnavailable, WorklistUnavailable
from dcm4py_leading.model.values import UID, AETitle


@dataclass(frozen=True, slots=True)
class LeadingQuestion:
    """Question for the attributes of a study in the leading archive (dcmLeadingCFindSCP)."""

    leading_cfind_scp: AETitle
    study_instance_uid: UID


@dataclass(frozen=True, slots=True)
class WorklistQuestion:
    """Question for the scheduled procedure steps that match these keys (dcmMergeMWLSCP)."""

    worklist_scp: AETitle
    keys: tuple[tuple[int, str], ...]
    """Tag and value; a tag of the Scheduled Procedure Step Sequence belongs into its item."""


Question = LeadingQuestion | WorklistQuestion

LeadingAnswer = Dataset | None | LeadingUnavailable
"""The return keys of that study, read only; None: it is unknown there; or why there is no answer."""

WorklistAnswer = tuple[Dataset, ...] | WorklistUnavailable
"""The matching worklist items, read only; or why there is no answer."""

Answer = LeadingAnswer | WorklistAnswer
