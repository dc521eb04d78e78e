"""Whether a data set is plain: told alike for one that is laid out like another before, and for one that is not."""

from __future__ import annotations

import pytest

from dcm4py_leading.dataset import integrity
from dcm4py_leading.dataset.integrity import plain_spans
from dcm4py_leading.dataset.layout import Layouts
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE, scan

EXPLICIT, JPEG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50"
HEADER = b"\x08\0\x18\0UI\4\x001.2\0"
NATIVE = b"\xe0\x7f\x10\0OW\0\0\4\0\0\0abcd"
ENCAPSULATED = b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff"
ITEM, END_OF_SEQUENCE = b"\xfe\xff\0\xe0", b"\xfe\xff\xdd\xe0\0\0\0\0"


@pytest.fixture(autouse=True)
def layouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integrity, "_layouts", Layouts())


def sequence(item: bytes) -> bytes:
    """(0008,1140) with one item, which has a length as the sequence has."""
    whole = ITEM + len(item).to_bytes(4, "little") + item
    return b"\x08\0\x40\x11SQ\0\0" + len(whole).to_bytes(4, "little") + whole


def fragments(*contents: bytes) -> bytes:
    items = b"".join(ITEM + len(content).to_bytes(4, "little") + content for content in (b"", *contents))
    return ENCAPSULATED + items + END_OF_SEQUENCE


def test_elements_before_the_pixel_data_are_told_once_for_those_laid_out_alike() -> None:
    first = plain_spans(HEADER + NATIVE, EXPLICIT)
    assert first == scan(HEADER, EXPLICIT_LITTLE)[0]
    assert plain_spans(HEADER.replace(b"1.2", b"1.3") + NATIVE, EXPLICIT) is first


@pytest.mark.parametrize("cut", range(1, len(NATIVE)))
def test_pixel_data_that_ends_early_is_found_out_behind_a_known_header(cut: int) -> None:
    assert plain_spans(HEADER + NATIVE, EXPLICIT) is not None
    assert plain_spans(HEADER + NATIVE[:-cut], EXPLICIT) is None


def test_elements_after_the_pixel_data_are_looked_at() -> None:
    padding = b"\xfc\xff\xfc\xffOB\0\0\2\0\0\0\0\0"
    for _ in range(2):
        assert plain_spans(HEADER + NATIVE + padding, EXPLICIT) is not None
        assert plain_spans(HEADER + NATIVE + padding[:-1], EXPLICIT) is None
        assert plain_spans(HEADER + NATIVE + HEADER, EXPLICIT) is None


def test_fragments_are_looked_at_behind_a_known_header() -> None:
    assert plain_spans(HEADER + fragments(b"abcd"), JPEG) is not None
    assert plain_spans(HEADER + fragments(b"ab", b"cdef"), JPEG) is not None
    assert plain_spans(HEADER + fragments(b"abcd")[:-8], JPEG) is None
    assert plain_spans(HEADER + fragments(b"abc"), JPEG) is None


def test_items_are_looked_at_where_the_layout_is_known() -> None:
    item = b"\x08\0\x50\x11UI\4\x001.2\0"
    assert plain_spans(HEADER + sequence(item) + NATIVE, EXPLICIT) is not None
    for broken in (item.replace(b"UI", b"??"), item.replace(b"\4\0", b"\6\0"), item.replace(b"\4\0", b"\3\0")):
        assert plain_spans(HEADER + sequence(broken) + NATIVE, EXPLICIT) is None
    assert plain_spans(HEADER + sequence(item) + NATIVE, EXPLICIT) is not None
