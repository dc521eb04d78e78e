"""Objects by DICOMweb."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict

from dcm4py_leading.calls.call import Form, Here
from dcm4py_leading.calls.dicomweb import Streaming
from dcm4py_leading.calls.stream import IsGone, Stream, StreamCall
from dcm4py_leading.service.dicomweb.objects import ObjectsHead, WantedObjects, retrieve_objects


def _objects(here: Here, wanted: WantedObjects, is_gone: IsGone) -> tuple[ObjectsHead, Generator[bytes]]:
    return retrieve_objects(here.runtime, wanted, is_gone)


OBJECTS: StreamCall[WantedObjects, ObjectsHead] = StreamCall(
    name="objects",
    do=_objects,
    question=Form(to_json=WantedObjects.to_json, from_json=WantedObjects.from_json),
    head=Form(to_json=asdict, from_json=lambda value: ObjectsHead(**value)),
)


class Retrievals(Streaming):
    """Retrievals (see `web.dicomweb.objects.Retrieving`)."""

    def objects(self, wanted: WantedObjects) -> Stream[ObjectsHead]:
        """Objects as a multipart body."""
        return self.stream(OBJECTS, wanted)
