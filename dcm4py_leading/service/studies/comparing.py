"""Comparison of the values of a study: in the archive, in leading archives, and as delivered to one AE.

The delivered values are those of `service.explain` for the first stored object, as in a retrieve.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pydicom import Dataset
from pydicom.datadict import keyword_for_tag

from dcm4py_leading.archive.index.attributes import decode
from dcm4py_leading.archive.index.edits import edits_of
from dcm4py_leading.archive.index.querying.query import RetrieveKeys
from dcm4py_leading.coercion.differences import shown_element
from dcm4py_leading.coercion.explain import Explanation, Trace
from dcm4py_leading.coercion.original_attributes import ORIGINAL_ATTRIBUTES_SEQUENCE
from dcm4py_leading.coercion.question import LeadingAnswer, LeadingQuestion
from dcm4py_leading.coercion.steps.step import QUERY_CONTROL_ATTRIBUTES, LeadingStep
from dcm4py_leading.coercion.update import is_empty
from dcm4py_leading.dataset.text.charset import SPECIFIC_CHARACTER_SET
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import UID, Level
from dcm4py_leading.service.drift.comparison import Measure, compare
from dcm4py_leading.service.explain import WrongQuestion, parse_message
from dcm4py_leading.service.runtime import Runtime
from dcm4py_leading.service.studies.receivers import delivery_rules, leading_receivers, leading_steps
from dcm4py_leading.service.studies.three_values import (
    AttributeValues,
    ConsideredRule,
    LeadingArchive,
    ThreeValues,
    ValueSource,
)
from dcm4py_leading.service.trying.subject import explain_study

_NEVER_SHOWN = QUERY_CONTROL_ATTRIBUTES | {SPECIFIC_CHARACTER_SET, ORIGINAL_ATTRIBUTES_SEQUENCE}


def three_values(
    runtime: Runtime, ae_title: str, study_instance_uid: str, receiver: str, receivers: Sequence[str]
) -> ThreeValues:
    """The values of a study, with ``receiver`` as the receiving AE.

    Default is the first of ``receivers`` for which a leading archive decides, else the first one. Raises the errors of
    `service.explain.explain_study`.
    """
    ae = runtime.device.application_entity(ae_title)
    if ae is None or not ae.installed:
        raise WrongQuestion(f"{ae_title} is no AE of device {runtime.device.device_name}")
    if not receiver:
        receiver = _first_receiver(runtime, ae, study_instance_uid, receivers)
    told, trace = _delivery(runtime, ae, study_instance_uid, receiver, is_asking=True)
    uid = UID(study_instance_uid)
    says, steps = _leading_archives(runtime, ae, uid, trace)
    edits, is_stored_here = _edits(runtime, uid)
    return ThreeValues(
        ae_title=ae.ae_title,
        receiver=receiver,
        is_stored_here=is_stored_here,
        patient_name=str(trace.archived.get("PatientName") or ""),
        leading=tuple(says),
        attributes=tuple(_attributes(runtime, told, trace, steps, edits)),
        rules=tuple(
            ConsideredRule(cn=rule.cn, decided_by=rule.decided_by or "", found=rule.found or "")
            for rule in told.rules
            if rule.dn in {one.rule.dn for one in delivery_rules(runtime, ae)}
        ),
        led=leading_receivers(runtime, ae, trace.archived, receivers),
        failure=told.failure or "",
        notes=told.notes,
    )


def _delivery(
    runtime: Runtime, ae: ApplicationEntity, uid: str, receiver: str, *, is_asking: bool
) -> tuple[Explanation, Trace]:
    wanted = parse_message({"to": receiver, "sending-ae": ae.ae_title})
    told = explain_study(runtime, uid, wanted, is_asking=is_asking)
    assert told.trace is not None
    return told, told.trace


def _first_receiver(runtime: Runtime, ae: ApplicationEntity, uid: str, receivers: Sequence[str]) -> str:
    asked = {step.leading_cfind_scp for _, step in leading_steps(delivery_rules(runtime, ae))}
    archives = asked | runtime.behind[ae.ae_title].keys()
    others = [
        title for title in receivers if title not in archives and runtime.device.application_entity(title) is None
    ] or [ae.ae_title]
    _, trace = _delivery(runtime, ae, uid, others[0], is_asking=False)
    led = leading_receivers(runtime, ae, trace.archived, others)
    return led[0].receivers[0] if led else others[0]


_Step = tuple[LeadingStep, LeadingAnswer, str, bool]
"""A step, the answer, the rule's name, and whether it was carried out."""


def _leading_archives(
    runtime: Runtime, ae: ApplicationEntity, uid: UID, trace: Trace
) -> tuple[list[LeadingArchive], list[_Step]]:
    """The leading archives of the AE's rules with their answers, those that decide first."""
    applied = [(done.rule, done.step) for done in trace.executed if isinstance(done.step, LeadingStep)]
    named = leading_steps(delivery_rules(runtime, ae))
    says: list[LeadingArchive] = []
    steps: list[_Step] = []
    for rule, step in (*applied, *named):
        if step.leading_cfind_scp in {one.ae_title for one in says}:
            continue
        question = LeadingQuestion(step.leading_cfind_scp, uid)
        known = trace.answers.get(question)
        if known is None:
            looked = runtime.leading.look_up([question], ae)[question]
            answer, outcome = looked.answer, looked.outcome.value
        else:
            answer, outcome = known.answer, known.outcome
        is_applied = (rule, step) in applied
        says.append(
            LeadingArchive(
                ae_title=step.leading_cfind_scp,
                outcome=outcome,
                failure=str(answer) if isinstance(answer, Exception) else "",
                is_known=isinstance(answer, Dataset),
                rule=rule.rule.cn,
                is_applied=is_applied,
            )
        )
        steps.append((step, answer, rule.rule.cn, is_applied))
    return says, steps


def _edits(runtime: Runtime, uid: UID) -> tuple[dict[int, str], bool]:
    """The attributes edited here, with the time, and if the study is stored here."""
    instances = runtime.index.instances(RetrieveKeys(level=Level.STUDY, study_instance_uids=(uid,)))
    if not instances:
        return {}, False
    patient, study, *_ = map(decode, instances[0].encoded_attributes)
    return {**edits_of(patient), **edits_of(study)}, True


def _attributes(
    runtime: Runtime, told: Explanation, trace: Trace, steps: Sequence[_Step], edits: Mapping[int, str]
) -> Iterable[AttributeValues]:
    tags = runtime.keeper.tags
    answers = [answer if isinstance(answer, Dataset) else Dataset() for _, answer, _, _ in steps]
    stale = [_stale(trace.archived, step, answer) for step, answer, _, _ in steps]
    asked = {int(tag) for answer in answers for tag in answer.keys()}
    of_study = (tags[Level.STUDY] | asked) - tags[Level.PATIENT]
    for level, of_level in ((Level.PATIENT, tags[Level.PATIENT]), (Level.STUDY, of_study)):
        for tag in sorted(of_level):
            values = [trace.archived.get(tag), trace.delivered.get(tag), *(answer.get(tag) for answer in answers)]
            if tag in _NEVER_SHOWN or all(is_empty(value) for value in values):
                continue
            row = AttributeValues(
                tag=tag,
                keyword=keyword_for_tag(tag) or f"{tag:08X}",
                level=level.value,
                archived=_text(trace.archived, tag),
                leading=tuple(_text(answer, tag) for answer in answers),
                is_stale=tuple(tag in changed for changed in stale),
                delivered=None if told.failure is not None else _text(trace.delivered, tag),
                decider=ValueSource.ARCHIVE,
                edited_at=edits.get(tag, ""),
            )
            yield _overridden(_decided(row, trace), steps)


def _decided(row: AttributeValues, trace: Trace) -> AttributeValues:
    """The row with the source of its delivered value."""
    for done in reversed(trace.executed):
        if any(change.path[0] == row.tag for change in done.changes):
            asked = done.step.leading_cfind_scp if isinstance(done.step, LeadingStep) else ""
            return replace(row, decider=ValueSource.RULE, rule=done.rule.rule.cn, step=done.step.name, asked=asked)
    if row.delivered != row.archived:
        for done in trace.executed:
            if done.step.traits.omits_indexed:
                return replace(row, decider=ValueSource.RULE, rule=done.rule.rule.cn, step=done.step.name)
        return replace(row, decider=ValueSource.OBJECT)
    return replace(row, decider=ValueSource.EDIT if row.edited_at else ValueSource.ARCHIVE)


def _overridden(row: AttributeValues, steps: Sequence[_Step]) -> AttributeValues:
    """The row with the leading archive that has the last word."""
    for step, answer, rule, is_applied in reversed(steps):
        if is_applied and isinstance(answer, Dataset) and row.tag in step.decides(answer):
            return replace(row, overridden_by=step.leading_cfind_scp, overriding_rule=rule)
    return row


def _stale(archived: Dataset, step: LeadingStep, answer: LeadingAnswer) -> set[int]:
    """The attributes that the answer would change."""
    if not isinstance(answer, Dataset):
        return set()
    measure = Measure.of(map(int, answer.keys()), map(int, answer.keys()), step.policy)
    return {one.tag for one in compare(archived, answer, measure).differences if "." not in one.path}


def _text(ds: Dataset, tag: int) -> str | None:
    found = shown_element(ds.get(tag))
    return None if found is None else found.text
