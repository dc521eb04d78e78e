"""An object of another archive on its way through: coerced as it passes, never stored."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import MappingProxyType

from pydicom import Dataset

from dcm4py_leading.archive.index.index import IndexedInstance
from dcm4py_leading.coercion.select import Selection
from dcm4py_leading.dataset.data_sets import declare_default, read
from dcm4py_leading.dataset.scan import Buffer, Encoding, Unscannable, encoding_of, scan
from dcm4py_leading.dataset.text.charset import SPECIFIC_CHARACTER_SET
from dcm4py_leading.errors import CoercionFailed, SubOperationFailed
from dcm4py_leading.model.values import UID
from dcm4py_leading.service.proxy.forwarded_retrieve import Arrived, Missing
from dcm4py_leading.service.proxy.upstream import Arriving
from dcm4py_leading.service.retrieve.bytewise_coercion import NotBytewise
from dcm4py_leading.service.retrieve.encode import (
    ObjectErrors,
    PreparedObject,
    choose_transfer_syntax,
)
from dcm4py_leading.service.retrieve.stored_instance import RetrieveCoercion
from dcm4py_leading.service.retrieve.sub_operations import RetrievedObject
from dcm4py_leading.service.retrieve.whole import WholeObject

_BATCH = 1 << 20


class MissingObject:
    """An object that does not come; see `sub_operations.RetrievedObject`."""

    sop_class_uid = transfer_syntax_uid = ""

    def __init__(self, missing: Missing) -> None:
        self.sop_instance_uid = missing.sop_instance_uid
        self._reason = missing.reason

    def prepare(self, accepted: Collection[str]) -> PreparedObject:
        raise SubOperationFailed(self._reason)


class ForwardedObject:
    """An object that has arrived; see `sub_operations.RetrievedObject`."""

    def __init__(
        self,
        common: RetrieveCoercion,
        selections: Selections,
        arrived: Arrived,
        instance: IndexedInstance | None = None,
    ) -> None:
        """``instance`` is what the index has of it, where it was here."""
        self._common = common
        self._instance = instance
        self._selections = selections
        self._arrived = arrived
        self.sop_class_uid = arrived.sop_class_uid
        self.sop_instance_uid = arrived.sop_instance_uid
        self.transfer_syntax_uid = arrived.transfer_syntax_uid

    def prepare(self, accepted: Collection[str]) -> PreparedObject:
        arrived = self._arrived
        target = choose_transfer_syntax(arrived.transfer_syntax_uid, accepted)
        if target == arrived.transfer_syntax_uid:
            if arrived.is_in_order and self._instance is None and not self._common.coercer.has_rules:
                return self._as_it_is()
            encoding = encoding_of(arrived.transfer_syntax_uid)
            if encoding is not None and arrived.is_in_order:
                with suppress(NotBytewise):
                    return self._cut_out(memoryview(arrived.data), encoding)
        return self._whole(accepted, target)

    def _as_it_is(self) -> PreparedObject:
        return PreparedObject(
            sop_class_uid=self.sop_class_uid,
            sop_instance_uid=self.sop_instance_uid,
            transfer_syntax_uid=self.transfer_syntax_uid,
            length=len(self._arrived.data),
            source=_batches((), memoryview(self._arrived.data)),
        )

    def _cut_out(self, view: memoryview, encoding: Encoding) -> PreparedObject:
        with ObjectErrors("cannot be coerced"):
            selection = self._selections.of(view, encoding, self.sop_class_uid)
            kept = None if self._instance is None else self._instance.encoded_attributes
            cut = self._common.bytewise.reworked(view, 0, len(view), encoding, kept, selection)
        self._common.coercer.counts.count(cut.counted)
        return PreparedObject(
            sop_class_uid=cut.sop_class_uid or self.sop_class_uid,
            sop_instance_uid=cut.sop_instance_uid or self.sop_instance_uid,
            transfer_syntax_uid=self.transfer_syntax_uid,
            length=cut.length,
            source=_batches(cut.pieces, view[cut.rest :]),
        )

    def _whole(self, accepted: Collection[str], target: str) -> PreparedObject:
        """The whole object is decoded; see `whole`."""
        with ObjectErrors("cannot be parsed"):
            whole = WholeObject(self._arrived.data, self.transfer_syntax_uid)
        select = partial(self._common.coercer.select, sop_class=self.sop_class_uid)
        return self._common.prepared(whole, self._instance, select, accepted, target)


def _batches(pieces: Sequence[Buffer], rest: memoryview) -> Iterator[Sequence[Buffer]]:
    first: Sequence[Buffer] = pieces
    for at in range(0, max(len(rest), 1), _BATCH):
        yield [*first, rest[at : at + _BATCH]]
        first = ()


class Selections:
    """Which rules apply to which objects: worked out once for all that the rules cannot tell apart."""

    def __init__(self, common: RetrieveCoercion, studies: Collection[str]) -> None:
        """``studies`` are those that were asked for: leading archives are asked about all of them at once."""
        self._coercer = common.coercer
        self._default_character_set = common.local_ae.settings.default_character_set
        self._studies = [UID(uid) for uid in studies]
        self._known: dict[tuple[str, Encoding, bytes], Selection | CoercionFailed] = {}
        self._tags = frozenset({SPECIFIC_CHARACTER_SET, *self._coercer.reads})

    def of(self, view: memoryview, encoding: Encoding, sop_class_uid: str) -> Selection:
        """The rules that apply to the object. Raises NotBytewise, CoercionFailed where it cannot be told which do."""
        cut = b""
        if self._coercer.needs_attributes:
            try:
                spans, _ = scan(view, encoding, stop_before=max(self._tags) + 1)
            except Unscannable as err:
                raise NotBytewise from err
            cut = b"".join([view[spans[tag][0] : spans[tag][2]] for tag in sorted(self._tags) if tag in spans])
        key = (sop_class_uid, encoding, cut)
        selection = self._known.get(key)
        if selection is None:
            ds = read(cut, encoding) if cut else Dataset()
            declare_default(ds, self._default_character_set)
            try:
                selection = self._coercer.select(ds, sop_class_uid)
                self._coercer.prefetch([(selection, uid) for uid in self._studies])
            except CoercionFailed as err:
                selection = err
            self._known[key] = selection
        if isinstance(selection, CoercionFailed):
            raise CoercionFailed(str(selection)) from selection
        return selection


def forwarded(
    common: RetrieveCoercion, arriving: Arriving, known: Mapping[str, IndexedInstance] = MappingProxyType({})
) -> Iterator[RetrievedObject]:
    """The objects of a retrieve as they come; ``known`` are those that the index has, by SOP Instance UID.

    Raises ArchiveUnavailable.

    Where its studies are not known beforehand, the leading archives are asked about each when its first object comes.
    """
    selections = Selections(common, arriving.studies)
    for arrived in arriving:
        if isinstance(arrived, Missing):
            yield MissingObject(arrived)
        else:
            yield ForwardedObject(common, selections, arrived, known.get(arrived.sop_instance_uid))
