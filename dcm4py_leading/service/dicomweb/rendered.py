"""Rendered objects (PS3.18 10.4.1.1.3): images as pictures, reports as text, encapsulated documents as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import Any

from pydicom.uid import UID

from dcm4py_leading.errors import StatusError, SubOperationFailed
from dcm4py_leading.model.values import Level
from dcm4py_leading.service.dicomweb.chunks import Chunk, Chunks, nothing
from dcm4py_leading.service.dicomweb.documents import DOCUMENTS, document_of, is_report, report_of
from dcm4py_leading.service.dicomweb.frame_places import Values, frames_of
from dcm4py_leading.service.dicomweb.native_frames import frame_data_set
from dcm4py_leading.service.dicomweb.objects import (
    AS_STORED,
    Found,
    Named,
    ObjectsHead,
    accepted_for,
    answered,
    end_of,
    find_objects,
    first_of,
    part_head,
)
from dcm4py_leading.service.picture.decoders import decoders
from dcm4py_leading.service.picture.job import GIF, JPEG, PNG, Job, Rendering
from dcm4py_leading.service.picture.picture import is_image
from dcm4py_leading.service.retrieve.encode import ObjectErrors, PreparedObject
from dcm4py_leading.service.runtime import Runtime

HTML, TEXT = "text/html", "text/plain"
PICTURES = (JPEG, PNG, GIF)
DOCUMENT_TYPES = (HTML, TEXT, *DOCUMENTS.values())
_READING = ObjectErrors("it cannot be read")


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedPictures:
    """Objects, or frames of one, to be rendered."""

    named: Named
    accepted: tuple[tuple[str, bool], ...]
    """Media types that the client takes, the preferred one first, each with True for parts of a multipart body."""
    rendering: Rendering
    boundary: str
    frames: tuple[int, ...] = ()
    """Of an instance; none for all."""
    is_thumbnail: bool = False
    """True for one picture that stands for all, which says why where it shows no image."""
    is_middle: bool = False
    """True if of a study or series one object is meant that stands for it."""

    def to_json(self) -> Any:
        """As it passes between processes."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> WantedPictures:
        """The same out of what `to_json` made."""
        return cls(
            named=Named.from_json(value["named"]),
            accepted=tuple((media_type, is_part) for media_type, is_part in value["accepted"]),
            rendering=Rendering.from_json(value["rendering"]),
            boundary=value["boundary"],
            frames=tuple(value["frames"]),
            is_thumbnail=value["is_thumbnail"],
            is_middle=value["is_middle"],
        )


def retrieve_rendered(
    runtime: Runtime, wanted: WantedPictures, is_gone: Callable[[], bool]
) -> tuple[ObjectsHead, Chunks]:
    """The answer: what comes before it, and its body; to be closed. Raises as `objects.retrieve_objects`."""
    found = find_objects(runtime, wanted.named, is_gone)
    others = 0
    if wanted.named.keys.level is not Level.IMAGE:
        others = _keep_images(found)
    first = first_of(found, (AS_STORED,))
    if first is None:
        if others and not found.head.left_out:
            found.head = ObjectsHead(is_empty=True, left_out=others, why="none of the objects is an image")
        return found.head, nothing()
    found.head = replace(found.head, left_out=found.head.left_out + others)
    body: _Body | None = None
    try:
        body = _body_of(found, first, wanted)
    except SubOperationFailed as err:
        found.head = ObjectsHead(is_empty=True, left_out=1, why=str(err))
    except BaseException as err:  # closes, and raises on whatever it was
        first.close()
        found.close()
        if isinstance(err, StatusError):
            found.refuse(err)
        raise
    if body is None:
        first.close()
        found.close()
        found.finish(0x0000)
        return found.head, nothing()
    found.validate(wanted.accepted, wanted.rendering, wanted.frames, wanted.is_thumbnail)
    chunks = answered(found, first, lambda stored: accepted_for(stored, (AS_STORED,)), body)
    next(chunks)  # from now on it ends in form, also where nobody reads it
    return found.head, chunks


_Body = Callable[[Iterator[PreparedObject]], Iterator[Chunk]]


def _keep_images(found: Found) -> int:
    """Leave out what is no image; the number of these, where it is known before they come."""
    if found.retrieval.stream is None:
        objects = list(found.objects)
        images = [obj for obj in objects if not obj.sop_class_uid or is_image(obj.sop_class_uid)]
        found.objects = iter(images)
        return len(objects) - len(images)
    found.objects = found.only(lambda obj: not obj.sop_class_uid or is_image(obj.sop_class_uid))
    return 0


def _body_of(found: Found, first: PreparedObject, wanted: WantedPictures) -> _Body | None:
    """The body of the answer, whose first picture is there; None where the frames are not there.

    Raises SubOperationFailed where it cannot be had, DecodersBusy, StorageUnavailable.
    """
    is_instance = wanted.named.keys.level is Level.IMAGE
    if is_instance and not is_image(first.sop_class_uid):
        return _document(found, first, wanted)
    pictures = _Pictures(first, wanted)
    if not pictures.frames:
        found.head = ObjectsHead(is_empty=True)
        return None
    several = not is_instance or len(pictures.frames) > 1
    chosen = next((one for one in wanted.accepted if one[0] in PICTURES and one[1] >= several), None)
    if chosen is None:
        raise SubOperationFailed(_asked_for(several))
    media_type, is_part = chosen
    rendering = replace(wanted.rendering, media_type=media_type)
    drawn = pictures.drawn(rendering)
    begun = chain([next(drawn)], drawn)
    left_out = found.head.left_out + max(0, len(wanted.frames) - len(pictures.frames))
    found.head = replace(found.head, left_out=left_out, media_type=media_type, is_multipart=is_part)
    if not is_part:
        return lambda objects: ((picture,) for _ in objects for picture in begun)
    return lambda objects: _parts(objects, begun, wanted, rendering)


def _asked_for(several: bool) -> str:
    if several:
        return f'those of a study, a series or several frames are parts: expected multipart/related; type="{JPEG}"'
    return f"expected {', '.join(PICTURES)}"


def _parts(
    objects: Iterator[PreparedObject], begun: Iterator[bytes], wanted: WantedPictures, rendering: Rendering
) -> Iterator[Chunk]:
    for number, prepared in enumerate(objects):
        for picture in begun if number == 0 else _Pictures(prepared, wanted).drawn(rendering):
            yield (part_head(wanted.boundary, rendering.media_type), picture)
    yield (end_of(wanted.boundary),)


class _Pictures:
    """Pictures of the frames of an object."""

    def __init__(self, prepared: PreparedObject, wanted: WantedPictures) -> None:
        """Raises SubOperationFailed where frames cannot be told apart, StorageUnavailable."""
        with _READING:
            self._values: Values = frames_of(prepared)
        there = len(self._values.places)
        self.frames = [number for number in wanted.frames if number <= there] or (
            [] if wanted.frames else list(range(1, there + 1))
        )

    def drawn(self, rendering: Rendering) -> Iterator[bytes]:
        """Each of them. Raises SubOperationFailed, DecodersBusy, StorageUnavailable."""
        for number in self.frames:
            yield draw_frame(self._values, number - 1, rendering)


def draw_frame(values: Values, index: int, rendering: Rendering) -> bytes:
    """Picture of a frame. Raises SubOperationFailed, DecodersBusy, StorageUnavailable."""
    data = frame_data_set(values, index)
    job = Job(transfer_syntax_uid=values.transfer_syntax_uid, rendering=rendering, data=data)
    return decoders().run(job)


def _document(found: Found, first: PreparedObject, wanted: WantedPictures) -> _Body:
    """The document or the report that an instance is. Raises SubOperationFailed, StorageUnavailable."""
    kind = UID(first.sop_class_uid).name
    takes = [media_type for media_type, is_part in wanted.accepted if not is_part]
    with _READING:
        if own := DOCUMENTS.get(first.sop_class_uid, ""):
            if own not in takes:
                raise SubOperationFailed(f"{kind} is {own}")
            content = document_of(first)
        elif is_report(first.sop_class_uid):
            own = next((one for one in takes if one in (HTML, TEXT)), "")
            if not own:
                raise SubOperationFailed(f"{kind} can be had as {HTML} or {TEXT}")
            content = iter([report_of(first, is_html=own == HTML).encode()])
            own += "; charset=utf-8"
        else:
            raise SubOperationFailed(f"{kind} cannot be rendered")
    found.head = replace(found.head, media_type=own)
    return lambda objects: ((chunk,) for _ in objects for chunk in content)
