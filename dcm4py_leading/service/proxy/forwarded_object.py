"""Forwarded object of another archive: coerced on the way to the client, never stored."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType

from pydicom import Dataset

from dcm4py_leading.archive.index.index import IndexedInstance
from dcm4py_leading.coercion.select import Selection
from dcm4py_leading.dataset.object_bytes import MemoryBytes, ObjectBytes
from dcm4py_leading.dataset.scan import Encoding
from dcm4py_leading.errors import SubOperationFailed
from dcm4py_leading.service.proxy.forwarded_retrieve import ArrivedObject, UnsentObject
from dcm4py_leading.service.proxy.upstream import ObjectStream
from dcm4py_leading.service.retrieve.encode import PreparedObject
from dcm4py_leading.service.retrieve.outgoing_object import OutgoingObject
from dcm4py_leading.service.retrieve.retrieve_coercion import RetrieveCoercion
from dcm4py_leading.service.retrieve.selections import Selections
from dcm4py_leading.service.retrieve.sub_operations import RetrievedObject


class MissingObject:
    """An object that the archive did not send; see `sub_operations.RetrievedObject`."""

    sop_class_uid = transfer_syntax_uid = ""

    def __init__(self, missing: UnsentObject) -> None:
        self.sop_instance_uid = missing.sop_instance_uid
        self._reason = missing.reason

    def prepare(self, accepted: Collection[str]) -> PreparedObject:
        raise SubOperationFailed(self._reason)


class ForwardedObject(OutgoingObject):
    """An object that has arrived; see `sub_operations.RetrievedObject`."""

    def __init__(
        self,
        common: RetrieveCoercion,
        selections: Selections,
        arrived: ArrivedObject,
        instance: IndexedInstance | None = None,
    ) -> None:
        """``instance`` is its entry in the index, if it was stored here."""
        super().__init__(common, arrived, instance)
        self._selections = selections
        self._arrived = arrived
        self.is_in_order = arrived.is_in_order

    def _open(self) -> ObjectBytes:
        data = self._arrived.data
        return MemoryBytes(data) if isinstance(data, (memoryview, bytes, bytearray)) else data

    def _selected(self, source: ObjectBytes, encoding: Encoding) -> Selection:
        return self._selections.of_object(source, encoding, self.sop_class_uid)

    def _selected_by(self, ds: Dataset) -> Selection:
        return self._common.coercer.select(ds, self.sop_class_uid)


def forwarded(
    common: RetrieveCoercion, arriving: ObjectStream, known: Mapping[str, IndexedInstance] = MappingProxyType({})
) -> Iterator[RetrievedObject]:
    """Objects of a retrieve as they come; ``known`` are those of the index, by SOP Instance UID.

    Raises ArchiveUnavailable.

    If the studies are not known beforehand, the leading archives are asked about each with its first object.
    """
    selections = Selections(common.coercer, arriving.studies)
    for arrived in arriving:
        if isinstance(arrived, UnsentObject):
            yield MissingObject(arrived)
        else:
            yield ForwardedObject(common, selections, arrived, known.get(arrived.sop_instance_uid))
