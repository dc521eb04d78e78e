"""The index: which objects are stored, and where (PS3.4 C.6). An object is found as soon as its C-STORE succeeded."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydicom import Dataset

from dcm4py_leading.archive.deleting.deletions import Deletions
from dcm4py_leading.archive.index.attributes import merged
from dcm4py_leading.archive.index.database import Database
from dcm4py_leading.archive.index.identity import BY_ID, Identification
from dcm4py_leading.archive.index.indexed_attributes import AttributeExtractor, Levels
from dcm4py_leading.archive.index.querying import prepared_queries as forms
from dcm4py_leading.archive.index.querying import statements
from dcm4py_leading.archive.index.querying.match import Match, matches_of
from dcm4py_leading.archive.index.querying.newest import Position, newest
from dcm4py_leading.archive.index.querying.query import Part, Query, RetrieveKeys
from dcm4py_leading.archive.index.writing.editing import EditNote, PatientIdentifier, amend, edit_patient, edit_study
from dcm4py_leading.archive.index.writing.storing import Policies, StoreOutcome, is_stored, new_object
from dcm4py_leading.archive.index.writing.writer import Writer
from dcm4py_leading.archive.storage.storage import Location
from dcm4py_leading.model.archive import AttributeFilter, Entity, OverwritePolicy, RelationalMismatchPolicy
from dcm4py_leading.model.bounds import FIND_SNAPSHOT_SECONDS
from dcm4py_leading.model.values import UID, Level

_MAX_PAGE = 1000
_PK = -2
"""In the rows of `statements.matches`, the primary key of the entities that are asked for."""


class IndexedInstance(NamedTuple):
    """One stored instance: its identity, its location, and its attributes in the index."""

    study_instance_uid: UID
    series_instance_uid: UID
    sop_instance_uid: UID
    sop_class_uid: UID
    transfer_syntax_uid: UID
    location: Location
    encoded_attributes: tuple[bytes, ...]
    """Those of patient, study, series and instance; see `attributes.decode`."""

    @property
    def attributes(self) -> Dataset:
        """Decode all its attributes in the index, which a retrieve merges into the object."""
        return merged(self.encoded_attributes)


class IndexedStudy(NamedTuple):
    """One study, and its attributes in the index."""

    pk: int
    """Grows from study to study, in the order in which they came into the index."""
    encoded_attributes: tuple[bytes, ...]
    """Those of patient and study; see `attributes.decode`."""

    @property
    def attributes(self) -> Dataset:
        """Decode all its attributes in the index."""
        return merged(self.encoded_attributes)


class Index:
    """The index of the embedded archive. Safe under threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._writer = Writer(database)
        self._keeper = AttributeExtractor({})
        self.deletions = Deletions(database, self._writer)

    @classmethod
    def open(cls, url: str, *, may_upgrade: bool = True) -> Index:
        """Open the database of a SQLAlchemy URL; create or upgrade it if ``may`` allows it.

        Raises IndexUnavailable.
        """
        return cls(Database.open(url, may_upgrade=may_upgrade))

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def keeper(
        self, filters: Mapping[Entity, AttributeFilter], identification: Identification = BY_ID
    ) -> AttributeExtractor:
        """Keeper: takes from an object what the index keeps by these filters, and knows whose it is."""
        keeper = self._keeper
        if keeper.identification != identification or (keeper.filters is not filters and keeper.filters != filters):
            self._keeper = keeper = AttributeExtractor(filters, identification)
        return keeper

    def store(
        self,
        levels: Levels,
        location: Location,
        *,
        keeper: AttributeExtractor,
        transfer_syntax_uid: str,
        sending_ae_title: str,
        overwrite_policy: OverwritePolicy,
        relational_mismatch_policy: RelationalMismatchPolicy,
        retrieve_aets: Sequence[str],
    ) -> StoreOutcome:
        """Store the entry of an object durably; its file is at ``location``, and ``keeper`` extracted ``levels``.

        Patient ID and issuer identify a patient. Each study without a Patient ID has its own patient, and so does a
        person whose name, birth date or sex contradict those of another person with the ID (see `identity`). A study
        stays with the patient of its first object.
        Raises ObjectMismatch, ObjectRefused, IndexUnavailable; then the index is unchanged.
        """
        new = new_object(
            levels,
            location,
            transfer_syntax_uid=transfer_syntax_uid,
            sending_ae_title=sending_ae_title,
            retrieve_aets=retrieve_aets,
        )
        policies = Policies(keeper=keeper, overwrite=overwrite_policy, relational_mismatch=relational_mismatch_policy)
        return self._writer.store(new, policies)

    def edit_patient(
        self, identifiers: Sequence[PatientIdentifier], wanted: Dataset, *, keeper: AttributeExtractor, note: EditNote
    ) -> frozenset[int]:
        """Edit a patient (see `editing.edit_patient`). Raises EditRefused, IndexUnavailable."""
        return self._writer.write(lambda connection: edit_patient(connection, identifiers, wanted, keeper, note))

    def edit_study(
        self, study_instance_uid: str, wanted: Dataset, *, keeper: AttributeExtractor, note: EditNote
    ) -> frozenset[int]:
        """Edit a study (see `editing.edit_study`). Raises EditRefused, IndexUnavailable."""
        return self._writer.write(lambda connection: edit_study(connection, study_instance_uid, wanted, keeper, note))

    def amend(
        self,
        study_instance_uid: str,
        level: Level,
        changed: Dataset,
        is_as_shown: Callable[[Dataset], bool],
        *,
        keeper: AttributeExtractor,
        note: EditNote,
    ) -> frozenset[int]:
        """Edit some attributes (see `editing.amend`). Raises EditRefused, IndexUnavailable."""
        return self._writer.write(
            lambda connection: amend(connection, study_instance_uid, level, changed, is_as_shown, keeper, note)
        )

    def has(self, sop_instance_uid: str, storage_id: str, path: str) -> bool:
        """True if that instance is known to be at that location. Raises IndexUnavailable."""
        with self._database.reading() as connection:
            return is_stored(connection, sop_instance_uid, storage_id, path)

    def storage_ids(self) -> frozenset[str]:
        """The storages where objects are. Raises IndexUnavailable."""
        with self._database.reading() as connection:
            return forms.storage_ids(connection)

    def count(self, query: Query, *, most: int | None = None) -> int:
        """Number of entities that match, counted up to ``most``. Raises IndexUnavailable."""
        with self._database.reading() as connection:
            return forms.count(connection, query, most)

    def matches(self, query: Query, *, fetch_size: int = 100) -> Iterator[Match]:
        """The matching entities in a stable order, with all that the index keeps at their level and above.

        They include the counts and lists that the query asks for, and always Retrieve AE Title and Instance
        Availability. They show one state of the index, and do not block storing. For a slow caller, late matches show
        the later state, without deleted entities; still, do not leave the iterator half read for long. Raises
        IndexUnavailable.
        """
        fetch_size = min(max(fetch_size, 1), _MAX_PAGE)
        began = time.monotonic()
        late = array("q")
        with self._database.reading() as connection:
            pages = forms.pages(connection, query, fetch_size)
            for page in pages:
                yield from matches_of(connection, query, page)
                if time.monotonic() - began > FIND_SNAPSHOT_SECONDS:
                    late.extend(row[_PK] for rest in pages for row in rest)
        for first in range(0, len(late), fetch_size):
            yield from self._late_matches(query, late[first : first + fetch_size])

    def part(self, query: Query, wanted: Part, *, fetch_size: int = 100) -> Iterator[Match]:
        """A part of the matching entities, as `matches` has them.

        The selection shows one state of the index; each page has the current attributes, without deleted entities. In
        the order of `matches`, entities added later come last. Raises IndexUnavailable.
        """
        fetch_size = min(max(fetch_size, 1), _MAX_PAGE)
        with self._database.reading() as connection:
            pks = array("q", connection.execution_options(yield_per=_MAX_PAGE).scalars(statements.part(query, wanted)))
        for first in range(0, len(pks), fetch_size):
            yield from self._late_matches(query, pks[first : first + fetch_size])

    def _late_matches(self, query: Query, pks: Sequence[int]) -> Sequence[Match]:
        """Those of these primary keys that still match, in that order."""
        with self._database.reading() as connection:
            found = connection.execute(statements.matches_among(query), {statements.PKS: list(pks)})
            rows = {row[_PK]: row for row in found}
            return list(matches_of(connection, query, [rows[pk] for pk in pks if pk in rows]))

    def studies_after(self, pk: int, most: int, *, since: str | None) -> Sequence[IndexedStudy]:
        """The next studies above a primary key, ``most`` at most; ``since`` is a Study Date as YYYYMMDD.

        For reading all studies page by page; each page shows its own state of the index. Raises IndexUnavailable.
        """
        with self._database.reading() as connection:
            rows = connection.execute(statements.studies_after(pk, most, since)).all()
        return [IndexedStudy(row[0], (row[1], row[2])) for row in rows]

    def newest_studies(
        self, query: Query, after: Position | None, most: int
    ) -> tuple[Sequence[Match], Position | None]:
        """The next ``most`` matching studies after a position, the newest first, and the position for those after them.

        A page may be short or empty although more studies follow (see `newest`). Raises IndexUnavailable.
        """
        with self._database.reading() as connection:
            page = newest(connection, query, after, most)
            pks = [position.pk for position in page.found]
            rows = {row[_PK]: row for row in forms.rows_below(connection, statements.rows_of(query.level), pks)}
            return list(matches_of(connection, query, [rows[pk] for pk in pks])), page.next

    def instances(self, keys: RetrieveKeys) -> tuple[IndexedInstance, ...]:
        """The instances of a retrieve, series by series. Raises IndexUnavailable."""
        with self._database.reading() as connection:
            rows = forms.instances(connection, keys)
            pks = list(dict.fromkeys(row[0] for row in rows))
            above = {
                row[0]: _Above(_stored_uid(row[1]), _stored_uid(row[2]), tuple(row[3:]))
                for first in range(0, len(pks), _MAX_PAGE)
                for row in forms.rows_below(connection, statements.series_of(), pks[first : first + _MAX_PAGE])
            }
        return tuple(_indexed_instances(rows, above))


@dataclass(frozen=True, slots=True)
class _Above:
    """Values that all instances of a series have in common."""

    study_instance_uid: UID
    series_instance_uid: UID
    encoded_attributes: tuple[bytes, ...]


def _indexed_instances(rows: Iterable[Sequence[Any]], above: Mapping[int, _Above]) -> Iterator[IndexedInstance]:
    """From the columns of `statements.instances`; classes and syntaxes of one name are one object."""
    uids: dict[str, UID] = {}
    for pk, uid, sop_class, syntax, storage_id, path, size, digest, attributes in rows:
        series = above[pk]
        yield IndexedInstance(
            study_instance_uid=series.study_instance_uid,
            series_instance_uid=series.series_instance_uid,
            sop_instance_uid=_stored_uid(uid),
            sop_class_uid=uids.get(sop_class) or uids.setdefault(sop_class, _stored_uid(sop_class)),
            transfer_syntax_uid=uids.get(syntax) or uids.setdefault(syntax, _stored_uid(syntax)),
            location=Location(storage_id, path, size, digest),
            encoded_attributes=(*series.encoded_attributes, attributes),
        )


def _stored_uid(text: str) -> UID:
    """A UID of an object, also an invalid one, as every stored object must be found again."""
    return str.__new__(UID, text)
