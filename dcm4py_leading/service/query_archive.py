"""Port to archives that answer queries, and the embedded archive and several archives behind it.

Callers do not know which kind of archive it is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Protocol, Self

from pydicom import Dataset
from pydicom.datadict import dictionary_VR

from dcm4py_leading.archive.index.identity import DistinctPatients
from dcm4py_leading.archive.index.index import Index
from dcm4py_leading.archive.index.keys import STUDY_INSTANCE_UID, UNIQUE_KEYS
from dcm4py_leading.archive.index.querying.data_set_matching import limited_to_studies, without
from dcm4py_leading.archive.index.querying.match import Match
from dcm4py_leading.archive.index.querying.query import Part, Query
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE, scan
from dcm4py_leading.errors import DependencyError
from dcm4py_leading.leading.settings import Flush
from dcm4py_leading.model.archive import SpanningPolicy
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import Level
from dcm4py_leading.service.find.key_support import KeySupport

LOG = logging.getLogger(__name__)

EMPTY_VALUE = '""'
"""Key that matches what has no value (PS3.4 C.2.2.2, Empty Value Matching); few archives know it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveQuery:
    """A query as conditions for the index, and as identifier for another archive."""

    query: Query
    keys: Dataset
    """As the client sent them and the rules for queries left them; only to be read."""
    sop_class_uid: str
    relational: bool
    local_ae: ApplicationEntity
    wanted: frozenset[int] = frozenset()
    """Attributes that are of use besides those that the client wants: rules look at them."""
    regardless: frozenset[int] = frozenset()
    """Keys that are not matched."""
    studies: tuple[str, ...] | None = None
    """The only studies that count."""
    part: Part | None = None
    """Part of the matches that an archive gives which `gives_parts`; None for all."""
    is_over: Callable[[], bool] = lambda: False
    """True if the client waits no more; asked while another archive does not answer."""
    are_supported: bool = True
    """True if the archive here supports all keys."""
    support: KeySupport = field(default_factory=KeySupport)
    """The same of all archives that have been asked."""

    def of_studies(self, study_instance_uids: Sequence[str]) -> Self:
        """The query limited to these studies; its level is STUDY or below."""
        return replace(
            self, query=limited_to_studies(self.query, study_instance_uids), studies=tuple(study_instance_uids)
        )

    def without_keys(self, tags: Collection[int]) -> Self:
        """The query without matching of these keys."""
        return replace(self, query=without(self.query, tags), regardless=self.regardless | set(tags))

    def at(self, level: Level) -> Self:
        """The query at another level."""
        return replace(self, query=replace(self.query, level=level))

    def identifier(self) -> Dataset:
        """Identifier for a query to another archive (PS3.4 C.4.1.1.3)."""
        identifier = Dataset()
        for tag in sorted({*map(int, self.keys.keys()), *self.wanted}):
            if tag in self.keys and tag not in self.regardless:
                identifier[tag] = self.keys[tag]
            elif (vr := _vr_of(tag)) is not None:
                identifier.add_new(tag, vr, [] if vr == "SQ" else None)
        if self.query.level is not Level.PATIENT and STUDY_INSTANCE_UID not in identifier:
            identifier.StudyInstanceUID = None  # key of the questions to leading archives
        if self.studies is not None:
            own = identifier.get("StudyInstanceUID")
            named = {own} - {""} if isinstance(own, str) else set(own or ())
            identifier.StudyInstanceUID = [uid for uid in self.studies if not named or uid in named]
        identifier.QueryRetrieveLevel = self.query.level.value
        return identifier


def _vr_of(tag: int) -> str | None:
    try:
        return dictionary_VR(tag).split(" or ")[0]
    except KeyError:
        return None


class QueryArchive(Protocol):
    """An archive that can be queried; safe under threads."""

    @property
    def gives_parts(self) -> bool:
        """True if it heeds `ArchiveQuery.part`; others give all matches, in any order."""
        ...

    def count(self, asked: ArchiveQuery, *, most: int | None = None) -> int | None:
        """Number of matches, counted up to ``most``; None if not known before all matches were read."""
        ...

    def matches(self, asked: ArchiveQuery, *, fetch_size: int) -> Generator[Match | Flush]:
        """The matches as they come, with `FLUSH` among them; a caller that stops early closes the iterator.

        Raises StatusError, with the answer of the other archive if there is one.
        """
        ...


class EmbeddedQueryArchive:
    """The archive of this service."""

    gives_parts = True

    def __init__(self, index: Index) -> None:
        self._index = index

    def count(self, asked: ArchiveQuery, *, most: int | None = None) -> int | None:
        """Number of matches in the index (see `QueryArchive`)."""
        return self._index.count(asked.query, most=most)

    def matches(self, asked: ArchiveQuery, *, fetch_size: int) -> Generator[Match | Flush]:
        """Matches in the index (see `QueryArchive`)."""
        if not asked.are_supported:
            asked.support.lacks_one()
        if asked.part is None:
            yield from self._index.matches(asked.query, fetch_size=fetch_size)
        else:
            yield from self._index.part(asked.query, asked.part, fetch_size=fetch_size)


class SpanningQueryArchive:
    """Several archives as one (dcmSpanningCFindSCP), by dcmSpanningCFindSCPPolicy.

    The archives are queried one after the other. If one fails, the matches of the others are still returned, and the
    first failure is raised afterwards.
    """

    gives_parts = False

    def __init__(self, own: QueryArchive, others: Sequence[QueryArchive], policy: SpanningPolicy) -> None:
        """``others`` in the order in which they are queried."""
        match policy:
            case SpanningPolicy.REPLACE:
                self._archives: tuple[QueryArchive, ...] = tuple(others)
            case SpanningPolicy.SUPPLEMENT:
                self._archives = (own, *others)
            case SpanningPolicy.MERGE:
                self._archives = (*others, own)

    def count(self, asked: ArchiveQuery, *, most: int | None = None) -> int | None:
        """None: not known before all matches were read (see `QueryArchive`)."""
        return None

    def matches(self, asked: ArchiveQuery, *, fetch_size: int) -> Generator[Match | Flush]:
        """Matches of all archives, each once (see `QueryArchive`)."""
        yield from distinct_matches(
            (archive.matches(asked, fetch_size=fetch_size) for archive in self._archives), asked
        )


def distinct_matches(answers: Iterable[Generator[Match | Flush]], asked: ArchiveQuery) -> Generator[Match | Flush]:
    """Each entity of the ``answers`` once; the archives are queried in turn until the client no longer waits.

    The first failure is raised at the end, further ones are only logged.
    """
    is_new = _once(asked.query.level)
    failure: DependencyError | None = None
    for answer in answers:
        if asked.is_over():
            return
        with closing(answer) as matches:
            try:
                for match in matches:
                    if isinstance(match, Flush):
                        yield match
                        continue
                    if is_new(match):
                        yield match
            except DependencyError as err:
                if failure is not None:
                    LOG.warning("%s", err)  # only the first one is reported to the client
                failure = failure or err
    if failure is not None:
        raise failure


def _once(level: Level) -> Callable[[Match], bool]:
    """Function that returns True for the first match of each entity."""
    if level is Level.PATIENT:
        once = DistinctPatients()
        return lambda match: once.is_new(match.attributes)
    seen: set[bytes] = set()
    tag = UNIQUE_KEYS[level]

    def is_new(match: Match) -> bool:
        identity = _value_of(match, tag)
        if identity in seen:
            return False
        seen.add(identity)
        return True

    return is_new


def _value_of(match: Match, tag: int) -> bytes:
    for data in reversed(match.encoded_attributes):
        span = scan(data, EXPLICIT_LITTLE, stop_before=tag + 1)[0].get(tag)
        if span is not None:
            return data[span[1] : span[2]].rstrip(b" \0")
    return b""
