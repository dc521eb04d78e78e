"""Matches of a query: the attributes of an entity, and the counts and lists computed for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.datadict import keyword_for_tag
from sqlalchemy import Connection

from dcm4py_leading.archive.index.attributes import merged
from dcm4py_leading.archive.index.keys import COUNTS
from dcm4py_leading.archive.index.querying import prepared_queries as forms
from dcm4py_leading.archive.index.querying import statements
from dcm4py_leading.archive.index.querying.prepared_queries import Rows
from dcm4py_leading.archive.index.querying.query import Query
from dcm4py_leading.archive.index.tables import split_titles
from dcm4py_leading.model.values import Level

_RETRIEVE_AE_TITLE = 0x00080054
_INSTANCE_AVAILABILITY = 0x00080056


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One entity that a query found."""

    encoded_attributes: tuple[bytes, ...]
    """Those of its level and of the levels above, from the top down; see `attributes.decode`."""
    computed: Mapping[int, object]
    """By tag: what is not stored but counted, collected or the same for all. None is no value."""

    @property
    def attributes(self) -> Dataset:
        """A new data set of all of it."""
        ds = merged(self.encoded_attributes)
        for tag, value in self.computed.items():
            setattr(ds, keyword_for_tag(tag), value)
        return ds


def matches_of(connection: Connection, query: Query, page: Rows) -> Iterator[Match]:
    """The matches of rows of `statements.matches`. Raises SQLAlchemyError, sqlite3.Error."""
    levels = statements.levels_to(query.level)
    # The columns of `statements.matches`: primary key and attributes of each level.
    pks = {level: sorted({row[2 * number] for row in page}) for number, level in enumerate(levels)}
    computed = [_Computed.of(connection, tag, pks) for tag in sorted(query.computed)]
    if query.level is not Level.PATIENT:
        computed.append(_Computed.retrieve_ae_titles(connection, pks))
    wanted = [(attribute.tag, 2 * levels.index(attribute.level), attribute.values) for attribute in computed]
    for row in page:
        values = {tag: known.get(row[column]) for tag, column, known in wanted}
        values[_INSTANCE_AVAILABILITY] = "ONLINE"
        yield Match(encoded_attributes=tuple(row[1::2]), computed=values)


@dataclass(frozen=True, slots=True)
class _Computed:
    """A computed attribute: its values by the primary key of an entity of ``level``."""

    tag: int
    level: Level
    values: Mapping[int, object]

    @classmethod
    def of(cls, connection: Connection, tag: int, pks: Mapping[Level, Sequence[int]]) -> _Computed:
        if tag in COUNTS:
            level = COUNTS[tag][0]
            counts = forms.rows_below(connection, statements.related_count(tag), pks[level])
            return cls(tag, level, {row[0]: row[1] for row in counts})
        values: dict[int, list[str]] = {}
        for pk, text in forms.rows_below(connection, statements.collected(tag), pks[Level.STUDY]):
            values.setdefault(pk, []).append(text)
        return cls(tag, Level.STUDY, values)

    @classmethod
    def retrieve_ae_titles(cls, connection: Connection, pks: Mapping[Level, Sequence[int]]) -> _Computed:
        level = Level.SERIES if Level.SERIES in pks else Level.STUDY
        titles: dict[int, list[str]] = {}
        for pk, text in forms.rows_below(connection, statements.retrieve_ae_titles(level), pks[level]):
            known = titles.setdefault(pk, [])
            known += [title for title in split_titles(text) if title not in known]
        return cls(_RETRIEVE_AE_TITLE, level, titles)
