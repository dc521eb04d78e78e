"""Stores by DICOMweb."""

from __future__ import annotations

from collections.abc import Iterable

from dcm4py_leading.calls.call import Form, Here
from dcm4py_leading.calls.dicomweb import Streaming
from dcm4py_leading.calls.stream import Asker, StreamCall
from dcm4py_leading.service.dicomweb.chunks import Chunks, nothing
from dcm4py_leading.service.dicomweb.store import store_objects
from dcm4py_leading.service.dicomweb.stored import StoreOutcome, WantedStore


def _store(here: Here, wanted: WantedStore, asker: Asker) -> tuple[StoreOutcome, Chunks]:
    return store_objects(here.runtime, wanted, asker.body()), nothing()


STORE: StreamCall[WantedStore, StoreOutcome] = StreamCall(
    name="store",
    do=_store,
    question=Form(to_json=WantedStore.to_json, from_json=WantedStore.from_json),
    head=Form(to_json=StoreOutcome.to_json, from_json=StoreOutcome.from_json),
)


class Stores(Streaming):
    """Stores (see `web.dicomweb.store.Storing`)."""

    def store(self, wanted: WantedStore, body: Iterable[bytes]) -> StoreOutcome:
        """Store the objects of a body."""
        stream = self.stream(STORE, wanted, body)
        stream.close()
        return stream.head
