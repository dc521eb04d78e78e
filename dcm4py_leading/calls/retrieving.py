"""Objects by DICOMweb."""

from __future__ import annotations

from dataclasses import asdict, replace

from dcm4py_leading.calls.call import Form, Here
from dcm4py_leading.calls.dicomweb import Streaming
from dcm4py_leading.calls.stream import IsGone, Stream, StreamCall
from dcm4py_leading.service.dicomweb.chunks import Chunks, nothing
from dcm4py_leading.service.dicomweb.frames import WantedValues, retrieve_values
from dcm4py_leading.service.dicomweb.metadata import retrieve_metadata
from dcm4py_leading.service.dicomweb.objects import Named, ObjectsHead, WantedObjects, retrieve_objects
from dcm4py_leading.service.dicomweb.rendered import WantedPictures, retrieve_rendered
from dcm4py_leading.service.dicomweb.thumbnails import middle_of, retrieve_thumbnail


def _objects(here: Here, wanted: WantedObjects, is_gone: IsGone) -> tuple[ObjectsHead, Chunks]:
    if wanted.is_middle:
        named = middle_of(here.runtime, wanted.named)
        if named is None:
            return ObjectsHead(is_empty=True), nothing()
        wanted = replace(wanted, named=named)
    return retrieve_objects(here.runtime, wanted, is_gone)


def _metadata(here: Here, named: Named, is_gone: IsGone) -> tuple[ObjectsHead, Chunks]:
    return retrieve_metadata(here.runtime, named, is_gone)


def _values(here: Here, wanted: WantedValues, is_gone: IsGone) -> tuple[ObjectsHead, Chunks]:
    return retrieve_values(here.runtime, wanted, is_gone)


def _rendered(here: Here, wanted: WantedPictures, is_gone: IsGone) -> tuple[ObjectsHead, Chunks]:
    if wanted.is_thumbnail:
        return retrieve_thumbnail(here.runtime, wanted, is_gone)
    if wanted.is_middle:
        named = middle_of(here.runtime, wanted.named)
        if named is None:
            return ObjectsHead(is_empty=True), nothing()
        wanted = replace(wanted, named=named)
    return retrieve_rendered(here.runtime, wanted, is_gone)


OBJECTS: StreamCall[WantedObjects, ObjectsHead] = StreamCall(
    name="objects",
    do=_objects,
    question=Form(to_json=WantedObjects.to_json, from_json=WantedObjects.from_json),
    head=Form(to_json=asdict, from_json=lambda value: ObjectsHead(**value)),
)

METADATA: StreamCall[Named, ObjectsHead] = StreamCall(
    name="metadata",
    do=_metadata,
    question=Form(to_json=asdict, from_json=Named.from_json),
    head=OBJECTS.head,
)

VALUES: StreamCall[WantedValues, ObjectsHead] = StreamCall(
    name="values",
    do=_values,
    question=Form(to_json=WantedValues.to_json, from_json=WantedValues.from_json),
    head=OBJECTS.head,
)

RENDERED: StreamCall[WantedPictures, ObjectsHead] = StreamCall(
    name="rendered",
    do=_rendered,
    question=Form(to_json=WantedPictures.to_json, from_json=WantedPictures.from_json),
    head=OBJECTS.head,
)


class Retrievals(Streaming):
    """Retrievals (see `web.dicomweb.objects.Retrieving`)."""

    def objects(self, wanted: WantedObjects) -> Stream[ObjectsHead]:
        """Objects as a multipart body."""
        return self.stream(OBJECTS, wanted)

    def metadata(self, named: Named) -> Stream[ObjectsHead]:
        """Metadata of objects as a JSON array."""
        return self.stream(METADATA, named)

    def values(self, wanted: WantedValues) -> Stream[ObjectsHead]:
        """Frames or another value of an instance as a multipart body."""
        return self.stream(VALUES, wanted)

    def rendered(self, wanted: WantedPictures) -> Stream[ObjectsHead]:
        """Objects as pictures, or as documents."""
        return self.stream(RENDERED, wanted)
