"""An object of a request that is a DICOM file (PS3.10 7), of which only the head is read before the data set is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from itertools import chain

from dcm4py_leading.dataset.part10 import read_file_meta
from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.errors import InvalidObject
from dcm4py_leading.log import word
from dcm4py_leading.model.bounds import STORED_HEAD_BYTES
from dcm4py_leading.service.dicomweb.multipart import Part

DICOM = "application/dicom"


@dataclass(frozen=True, slots=True, kw_only=True)
class SentObject:
    """An object of a request, as far as its head tells."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data: Iterable[Buffer]
    """Its data set, while it arrives."""


def sent_object(part: Part) -> SentObject:
    """The object that a part is. Raises InvalidObject."""
    if part.media_type not in (DICOM, ""):
        raise InvalidObject(f"Content-Type {word(part.media_type)} where {DICOM} was expected")
    head = bytearray()
    for piece in part.data:
        head += piece
        if len(head) >= STORED_HEAD_BYTES:
            break
    meta = read_file_meta(BytesIO(head))
    if meta is None:
        raise InvalidObject("it is no DICOM file (PS3.10 7.1)")
    return SentObject(
        sop_class_uid=meta.media_storage_sop_class_uid,
        sop_instance_uid=meta.media_storage_sop_instance_uid,
        transfer_syntax_uid=meta.transfer_syntax_uid,
        data=chain([memoryview(head)[meta.end :]], part.data),
    )
