"""Query keys that are not supported, for existence or for matching; the client gets status FF01 (PS3.4 C.4.1.1.4)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pydicom import Dataset

from dcm4py_leading.archive.index.keys import LEVELS
from dcm4py_leading.archive.index.querying.query import Query
from dcm4py_leading.dataset.text.charset import SPECIFIC_CHARACTER_SET
from dcm4py_leading.model.values import Level
from dcm4py_leading.service.find.response import QUERY_RETRIEVE_LEVEL, RETRIEVE_AE_TITLE

_INSTANCE_AVAILABILITY = 0x00080056
_ALWAYS = frozenset({SPECIFIC_CHARACTER_SET, QUERY_RETRIEVE_LEVEL, RETRIEVE_AE_TITLE, _INSTANCE_AVAILABILITY})


@dataclass(slots=True)
class KeySupport:
    """Support of the keys of one query by the archives asked so far."""

    has_unsupported: bool = False

    def lacks_one(self) -> None:
        """Note that an archive does not support a key."""
        self.has_unsupported = True


def are_supported(keys: Dataset, query: Query, kept: Mapping[Level, Collection[int]], written: Collection[int]) -> bool:
    """True if the archive of this service supports all ``keys`` of a query.

    For matching it supports those that are conditions of the ``query``; for existence what the index has ``kept`` by
    level, at the level of the query and above, what it counts, and what rules have ``written`` into the answers.
    """
    if query.unmatched:
        return False
    reached = LEVELS[: LEVELS.index(query.level) + 1]
    existing = _ALWAYS.union(query.computed, written, *(kept[level] for level in reached))
    return all(int(tag) in existing or not tag.element for tag in keys.keys())
