"""Leading-first matching (``--set leading-first=true``): queries and retrieves as if the archive held the leading
archive's values.

Keys that coercion may change are also sent to the leading archive, and the studies that it returns are looked up here
without these keys. A match counts only if it still matches after coercion: a query by the new name finds the study, a
query by the old name does not. dcm4chee matches only its own values.

If the leading archive gives no answer, matching is normal. This module has the common part of `find.leading_first` and
`retrieve.leading_first`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydicom import Dataset

from dcm4py_leading.archive.index.keys import STUDY_INSTANCE_UID
from dcm4py_leading.archive.index.querying.data_set_matching import matches
from dcm4py_leading.archive.index.querying.query import Query
from dcm4py_leading.coercion.chain import CoercionResult
from dcm4py_leading.coercion.changes import apply
from dcm4py_leading.coercion.context import CoercionContext
from dcm4py_leading.coercion.rules import CompiledRule
from dcm4py_leading.coercion.steps.step import LeadingStep
from dcm4py_leading.dataset.normal import first_text
from dcm4py_leading.errors import LeadingTooManyMatches, LeadingUnavailable
from dcm4py_leading.leading.return_keys import return_keys
from dcm4py_leading.model.device import Device
from dcm4py_leading.model.options import Options
from dcm4py_leading.model.values import AETitle, Tag
from dcm4py_leading.service.coerce import CoercedMessage, Coercer

LOG = logging.getLogger(__name__)

MAX_STUDIES = 500
"""Most studies of a leading archive that one query takes."""


@dataclass(frozen=True, slots=True)
class LeadingFirstRules:
    """Rules of a configuration for leading-first matching, for the AEs that use it."""

    device: Device
    rules: Mapping[AETitle, tuple[CompiledRule, ...]]
    options: Options

    def rule(self, message: CoercedMessage, sop_class_uid: str | None) -> tuple[CoercionContext, CompiledRule] | None:
        """The first rule for these messages and peers that asks a leading archive; None if there is none."""
        local_ae = message.local_ae.ae_title
        if not self.options.of(local_ae).leading_first:
            return None
        context = CoercionContext(
            dimse=message.dimse,
            transfer_role=message.transfer_role,
            sop_class=sop_class_uid or "",
            sending=message.sending,
            receiving=message.receiving,
        )
        nothing = Dataset()
        for compiled in self.rules[local_ae]:
            rule = compiled.rule
            if (rule.dimse, rule.transfer_role) != (message.dimse, message.transfer_role):
                continue
            if rule.sop_classes and sop_class_uid is not None and sop_class_uid not in rule.sop_classes:
                continue
            on_peers = [condition for condition in compiled.conditions if condition.peer is not None]
            if not all(condition.holds(context, nothing) for condition in on_peers):
                continue
            if any(isinstance(step, LeadingStep) for step in compiled.steps):
                return context, compiled
        return None

    def leading_cfind_scp(self, message: CoercedMessage, sop_class_uid: str | None) -> AETitle | None:
        """The leading archive of `rule`; None if there is none."""
        led = self.rule(message, sop_class_uid)
        return None if led is None else leading_cfind_scp_of(led[1])

    def return_keys(self, leading_cfind_scp: AETitle) -> frozenset[Tag]:
        """The return keys for this archive."""
        return return_keys(self.device, leading_cfind_scp)


def leading_cfind_scp_of(rule: CompiledRule) -> AETitle:
    """The leading archive of a rule that `LeadingFirstRules.rule` returned."""
    return next(step.leading_cfind_scp for step in rule.steps if isinstance(step, LeadingStep))


def named_studies(coercer: Coercer, scp: AETitle, keys: Dataset) -> Sequence[str]:
    """The studies that match in the leading archive. Raises LeadingUnavailable, LeadingTooManyMatches of it."""
    answers = coercer.find_by_keys(scp, keys, frozenset({Tag(STUDY_INSTANCE_UID)}), limit=MAX_STUDIES)
    uids = (first_text(answer, STUDY_INSTANCE_UID) for answer in answers)
    return list(dict.fromkeys(uid for uid in uids if uid is not None))


def log_normal_matching(err: LeadingUnavailable) -> None:
    """Log that matching is normal because the leading archive gives no answer."""
    too_broad = isinstance(err, LeadingTooManyMatches)
    LOG.warning("%s, matched without: %s", "too broad for leading-first" if too_broad else "no leading-first", err)


def matches_with_leading_values(query: Query, coerced: CoercionResult) -> bool:
    """True if a match still matches with the values of the leading archive.

    Changes of other steps do not count, as the keys were coerced in the opposite direction before matching.
    """
    tags = {condition.tag for condition in query.conditions}
    ds = Dataset()
    for tag in tags:
        element = coerced.previous[tag] if tag in coerced.previous else coerced.dataset.get(tag)
        if element is not None:
            ds[tag] = element
    for done in coerced.executed:
        if isinstance(done.step, LeadingStep):
            apply(ds, [change for change in done.changes if change.path[0] in tags])
    return matches(query, ds)
