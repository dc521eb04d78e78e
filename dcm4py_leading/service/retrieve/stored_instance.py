"""A stored instance on its way out."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from pydicom import Dataset

from dcm4py_leading.archive.index.index import IndexedInstance
from dcm4py_leading.archive.storage.storage import Location
from dcm4py_leading.coercion.select import Selection
from dcm4py_leading.dataset.object_bytes import ObjectBytes
from dcm4py_leading.dataset.scan import Encoding
from dcm4py_leading.errors import CoercionFailed
from dcm4py_leading.service.retrieve.encode import PreparedObject
from dcm4py_leading.service.retrieve.file_bytes import FileBytes
from dcm4py_leading.service.retrieve.outgoing_object import OutgoingObject
from dcm4py_leading.service.retrieve.retrieve_coercion import RetrieveCoercion


class StoredFiles(Protocol):
    """Files of a storage; implemented by `archive.storage.storage.Storage`."""

    def open_descriptor(self, location: Location) -> int:
        """Descriptor of a stored file for reading, which the caller closes. Raises StorageUnavailable."""
        ...


class StoredInstance(OutgoingObject):
    """A stored instance to send; see `sub_operations.RetrievedObject`."""

    __slots__ = ("_storage_of", "selection")

    instance: IndexedInstance

    def __init__(
        self,
        common: RetrieveCoercion,
        instance: IndexedInstance,
        selection: Selection,
        storage_of: Callable[[str], StoredFiles],
    ) -> None:
        """``storage_of`` gives the storage of a dcmStorageID; it raises StorageUnavailable."""
        super().__init__(common, instance, instance)
        self.selection = selection
        self._storage_of = storage_of

    def _open(self) -> ObjectBytes:
        location = self.instance.location
        descriptor = self._storage_of(location.storage_id).open_descriptor(location)
        return FileBytes(descriptor, location.size, self._common.buffers)

    def _selected(self, source: ObjectBytes, encoding: Encoding) -> Selection:
        return self.selection

    def _selected_by(self, ds: Dataset) -> Selection:
        return self.selection


class UndecidedInstance:
    """A stored instance whose rules could not be selected; it is not sent."""

    def __init__(self, instance: IndexedInstance, failure: CoercionFailed) -> None:
        self.sop_class_uid = instance.sop_class_uid
        self.sop_instance_uid = instance.sop_instance_uid
        self.transfer_syntax_uid = instance.transfer_syntax_uid
        self._failure = failure

    def prepare(self, accepted: Collection[str]) -> PreparedObject:
        raise CoercionFailed(str(self._failure)) from self._failure
