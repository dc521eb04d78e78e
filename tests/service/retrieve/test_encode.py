"""Objects in the transfer syntax that a destination accepts; the pixels stay what they are."""

from io import BytesIO
from pathlib import Path

import numpy
import pydicom
import pytest
from pydicom import Dataset
from pydicom.data import get_testdata_file
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.uid import UID

from dcm4py_leading.errors import SubOperationFailed
from dcm4py_leading.service.retrieve.encode import choose_transfer_syntax, proposed_transfer_syntaxes
from dcm4py_leading.service.retrieve.whole import WholeObject

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED, JPEG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.70"


def sample(name: str) -> pydicom.FileDataset:
    path = get_testdata_file(name, download=False)
    assert path is not None
    return pydicom.dcmread(str(path))


def decoded(data: bytes, syntax: str) -> Dataset:
    uid = UID(syntax)
    ds = read_dataset(BytesIO(data), uid.is_implicit_VR, uid.is_little_endian)
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = uid
    return ds


def transcoded(ds: pydicom.FileDataset, stored: str, target: str) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = UID(stored).is_implicit_VR, UID(stored).is_little_endian
    write_dataset(buffer, ds)
    return b"".join(WholeObject(buffer.getvalue(), stored).encoded(target))


@pytest.mark.parametrize("target", [IMPLICIT, EXPLICIT])
@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm",
        "MR_small.dcm",
        "MR_small_RLE.dcm",
        "MR_small_bigendian.dcm",
        "JPEG2000.dcm",
        "SC_rgb_rle_2frame.dcm",
    ],
)
def test_pixels_and_attributes_survive_the_change_of_syntax(name: str, target: str) -> None:
    ds = sample(name)
    stored = str(ds.file_meta.TransferSyntaxUID)
    pixels, patient = ds.pixel_array.copy(), ds.PatientID
    again = decoded(transcoded(sample(name), stored, target), target)
    assert again.PatientID == patient
    numpy.testing.assert_array_equal(again.pixel_array, pixels)
    assert again.SOPInstanceUID == ds.SOPInstanceUID


@pytest.mark.parametrize("name", ["rtplan.dcm", "test-SR.dcm", "rtdose.dcm"])
def test_objects_without_or_with_other_pixels_change_their_vr_encoding(name: str) -> None:
    ds = sample(name)
    stored = str(ds.file_meta.TransferSyntaxUID)
    for target in (IMPLICIT, EXPLICIT):
        again = decoded(transcoded(sample(name), stored, target), target)
        assert again.to_json_dict() == ds.to_json_dict()


def test_the_stored_syntax_is_preferred_and_then_the_uncompressed_ones() -> None:
    assert choose_transfer_syntax(JPEG, [IMPLICIT, JPEG]) == JPEG
    assert choose_transfer_syntax(JPEG, [IMPLICIT, EXPLICIT]) == EXPLICIT
    assert choose_transfer_syntax(BIG, [IMPLICIT]) == IMPLICIT


def test_destination_that_accepts_neither_syntax_gets_nothing() -> None:
    with pytest.raises(SubOperationFailed):
        choose_transfer_syntax(EXPLICIT, [JPEG])


@pytest.mark.parametrize(
    ("stored", "contexts"),
    [
        (IMPLICIT, ((IMPLICIT,), (EXPLICIT,))),
        (EXPLICIT, ((EXPLICIT,), (IMPLICIT,))),
        (JPEG, ((JPEG,), (EXPLICIT, IMPLICIT))),
        (BIG, ((BIG,), (EXPLICIT, IMPLICIT))),
        (DEFLATED, ((DEFLATED,), (EXPLICIT, IMPLICIT))),
    ],
)
def test_the_stored_syntax_and_the_two_uncompressed_ones_are_proposed(
    stored: str, contexts: tuple[tuple[str, ...], ...]
) -> None:
    assert proposed_transfer_syntaxes(stored) == contexts


def test_failed_decompression_tells_no_values(tmp_path: Path) -> None:
    ds = sample("MR_small_RLE.dcm")
    ds.PixelData = pydicom.encaps.encapsulate([b"\1\2\3\4"])
    with pytest.raises(SubOperationFailed, match="the RLE header ends early"):
        transcoded(ds, str(ds.file_meta.TransferSyntaxUID), EXPLICIT)
