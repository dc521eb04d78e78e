"""Files that are dropped to try rules on: what is kept of them, and what is refused without a value of theirs."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)

from dcm4py_leading.dataset.reading import parse
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE
from dcm4py_leading.model import bounds
from dcm4py_leading.service.explain import WrongQuestion
from dcm4py_leading.service.trying import dropped
from dcm4py_leading.service.trying.dropped import data_set_of_file
from tests.fixtures.datasets import CT, make_instance


def octets(tmp_path: Path, **attributes: object) -> bytes:
    return make_instance(tmp_path / "object.dcm", source=CT, attributes=attributes).read_bytes()


def in_syntax(content: bytes, uid: str) -> bytes:
    ds = pydicom.dcmread(BytesIO(content))
    del ds.PixelData
    ds.file_meta.TransferSyntaxUID = UID(uid)
    written = BytesIO()
    is_implicit, is_little = uid == ImplicitVRLittleEndian, uid != ExplicitVRBigEndian
    pydicom.dcmwrite(written, ds, implicit_vr=is_implicit, little_endian=is_little, enforce_file_format=True)
    return written.getvalue()


@pytest.mark.parametrize("uid", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_file_of_any_transfer_syntax_is_read(tmp_path: Path, uid: str) -> None:
    content = in_syntax(octets(tmp_path, PatientID="DROPPED"), uid)
    assert parse(data_set_of_file(content), EXPLICIT_LITTLE).value(0x00100020) == b"DROPPED "


def test_bulk_data_is_cut_and_still_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dropped, "TRIED_VALUE_BYTES", 1000)
    elements = parse(data_set_of_file(octets(tmp_path)), EXPLICIT_LITTLE).elements
    pixels = elements[0x7FE00010]
    assert (pixels.vr, len(pixels.value)) == (b"OW", dropped.BULK_SHOWN_BYTES)


def test_encapsulated_pixel_data_is_there_by_name(tmp_path: Path) -> None:
    ds = pydicom.dcmread(BytesIO(octets(tmp_path)))
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    ds.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9"])
    ds["PixelData"].VR = "OB"
    written = BytesIO()
    ds.save_as(written)
    elements = parse(data_set_of_file(written.getvalue()), EXPLICIT_LITTLE).elements
    assert len(elements[0x7FE00010].value) == dropped.BULK_SHOWN_BYTES


def test_text_is_never_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dropped, "TRIED_VALUE_BYTES", 4)
    content = octets(tmp_path, PatientID="DROPPED")
    assert parse(data_set_of_file(content), EXPLICIT_LITTLE).value(0x00100020) == b"DROPPED "


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no DICOM file"),
        (b"%PDF-1.7" + bytes(200), "no DICOM file"),
        (bytes(128) + b"DICM", "damaged"),
        (bytes(128) + b"DICM" + b"\xff" * 40, "damaged"),
    ],
)
def test_other_files_are_refused(content: bytes, reason: str) -> None:
    with pytest.raises(WrongQuestion, match=reason):
        data_set_of_file(content)


def test_file_that_ends_early_is_refused_without_its_values(tmp_path: Path) -> None:
    content = octets(tmp_path, PatientID="SECRET-ID")
    at = content.index(b"SECRET-ID")
    with pytest.raises(WrongQuestion, match="cannot be read") as err:
        data_set_of_file(content[: at + 4])
    assert "SECR" not in str(err.value)


def test_file_that_is_long_without_bulk_data_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dropped, "TRIED_DATA_SET_BYTES", 500)
    with pytest.raises(WrongQuestion, match="more than 500 bytes"):
        data_set_of_file(octets(tmp_path))


def test_a_deflated_bomb_is_refused() -> None:
    import zlib

    syntax = DeflatedExplicitVRLittleEndian.encode()
    meta = b"\x02\x00\x10\x00UI" + len(syntax).to_bytes(2, "little") + syntax
    head = bytes(128) + b"DICM\x02\x00\x00\x00UL\x04\x00" + len(meta).to_bytes(4, "little") + meta
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    bomb = compressor.compress(bytes(bounds.INFLATED_BYTES + (1 << 20))) + compressor.flush()
    with pytest.raises(WrongQuestion, match="octets when it is inflated"):
        data_set_of_file(head + bomb)
