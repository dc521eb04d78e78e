"""Work of a decoder process: from a data set with one frame to native octets, or to a picture.

Needs the extra ``codecs``; whoever imports this is prepared for ImportError.
"""

from __future__ import annotations

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.pixels.utils import pixel_array
from pydicom.uid import ExplicitVRLittleEndian

from dcm4py_leading.dataset.data_sets import read
from dcm4py_leading.dataset.encoder import encode
from dcm4py_leading.dataset.pixels.image_pixel import image_pixel
from dcm4py_leading.dataset.pixels.pixel_data import PIXEL_DATA, decompressed
from dcm4py_leading.dataset.reading import read_data_set
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE
from dcm4py_leading.errors import SubOperationFailed
from dcm4py_leading.model.bounds import DECODED_BYTES
from dcm4py_leading.service.picture.drawing import draw, draw_words
from dcm4py_leading.service.picture.job import Job, Rendering

_FRAME_VOI_LUT, _PIXEL_VALUE_TRANSFORMATION = "FrameVOILUTSequence", "PixelValueTransformationSequence"


def native_frame(job: Job) -> bytes:
    """The frame in native form, without padding. Raises SubOperationFailed, InvalidObject, MemoryError."""
    native = decompressed(read_data_set(job.data, job.transfer_syntax_uid).elements, job.transfer_syntax_uid)
    value = native[PIXEL_DATA].value
    assert not isinstance(value, tuple)
    return bytes(value[: image_pixel(native).frame_length])


def picture_of(job: Job, rendering: Rendering) -> bytes:
    """The picture. Raises as `native_frame`, and whatever pydicom and Pillow raise."""
    if job.words:
        return draw_words(job.words, rendering)
    elements = read_data_set(job.data, job.transfer_syntax_uid).elements
    image = image_pixel(elements)
    octets = image.rows * image.columns * image.samples_per_pixel * max(image.bits_allocated // 8, 1)
    if octets > DECODED_BYTES:
        raise SubOperationFailed(f"one frame takes {octets >> 20} MB, more than is decoded")
    native = decompressed(elements, job.transfer_syntax_uid)
    ds = read(b"".join(encode(native, EXPLICIT_LITTLE)), EXPLICIT_LITTLE)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    _lift(ds)
    return draw(pixel_array(ds), ds, rendering)


def _lift(ds: Dataset) -> None:
    """Take what functional groups say of the grey levels to the top, where single-frame images have it."""
    for groups in (ds.get("PerFrameFunctionalGroupsSequence"), ds.get("SharedFunctionalGroupsSequence")):
        for item in groups or ():
            for keyword in (_FRAME_VOI_LUT, _PIXEL_VALUE_TRANSFORMATION):
                for inner in item.get(keyword) or ():
                    for element in inner:
                        if element.tag not in ds:
                            ds[element.tag] = element
