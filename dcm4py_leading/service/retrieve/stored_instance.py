"""A stored instance on its way out: read, coerced, and cut into the bytes that are sent."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from copy import deepcopy
from functools import partial
from typing import BinaryIO, Protocol

from pydicom import Dataset
from pydicom.dataelem import DataElement

from dcm4py_leading.archive.index.attributes import merged
from dcm4py_leading.archive.index.index import IndexedInstance
from dcm4py_leading.archive.index.indexed_attributes import Keeper
from dcm4py_leading.archive.index.keys import SOP_CLASS_UID, SOP_INSTANCE_UID
from dcm4py_leading.archive.storage.storage import Location
from dcm4py_leading.coercion.chain import Executed
from dcm4py_leading.coercion.changes import Change, apply
from dcm4py_leading.coercion.original_attributes import ORIGINAL_ATTRIBUTES_SEQUENCE
from dcm4py_leading.coercion.select import Selection
from dcm4py_leading.coercion.update import plan_update
from dcm4py_leading.dataset.data_sets import declare_default
from dcm4py_leading.dataset.scan import Encoding, encoding_of, is_encapsulated
from dcm4py_leading.errors import CoercionFailed, StorageUnavailable
from dcm4py_leading.model.coercion import UpdatePolicy
from dcm4py_leading.service.coerce import Coercer, add_original_attributes
from dcm4py_leading.service.kept_attributes import KeptAttributes
from dcm4py_leading.service.retrieve.bytewise_coercion import BeyondView, BytewiseCoercion, Kept, NotBytewise, Reworked
from dcm4py_leading.service.retrieve.encode import (
    UNCOMPRESSED,
    ObjectErrors,
    PreparedObject,
    choose_transfer_syntax,
)
from dcm4py_leading.service.retrieve.splice_plans import Cut
from dcm4py_leading.service.retrieve.stored_bytes import Buffers, StoredBytes, read_stored
from dcm4py_leading.service.retrieve.whole import WholeObject, coercing


class StoredFiles(Protocol):
    """Files of a storage; implemented by `archive.storage.storage.Storage`."""

    def open(self, location: Location) -> BinaryIO:
        """A stored file for reading. Raises StorageUnavailable."""
        ...

    def open_descriptor(self, location: Location) -> int:
        """The same as a descriptor, which the caller closes. Raises StorageUnavailable."""
        ...


class RetrieveCoercion:
    """Coercion of the objects of one retrieve. For one thread at a time."""

    def __init__(
        self,
        coercer: Coercer,
        keeper: Keeper,
        *,
        tells_original_attributes: bool = False,
        source: str | None = None,
        are_copies: bool = False,
    ) -> None:
        """``tells_original_attributes``: an object tells what it had before it was changed.

        ``source`` is who sent the objects, where they are coerced as received: then they tell it in any case.
        ``are_copies``: the objects are not those that are stored, but what another archive has of them.
        """
        self.coercer = coercer
        self.local_ae = coercer.local_ae
        tells = source is not None or tells_original_attributes
        self._source = source or ""
        self._keeper = keeper
        self._kept = KeptAttributes(keeper)
        self._are_copies = are_copies
        self._tells_original_attributes = tells
        self.buffers = Buffers()
        self.bytewise = BytewiseCoercion(self.rework, tells_original_attributes=tells)

    def for_copies(self) -> RetrieveCoercion:
        """The same for objects that come from another archive in place of those that are stored here."""
        tells = self._tells_original_attributes
        return RetrieveCoercion(self.coercer, self._keeper, tells_original_attributes=tells, are_copies=True)

    def that_count(self, attributes: Kept) -> Kept:
        """Of the index's attributes of an instance those that may change its object."""
        return attributes if self._are_copies else self._kept.that_count(attributes)

    def rework(self, ds: Dataset, kept: Kept | None, attributes: Dataset | None, selection: Selection) -> Reworked:
        """Change ``ds`` as what the index has ``kept``, and those of its ``attributes`` that count, and the rules say.

        The steps are counted when they fail, else by who sends the object: it may take several attempts.
        """
        declare_default(ds, self.local_ae.settings.default_character_set)
        previous: dict[int, DataElement | None] = {}
        changes: list[Change] = []

        def make(planned: list[Change]) -> None:
            for change in planned:
                previous.setdefault(change.path[0], deepcopy(ds.get(change.path[0])))
            make_edits(planned)

        def make_edits(planned: list[Change]) -> None:
            """An edit tells itself what it replaced."""
            apply(ds, planned)
            changes.extend(planned)

        if attributes is not None:
            if kept is not None:
                self._kept.carry_edits(ds, kept, make_edits)
            if not self._are_copies:
                self._kept.update(ds, attributes, make)
            else:
                # What was stored here may have been coerced when it came, which the copy of another archive was not.
                tags = {int(tag) for tag in attributes.keys()} - {ORIGINAL_ATTRIBUTES_SEQUENCE}
                make(plan_update(ds, attributes, UpdatePolicy.OVERWRITE, only=tags))
        executed: list[Executed] = []
        try:
            coerced = self.coercer.coerce_uncounted(ds, selection, executed)
        except CoercionFailed:
            self.coercer.count(executed)
            raise
        changes += coerced.changes
        if changes and self._tells_original_attributes:
            told = add_original_attributes(ds, coerced, self.local_ae, source=self._source, previous=previous)
            changes += [told] if told is not None else []
        return Reworked(changes=tuple(changes), executed=coerced.executed)

    def prepared(
        self,
        whole: WholeObject,
        instance: IndexedInstance | None,
        select: Callable[[Dataset], Selection],
        accepted: Collection[str],
        target: str,
    ) -> PreparedObject:
        """An object that was decoded as a whole, coerced and in transfer syntax ``target``.

        ``instance`` is what the index has of it, ``select`` tells which rules apply. Raises SubOperationFailed,
        CoercionFailed.
        """
        with coercing(whole.dataset):
            selection = select(whole.dataset)
            kept = None if instance is None or selection.retrieve_as_received else instance.encoded_attributes
            attributes = None if kept is None else merged(kept)
            reworked = self.rework(whole.dataset, kept, attributes, selection)
            whole.take_over(reworked.changes)
        self.coercer.count(reworked.executed)
        if is_encapsulated(whole.transfer_syntax_uid) and whole.is_emptied:
            # Without its pixels (dcmNullifyTag) an object is not encapsulated (PS3.5 A.4).
            target = choose_transfer_syntax(UNCOMPRESSED[0], accepted)
        pieces = whole.encoded(target)
        return PreparedObject(
            sop_class_uid=whole.text(SOP_CLASS_UID),
            sop_instance_uid=whole.text(SOP_INSTANCE_UID),
            transfer_syntax_uid=target,
            length=sum(map(len, pieces)),
            source=iter([pieces]),
            is_transcoded=target != whole.transfer_syntax_uid,
        )


class UnjudgedInstance:
    """A stored instance of which it cannot be told which rules apply: it is not sent."""

    def __init__(self, instance: IndexedInstance, failure: CoercionFailed) -> None:
        self.sop_class_uid = instance.sop_class_uid
        self.sop_instance_uid = instance.sop_instance_uid
        self.transfer_syntax_uid = instance.transfer_syntax_uid
        self._failure = failure

    def prepare(self, accepted: Collection[str]) -> PreparedObject:
        raise CoercionFailed(str(self._failure)) from self._failure


_COERCING = ObjectErrors("cannot be coerced")


class StoredInstance:
    """A stored instance on its way out; see `sub_operations.RetrievedObject`."""

    __slots__ = ("_common", "_storage_of", "instance", "selection")

    def __init__(
        self,
        common: RetrieveCoercion,
        instance: IndexedInstance,
        selection: Selection,
        storage_of: Callable[[str], StoredFiles],
    ) -> None:
        """``storage_of`` gives the storage of a dcmStorageID; it raises StorageUnavailable."""
        self._common = common
        self._storage_of = storage_of
        self.instance = instance
        self.selection = selection

    @property
    def sop_class_uid(self) -> str:
        return self.instance.sop_class_uid

    @property
    def sop_instance_uid(self) -> str:
        return self.instance.sop_instance_uid

    @property
    def transfer_syntax_uid(self) -> str:
        return self.instance.transfer_syntax_uid

    def prepare(self, accepted: Collection[str]) -> PreparedObject:
        location = self.instance.location
        target = choose_transfer_syntax(self.instance.transfer_syntax_uid, accepted)
        storage = self._storage_of(location.storage_id)
        if target == self.instance.transfer_syntax_uid:
            encoding = encoding_of(target)
            if encoding is not None:
                prepared = self._cut_out(storage.open_descriptor(location), encoding)
                if prepared is not None:
                    return prepared
        with storage.open(location) as file:
            return self._whole(file, accepted, target)

    def _cut_out(self, descriptor: int, encoding: Encoding) -> PreparedObject | None:
        """Only the elements that change are made anew; None where that does not do. Raises CoercionFailed."""
        instance, common = self.instance, self._common
        stored = StoredBytes(descriptor, instance.location.size, common.buffers)
        try:
            # In the fragments of encapsulated pixel data the next one is found by the one before.
            if len(stored.view) < stored.size and is_encapsulated(instance.transfer_syntax_uid):
                stored.look_at_all()
            with _COERCING:
                cut = self._cut(stored, encoding)
        except NotBytewise:
            stored.close()
            return None
        except BaseException:  # cleans up and raises on, whatever it was
            stored.close()
            raise
        common.coercer.counts.count(cut.counted)
        return PreparedObject(
            sop_class_uid=cut.sop_class_uid or instance.sop_class_uid,
            sop_instance_uid=cut.sop_instance_uid or instance.sop_instance_uid,
            transfer_syntax_uid=instance.transfer_syntax_uid,
            length=cut.length,
            source=stored.batches(cut.pieces, cut.rest),
            mapped=None if stored.is_in_memory else partial(stored.batches_mapped, cut.pieces, cut.rest),
            release=stored.close,
        )

    def _cut(self, stored: StoredBytes, encoding: Encoding) -> Cut:
        kept = self._common.that_count(self.instance.encoded_attributes)
        rework = self._common.bytewise.reworked
        try:
            return rework(stored.view, stored.start, stored.size, encoding, kept, self.selection)
        except BeyondView:
            stored.look_at_all()
            return rework(stored.view, stored.start, stored.size, encoding, kept, self.selection)

    def _require_length(self, size: int) -> None:
        """A file that has lost its end since it was stored must not pass for the object."""
        if size != self.instance.location.size:
            raise StorageUnavailable("a stored object is not as long as it was when it was stored")

    def _whole(self, file: BinaryIO, accepted: Collection[str], target: str) -> PreparedObject:
        """The whole object is decoded; see `whole`."""
        self._require_length(os.fstat(file.fileno()).st_size)
        content, start = read_stored(file)
        with ObjectErrors("cannot be parsed"):
            whole = WholeObject(content, self.instance.transfer_syntax_uid, start=start)
        return self._common.prepared(whole, self.instance, lambda _: self.selection, accepted, target)
