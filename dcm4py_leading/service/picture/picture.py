"""A picture of a study: of the middle image of its first series of images."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from pydicom.uid import UID

from dcm4py_leading.archive.index.index import IndexedInstance
from dcm4py_leading.archive.index.querying.query import RetrieveKeys
from dcm4py_leading.errors import StorageUnavailable, SubOperationFailed
from dcm4py_leading.model.bounds import PICTURE_PIXELS
from dcm4py_leading.model.values import Level
from dcm4py_leading.service.dicomweb.frame_places import frames_of
from dcm4py_leading.service.dicomweb.native_frames import frame_data_set
from dcm4py_leading.service.picture.decoders import Decoders, DecodersBusy, decoders
from dcm4py_leading.service.picture.job import PNG, Job, Rendering, Viewport
from dcm4py_leading.service.retrieve.encode import ObjectErrors, PreparedObject, Spliced
from dcm4py_leading.service.retrieve.file_bytes import Buffers, FileBytes
from dcm4py_leading.service.runtime import Runtime
from dcm4py_leading.service.studies.search import own_ae

_IN_PAGES = Rendering(media_type=PNG, viewport=Viewport(width=PICTURE_PIXELS, height=PICTURE_PIXELS, enlarges=False))
_READING = ObjectErrors("the image cannot be read")
_MAX_KINDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture, or the reason why there is none."""

    png: str = ""
    """PNG file, in base64."""
    why_not: str = ""

    def to_json(self) -> dict[str, Any]:
        """As JSON, for other processes."""
        return asdict(self)


def picture(runtime: Runtime, ae_title: str, study_instance_uid: str) -> Picture:
    """The picture of a study that is stored here. Raises UnknownAE, IndexUnavailable."""
    ae = own_ae(runtime, ae_title)
    keys = RetrieveKeys(level=Level.STUDY, study_instance_uids=(study_instance_uid,))
    stored = () if runtime.hides_everything(ae) else runtime.index.instances(keys)
    if not stored:
        return Picture(why_not="no object of the study is stored here")
    image = middle_image(stored)
    if image is None:
        return Picture(why_not=f"the study has no image: its objects are {_kinds(stored)}")
    try:
        descriptor = runtime.storage(image.location.storage_id).open_descriptor(image.location)
    except StorageUnavailable as err:
        return Picture(why_not=str(err))
    return picture_of_file(descriptor, image.transfer_syntax_uid, decoders())


def middle_image(stored: Sequence[IndexedInstance]) -> IndexedInstance | None:
    """The middle image of the first series with images, in order of storage."""
    for _, of_series in groupby(stored, key=lambda one: one.series_instance_uid):
        images = [one for one in of_series if is_image(one.sop_class_uid)]
        if images:
            return images[len(images) // 2]
    return None


def is_image(sop_class_uid: str) -> bool:
    """True if the SOP class is an image by its name in PS3.6 Annex A, or is private."""
    name = UID(sop_class_uid).name
    return "Image Storage" in name or name in (sop_class_uid, "RT Dose Storage")


def _kinds(stored: Sequence[IndexedInstance]) -> str:
    names = list(dict.fromkeys(UID(one.sop_class_uid).name for one in stored))
    return ", ".join(names[:_MAX_KINDS]) + (" and others" if len(names) > _MAX_KINDS else "")


def picture_of_file(descriptor: int, transfer_syntax_uid: str, decoding: Decoders) -> Picture:
    """The picture of a stored object; its file, which is closed, was written by this service."""
    try:
        source = FileBytes(descriptor, os.fstat(descriptor).st_size, Buffers())
        prepared = PreparedObject(
            sop_class_uid="",
            sop_instance_uid="",
            transfer_syntax_uid=transfer_syntax_uid,
            length=source.size - source.start,
            source=source.batches((), source.start),
            release=source.close,
            spliced=Spliced((), source, source.start),
        )
        with closing(prepared), _READING:
            values = frames_of(prepared)
            data = frame_data_set(values, len(values.places) // 2)
        made = decoding.run(Job(transfer_syntax_uid=values.transfer_syntax_uid, rendering=_IN_PAGES, data=data))
    except (SubOperationFailed, StorageUnavailable, DecodersBusy) as err:
        return Picture(why_not=str(err))
    return Picture(png=b64encode(made).decode("ascii"))
