"""Text by Specific Character Set: the examples of PS3.5 Annexes H to K octet by octet, and what holds for any text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcm4py_leading.dataset.text.character_sets import DEFINED_TERMS, EXTENSIONS, declaration, folded, keeps
from dcm4py_leading.dataset.text.text import (
    can_encode,
    decode,
    encode,
    is_decodable,
    restored,
    shown,
    storable,
)

JAPANESE = ("", "ISO 2022 IR 87")
KATAKANA = ("ISO 2022 IR 13", "ISO 2022 IR 87")
KOREAN = ("", "ISO 2022 IR 149")
CHINESE = ("", "ISO 2022 IR 58")
GREEK = ("ISO 2022 IR 100", "ISO 2022 IR 126")


@pytest.mark.parametrize(
    ("codes", "vr", "text", "octets"),
    [
        (
            JAPANESE,  # H.3.1
            "PN",
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        ),
        (
            KATAKANA,  # H.3.2
            "PN",
            "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
            b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
        ),
        (
            KOREAN,  # I.2
            "PN",
            "Hong^Gildong=洪^吉洞=홍^길동",
            b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        ),
        (
            KOREAN,  # I.3
            "LT",
            "김희중\r\n영상",
            b"\x1b$)C\xb1\xe8\xc8\xf1\xc1\xdf\r\n\x1b$)C\xbf\xb5\xbb\xf3",
        ),
        (
            ("ISO_IR 192",),  # J.1
            "PN",
            "Wang^XiaoDong=王^小東=",
            b"Wang^XiaoDong=\xe7\x8e\x8b^\xe5\xb0\x8f\xe6\x9d\xb1=",
        ),
        (("GB18030",), "PN", "Wang^XiaoDong=王^小东=", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab="),  # J.3
        (
            CHINESE,  # K.2
            "PN",
            "Zhang^XiaoDong=张^小东=",
            b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
        ),
        (
            CHINESE,  # K.3
            "LT",
            "1.第一行文字。\r\n2.第二行文字。\r\n3.第三行文字。",
            b"1.\x1b$)A\xb5\xda\xd2\xbb\xd0\xd0\xce\xc4\xd7\xd6\xa1\xa3\r\n"
            b"2.\x1b$)A\xb5\xda\xb6\xfe\xd0\xd0\xce\xc4\xd7\xd6\xa1\xa3\r\n"
            b"3.\x1b$)A\xb5\xda\xc8\xfd\xd0\xd0\xce\xc4\xd7\xd6\xa1\xa3",
        ),
        (("GBK",), "PN", "Wang^XiaoDong=王^小东=", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab="),  # K.4
        (("ISO_IR 203",), "PN", "Œuvre^Š€", b"\xbcuvre^\xa6\xa4"),
        (("", "ISO 2022 IR 203"), "PN", "Œuvre^Š€", b"\x1b-b\xbcuvre^\x1b-b\xa6\xa4"),
        (GREEK, "PN", "Müller^Διονυσιος", b"M\xfcller^\x1b-F\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2\x1b-A"),
        (("ISO_IR 13",), "LT", "¥ ‾", b"\\ ~"),
        (("ISO 2022 IR 149",), "LO", "홍", b"\xc8\xab"),
    ],
    ids=str,
)
def test_examples_of_the_standard_octet_by_octet(codes: tuple[str, ...], vr: str, text: str, octets: bytes) -> None:
    assert encode(text, codes, vr) == octets
    assert decode(octets, codes, vr) == text


@pytest.mark.parametrize(
    ("codes", "vr", "octets", "text"),
    [
        # What is invoked ends before a delimiter, also where the writer has not gone back to the first set.
        (CHINESE, "PN", b"\x1b$)A\xd5\xc5^\xd0\xa1", "张^\udcd0\udca1"),
        (CHINESE, "LO", b"\x1b$)A\xd5\xc5=\xd5\xc5", "张=张"),
        (GREEK, "PN", b"\x1b-F\xc4^\xc4", "Δ^Ä"),
        (GREEK, "LT", b"\x1b-F\xc4\t\xc4\n\xc4\r\n\xc4\x0c\xc4", "Δ\tÄ\nÄ\r\nÄ\x0cÄ"),
        (GREEK, "LO", b"\x1b-F\xc4\\\xc4", "Δ\\Ä"),
        (GREEK, "LT", b"\x1b-F\xc4\\\xc4", "Δ\\Δ"),
        # Escape sequences that are not needed.
        (JAPANESE, "LO", b"\x1b(Babc\x1b(B", "abc"),
        (JAPANESE, "PN", b"\x1b$B;3ED\x1b(J^Tarou", "山田^Tarou"),
        # The second octet of a character is no backslash.
        (("GBK",), "LO", b"\x81\x5c\\x", "乗\\x"),
        (("GB18030",), "LT", b"\x81\x5c", "乗"),
        (("ISO_IR 13",), "LO", b"\xd4\\\xcf", "ﾔ\\ﾏ"),
        (JAPANESE, "LO", b"\x1b$B!@\x1b(B", "\uff3c"),
    ],
)
def test_text_is_read_as_it_is_invoked(codes: tuple[str, ...], vr: str, octets: bytes, text: str) -> None:
    assert decode(octets, codes, vr) == text


@pytest.mark.parametrize(
    ("codes", "octets"),
    [
        ((), b"M\xfcller"),
        (("ISO_IR 192",), b"M\xfcller^J\xf6rg"),
        (("ISO_IR 100",), b"100 \x80"),  # 08/00 to 09/15 are no characters of the set
        (("ISO_IR 100",), b"\x1b$B;3"),
        (("ISO_IR 126",), b"\xd2"),
        (("FOO",), b"\xe4"),
        (("ISO_IR 100", "ISO_IR 192"), b"\xe4"),
        (("GB18030",), b"\x81 \xff"),
        (JAPANESE, b"\x1b$B\x7d\x7d\x1b(B x"),
        (JAPANESE, b"\x1b$)C\xfb\xf3"),
        (JAPANESE, b"\x1b$B;"),
        (("", "FOO"), b"\x1b-A\xfc"),
    ],
)
def test_undecodable_text_is_marked_and_kept(codes: tuple[str, ...], octets: bytes) -> None:
    text = decode(octets, codes, "LO")
    assert not is_decodable(text)
    assert not can_encode(text, codes)
    assert encode(text, codes, "LO") == octets


@pytest.mark.parametrize(
    ("spelt", "term"),
    [
        ("iso_ir 192", "ISO_IR 192"),
        (" ISO_IR 192 ", "ISO_IR 192"),
        ("UTF-8", "ISO_IR 192"),
        ("ISO 2022 IR 192", "ISO_IR 192"),
        ("ISO-IR 100", "ISO_IR 100"),
        ("ISO_IR_100", "ISO_IR 100"),
        ("ISO IR 100", "ISO_IR 100"),
        ("ISO-2022-IR-87", "ISO 2022 IR 87"),
        ("ISO_IR 149", "ISO 2022 IR 149"),
        ("gb18030", "GB18030"),
        ("ISO_IR 6", ""),
        ("ISO_IR 999", "ISO_IR 999"),
        ("latin1", "latin1"),
    ],
)
def test_other_spellings_mean_the_defined_term(spelt: str, term: str) -> None:
    assert folded(spelt) == term


def test_every_defined_term_is_its_own_spelling() -> None:
    assert all(folded(term) == term and declaration((term,)).is_known for term in DEFINED_TERMS)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ((), (), True),
        ((), ("ISO_IR 6",), True),
        ((), ("", "ISO 2022 IR 100"), True),
        ((), ("ISO_IR 100",), False),
        (("ISO_IR 100",), GREEK, True),
        (GREEK, ("ISO_IR 100",), False),
        (("ISO_IR 100",), ("ISO_IR 192",), False),
        (("iso_ir 192",), ("ISO_IR 192",), True),
        (("FOO",), ("FOO",), True),
        (("FOO",), ("", "ISO 2022 IR 100"), False),
    ],
)
def test_octets_keep_their_meaning_in_the_same_set_and_in_its_extensions(
    old: tuple[str, ...], new: tuple[str, ...], expected: bool
) -> None:
    assert keeps(old, new) is expected


_ONE_TERM = [(term,) for term in (*sorted(DEFINED_TERMS), "FOO", "ISO_IR 149", "iso_ir 192")]
_WITH_EXTENSIONS = st.lists(st.sampled_from(["", "ISO 2022 IR 6", "FOO", *EXTENSIONS]), min_size=2, max_size=4)
SETS = st.one_of(st.just(()), st.sampled_from(_ONE_TERM), _WITH_EXTENSIONS.map(tuple))
VRS = st.sampled_from(["PN", "LO", "LT"])
_PIECES = [b"\x1b", *declaration(("", *EXTENSIONS)).escapes, b"\\", b"^", b"=", b"\r\n", b"\t", b"\x81\\", b"abc", b" "]
OCTETS = st.lists(st.one_of(st.sampled_from(_PIECES), st.binary(max_size=3)), max_size=8).map(b"".join)


@given(octets=OCTETS, codes=SETS, vr=VRS)
def test_any_octets_are_the_same_again_or_the_same_text(octets: bytes, codes: tuple[str, ...], vr: str) -> None:
    text = decode(octets, codes, vr)
    again = encode(text, codes, vr)
    assert decode(again, codes, vr) == text
    if b"\x1b" not in octets or not declaration(codes).escapes:
        assert again == octets
    assert restored(storable(text)) == text
    assert (storable(text).encode() and shown(text).encode()) or not text


@given(text=st.text(max_size=12) | st.text("aä山홍Ωﾔ¥\\^= €", max_size=12), codes=SETS, vr=VRS)
def test_text_that_can_be_encoded_is_the_same_again(text: str, codes: tuple[str, ...], vr: str) -> None:
    if can_encode(text, codes, vr):
        octets = encode(text, codes, vr)
        assert decode(octets, codes, vr) == text
        if not declaration(codes).escapes:
            assert b"\x1b" not in octets


@given(octets=st.lists(st.sampled_from([b"a", b"\xe4", b"\x81", b"^", b"\n", b"\xff"])).map(b"".join), codes=SETS)
def test_extension_of_a_set_reads_the_same(octets: bytes, codes: tuple[str, ...]) -> None:
    extended = (*(codes or ("",)), "ISO 2022 IR 126")
    if keeps(codes, extended):
        assert decode(octets, extended, "PN") == decode(octets, codes, "PN")
