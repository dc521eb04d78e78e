"""Pages of the studies of an archive; a comparison can be resumed after each page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydicom import Dataset

from dcm4py_leading.archive.index.index import IndexedStudy

Place = Any
"""Place between two pages, as JSON; None is the beginning. What is in it, the archive's pages know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Studies, and the position after them."""

    studies: Sequence[Dataset]
    """Patient and study attributes of each."""
    after: Place
    share: float | None = None
    """Estimated share of all of the archive's studies up to this place, from 0 to 1."""
    gap: str | None = None
    """Text for people about studies that this page should have, and cannot: without patient data."""


class Studies(Protocol):
    """All studies of one archive, optionally from a date on."""

    @property
    def tells_all(self) -> bool:
        """True if an attribute missing in a study has no value.

        Another archive omits attributes that it does not support (PS3.4 C.2.2.1.3).
        """
        ...

    def pages(self, after: Place) -> Iterator[Page]:
        """The pages from a position on. Raises IndexUnavailable, ArchiveUnavailable."""
        ...


class IndexPages(Protocol):
    """Port to the index; implemented by `archive.index.index.Index`."""

    def studies_after(self, pk: int, most: int, *, since: str | None) -> Sequence[IndexedStudy]:
        """Next studies above a primary key (see `archive.index.index.Index`)."""
        ...


class IndexStudies:
    """The studies of the index, in order of storage. A position is a primary key."""

    tells_all = True

    def __init__(self, index: IndexPages, page_size: int, *, since: str | None) -> None:
        """``since`` is a Study Date as YYYYMMDD."""
        self._index = index
        self._page_size = page_size
        self._since = since

    def pages(self, after: Place) -> Iterator[Page]:
        """The pages from a position on (see `Studies`)."""
        pk = int(after or 0)
        while found := self._index.studies_after(pk, self._page_size, since=self._since):
            pk = found[-1].pk
            yield Page(studies=[study.attributes for study in found], after=pk)
