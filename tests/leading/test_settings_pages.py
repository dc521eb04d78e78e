"""Rows by the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dcm4py_leading.errors import ArchiveUnavailable
from dcm4py_leading.leading.settings import LULL, LeadingSettings, Lull

SETTINGS = LeadingSettings(first_page_size=2, page_size=3)


@pytest.mark.parametrize(
    ("rows", "pages"),
    [
        ([], []),
        ([LULL], []),
        ([1, 2, 3, 4, 5, 6], [(1, 2), (3, 4, 5), (6,)]),
        ([1, LULL, 2, 3, 4, 5], [(1,), (2, 3, 4), (5,)]),
        ([LULL, 1, 2, LULL, LULL, 3, LULL], [(1, 2), (3,)]),
    ],
)
def test_a_lull_ends_a_page_that_is_not_empty(rows: list[int | Lull], pages: list[tuple[int, ...]]) -> None:
    assert list(SETTINGS.pages(rows)) == pages


def test_what_came_before_an_error_is_a_page() -> None:
    def rows() -> Iterator[int | Lull]:
        yield from (1, LULL, 2)
        raise ArchiveUnavailable("down")

    pages = SETTINGS.pages(rows())
    assert [next(pages), next(pages)] == [(1,), (2,)]
    with pytest.raises(ArchiveUnavailable):
        next(pages)
