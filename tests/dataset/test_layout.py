"""Scanning what is laid out like something before: the same as scanning it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcm4py_leading.dataset import layout
from dcm4py_leading.dataset.layout import Layouts, Ranges
from dcm4py_leading.dataset.object_bytes import MemoryBytes
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE, Unscannable, scan

STOP = 0x00200000


def element(tag: int, vr: bytes, value: bytes) -> bytes:
    header = tag.to_bytes(4, "little")[2:] + tag.to_bytes(4, "little")[:2] + vr
    return header + len(value).to_bytes(2, "little") + value


def data_set(*values: str, sequence: bytes = b"") -> memoryview:
    tags = [0x00080018, 0x00080060, 0x00100010, 0x00100020]
    elements = [element(tag, b"LO", value.encode()) for tag, value in zip(tags, values, strict=False)]
    return memoryview(b"".join(elements) + sequence + element(0x00280010, b"US", b"\1\0"))


VALUES = st.lists(st.sampled_from(["", "AB", "ABCD", "CD"]), min_size=1, max_size=4)


@given(st.lists(VALUES, min_size=1, max_size=12))
def test_remembered_layout_is_what_a_scan_finds(data_sets: list[list[str]]) -> None:
    layouts = Layouts()
    for values in data_sets:
        view = data_set(*values)
        assert layouts.scan(view, EXPLICIT_LITTLE, start=0, stop_before=STOP) == scan(
            view, EXPLICIT_LITTLE, stop_before=STOP
        )


MUTATION = st.tuples(st.integers(0, 200), st.sampled_from([b"", b"\0", b"\2", b"\xff" * 4, b"\xfe\xff\0\xe0", b"UN"]))


@given(st.lists(st.tuples(st.lists(MUTATION, max_size=2), st.integers(0, 12)), min_size=1, max_size=12))
@pytest.mark.parametrize("is_rest_checked", [False, True])
@pytest.mark.parametrize("stop_before", [STOP, 0x00280010, 1 << 32])
def test_a_damaged_data_set_is_judged_as_by_a_scan(
    stop_before: int, is_rest_checked: bool, damages: list[tuple[list[tuple[int, bytes]], int]]
) -> None:
    """However much it resembles whole ones before."""
    plain = bytes(data_set("AB", "CD", "ABCD", sequence=b"\x18\0\x10\x11SQ\0\0\x08\0\0\0\xfe\xff\0\xe0\0\0\0\0"))
    layouts = Layouts()
    for mutations, cut_off in [([], 0), *damages]:
        damaged = bytearray(plain)
        for at, octets in mutations:
            damaged[at % len(plain) : at % len(plain) + len(octets)] = octets
        source = MemoryBytes(bytes(damaged[: len(damaged) - cut_off]))
        assert judged(layouts, source, stop_before, is_rest_checked) == judged(
            Layouts(), source, stop_before, is_rest_checked
        )


def judged(layouts: Layouts, source: MemoryBytes, stop_before: int, is_rest_checked: bool) -> object:
    try:
        return layouts.scan_object(source, EXPLICIT_LITTLE, stop_before=stop_before, is_rest_checked=is_rest_checked)
    except Unscannable:
        return None


def test_a_data_set_laid_out_alike_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    layouts = Layouts()
    expected = layouts.scan(data_set("AB", "CD"), EXPLICIT_LITTLE, start=0, stop_before=STOP)
    monkeypatch.setattr(layout, "scan", None)
    assert layouts.scan(data_set("EF", "GH"), EXPLICIT_LITTLE, start=0, stop_before=STOP) == expected


def test_a_sequence_of_undefined_length_is_read_each_time() -> None:
    def sequence(items: int) -> bytes:
        header = b"\x18\0\x10\x11SQ\0\0\xff\xff\xff\xff"
        return header + b"\xfe\xff\x00\xe0\0\0\0\0" * items + b"\xfe\xff\xdd\xe0\0\0\0\0"

    layouts = Layouts()
    for items in (1, 2, 1):
        view = data_set("AB", sequence=sequence(items))
        assert layouts.scan(view, EXPLICIT_LITTLE, start=0, stop_before=STOP) == scan(
            view, EXPLICIT_LITTLE, stop_before=STOP
        )


def test_one_that_ends_early_is_found_out() -> None:
    whole = memoryview(element(0x00080018, b"LO", b"ABCD"))
    layouts = Layouts()
    layouts.scan(whole, EXPLICIT_LITTLE, start=0, stop_before=STOP)
    with pytest.raises(Unscannable):
        layouts.scan(whole[:-2], EXPLICIT_LITTLE, start=0, stop_before=STOP)


@pytest.mark.parametrize("is_encapsulated", [False, True])
def test_the_rest_is_checked_each_time_where_that_is_asked_for(is_encapsulated: bool) -> None:
    pixels = b"\xe0\x7f\x10\0OB\0\0" + (b"\4\0\0\0" + bytes(4) if not is_encapsulated else b"\xff\xff\xff\xff")
    if is_encapsulated:
        pixels += b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    name = b"\x10\0\x10\0PN\4\0DOE "
    whole, again = name + pixels, name + pixels + name
    swapped = name + pixels[:-4] + name[:4] if not is_encapsulated else name + pixels + b"\0\0"
    layouts = Layouts()
    for data in (whole, whole, again, whole, swapped + b"PN", again):
        view = memoryview(data)
        assert layouts.scan(view, EXPLICIT_LITTLE, start=0, stop_before=0x00200000)[1] == len(name)
        if data == whole:
            found = layouts.scan(view, EXPLICIT_LITTLE, start=0, stop_before=0x00200000, is_rest_checked=True)
            assert found == ({0x00100010: (0, 8, 12)}, 12)
        else:
            with pytest.raises(Unscannable):
                layouts.scan(view, EXPLICIT_LITTLE, start=0, stop_before=0x00200000, is_rest_checked=True)


def test_layouts_are_forgotten_beyond_their_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "REMEMBERED_LAYOUT_ELEMENTS", 7)
    layouts = Layouts()
    for values in (["AB"], ["ABCD"], ["AB", "CD", "EF", "GH"], ["AB"] * 4):
        layouts.scan(data_set(*values), EXPLICIT_LITTLE, start=0, stop_before=STOP)
        held = [one for known in layouts._known.values() for one in known]
        assert 1 <= sum(len(one.spans) for one in held) <= 7


def test_series_in_which_no_two_are_alike_is_hardly_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    learned: list[Ranges] = []

    def learn(cuts: list[tuple[int, int]]) -> Ranges:
        learned.append(Ranges(cuts))
        return learned[-1]

    monkeypatch.setattr(layout, "Ranges", learn)
    layouts = Layouts()
    for number in range(400):
        layouts.scan(data_set("A" * 2 * number), EXPLICIT_LITTLE, start=0, stop_before=STOP)
    assert len(learned) < 50
    for _ in range(40):
        layouts.scan(data_set("ABCD"), EXPLICIT_LITTLE, start=0, stop_before=STOP)
    assert len(learned) < 53
    monkeypatch.setattr(layout, "scan", None)
    layouts.scan(data_set("EFGH"), EXPLICIT_LITTLE, start=0, stop_before=STOP)
