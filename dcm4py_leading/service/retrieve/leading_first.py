"""Leading-first matching of retrieves: the Patient ID is that of the leading archive.

A retrieve delivers what a query with the same Patient ID finds; see `service.leading_first`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from pydicom import Dataset

from dcm4py_leading.archive.index.index import IndexedInstance
from dcm4py_leading.archive.index.keys import ISSUER_OF_PATIENT_ID, PATIENT_ID
from dcm4py_leading.archive.index.querying.data_set_matching import matches
from dcm4py_leading.archive.index.querying.query import KeyCondition, Query, RetrieveKeys, Value
from dcm4py_leading.coercion.rules import CompiledRule
from dcm4py_leading.coercion.select import Selection, Verdict
from dcm4py_leading.coercion.steps.step import LeadingStep
from dcm4py_leading.errors import ArchiveUnavailable, CoercionFailed, LeadingTooManyMatches, LeadingUnavailable
from dcm4py_leading.model.values import UID, AETitle, Level
from dcm4py_leading.service.coerce import CoercedMessage, Coercer
from dcm4py_leading.service.leading_first import (
    LeadingFirstRules,
    leading_cfind_scp_of,
    log_normal_matching,
    matches_with_leading_values,
    named_studies,
)

LOG = logging.getLogger(__name__)


class LeadingFirstRetrieve:
    """Stage of one retrieve that finds the patient's instances here and studies in other archives.

    Matching is normal if the retrieve has no Patient ID, no rule asks a leading archive, or it gives no answer.
    """

    def __init__(self, rules: LeadingFirstRules, message: CoercedMessage, coercer: Coercer, keys: RetrieveKeys) -> None:
        """Ask the leading archive, if any, for the studies of the patient in ``keys``.

        ``message`` describes the following C-STOREs, which ``coercer`` coerces.
        """
        self._coercer = coercer
        self._keys = keys
        self._rule = rules.rule(message, None) if keys.patient_id is not None else None
        self._named = None if self._rule is None else self._studies(rules, leading_cfind_scp_of(self._rule[1]))

    def _studies(self, rules: LeadingFirstRules, scp: AETitle) -> Sequence[str] | None:
        """Studies of the patient in the leading archive; None if it gives no answer."""
        keys = self._keys
        if PATIENT_ID not in rules.return_keys(scp):
            return None
        asked_for = Dataset()
        for tag, text in ((PATIENT_ID, keys.patient_id), (ISSUER_OF_PATIENT_ID, keys.issuer_of_patient_id)):
            if text is not None:
                asked_for.add_new(tag, "LO", text)
        if keys.study_instance_uids:
            asked_for.StudyInstanceUID = list(keys.study_instance_uids)
        try:
            named = named_studies(self._coercer, scp, asked_for)
        except LeadingTooManyMatches as err:
            log_normal_matching(err)
            return ()
        except LeadingUnavailable as err:
            log_normal_matching(err)
            return None
        return [uid for uid in named if not keys.study_instance_uids or uid in keys.study_instance_uids]

    def instances(
        self, found: Sequence[IndexedInstance], look_up: Callable[[RetrieveKeys], Sequence[IndexedInstance]]
    ) -> Sequence[IndexedInstance]:
        """Instances of the patient with this Patient ID in the leading archive.

        ``found`` are those with this ID in the index, which ``look_up`` reads. Adds studies that the leading archive
        named, and drops studies that will have another Patient ID when sent.
        """
        if self._named is None:
            return found
        keys = self._keys
        if self._named:
            anyones = replace(keys, patient_id=None, issuer_of_patient_id=None, study_instance_uids=tuple(self._named))
            known = {_identity(instance) for instance in found}
            found = [*found, *(i for i in look_up(anyones) if _identity(i) not in known)]
        return _of_patient(self._coercer, _query_of_patient(keys), found)

    def upstream_keys(self, held: Callable[[RetrieveKeys], Sequence[str]]) -> RetrieveKeys | None:
        """Keys for another archive, which does not know the leading archive's Patient ID; None if there is nothing to
        retrieve.

        Studies stand for the patient: those that the leading archive named, and those that the other archive has under
        that Patient ID, which ``held`` tells, as long as they have it still when they are sent. A query finds the same.
        Where ``held`` raises ArchiveUnavailable, the named ones have to do; where there are none, it is raised.
        """
        keys, named = self._keys, self._named
        if named is None or self._rule is None:
            return keys
        try:
            own = held(replace(keys, level=Level.PATIENT, series_instance_uids=(), sop_instance_uids=()))
        except ArchiveUnavailable as err:
            if not named:
                raise
            LOG.warning("only what the leading archive names is retrieved: %s", err)
            own = ()
        candidates = {uid: _a_study(keys, uid, uid in own) for uid in dict.fromkeys([*named, *own])}
        context, rule = self._rule
        selection = _only_leading(Selection(context=context, verdicts=(Verdict(rule=rule),)))
        self._coercer.prefetch([(selection, UID(uid)) for uid in candidates])
        query = _query_of_patient(keys)
        studies = tuple(uid for uid, study in candidates.items() if _belongs(self._coercer, query, study, selection))
        if not studies:
            return None
        level = Level.STUDY if keys.level is Level.PATIENT else keys.level
        return replace(keys, level=level, patient_id=None, issuer_of_patient_id=None, study_instance_uids=studies)


def _a_study(keys: RetrieveKeys, uid: str, is_own: bool) -> Dataset:
    """A study as another archive has it, which has it under the identity in ``keys``, or under whatever else."""
    ds = Dataset()
    ds.StudyInstanceUID = uid
    ds.PatientID = keys.patient_id if is_own else f"not {keys.patient_id}"
    if is_own and keys.issuer_of_patient_id is not None:
        ds.IssuerOfPatientID = keys.issuer_of_patient_id
    return ds


def _belongs(coercer: Coercer, query: Query, ds: Dataset, selection: Selection) -> bool:
    try:
        return matches_with_leading_values(query, coercer.coerce_uncounted(ds, selection, []))
    except CoercionFailed:
        return matches(query, ds)  # the sub-operation will fail for the same reason and log it


def _query_of_patient(keys: RetrieveKeys) -> Query:
    identity = {PATIENT_ID: keys.patient_id, ISSUER_OF_PATIENT_ID: keys.issuer_of_patient_id}
    conditions = tuple(KeyCondition(tag, (Value(text),)) for tag, text in identity.items() if text is not None)
    return Query(level=Level.PATIENT, conditions=conditions)


def _of_patient(coercer: Coercer, query: Query, instances: Sequence[IndexedInstance]) -> list[IndexedInstance]:
    """Instances that match ``query`` with the values of the leading archive."""
    samples = {_kind(instance): instance for instance in instances}
    selected = {}
    for kind, instance in samples.items():
        attributes = instance.attributes
        try:
            selected[kind] = (attributes, _only_leading(coercer.select(attributes, instance.sop_class_uid)))
        except CoercionFailed:  # the question for each instance will report it
            continue
    coercer.prefetch([(selection, samples[kind].study_instance_uid) for kind, (_, selection) in selected.items()])
    belongs: dict[tuple[str, ...], bool] = {}
    for kind, (attributes, selection) in selected.items():
        try:
            belongs[kind] = matches_with_leading_values(query, coercer.coerce(attributes, selection))
        except CoercionFailed:
            belongs[kind] = True  # the sub-operation will fail for the same reason and log it
    return [
        instance
        for instance in instances
        if (belongs[kind] if (kind := _kind(instance)) in belongs else _belongs_alone(coercer, query, instance))
    ]


def _belongs_alone(coercer: Coercer, query: Query, instance: IndexedInstance) -> bool:
    """The same for one instance, if the rules for others of its kind are not known."""
    attributes = instance.attributes
    try:
        selection = _only_leading(coercer.select(attributes, instance.sop_class_uid))
        return matches_with_leading_values(query, coercer.coerce(attributes, selection))
    except CoercionFailed:
        return True  # the sub-operation will fail for the same reason and log it


def _only_leading(selection: Selection) -> Selection:
    """The selection with only the steps that ask a leading archive."""

    def reduced(rule: CompiledRule) -> CompiledRule:
        return replace(rule, steps=tuple(step for step in rule.steps if isinstance(step, LeadingStep)))

    return replace(selection, verdicts=tuple(replace(v, rule=reduced(v.rule)) for v in selection.verdicts))


def _kind(instance: IndexedInstance) -> tuple[str, ...]:
    """Key of instances with the same rules and answers: conditions rarely differ within a series."""
    return (instance.study_instance_uid, instance.series_instance_uid, instance.sop_class_uid)


def _identity(instance: IndexedInstance) -> tuple[str, ...]:
    return (instance.study_instance_uid, instance.series_instance_uid, instance.sop_instance_uid)
