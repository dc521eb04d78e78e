"""Thumbnails (PS3.18 10.4.1.1.3): one small picture of a study, a series, an instance or a frame.

Of several images the middle one is taken, of several frames the middle one. Where there is no image to show, the
picture says so in words.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from pydicom.uid import UID

from dcm4py_leading.errors import StatusError, SubOperationFailed
from dcm4py_leading.service.dicomweb.chunks import Chunks, nothing
from dcm4py_leading.service.dicomweb.documents import is_report
from dcm4py_leading.service.dicomweb.frame_places import frames_of
from dcm4py_leading.service.dicomweb.objects import (
    AS_STORED,
    Named,
    ObjectsHead,
    accepted_for,
    answered,
    find_objects,
    first_of,
)
from dcm4py_leading.service.dicomweb.rendered import PICTURES, WantedPictures, draw_frame
from dcm4py_leading.service.dicomweb.web_request import asked_ae
from dcm4py_leading.service.picture.decoders import decoders
from dcm4py_leading.service.picture.job import Job, Rendering
from dcm4py_leading.service.picture.picture import is_image
from dcm4py_leading.service.retrieve.encode import ObjectErrors, PreparedObject
from dcm4py_leading.service.runtime import Runtime
from dcm4py_leading.service.studies.search import instances, series

LOG = logging.getLogger(__name__)

_READING = ObjectErrors("it cannot be read")
_NO_IMAGES = frozenset(
    ("SR", "PR", "KO", "DOC", "AU", "ECG", "HD", "EPS", "RTPLAN", "RTSTRUCT", "RTRECORD", "REG", "FID", "PLAN", "SMR")
)
"""Modalities whose objects are no images (PS3.3 C.7.3.1.1.1)."""
_WORDS = {
    "1.2.840.10008.5.1.4.1.1.104.1": "PDF document",
    "1.2.840.10008.5.1.4.1.1.88.59": "Key objects",
}


def retrieve_thumbnail(
    runtime: Runtime, wanted: WantedPictures, is_gone: Callable[[], bool]
) -> tuple[ObjectsHead, Chunks]:
    """The answer: what comes before it, and the picture; to be closed. Raises as `objects.retrieve_objects`."""
    media_type = next((one for one, is_part in wanted.accepted if one in PICTURES and not is_part), None)
    if media_type is None:
        return ObjectsHead(is_empty=True, left_out=1, why=f"expected {', '.join(PICTURES)}"), nothing()
    named = middle_of(runtime, wanted.named)
    if named is None:
        return ObjectsHead(is_empty=True), nothing()
    found = find_objects(runtime, named, is_gone)
    first = first_of(found, (AS_STORED,))
    if first is None:
        return found.head, nothing()
    try:
        picture = _drawn(first, wanted, replace(wanted.rendering, media_type=media_type))
        found.head = ObjectsHead(is_empty=not picture, media_type=media_type)
    except SubOperationFailed as err:
        picture = b""
        found.head = ObjectsHead(is_empty=True, left_out=1, why=str(err))
    except BaseException as err:  # closes, and raises on whatever it was
        first.close()
        found.close()
        if isinstance(err, StatusError):
            found.refuse(err)
        raise
    if not picture:
        first.close()
        found.close()
        found.finish(0x0000)
        return found.head, nothing()
    chunks = answered(
        found,
        first,
        lambda stored: accepted_for(stored, (AS_STORED,)),
        lambda objects: ((picture,) for _ in objects),
    )
    next(chunks)  # from now on it ends in form, also where nobody reads it
    return found.head, chunks


def _drawn(first: PreparedObject, wanted: WantedPictures, rendering: Rendering) -> bytes:
    """The picture; empty where the frame is not there. Raises SubOperationFailed, DecodersBusy."""
    if not is_image(first.sop_class_uid):
        return _in_words(words_of(first.sop_class_uid), rendering)
    try:
        with _READING:
            values = frames_of(first)
            number = wanted.frames[0] if wanted.frames else len(values.places) // 2 + 1
            if number > len(values.places):
                return b""
            return draw_frame(values, number - 1, rendering)
    except SubOperationFailed as err:
        LOG.info("a thumbnail says that an image cannot be decoded: %s", err)
        return _in_words(f"cannot be decoded: {UID(first.transfer_syntax_uid).name}", rendering)


def _in_words(words: str, rendering: Rendering) -> bytes:
    return decoders().run(Job(words=words, rendering=rendering))


def words_of(sop_class_uid: str) -> str:
    """The kind of an object that is no image, for people."""
    if sop_class_uid in _WORDS:
        return _WORDS[sop_class_uid]
    return "Structured report" if is_report(sop_class_uid) else UID(sop_class_uid).name.removesuffix(" Storage")


def middle_of(runtime: Runtime, named: Named) -> Named | None:
    """The instance that stands for a study or a series: the middle image; None where there is nothing.

    Raises UnknownAE, IndexUnavailable, ArchiveUnavailable.
    """
    if len(named.uids) == 3:
        return named
    asked_ae(runtime, named.request)
    ae_title, study = named.request.ae_title, named.uids[0]
    of_series = named.uids[1:] or _first_with_images(runtime, ae_title, study)
    if not of_series:
        return None
    found = instances(runtime, ae_title, study, of_series[0])
    if not found:
        return None
    images = [one for one in found if is_image(one.text("SOPClassUID"))] or found
    return replace(named, uids=(study, of_series[0], images[len(images) // 2].sop_instance_uid))


def _first_with_images(runtime: Runtime, ae_title: str, study: str) -> Sequence[str]:
    found = series(runtime, ae_title, study)
    images = [one for one in found if one.text("Modality") not in _NO_IMAGES] or found
    return [one.series_instance_uid for one in images[:1]]
