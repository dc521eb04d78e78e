"""A spliced data set is the one that a naive rebuild makes of all its elements."""

from __future__ import annotations

import struct
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE, scan
from dcm4py_leading.dataset.splice import buffers_of, pieces_of

BEFORE = b"in front of the data set"


def element(tag: int, value: bytes) -> bytes:
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, b"LO", len(value)) + value


def rebuilt(elements: Mapping[int, bytes], edits: Mapping[int, bytes | None]) -> bytes:
    """All elements, changed, in order; group lengths go once there is an edit."""
    kept = {tag: one for tag, one in elements.items() if not (edits and not tag & 0xFFFF)}
    return b"".join(one for _, one in sorted({**kept, **edits}.items()) if one is not None)


def result(elements: Mapping[int, bytes], edits: Mapping[int, bytes | None], stop_before: int = 1 << 32) -> bytes:
    data = BEFORE + b"".join(one for _, one in sorted(elements.items()))
    spans, scanned_to = scan(data, EXPLICIT_LITTLE, start=len(BEFORE), stop_before=stop_before)
    planned, rest = pieces_of(spans, sorted(edits.items()), len(BEFORE), scanned_to)
    pieces = buffers_of(memoryview(data), planned)
    return b"".join(pieces) + data[rest:]


TAGS = st.sampled_from([0x00080000, 0x00080005, 0x00080060, 0x00100000, 0x00100010, 0x00100020, 0x00200010, 0x7FE00010])
VALUES = st.sampled_from([b"", b"ab", b"longer"])
ELEMENTS = st.dictionaries(TAGS, VALUES).map(lambda all_: {tag: element(tag, one) for tag, one in all_.items()})
EDITS = st.dictionaries(TAGS, st.none() | VALUES).map(
    lambda all_: {tag: None if one is None else element(tag, one) for tag, one in all_.items()}
)


@given(ELEMENTS, EDITS)
def test_any_edits_make_what_a_rebuild_makes(elements: dict[int, bytes], edits: dict[int, bytes | None]) -> None:
    assert result(elements, edits) == rebuilt(elements, edits)


@given(ELEMENTS, EDITS)
def test_elements_behind_the_last_edit_need_no_scan(elements: dict[int, bytes], edits: dict[int, bytes | None]) -> None:
    stop_before = max(edits, default=0) + 1
    seen = {tag: one for tag, one in elements.items() if tag < stop_before}
    unseen = b"".join(one for tag, one in sorted(elements.items()) if tag >= stop_before)
    assert result(elements, edits, stop_before) == rebuilt(seen, edits) + unseen


OBJECT = {tag: element(tag, b"ab") for tag in (0x00080060, 0x00100010, 0x00100020, 0x00200010)}


@pytest.mark.parametrize(
    "edits",
    [
        pytest.param({0x00080005: element(0x00080005, b"cd")}, id="before the first"),
        pytest.param({0x00200011: element(0x00200011, b"cd")}, id="after the last"),
        pytest.param({0x00100011: element(0x00100011, b"cd")}, id="in between"),
        pytest.param({0x00080060: None, 0x00200010: None}, id="first and last removed"),
        pytest.param(dict.fromkeys(OBJECT), id="all removed"),
        pytest.param({0x00100010: element(0x00100010, b"x "), 0x00100020: element(0x00100020, b"")}, id="adjacent"),
        pytest.param({0x00100015: None}, id="removed though not there"),
    ],
)
def test_elements_are_put_in_replaced_and_taken_out_in_order(edits: dict[int, bytes | None]) -> None:
    assert result(OBJECT, edits) == rebuilt(OBJECT, edits)


def test_without_edits_everything_is_left_to_the_rest() -> None:
    data = b"".join(OBJECT.values())
    spans, scanned_to = scan(data, EXPLICIT_LITTLE)
    assert pieces_of(spans, (), 0, scanned_to) == ([], 0)


def test_group_lengths_stay_without_edits_and_go_with_one() -> None:
    elements = {**OBJECT, 0x00100000: element(0x00100000, b"ab")}
    assert 0x00100000 in scan(result(elements, {}), EXPLICIT_LITTLE, start=len(b""))[0]
    changed = result(elements, {0x00080060: element(0x00080060, b"MR")})
    assert 0x00100000 not in scan(changed, EXPLICIT_LITTLE)[0]
