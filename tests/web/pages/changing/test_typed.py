"""What was typed, held against what stood there and what stands there now."""

from __future__ import annotations

import pytest

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.web.pages.changing.typed import Clash, base_of, base_text, merged, with_values

DN = "cn=a,dc=b"


def entry(*values: str) -> Entry:
    return Entry.of(DN, {"dcmURI": values, "seeAlso": ["kept"]})


@pytest.mark.parametrize(
    ("base", "theirs", "mine", "changed", "clashes", "of_others"),
    [
        (("a",), ("a",), ("a",), None, 0, 0),
        (("a",), ("a",), ("b",), ("b",), 0, 0),
        (("a",), ("a",), (), (), 0, 0),
        ((), (), ("b",), ("b",), 0, 0),
        (("a",), ("c",), ("a",), None, 0, 1),
        (("a",), ("c",), ("b",), None, 1, 0),
        (("a",), (), ("b",), None, 1, 0),
        (("a",), ("b",), ("b",), ("b",), 0, 0),
        (("a", "b"), ("b", "a"), ("b", "a"), None, 0, 0),
        (("a ",), ("a ",), ("a",), None, 0, 0),
    ],
)
def test_only_what_was_typed_anew_is_changed(
    base: tuple[str, ...],
    theirs: tuple[str, ...],
    mine: tuple[str, ...],
    changed: tuple[str, ...] | None,
    clashes: int,
    of_others: int,
) -> None:
    result = merged({"dcmURI": base}, {"dcmURI": mine}, entry(*theirs).values, {})
    assert result.changed.get("dcmURI") == changed
    assert (len(result.clashes), len(result.of_others)) == (clashes, of_others)


def test_a_clash_holds_all_three() -> None:
    result = merged({"dcmURI": ("a",)}, {"dcmURI": ("b",)}, entry("c").values, {})
    assert result.clashes == (Clash(attribute="dcmURI", base=("a",), theirs=("c",), mine=("b",)),)


def test_a_decision_for_theirs_changes_nothing() -> None:
    result = merged({"dcmURI": ("c",)}, {"dcmURI": ("b",)}, entry("c").values, {"keep.dcmURI": ("theirs",)})
    assert not result.changed
    assert not result.clashes


def test_a_decision_for_mine_is_held_against_what_was_shown_with_it() -> None:
    decided = {"keep.dcmURI": ("mine",)}
    assert merged({"dcmURI": ("c",)}, {"dcmURI": ("b",)}, entry("c").values, decided).changed == {"dcmURI": ("b",)}
    assert merged({"dcmURI": ("c",)}, {"dcmURI": ("b",)}, entry("d").values, decided).clashes


def test_all_other_values_stay() -> None:
    made = with_values(entry("a"), {"dcmURI": (), "cn": ("new",)})
    assert (made.values("dcmURI"), made.values("cn"), made.values("seeAlso")) == ((), ("new",), ("kept",))
    assert made.spell("cn") == "cn"


def test_values_that_the_page_showed_come_back() -> None:
    text = base_text(entry('a"<b>'), ["dcmURI", "cn"])
    assert base_of({"base": (text,)}) == {"dcmURI": ('a"<b>',), "cn": ()}
