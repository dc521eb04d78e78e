"""Leading-first matching (``--set leading-first=true``): queries as if the index held the leading archive's values.

The keys that coercion may change are also asked of the leading archive, and the studies that it names are looked up
here without them. What coercion then makes of a match decides whether it still is one: a query by the new name finds
the study, one by the old name no longer does. dcm4chee matches its own values only.

Where the leading archive gives no answer, matching is as without it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from pydicom import Dataset

from dcm4py_leading.archive.index.identity import EachPersonOnce
from dcm4py_leading.archive.index.keys import (
    ALWAYS_KEPT,
    KEYS,
    MODALITIES_IN_STUDY,
    SOP_CLASSES_IN_STUDY,
    STUDY_INSTANCE_UID,
    keys_of,
)
from dcm4py_leading.archive.index.querying.data_set_matching import matches
from dcm4py_leading.archive.index.querying.query import Query
from dcm4py_leading.coercion.chain import Coerced
from dcm4py_leading.coercion.changes import apply
from dcm4py_leading.coercion.context import CoercionContext
from dcm4py_leading.coercion.rules import CompiledRule
from dcm4py_leading.coercion.steps.step import LeadingStep
from dcm4py_leading.dataset.normal import first_text
from dcm4py_leading.dataset.text.charset import SPECIFIC_CHARACTER_SET
from dcm4py_leading.errors import LeadingTooManyMatches, LeadingUnavailable
from dcm4py_leading.leading.return_keys import return_keys
from dcm4py_leading.leading.settings import Flush
from dcm4py_leading.model.archive import Entity
from dcm4py_leading.model.values import AETitle, Level, Tag
from dcm4py_leading.service.coerce import Coercer, Message
from dcm4py_leading.service.query_archive import Asked, QueryArchive, each_once
from dcm4py_leading.service.runtime import Runtime

LOG = logging.getLogger(__name__)

MAX_STUDIES = 500
"""Most studies of a leading archive that one query takes."""

_KEYS_OF_STUDIES = frozenset(
    {key.tag for key in KEYS if key.level in (Level.PATIENT, Level.STUDY)} | {MODALITIES_IN_STUDY, SOP_CLASSES_IN_STUDY}
) - {STUDY_INSTANCE_UID}


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadingFirst:
    """A C-FIND that is matched leading-first."""

    asked: Asked
    named: tuple[str, ...] = ()
    """Study Instance UIDs that the leading archive answered with."""
    led: frozenset[int] = frozenset()
    """The matching keys that it was asked for."""
    patient_attributes: frozenset[int] = frozenset()
    """Attributes that belong into an answer at PATIENT level."""

    def count(self, archive: QueryArchive) -> int | None:
        """Number of entities that are matches before coercion; at PATIENT level as without leading-first matching.

        None where only the matches themselves tell.
        """
        found = archive.count(self.asked)
        if found is None or not self.named or self.asked.query.level is Level.PATIENT:
            return found
        by_leading = archive.count(self._by_leading(self.asked))
        both = archive.count(self.asked.of_studies(self.named))
        return None if by_leading is None or both is None else found + by_leading - both

    def rows(self, archive: QueryArchive, fetch_size: int) -> Generator[Dataset | Flush]:
        """Rows that may match once they are coerced: those that match here, then those that the leading archive named.

        At PATIENT level one row for each study of a patient: the leading archive knows patients by their studies.
        """
        if self.asked.query.level is not Level.PATIENT:
            yield from self._rows(self.asked, archive, fetch_size)
            return
        for row in self._rows(self.asked.at(Level.STUDY), archive, fetch_size):
            wanted = self.patient_attributes | {STUDY_INSTANCE_UID}
            yield row if isinstance(row, Flush) else _reduced(row, wanted)

    def kept(self, coerced: Iterable[Coerced | Flush]) -> Iterator[Dataset | Flush]:
        """Those that match with the values of the leading archive; at PATIENT level each patient once."""
        query = self.asked.query
        matching = (
            one if isinstance(one, Flush) else one.dataset
            for one in coerced
            if isinstance(one, Flush) or matches_as_led(query, one)
        )
        return matching if query.level is not Level.PATIENT else self._patients(matching)

    def _rows(self, asked: Asked, archive: QueryArchive, fetch_size: int) -> Iterator[Dataset | Flush]:
        """Each entity once, though several archives may have it with other values. A failure waits for what follows."""
        questions = (asked, self._by_leading(asked)) if self.named else (asked,)
        answers = (archive.matches(one, fetch_size=fetch_size) for one in questions)
        with closing(each_once(answers, asked)) as found:
            for match in found:
                yield match if isinstance(match, Flush) else match.attributes

    def _by_leading(self, asked: Asked) -> Asked:
        return asked.regardless_of(self.led).of_studies(self.named)

    def _patients(self, rows: Iterable[Dataset | Flush]) -> Iterator[Dataset | Flush]:
        once = EachPersonOnce()
        for row in rows:
            if isinstance(row, Flush):
                yield row
            elif once.is_new(row):
                yield _reduced(row, self.patient_attributes)


def leading_first(runtime: Runtime, message: Message, coercer: Coercer, asked: Asked) -> LeadingFirst | None:
    """Matching of what is asked, leading first; None: as always.

    ``message`` are the responses, ``coercer`` coerces them. As always it is where the AE has no leading-first, no rule
    about its responses asks a leading archive, none of the keys is among its return keys, or it gives no answer.
    """
    keys, query = asked.keys, asked.query
    scp = leading_cfind_scp(runtime, message, asked.sop_class_uid)
    if scp is None:
        return None
    demanded = {condition.tag for condition in query.conditions}
    led = demanded & _KEYS_OF_STUDIES & return_keys(runtime.device, scp)
    if not (led or query.level is Level.PATIENT):
        return None
    named: Sequence[str] = ()
    if led:
        asked_for = Dataset()
        for tag in sorted(led | (demanded & {STUDY_INSTANCE_UID})):
            asked_for[tag] = keys[tag]
        if SPECIFIC_CHARACTER_SET in keys:
            asked_for[SPECIFIC_CHARACTER_SET] = keys[SPECIFIC_CHARACTER_SET]
        try:
            named = named_studies(coercer, scp, asked_for)
        except LeadingUnavailable as err:
            tell(err)
            return None
    return LeadingFirst(
        asked=replace(asked, wanted=asked.wanted | demanded | _patient_attributes(runtime)),
        named=tuple(named),
        led=frozenset(led),
        patient_attributes=_patient_attributes(runtime) | query.computed,
    )


def leading_cfind_scp(runtime: Runtime, message: Message, sop_class_uid: str | None) -> AETitle | None:
    """The archive that `leading_rule` asks; None: there is none to ask."""
    led = leading_rule(runtime, message, sop_class_uid)
    if led is None:
        return None
    return next(step.leading_cfind_scp for step in led[1].steps if isinstance(step, LeadingStep))


def leading_rule(
    runtime: Runtime, message: Message, sop_class_uid: str | None
) -> tuple[CoercionContext, CompiledRule] | None:
    """The first rule about these messages that asks an archive, going by the peers; None: there is none to ask."""
    local_ae = message.local_ae.ae_title
    if not runtime.options.of(local_ae).leading_first:
        return None
    context = CoercionContext(
        dimse=message.dimse,
        transfer_role=message.transfer_role,
        sop_class=sop_class_uid or "",
        sending=message.sending,
        receiving=message.receiving,
    )
    nothing = Dataset()
    for compiled in runtime.rules[local_ae]:
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


def named_studies(coercer: Coercer, scp: AETitle, keys: Dataset) -> Sequence[str]:
    """The studies that match in the leading archive. Raises LeadingUnavailable, LeadingTooManyMatches of it."""
    answers = coercer.find_by_keys(scp, keys, frozenset({Tag(STUDY_INSTANCE_UID)}), limit=MAX_STUDIES)
    uids = (first_text(answer, STUDY_INSTANCE_UID) for answer in answers)
    return list(dict.fromkeys(uid for uid in uids if uid is not None))


def tell(err: LeadingUnavailable) -> None:
    """Log that matching is as without the leading archive."""
    too_broad = isinstance(err, LeadingTooManyMatches)
    LOG.warning("%s, matched without: %s", "too broad for leading-first" if too_broad else "no leading-first", err)


def matches_as_led(query: Query, coerced: Coerced) -> bool:
    """True if it matches with what the leading archive says of it.

    What other steps did to it does not count: the keys were coerced in the other direction before they were matched.
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


def _patient_attributes(runtime: Runtime) -> frozenset[int]:
    """Attributes that the index keeps of a patient, and those that tell how to read them."""
    entity_filter = runtime.device.archive.attribute_filters.get(Entity.PATIENT)
    kept = {key.tag for key in keys_of(Level.PATIENT)} if entity_filter is None else set(map(int, entity_filter.tags))
    return frozenset(kept | set(ALWAYS_KEPT[Level.PATIENT]) | {SPECIFIC_CHARACTER_SET, 0x00080056, 0x00080201})


def _reduced(ds: Dataset, tags: Collection[int]) -> Dataset:
    reduced = Dataset()
    for tag in sorted(tags):
        if tag in ds:
            reduced[tag] = ds[tag]
    return reduced
