"""What was decoded and encoded as a whole is not damaged on the way, or does not leave."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from dcm4py_leading.dataset.elements import Element, Elements, Fragments, Item, Items
from dcm4py_leading.dataset.soundness import Unsound, require_sound

CHARACTER_SET, NAME, SEQUENCE, PIXEL_DATA = 0x00080005, 0x00100010, 0x00081140, 0x7FE00010
IMAGE = {0x00280002: (b"US", b"\1\0"), 0x00280010: (b"US", b"\2\0"), 0x00280011: (b"US", b"\3\0")}
IMAGE |= {0x00280100: (b"US", b"\x08\0"), 0x00280008: (b"IS", b"2 ")}


def elements(values: Mapping[int, tuple[bytes, object]]) -> Elements:
    return {tag: Element(tag, vr, value) for tag, (vr, value) in values.items()}  # type: ignore[arg-type]


def name(octets: bytes, codes: bytes = b"ISO_IR 192") -> Elements:
    return elements({CHARACTER_SET: (b"CS", codes), NAME: (b"PN", octets)})


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (name(b"M\xfcller"), name("M\ufffdller".encode()), r"\(0010,0010\) PatientName would lose characters"),
        (name(b"A"), name(b"\x1b$B;3"), r"PatientName would get escape sequences"),
    ],
)
def test_text_that_was_damaged_does_not_leave(before: Elements, after: Elements, reason: str) -> None:
    with pytest.raises(Unsound, match=reason):
        require_sound(before, after, [NAME], is_encapsulated=False)
    require_sound(before, after, [], is_encapsulated=False)
    require_sound(after, after, [NAME], is_encapsulated=False)


def test_escape_sequences_are_right_where_the_character_set_has_them() -> None:
    after = name(b"\x1b$B;3\x1b(B", b"\\ISO 2022 IR 87")
    require_sound(name(b"A"), after, [NAME], is_encapsulated=False)


def test_text_is_checked_in_items_and_other_octets_are_not() -> None:
    damaged = "\ufffd".encode() + b" "
    for vr, is_sound in ((b"LO", False), (b"OB", True)):
        inner = Element(0x00081150, vr, damaged)
        after = elements({SEQUENCE: (b"SQ", Items((Item({inner.tag: inner}, False),), False))})
        if is_sound:
            require_sound({}, after, [SEQUENCE], is_encapsulated=False)
        else:
            with pytest.raises(Unsound, match="ReferencedImageSequence"):
                require_sound({}, after, [SEQUENCE], is_encapsulated=False)


def test_encapsulated_pixel_data_leaves_in_its_syntaxes_only() -> None:
    icon = Element(PIXEL_DATA, b"OB", Fragments((b"", b"\1\2")))
    for whole in ({PIXEL_DATA: icon}, elements({SEQUENCE: (b"SQ", Items((Item({PIXEL_DATA: icon}, False),), False))})):
        require_sound(whole, whole, [], is_encapsulated=True)
        with pytest.raises(Unsound, match="encapsulated"):
            require_sound(whole, whole, [], is_encapsulated=False)


@pytest.mark.parametrize(("octets", "frames", "is_sound"), [(12, b"2 ", True), (6, b"2 ", False), (12, b"1 ", False)])
def test_native_pixel_data_has_all_frames(octets: int, frames: bytes, is_sound: bool) -> None:
    before = elements(IMAGE | {PIXEL_DATA: (b"OB", Fragments((b"", b"\1\2", b"\1\2")))})
    after = elements(IMAGE | {0x00280008: (b"IS", frames), PIXEL_DATA: (b"OB", bytes(octets))})
    if is_sound:
        require_sound(before, after, [PIXEL_DATA], is_encapsulated=False)
    else:
        with pytest.raises(Unsound, match="NumberOfFrames"):
            require_sound(before, after, [PIXEL_DATA], is_encapsulated=False)
