"""Request attributes from the modality worklist (``merge-mwl:``, dcmMergeMWLMatchingKey), on received objects.

A worklist SCP is queried for the scheduled procedure steps of the object. A style sheet converts each into attributes;
all attributes of the latest step are merged, and of the others only their item of the Request Attributes Sequence.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import ClassVar

from pydicom import Dataset
from pydicom.dataelem import DataElement

from dcm4py_leading.coercion.attribute_path import items_of, values_of
from dcm4py_leading.coercion.changes import Change
from dcm4py_leading.coercion.context import CoercionContext
from dcm4py_leading.coercion.question import Answer, WorklistQuestion
from dcm4py_leading.coercion.steps.calling_ae_title import SCHEDULED_PROCEDURE_STEP_SEQUENCE
from dcm4py_leading.coercion.steps.issuer import ISSUER_OF_PATIENT_ID, issuer_of_patient_id
from dcm4py_leading.coercion.steps.step import Traits
from dcm4py_leading.coercion.tags import AllTags, Tags
from dcm4py_leading.coercion.update import plan_update_with_identifier_groups
from dcm4py_leading.errors import CoercionFailed
from dcm4py_leading.model.coercion import CoercionRule, UpdatePolicy
from dcm4py_leading.model.values import AETitle

Transform = Callable[[Dataset, CoercionContext], Dataset]
"""Function that transforms one worklist item by a style sheet. Raises CoercionFailed."""

ACCESSION_NUMBER = 0x00080050
PATIENT_ID = 0x00100020
STUDY_INSTANCE_UID = 0x0020000D
SCHEDULED_PROCEDURE_STEP_START_DATE = 0x00400002
SCHEDULED_PROCEDURE_STEP_START_TIME = 0x00400003
SCHEDULED_PROCEDURE_STEP_ID = 0x00400009
REQUEST_ATTRIBUTES_SEQUENCE = 0x00400275

_WILDCARDS = frozenset("*?")
_PARAMETERS = frozenset(
    {
        *("match-by", "mwl-scp", "filter-by-scu", "mwl-entity-to-merge", "xsl-no-keyword"),
        *("local-mwl-worklist-label", "local-mwl-status"),
    }
)
_NO_LOCAL_WORKLIST = "there is no worklist in this archive: name the AE title of a worklist SCP in "


class MatchBy(enum.Enum):
    """dcmMergeMWLMatchingKey, ``match-by``: what object and worklist item have in common."""

    PATIENT_ID = "PatientID"
    """And the Accession Number, where the object has one."""
    PATIENT_ID_ONLY = "PatientIDOnly"
    PATIENT_ID_ACCESSION_NUMBER = "PatientIDAccessionNumber"
    ACCESSION_NUMBER = "AccessionNumber"
    """Or the Study Instance UID, where the object has none."""
    STUDY_INSTANCE_UID = "StudyInstanceUID"
    SCHEDULED_PROCEDURE_STEP_ID = "ScheduledProcedureStepID"
    """And the Study Instance UID."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeMWLStep:
    """Overwrite attributes with what a style sheet makes of the matching worklist items."""

    name: ClassVar[str] = "merge-mwl"
    traits: ClassVar[Traits] = Traits()

    worklist_scp: AETitle
    match_by: MatchBy
    transform: Transform
    filter_by_scu: bool = False
    """True if an item must have the values that were asked for. It must not have others anyway."""

    @property
    def reads(self) -> Tags:
        """All tags, as style sheets do not declare what they write, and the values are compared."""
        return AllTags.ALL

    @property
    def writes(self) -> Tags:
        """All tags, as style sheets do not declare what they write."""
        return AllTags.ALL

    def question(self, ds: Dataset, context: CoercionContext) -> WorklistQuestion | None:
        """Which worklist items match? None when the data set has no value to match by."""
        # dcm4chee asks for the whole worklist where there is no key, and leaves wildcards to the worklist.
        keys = tuple(self._keys(ds))
        if not keys or any(_WILDCARDS.intersection(value) for _, value in keys):
            return None
        return WorklistQuestion(self.worklist_scp, keys)

    def changes_from(self, ds: Dataset, answer: Answer, context: CoercionContext) -> list[Change] | None:
        """Changes that the items that match make in ``ds``; None when there are none.

        Raises CoercionFailed when they are of more than one patient.
        """
        if not isinstance(answer, tuple):
            return None
        keys = tuple(self._keys(ds))
        items = [item for item in answer if self._belongs(item, ds, keys)]
        if not items:
            return None
        if len({value for item in items for value in values_of(item.get(PATIENT_ID)) if value}) > 1:
            raise CoercionFailed(f"{self.name}: {self.worklist_scp} has matching items of more than one patient")
        latest_first = sorted(items, key=_start, reverse=True)
        merged = _merged([self.transform(item, context) for item in latest_first])
        return plan_update_with_identifier_groups(ds, merged, UpdatePolicy.OVERWRITE)

    def _keys(self, ds: Dataset) -> Iterator[tuple[int, str]]:
        match_by = self.match_by
        accession_number = _value(ds, ACCESSION_NUMBER)
        if match_by is MatchBy.PATIENT_ID:
            with_number = accession_number is not None
            match_by = MatchBy.PATIENT_ID_ACCESSION_NUMBER if with_number else MatchBy.PATIENT_ID_ONLY
        study_instance_uid = _value(ds, STUDY_INSTANCE_UID)
        number_or_study = (
            (ACCESSION_NUMBER, accession_number)
            if accession_number is not None
            else (STUDY_INSTANCE_UID, study_instance_uid)
        )
        match match_by:
            case MatchBy.PATIENT_ID | MatchBy.PATIENT_ID_ONLY:
                yield from _present(*_patient(ds))
            case MatchBy.PATIENT_ID_ACCESSION_NUMBER:
                yield from _present(*_patient(ds), number_or_study)
            case MatchBy.ACCESSION_NUMBER:
                yield from _present(number_or_study)
            case MatchBy.STUDY_INSTANCE_UID:
                yield from _present((STUDY_INSTANCE_UID, study_instance_uid))
            case MatchBy.SCHEDULED_PROCEDURE_STEP_ID:
                request = next(iter(items_of(ds, REQUEST_ATTRIBUTES_SEQUENCE)), Dataset())
                step = (SCHEDULED_PROCEDURE_STEP_ID, _value(request, SCHEDULED_PROCEDURE_STEP_ID))
                yield from _present((STUDY_INSTANCE_UID, study_instance_uid), step)

    def _belongs(self, item: Dataset, ds: Dataset, keys: Sequence[tuple[int, str]]) -> bool:
        for tag, wanted in keys:
            steps = [item]
            if tag == SCHEDULED_PROCEDURE_STEP_ID:
                steps = items_of(item, SCHEDULED_PROCEDURE_STEP_SEQUENCE)
            values = {value for step in steps for value in values_of(step.get(tag)) if value}
            if wanted not in values and (values or self.filter_by_scu):
                return False
        if PATIENT_ID not in dict(keys):
            return True
        ours, theirs = issuer_of_patient_id(ds), issuer_of_patient_id(item)
        return ours is None or theirs is None or not ours.contradicts(theirs)


def compile_merge_mwl(params: Mapping[str, str], transform: Transform) -> MergeMWLStep:
    """Compile the dcmCoercionParam values of a ``merge-mwl:`` rule, without ``xsl-no-keyword``, which concerns the
    making of ``transform``. Raises ValueError.

    ``local-mwl-worklist-label`` and ``local-mwl-status`` mean nothing beside ``mwl-scp``, to dcm4chee too.
    """
    if unknown := params.keys() - _PARAMETERS:
        raise ValueError(f"unknown parameter {min(unknown)}: expected one of {', '.join(sorted(_PARAMETERS))}")
    entity = params.get("mwl-entity-to-merge", "study")
    if entity == "mpps":
        raise ValueError("mwl-entity-to-merge=mpps concerns performed procedure steps, which are not handled here")
    if entity != "study":
        raise ValueError("mwl-entity-to-merge: expected study or mpps")
    if "mwl-scp" not in params:
        raise ValueError(_NO_LOCAL_WORKLIST + "mwl-scp")
    return MergeMWLStep(
        worklist_scp=AETitle(params["mwl-scp"]),
        match_by=_match_by(params.get("match-by", MatchBy.SCHEDULED_PROCEDURE_STEP_ID.value)),
        transform=transform,
        # dcm4chee reads it as Java does: anything but true, in any case, is false.
        filter_by_scu=params.get("filter-by-scu", "false").strip().lower() == "true",
    )


def compile_legacy_merge_mwl(rule: CoercionRule, transform: Transform) -> MergeMWLStep:
    """Compile dcmMergeMWLMatchingKey, dcmMergeMWLSCP and dcmMWLImportFilterBySCU. Raises ValueError.

    dcmMergeLocalMWLWorklistLabel and dcmMergeLocalMWLWithStatus mean nothing beside dcmMergeMWLSCP, to dcm4chee too.
    """
    if rule.merge_mwl_matching_key is None:
        raise ValueError("dcmMergeMWLMatchingKey is required, but absent")
    match_by = _match_by(rule.merge_mwl_matching_key)
    if rule.merge_mwl_scp is None:
        raise ValueError(_NO_LOCAL_WORKLIST + "dcmMergeMWLSCP")
    return MergeMWLStep(
        worklist_scp=rule.merge_mwl_scp,
        match_by=match_by,
        transform=transform,
        filter_by_scu=rule.mwl_import_filter_by_scu,
    )


def _match_by(text: str) -> MatchBy:
    try:
        return MatchBy(text.strip())
    except ValueError:
        expected = ", ".join(member.value for member in MatchBy)
        raise ValueError(f"unknown key {text!r} to match by: expected one of {expected}") from None


def _patient(ds: Dataset) -> tuple[tuple[int, str | None], ...]:
    """Patient ID and the name of its issuer, which without an ID says nothing."""
    patient_id = _value(ds, PATIENT_ID)
    issuer = _value(ds, ISSUER_OF_PATIENT_ID) if patient_id is not None else None
    return ((PATIENT_ID, patient_id), (ISSUER_OF_PATIENT_ID, issuer))


def _value(ds: Dataset, tag: int) -> str | None:
    return next(values_of(ds.get(tag)), "") or None


def _present(*keys: tuple[int, str | None]) -> Iterator[tuple[int, str]]:
    for tag, value in keys:
        if value is not None:
            yield tag, value


def _start(item: Dataset) -> str:
    """When the first step of an item starts, so that text sorts as times do; an unknown start is before all others."""
    step = next(iter(items_of(item, SCHEDULED_PROCEDURE_STEP_SEQUENCE)), Dataset())
    date = _value(step, SCHEDULED_PROCEDURE_STEP_START_DATE) or ""
    return date + (_value(step, SCHEDULED_PROCEDURE_STEP_START_TIME) or "") if date else ""


def _merged(transformed: Sequence[Dataset]) -> Dataset:
    """The first, with the first request of each of the others behind its own."""
    merged = Dataset()
    merged.update(transformed[0])
    others = [request for other in transformed[1:] for request in items_of(other, REQUEST_ATTRIBUTES_SEQUENCE)[:1]]
    if others:
        requests = [*items_of(merged, REQUEST_ATTRIBUTES_SEQUENCE), *others]
        merged[REQUEST_ATTRIBUTES_SEQUENCE] = DataElement(
            REQUEST_ATTRIBUTES_SEQUENCE, "SQ", [deepcopy(request) for request in requests]
        )
    return merged
