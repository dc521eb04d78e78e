"""Rows by the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dcm4py_leading.errors import ArchiveUnavailable
from dcm4py_leading.leading.settings import FLUSH, Flush, LeadingSettings

SETTINGS = LeadingSettings(first_page_size=2, page_size=3)


@pytest.mark.parametrize(
    ("rows", "pages"),
    [
        ([], []),
        ([FLUSH], []),
        ([1, 2, 3, 4, 5, 6], [(1, 2), (3, 4, 5), (6,)]),
        ([1, FLUSH, 2, 3, 4, 5], [(1,), (2, 3, 4), (5,)]),
        ([FLUSH, 1, 2, FLUSH, FLUSH, 3, FLUSH], [(1, 2), (3,)]),
    ],
)
def test_a_lull_ends_a_page_that_is_not_empty(rows: list[int | Flush], pages: list[tuple[int, ...]]) -> None:
    assert list(SETTINGS.pages(rows)) == pages


def test_matches_before_an_error_are_a_page() -> None:
    def rows() -> Iterator[int | Flush]:
        yield from (1, FLUSH, 2)
        raise ArchiveUnavailable("down")

    pages = SETTINGS.pages(rows())
    assert [next(pages), next(pages)] == [(1,), (2,)]
    with pytest.raises(ArchiveUnavailable):
        next(pages)
