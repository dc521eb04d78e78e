"""Leading-first matching of queries: a stage between the archive and the answers; see `service.leading_first`.

`LeadingFirstArchive` also looks for the studies that the leading archive named; `LeadingFirstAnswers` keeps the answers
that still match after coercion.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Sequence
from dataclasses import dataclass, replace

from pydicom import Dataset

from dcm4py_leading.archive.index.identity import DistinctPatients
from dcm4py_leading.archive.index.keys import (
    ALWAYS_KEPT,
    KEYS,
    MODALITIES_IN_STUDY,
    SOP_CLASSES_IN_STUDY,
    STUDY_INSTANCE_UID,
    keys_of,
)
from dcm4py_leading.archive.index.querying.match import Match
from dcm4py_leading.dataset.text.charset import SPECIFIC_CHARACTER_SET
from dcm4py_leading.errors import LeadingUnavailable
from dcm4py_leading.leading.settings import Flush
from dcm4py_leading.model.archive import Entity
from dcm4py_leading.model.device import Device
from dcm4py_leading.model.values import Level
from dcm4py_leading.service.coerce import CoercedMessage, Coercer
from dcm4py_leading.service.find.answers import coerced_page, encoded
from dcm4py_leading.service.find.request import FindRequest
from dcm4py_leading.service.leading_first import (
    LeadingFirstRules,
    log_normal_matching,
    matches_with_leading_values,
    named_studies,
)
from dcm4py_leading.service.query_archive import ArchiveQuery, QueryArchive, distinct_matches

_KEYS_OF_STUDIES = frozenset(
    {key.tag for key in KEYS if key.level in (Level.PATIENT, Level.STUDY)} | {MODALITIES_IN_STUDY, SOP_CLASSES_IN_STUDY}
) - {STUDY_INSTANCE_UID}


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadingFirstQuery:
    """The stage of one query."""

    asked: ArchiveQuery
    named: tuple[str, ...] = ()
    """Study Instance UIDs that the leading archive answered with."""
    led: frozenset[int] = frozenset()
    """The matching keys that it was asked for."""
    patient_attributes: frozenset[int] = frozenset()
    """Attributes that belong into an answer at PATIENT level."""

    def before(self, archive: QueryArchive) -> LeadingFirstArchive:
        """The archive to query."""
        return LeadingFirstArchive(archive, self.named, self.led)

    def answers(self, request: FindRequest, coercer: Coercer) -> LeadingFirstAnswers:
        """The stage that makes answers from matches."""
        return LeadingFirstAnswers(self, request, coercer)


class LeadingFirstArchive:
    """An archive whose matches are its own, followed by the studies that the leading archive named.

    At PATIENT level one match for each study of a patient: the leading archive knows patients by their studies.
    """

    gives_parts = False

    def __init__(self, archive: QueryArchive, named: Sequence[str], led: Collection[int]) -> None:
        self._archive = archive
        self._named = named
        self._led = led

    def count(self, asked: ArchiveQuery, *, most: int | None = None) -> int | None:
        """Number of matches before coercion; at PATIENT level as without leading-first (see `QueryArchive`)."""
        found = self._archive.count(asked)
        if found is None or not self._named or asked.query.level is Level.PATIENT:
            return found
        by_leading = self._archive.count(self._by_leading(asked))
        both = self._archive.count(asked.of_studies(self._named))
        return None if by_leading is None or both is None else found + by_leading - both

    def matches(self, asked: ArchiveQuery, *, fetch_size: int) -> Generator[Match | Flush]:
        """Each match once, even if several archives have it with different values (see `QueryArchive`)."""
        if asked.query.level is Level.PATIENT:
            asked = asked.at(Level.STUDY)
        questions = (asked, self._by_leading(asked)) if self._named else (asked,)
        yield from distinct_matches((self._archive.matches(one, fetch_size=fetch_size) for one in questions), asked)

    def _by_leading(self, asked: ArchiveQuery) -> ArchiveQuery:
        return asked.without_keys(self._led).of_studies(self._named)


class LeadingFirstAnswers:
    """Makes answers from matches, but only from those that match with the values of the leading archive."""

    def __init__(self, stage: LeadingFirstQuery, request: FindRequest, coercer: Coercer) -> None:
        self._query = stage.asked.query
        self._patient_attributes = stage.patient_attributes
        self._request = request
        self._coercer = coercer
        self._persons = DistinctPatients()

    def page(self, page: Sequence[Match]) -> Iterator[bytes]:
        """The answers; at PATIENT level each patient once. Raises CoercionFailed."""
        is_of_patients = self._query.level is Level.PATIENT
        found = [match.attributes for match in page]
        if is_of_patients:
            found = [_reduced(ds, self._patient_attributes | {STUDY_INSTANCE_UID}) for ds in found]
        for coerced in coerced_page(found, self._coercer, self._request.sop_class_uid):
            if not matches_with_leading_values(self._query, coerced):
                continue
            ds = coerced.dataset
            if not is_of_patients:
                yield encoded(ds, self._request)
            elif self._persons.is_new(ds):
                yield encoded(_reduced(ds, self._patient_attributes), self._request)


def leading_first(
    rules: LeadingFirstRules, message: CoercedMessage, coercer: Coercer, asked: ArchiveQuery
) -> LeadingFirstQuery | None:
    """The stage for a query; None for normal matching.

    ``message`` describes the responses, which ``coercer`` coerces. Matching is normal if the AE has no leading-first,
    if no rule for the responses asks a leading archive, if no key is among its return keys, or if it gives no answer.
    """
    keys, query = asked.keys, asked.query
    scp = rules.leading_cfind_scp(message, asked.sop_class_uid)
    if scp is None:
        return None
    demanded = {condition.tag for condition in query.conditions}
    led = demanded & _KEYS_OF_STUDIES & rules.return_keys(scp)
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
            log_normal_matching(err)
            return None
    of_patients = _patient_attributes(rules.device)
    return LeadingFirstQuery(
        asked=replace(asked, wanted=asked.wanted | demanded | of_patients),
        named=tuple(named),
        led=frozenset(led),
        patient_attributes=of_patients | query.computed,
    )


def _patient_attributes(device: Device) -> frozenset[int]:
    """Patient attributes of the index, and those that are needed to decode them."""
    entity_filter = device.archive.attribute_filters.get(Entity.PATIENT)
    kept = {key.tag for key in keys_of(Level.PATIENT)} if entity_filter is None else set(map(int, entity_filter.tags))
    return frozenset(kept | set(ALWAYS_KEPT[Level.PATIENT]) | {SPECIFIC_CHARACTER_SET, 0x00080056, 0x00080201})


def _reduced(ds: Dataset, tags: Collection[int]) -> Dataset:
    reduced = Dataset()
    for tag in sorted(tags):
        if tag in ds:
            reduced[tag] = ds[tag]
    return reduced
