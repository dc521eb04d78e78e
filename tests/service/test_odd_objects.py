"""Objects that do not follow the encoding rules, on their way out: one identity, nothing lost, nothing damaged."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset
from pydicom.filereader import read_dataset

from dcm4py_leading.dataset.deflate import inflated
from dcm4py_leading.dataset.identity import identity_of
from dcm4py_leading.dataset.reading import parse
from dcm4py_leading.dataset.scan import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, Encoding
from dcm4py_leading.errors import ObjectMismatch, SubOperationFailed
from dcm4py_leading.model.values import AETitle
from dcm4py_leading.service.proxy.forwarded_object import ForwardedObject
from dcm4py_leading.service.proxy.forwarded_retrieve import ArrivedObject
from dcm4py_leading.service.retrieve.selections import Selections
from dcm4py_leading.service.retrieve.sub_operations import RetrievedObject
from dcm4py_leading.service.retrieve.whole import WholeObject, coercing
from tests.fixtures.encoded import encoded
from tests.fixtures.outgoing import LEVELS, Retrieve, indexed, sent, write_object
from tests.fixtures.rules import CT, LEADING, data_set, legacy_rule

IMPLICIT, EXPLICIT, BIG, DEFLATED = ("1.2.840.10008.1.2" + end for end in ("", ".1", ".2", ".1.99"))
JPIP = "1.2.840.10008.1.2.4.95"
ENCODINGS = {IMPLICIT: IMPLICIT_LITTLE, EXPLICIT: EXPLICIT_LITTLE, BIG: EXPLICIT_BIG}
NAME, ID, ROWS, PIXEL_DATA, REFERENCED = 0x00100010, 0x00100020, 0x00280010, 0x7FE00010, 0x00081140
LEADING_RULE = legacy_rule(leading_cfind_scp=AETitle(LEADING))
ANSWER = data_set(StudyInstanceUID="1.2.1", PatientName="LEAD^NAME", PatientID="LPID")
PIXELS = bytes(range(200))


@pytest.fixture(autouse=True)
def values_as_they_are() -> Iterator[None]:
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        yield


def plain() -> Dataset:
    ds = data_set(SOPClassUID=CT, SOPInstanceUID="1.2.3", StudyInstanceUID="1.2.1", SeriesInstanceUID="1.2.2")
    ds.update(data_set(PatientName="STALE^NAME", PatientID="STALEPID", Modality="CT", Rows=10, Manufacturer="ACME"))
    ds.ReferencedImageSequence = [data_set(ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID="1.2.9")]
    ds.add_new(PIXEL_DATA, "OW", PIXELS)
    return ds


@dataclass(frozen=True)
class Writer:
    """Writes elements in one of the encodings."""

    encoding: Encoding

    def element(self, tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
        order = "<" if self.encoding.is_little_endian else ">"
        length = len(value) if length is None else length
        head = struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF)
        if self.encoding.is_implicit_vr or not vr:
            return head + struct.pack(f"{order}L", length) + value
        if vr in (b"OB", b"OW", b"SQ", b"UN"):
            return head + vr + struct.pack(f"{order}2xL", length) + value
        return head + vr + struct.pack(f"{order}H", length) + value

    def parts(self, ds: Dataset) -> dict[int, bytes]:
        data = encoded(ds, self.encoding)
        found, at = {}, 0
        for tag in parse(data, self.encoding).elements:
            size = len(encoded(Dataset({pydicom.tag.Tag(tag): ds[tag]}), self.encoding))
            found[tag] = data[at : at + size]
            at += size
        return found


def without_order(write: Writer, parts: dict[int, bytes]) -> bytes:
    early = {ROWS: parts.pop(ROWS)}
    return b"".join(early.values()) + b"".join(parts.values())


def with_identity_again(write: Writer, parts: dict[int, bytes]) -> bytes:
    return b"".join(parts.values()) + parts[NAME] + parts[ID]


def with_delimiters(write: Writer, parts: dict[int, bytes]) -> bytes:
    return b"".join(parts.values()) + write.element(0xFFFEE00D, b"", b"") + write.element(0xFFFEE0DD, b"", b"")


def with_unknown_vr(write: Writer, parts: dict[int, bytes]) -> bytes:
    parts[0x00080070] = write.element(0x00080070, b"??", b"ACME")
    return b"".join(parts.values())


def with_one_of_the_other_form(write: Writer, parts: dict[int, bytes]) -> bytes:
    if write.encoding.is_implicit_vr:
        parts[0x00080070] = Writer(EXPLICIT_LITTLE).element(0x00080070, b"LO", b"ACME")
    else:
        parts[0x00080070] = write.element(0x00080070, b"", b"ACME")
    return b"".join(parts.values())


def with_odd_text(write: Writer, parts: dict[int, bytes]) -> bytes:
    parts[0x00080080] = write.element(0x00080080, b"LO", b"odd")
    return b"".join(parts[tag] for tag in sorted(parts))


def with_odd_value_in_an_item(write: Writer, parts: dict[int, bytes]) -> bytes:
    inner = write.element(0x00081150, b"UI", CT.encode() + b"\0") + write.element(0x00081155, b"UI", b"1.2.9")
    item = write.element(0xFFFEE000, b"", inner)
    parts[REFERENCED] = write.element(REFERENCED, b"SQ", item)
    return b"".join(parts.values())


def with_a_number_cut_off(write: Writer, parts: dict[int, bytes]) -> bytes:
    parts[0x00189073] = write.element(0x00189073, b"FD", b"\x18\0\x63\0\0\0")
    return b"".join(parts[tag] for tag in sorted(parts))


ODD = [
    without_order,
    with_identity_again,
    with_delimiters,
    with_unknown_vr,
    with_one_of_the_other_form,
    with_odd_text,
    with_odd_value_in_an_item,
    with_a_number_cut_off,
]


def outgoing(way: str, folder: Path, data: bytes, syntax: str, retrieve: Retrieve) -> RetrievedObject:
    """The object as it is stored here, or as it comes through from another archive."""
    if way == "stored":
        path = write_object(folder / "object", data, syntax)
        return retrieve.instance(indexed(path, syntax, [(plain(), tags) for tags in LEVELS]))
    identity = identity_of(data, syntax)
    arrived = ArrivedObject(
        sop_class_uid=identity.sop_class_uid,
        sop_instance_uid=identity.sop_instance_uid,
        transfer_syntax_uid=syntax,
        data=data,
        study_instance_uid=identity.study_instance_uid,
        is_in_order=identity.is_in_order,
    )
    return ForwardedObject(retrieve.common, Selections(retrieve.common.coercer, ["1.2.1"]), arrived)


def delivered(data: bytes, syntax: str) -> Dataset:
    if syntax == DEFLATED:
        data, syntax = bytes(inflated(data)), EXPLICIT
    encoding = ENCODINGS[syntax]
    assert not parse(data, encoding).oddities
    return read_dataset(BytesIO(data), encoding.is_implicit_vr, encoding.is_little_endian)


@pytest.mark.parametrize("way", ["stored", "forwarded"])
@pytest.mark.parametrize("syntax", ENCODINGS)
@pytest.mark.parametrize("make", ODD, ids=lambda make: make.__name__)
def test_an_odd_object_leaves_with_the_leading_identity_alone(
    way: str, syntax: str, make: object, tmp_path: Path
) -> None:
    write = Writer(ENCODINGS[syntax])
    assert callable(make)
    data = make(write, write.parts(plain()))
    for target in dict.fromkeys((syntax, EXPLICIT, IMPLICIT)):
        for rules in ([LEADING_RULE], []):
            retrieve = Retrieve(tmp_path, *rules, answer=ANSWER)
            content = sent(outgoing(way, tmp_path, data, syntax, retrieve).prepare([target]))
            identity = (b"LEAD^NAME", b"LPID") if rules else (b"STALE^NAME", b"STALEPID")
            assert [content.count(text) for text in identity] == [1, 1]
            assert content.count(b"STALE") == (0 if rules else 2)
            ds = read_dataset(BytesIO(content), *astuple(ENCODINGS[target]))
            assert (ds.Rows, ds.Manufacturer, ds.ReferencedImageSequence[0].ReferencedSOPInstanceUID) == (
                *(10, "ACME", "1.2.9"),
            )
            assert ds.PixelData == (PIXELS if syntax != BIG or target == BIG else swapped(PIXELS))
            # What stands in an item without its rules being broken up there leaves as it is.
            if make not in (with_odd_value_in_an_item, with_a_number_cut_off):
                delivered(content, target)


def astuple(encoding: Encoding) -> tuple[bool, bool]:
    return encoding.is_implicit_vr, encoding.is_little_endian


def swapped(data: bytes) -> bytes:
    return b"".join(data[at : at + 2][::-1] for at in range(0, len(data), 2))


@pytest.mark.parametrize("way", ["stored", "forwarded"])
@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
@pytest.mark.parametrize("rules", [[LEADING_RULE], []], ids=["leading", "none"])
def test_pixel_data_of_odd_length_is_padded(way: str, syntax: str, rules: list[object], tmp_path: Path) -> None:
    write = Writer(ENCODINGS[syntax])
    parts = write.parts(plain())
    parts[PIXEL_DATA] = write.element(PIXEL_DATA, b"OW" if syntax == IMPLICIT else b"OB", PIXELS[:101])
    retrieve = Retrieve(tmp_path, *rules, answer=ANSWER)  # type: ignore[arg-type]
    prepared = outgoing(way, tmp_path, b"".join(parts.values()), syntax, retrieve).prepare([syntax])
    assert delivered(sent(prepared), syntax).PixelData == PIXELS[:101] + b"\0"


@pytest.mark.parametrize("way", ["stored", "forwarded"])
@pytest.mark.parametrize("deflate", [zlib.compress, None], ids=["zlib", "raw"])
def test_deflated_objects_are_coerced_and_leave_in_each_syntax(way: str, deflate: object, tmp_path: Path) -> None:
    write = Writer(EXPLICIT_LITTLE)
    data = b"".join(write.parts(plain()).values())
    compressor = zlib.compressobj(wbits=-15)
    small = deflate(data) if callable(deflate) else compressor.compress(data) + compressor.flush()
    small += bytes(len(small) % 2)
    for target in (DEFLATED, EXPLICIT, IMPLICIT):
        retrieve = Retrieve(tmp_path, LEADING_RULE, answer=ANSWER)
        ds = delivered(sent(outgoing(way, tmp_path, small, DEFLATED, retrieve).prepare([target])), target)
        assert (ds.PatientName, ds.PatientID, ds.PixelData) == ("LEAD^NAME", "LPID", PIXELS)
    content = sent(outgoing(way, tmp_path, small, DEFLATED, Retrieve(tmp_path)).prepare([DEFLATED]))
    assert inflated(content) == data
    assert callable(deflate) or content == small
    assert zlib.decompress(content, wbits=-15) == data


@pytest.mark.parametrize("way", ["stored", "forwarded"])
def test_object_that_refers_to_its_pixel_data_leaves_in_its_own_syntax_only(way: str, tmp_path: Path) -> None:
    ds = plain()
    del ds.PixelData
    compressor = zlib.compressobj(wbits=-15)
    small = compressor.compress(encoded(ds, EXPLICIT_LITTLE)) + compressor.flush()
    small += bytes(len(small) % 2)
    assert sent(outgoing(way, tmp_path, small, JPIP, Retrieve(tmp_path)).prepare([JPIP])) == small
    retrieve = Retrieve(tmp_path, LEADING_RULE, answer=ANSWER)
    again = sent(outgoing(way, tmp_path, small, JPIP, retrieve).prepare([JPIP]))
    assert delivered(again, DEFLATED).PatientName == "LEAD^NAME"
    with pytest.raises(SubOperationFailed, match="elsewhere"):
        outgoing(way, tmp_path, small, JPIP, Retrieve(tmp_path)).prepare([EXPLICIT])


def test_two_identities_in_one_object_are_nobodys(tmp_path: Path) -> None:
    write = Writer(EXPLICIT_LITTLE)
    data = b"".join(write.parts(plain()).values())
    for tag, value in ((NAME, b"OTHER^NAME"), (ID, b"OTHER1"), (0x0020000D, b"1.2.77")):
        twice = data + write.element(tag, b"UI" if tag >> 16 == 0x20 else b"LO", value)
        with pytest.raises(SubOperationFailed, match=r"is there twice, with different values"):
            outgoing("stored", tmp_path, twice, EXPLICIT, Retrieve(tmp_path)).prepare([EXPLICIT])
        if tag != NAME:
            with pytest.raises(ObjectMismatch):
                identity_of(twice, EXPLICIT)
    twice = data + write.element(NAME, b"PN", b"OTHER^NAME")
    retrieve = Retrieve(tmp_path, LEADING_RULE, answer=ANSWER)
    # The leading archive says who it is.
    content = sent(outgoing("stored", tmp_path, twice, EXPLICIT, retrieve).prepare([EXPLICIT]))
    assert (content.count(b"LEAD^NAME"), content.count(b"STALE"), content.count(b"OTHER")) == (1, 0, 0)


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
def test_untouched_elements_keep_their_bytes_where_the_character_set_changes(syntax: str, tmp_path: Path) -> None:
    write = Writer(ENCODINGS[syntax])
    parts = write.parts(plain())
    odd = {
        0x00189073: write.element(0x00189073, b"FD", b"\x18\0\x63\0\0\0"),
        0x00280030: write.element(0x00280030, b"DS", b"no\\number "),
        0x00200013: write.element(0x00200013, b"IS", b"one\xff"),
    }
    answer = data_set(
        SpecificCharacterSet="ISO_IR 192", StudyInstanceUID="1.2.1", PatientName="山田^太郎", PatientID="L1"
    )
    data = b"".join((parts | odd)[tag] for tag in sorted(parts | odd))
    retrieve = Retrieve(tmp_path, LEADING_RULE, answer=answer)
    path = write_object(tmp_path / "object", data, syntax)
    instance = indexed(path, syntax, [(plain(), tags) for tags in LEVELS[:3]] + [(Dataset(), ())])
    content = sent(retrieve.instance(instance).prepare([syntax]))
    assert read_dataset(BytesIO(content), *astuple(ENCODINGS[syntax])).PatientName == "山田^太郎"
    assert all(element in content for element in odd.values())
    other = EXPLICIT if syntax == IMPLICIT else IMPLICIT
    content = sent(retrieve.instance(instance).prepare([other]))
    ds = read_dataset(BytesIO(content), *astuple(ENCODINGS[other]))
    assert ds.get_item(0x00189073).value == b"\x18\0\x63\0\0\0"
    assert ds.get_item(0x00280030).value == b"no\\number "


def test_needed_but_unreadable_element_is_named() -> None:
    write = Writer(EXPLICIT_LITTLE)
    ds = WholeObject(write.element(0x00189073, b"FD", b"\x18\0\x63\0\0\0"), EXPLICIT).dataset
    with pytest.raises(SubOperationFailed, match=r"\(0018,9073\) AcquisitionDuration cannot be read"), coercing(ds):
        ds.AcquisitionDuration  # noqa: B018 - reads it
