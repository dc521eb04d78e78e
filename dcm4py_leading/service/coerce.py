"""Entry point for every coercion: selects the rules of a message, gets the answers that they need, applies them."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from pydicom import Dataset
from pydicom.dataelem import DataElement

from dcm4py_leading.coercion.chain import (
    Answer,
    CoercionResult,
    ExecutedStep,
    LeadingQuestion,
    Question,
    WorklistQuestion,
    coercion,
    questions,
    run,
)
from dcm4py_leading.coercion.changes import Change, apply
from dcm4py_leading.coercion.original_attributes import original_attributes
from dcm4py_leading.coercion.rules import CompiledRule
from dcm4py_leading.coercion.select import CoercionContext, Peer, Selection, select_rules
from dcm4py_leading.coercion.steps.step import STUDY_INSTANCE_UID, LeadingStep
from dcm4py_leading.coercion.tags import AllTags
from dcm4py_leading.errors import CoercionFailed, LeadingUnavailable, WorklistUnavailable
from dcm4py_leading.leading.keys_query import LeadingKeysQuery
from dcm4py_leading.leading.outcome import NO_ANSWER, LookupOutcome, LookupResult, outcome_by_keys
from dcm4py_leading.model.bounds import CONDITION_TIMEOUTS
from dcm4py_leading.model.coercion import Dimse
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import UID, AETitle, Tag, TransferRole
from dcm4py_leading.service.counts import ServiceCounts, keys_of
from dcm4py_leading.service.outcome_memo import OutcomeMemo, outcome_memo

LOG = logging.getLogger(__name__)


class LeadingAnswers(Protocol):
    """Answers of leading archives; implemented by `leading.lookup.LeadingLookup`."""

    def look_up(
        self, questions: Collection[LeadingQuestion], local_ae: ApplicationEntity, *, deadline: timedelta
    ) -> Mapping[LeadingQuestion, LookupResult]:
        """The answer to each question, and its outcome, within ``deadline``."""
        ...


class WorklistQuery(Protocol):
    """Asks a modality worklist SCP; implemented by ``dicom/scu/worklist.py``."""

    def find_items(self, question: WorklistQuestion, local_ae: ApplicationEntity) -> tuple[Dataset, ...]:
        """The worklist items that match. Raises WorklistUnavailable."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Coercions:
    """Rules of a configuration, sources of the answers that they need, and counters; shared by all requests."""

    rules: Mapping[AETitle, tuple[CompiledRule, ...]]
    """The compiled rules of each AE, in the order in which they are looked at."""
    leading: LeadingAnswers
    leading_keys: LeadingKeysQuery
    """Asks a leading archive which studies match; for leading-first matching."""
    worklist: WorklistQuery
    counts: ServiceCounts
    deadline: timedelta
    """Time for which one request waits for leading archives."""
    outcomes: OutcomeMemo = field(default_factory=outcome_memo)
    """Outcomes of the coercion of objects, for retrieves that follow."""
    compat_5_35: bool = False
    """Judge conditions as dcm4chee 5.35 does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoercedMessage:
    """The messages of one request that are coerced."""

    local_ae: ApplicationEntity
    dimse: Dimse
    transfer_role: TransferRole
    """Role of the other system."""
    sending: Peer
    receiving: Peer


class Coercer:
    """The coercion of the messages of one request.

    Keeps answers until the request ends, so that all objects of a study get the same values, and an archive that is
    down is asked only once. For one thread.
    """

    def __init__(self, coercions: Coercions, message: CoercedMessage) -> None:
        self._coercions = coercions
        self._message = message
        self.local_ae = message.local_ae
        self.outcomes = coercions.outcomes
        self.counts = coercions.counts
        """Where the steps are counted, for those who know the keys of what they have repeated."""
        self._rules = tuple(
            rule
            for rule in coercions.rules[message.local_ae.ae_title]
            if (rule.rule.dimse, rule.rule.transfer_role) == (message.dimse, message.transfer_role)
        )
        self.reads = frozenset().union(*(c.reads for rule in self._rules for c in rule.conditions))
        """Tags that decide which rules apply."""
        self._answers: dict[Question, Answer] = {}
        self._outcomes: Counter[LookupOutcome] = Counter()
        self._key_outcomes: Counter[LookupOutcome] = Counter()
        self._unjudged: list[CoercionFailed] = []
        """Why it could not be told which rules apply, for each time."""
        self._patience = coercions.deadline.total_seconds()
        """Seconds that this request may still wait for leading archives."""

    @property
    def has_rules(self) -> bool:
        """True if any rule is for these messages."""
        return bool(self._rules)

    @property
    def is_timeless(self) -> bool:
        """True if messages, peers and the answers about their studies alone decide what the rules do."""
        # A leading archive answers about the study that it was asked for.
        steps = [step for rule in self._rules for step in rule.steps if not isinstance(step, LeadingStep)]
        if any(isinstance(step.writes, AllTags) or STUDY_INSTANCE_UID in step.writes for step in steps):
            return False  # another study would be asked about
        return all(rule.is_timeless for rule in self._rules)

    @property
    def answers(self) -> Mapping[Question, Answer]:
        """The answers so far."""
        return self._answers

    @property
    def unanswered(self) -> int:
        """Number of questions to leading archives that have no answer, so that the rules decide without."""
        return sum(self._outcomes[outcome] for outcome in NO_ANSWER)

    @property
    def last_known(self) -> int:
        """Number of questions to leading archives for which the last known answer serves."""
        return self._outcomes[LookupOutcome.STALE_SERVED]

    @property
    def looks_at(self) -> frozenset[int]:
        """Tags that the rules read, as far as known."""
        steps = (step.reads for rule in self._rules for step in rule.steps)
        return self.reads.union(*(reads for reads in steps if not isinstance(reads, AllTags)))

    @property
    def writes(self) -> frozenset[int]:
        """Tags of the top level that the rules may add, as far as known."""
        steps = (step.writes for rule in self._rules for step in rule.steps)
        return frozenset().union(*(writes for writes in steps if not isinstance(writes, AllTags)))

    @property
    def needs_attributes(self) -> bool:
        """True if `select` reads the data set."""
        return bool(self.reads)

    def select(self, ds: Dataset, sop_class: str) -> Selection:
        """Select the rules for one message with ``ds``. Raises CoercionFailed if a condition takes too long."""
        if len(self._unjudged) >= CONDITION_TIMEOUTS:
            raise CoercionFailed(f"no rule is judged any more, after {CONDITION_TIMEOUTS} times: {self._unjudged[0]}")
        context = CoercionContext(
            dimse=self._message.dimse,
            transfer_role=self._message.transfer_role,
            sop_class=sop_class,
            sending=self._message.sending,
            receiving=self._message.receiving,
        )
        try:
            return select_rules(self._rules, context, ds, compat_5_35=self._coercions.compat_5_35)
        except CoercionFailed as err:
            self._unjudged.append(err)
            raise

    def prefetch(self, wanted: Collection[tuple[Selection, UID]]) -> None:
        """Ask the leading archives the questions for these studies, in one batch for each archive."""
        self.ask({question for selection, uid in wanted for question in questions(selection, uid)})

    def coerce(self, ds: Dataset, selection: Selection) -> CoercionResult:
        """Coerce ``ds`` in place, and count the steps. Raises CoercionFailed."""
        executed: list[ExecutedStep] = []
        try:
            return self.coerce_uncounted(ds, selection, executed)
        finally:  # also count the step that made the request fail
            self.count(executed)

    def coerce_uncounted(self, ds: Dataset, selection: Selection, executed: list[ExecutedStep]) -> CoercionResult:
        """Like `coerce`, but the caller counts the steps in ``executed`` by `count`."""
        return run(coercion(ds, selection, executed), self.answer)

    def count(self, executed: Iterable[ExecutedStep]) -> None:
        """Count steps that were carried out, for the metrics."""
        self.counts.count(keys_of(executed))

    def find_by_keys(
        self, leading_cfind_scp: AETitle, keys: Dataset, return_keys: frozenset[Tag], *, limit: int
    ) -> list[Dataset]:
        """Find studies by keys in a leading archive, within the deadline of this request.

        Raises as `leading.keys_query.LeadingKeysQuery`.
        """
        began = time.monotonic()
        try:
            found = self._coercions.leading_keys.find_by_keys(
                leading_cfind_scp, self.local_ae, keys, return_keys, limit=limit, timeout=self._remaining()
            )
        except LeadingUnavailable as err:
            self._key_outcomes[outcome_by_keys(err)] += 1
            raise
        finally:
            self._patience -= time.monotonic() - began
        self._key_outcomes[outcome_by_keys(found)] += 1
        return found

    def _remaining(self) -> timedelta:
        return timedelta(seconds=max(0.0, self._patience))

    def answer(self, question: Question) -> Answer:
        """The answer to a question, or the failure; asked once in a request."""
        if question not in self._answers:
            self.ask([question])
        return self._answers[question]

    def ask(self, wanted: Collection[Question]) -> None:
        """Ask the new questions, in one batch for each leading archive."""
        leading = [q for q in wanted if isinstance(q, LeadingQuestion) and q not in self._answers]
        if leading:
            began = time.monotonic()
            looked = self._coercions.leading.look_up(leading, self.local_ae, deadline=self._remaining())
            self._patience -= time.monotonic() - began
            for asked, found in looked.items():
                self._answers[asked] = found.answer
                self._outcomes[found.outcome] += 1
        for question in wanted:
            if question not in self._answers and isinstance(question, WorklistQuestion):
                try:
                    self._answers[question] = self._coercions.worklist.find_items(question, self.local_ae)
                except WorklistUnavailable as err:
                    LOG.warning("worklist: %s", err)
                    self._answers[question] = err

    def __str__(self) -> str:
        """Summary of the answers for the log line of the request; ``-`` without questions.

        In studies; questions by keys come first and are marked ``keys-``.
        """
        by_keys = [f"keys-{outcome.value}:{count}" for outcome, count in sorted_outcomes(self._key_outcomes)]
        return "/".join([*by_keys, *(f"{o.value}:{count}" for o, count in sorted_outcomes(self._outcomes))]) or "-"


def sorted_outcomes(outcomes: Mapping[LookupOutcome, int]) -> list[tuple[LookupOutcome, int]]:
    """The outcomes in the order of the enumeration."""
    return [(outcome, outcomes[outcome]) for outcome in LookupOutcome if outcomes.get(outcome)]


def add_original_attributes(
    ds: Dataset,
    coerced: CoercionResult,
    local_ae: ApplicationEntity,
    *,
    source: str,
    previous: Mapping[int, DataElement | None] | None = None,
) -> Change | None:
    """Add the changed values, also ``previous`` ones, to the Original Attributes Sequence of ``ds`` (PS3.3 C.12.1.1.9).

    Returns the change. Does nothing after de-identification, which would be undone by the original values.
    """
    if any(done.step.traits.hides_originals for done in coerced.executed):
        return None
    change = original_attributes(
        ds,
        {**coerced.previous, **(previous or {})},
        modifying_system=local_ae.ae_title,
        source_of_previous_values=source,
        now=datetime.now(),
    )
    if change is not None:
        apply(ds, [change])
    return change
