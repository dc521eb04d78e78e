"""The AE titles that pages suggest."""

from __future__ import annotations

import pytest

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.errors import ConfigUnavailable
from dcm4py_leading.model.bounds import SUGGESTED_TITLES_SECONDS
from dcm4py_leading.web.pages.titles import Title, Titles, titles_of
from tests.fixtures.trees import ae


class Directory:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.is_down = False

    def aes(self) -> list[Entry]:
        if self.is_down:
            raise ConfigUnavailable("down")
        self.asked += 1
        return [ae("ARCHIVE", dicomDescription="Long-term archive", dcmOtherAETitle="OLDPACS")]


@pytest.fixture
def directory() -> Directory:
    return Directory()


def test_other_titles_are_told_with_whose_they_are() -> None:
    found = titles_of(Directory().aes())
    assert found == (Title("ARCHIVE", "Long-term archive"), Title("OLDPACS", "= ARCHIVE"))


def test_the_directory_is_asked_once_in_a_while(directory: Directory) -> None:
    now = [0.0]
    titles = Titles(directory, lambda: now[0])
    assert titles.all() == titles.all()
    assert directory.asked == 1
    now[0] = SUGGESTED_TITLES_SECONDS
    titles.all()
    assert directory.asked == 2


def test_a_change_is_seen_at_once(directory: Directory) -> None:
    titles = Titles(directory, lambda: 0.0)
    titles.all()
    titles.forget()
    titles.all()
    assert directory.asked == 2


def test_a_failure_is_not_remembered(directory: Directory) -> None:
    titles = Titles(directory, lambda: 0.0)
    directory.is_down = True
    with pytest.raises(ConfigUnavailable):
        titles.all()
    directory.is_down = False
    assert titles.all()
