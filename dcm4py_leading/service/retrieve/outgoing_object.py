"""Object of a retrieve from any source: coerced and encoded for sending.

There are two ways. Bytewise: only changed elements are encoded, all other bytes are sent as stored
(`bytewise_coercion`). As a whole: for another transfer syntax, or if the bytewise way raises NeedsDecoding (`whole`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from functools import partial
from typing import Protocol

from pydicom import Dataset

from dcm4py_leading.archive.index.attributes import merged
from dcm4py_leading.archive.index.index import IndexedInstance
from dcm4py_leading.archive.index.keys import SOP_CLASS_UID, SOP_INSTANCE_UID
from dcm4py_leading.coercion.select import Selection
from dcm4py_leading.dataset.object_bytes import ObjectBytes
from dcm4py_leading.dataset.scan import Buffer, Encoding, encoding_of, is_encapsulated
from dcm4py_leading.service.retrieve.bytewise_coercion import IndexedLevels
from dcm4py_leading.service.retrieve.encode import (
    UNCOMPRESSED,
    ObjectErrors,
    PreparedObject,
    Spliced,
    choose_transfer_syntax,
)
from dcm4py_leading.service.retrieve.file_bytes import HEAD
from dcm4py_leading.service.retrieve.relevant_tags import NeedsDecoding
from dcm4py_leading.service.retrieve.retrieve_coercion import RetrieveCoercion
from dcm4py_leading.service.retrieve.splice_plans import unspliced
from dcm4py_leading.service.retrieve.whole import WholeObject, coercing

_COERCING = ObjectErrors("cannot be coerced")
_PARSING = ObjectErrors("cannot be parsed")


class _Known(Protocol):
    @property
    def sop_class_uid(self) -> str: ...

    @property
    def sop_instance_uid(self) -> str: ...

    @property
    def transfer_syntax_uid(self) -> str: ...


class OutgoingObject(ABC):
    """An object to send; see `sub_operations.RetrievedObject`.

    Subclasses provide its bytes and its rules.
    """

    __slots__ = ("_common", "instance", "sop_class_uid", "sop_instance_uid", "transfer_syntax_uid")

    is_in_order = True
    """False if it is known that an element stands in it twice, or not in its place."""

    def __init__(self, common: RetrieveCoercion, known: _Known, instance: IndexedInstance | None) -> None:
        """``known`` has its UIDs; ``instance`` is its entry in the index, if any."""
        self._common = common
        self.instance = instance
        self.sop_class_uid: str = known.sop_class_uid
        self.sop_instance_uid: str = known.sop_instance_uid
        self.transfer_syntax_uid: str = known.transfer_syntax_uid

    @abstractmethod
    def _open(self) -> ObjectBytes:
        """Open its bytes; the caller closes them. Raises StorageUnavailable."""

    @abstractmethod
    def _selected(self, source: ObjectBytes, encoding: Encoding) -> Selection:
        """The rules that apply. Raises NeedsDecoding, CoercionFailed."""

    @abstractmethod
    def _selected_by(self, ds: Dataset) -> Selection:
        """The rules that apply to the object, decoded. Raises CoercionFailed."""

    def prepare(self, accepted: Collection[str]) -> PreparedObject:
        target = choose_transfer_syntax(self.transfer_syntax_uid, accepted)
        encoding = encoding_of(target)
        source = self._open()
        try:
            if target == self.transfer_syntax_uid and encoding is not None and self.is_in_order:
                try:
                    return self._bytewise(source, encoding)
                except NeedsDecoding:
                    pass
            content = source.all()
        except BaseException:  # cleans up and raises on, whatever it was
            source.close()
            raise
        source.close()
        return self._whole(content, source.start, accepted, target)

    def _bytewise(self, source: ObjectBytes, encoding: Encoding) -> PreparedObject:
        """The object with only the changed elements encoded. Raises NeedsDecoding, CoercionFailed."""
        common, instance = self._common, self.instance
        if instance is None and not common.coercer.has_rules:
            cut = unspliced(source)
        else:
            with _COERCING:
                selection = self._selected(source, encoding)
                kept = None if instance is None else common.that_count(instance.encoded_attributes)
                cut = common.bytewise.reworked(source, encoding, kept, selection)
            common.coercer.counts.count(cut.counted)
        return PreparedObject(
            sop_class_uid=cut.sop_class_uid or self.sop_class_uid,
            sop_instance_uid=cut.sop_instance_uid or self.sop_instance_uid,
            transfer_syntax_uid=self.transfer_syntax_uid,
            length=cut.length,
            source=source.batches(cut.pieces, cut.rest),
            mapped=partial(source.batches_for_system, cut.pieces, cut.rest) if source.size > HEAD else None,
            spliced=Spliced(cut.pieces, source, cut.rest),
            release=source.close,
        )

    def _whole(self, content: Buffer, start: int, accepted: Collection[str], target: str) -> PreparedObject:
        """The object, decoded as a whole, in transfer syntax ``target``. Raises SubOperationFailed, CoercionFailed.

        ``content`` has all of it from offset ``start`` on.
        """
        common = self._common
        with _PARSING:
            whole = WholeObject(content, self.transfer_syntax_uid, start=start)
        with coercing(whole.dataset):
            selection = self._selected_by(whole.dataset)
            kept: IndexedLevels | None = None
            if self.instance is not None and not selection.retrieve_as_received:
                kept = self.instance.encoded_attributes
            reworked = common.rework(whole.dataset, kept, None if kept is None else merged(kept), selection)
            whole.take_over(reworked.changes)
        common.coercer.count(reworked.executed)
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
