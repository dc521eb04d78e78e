"""Selection of rules for the objects of a retrieve, shared by objects that conditions cannot distinguish."""

from __future__ import annotations

from collections.abc import Callable, Collection

from pydicom import Dataset

from dcm4py_leading.archive.index.index import IndexedInstance
from dcm4py_leading.archive.index.keys import LEVELS
from dcm4py_leading.coercion.select import Selection
from dcm4py_leading.dataset.data_sets import declare_default, read
from dcm4py_leading.dataset.layout import Layouts
from dcm4py_leading.dataset.object_bytes import ObjectBytes
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE, Encoding, Unscannable, scan
from dcm4py_leading.dataset.text.charset import SPECIFIC_CHARACTER_SET
from dcm4py_leading.errors import CoercionFailed
from dcm4py_leading.model.values import UID
from dcm4py_leading.service.coerce import Coercer
from dcm4py_leading.service.retrieve.relevant_tags import NeedsDecoding


class Selections:
    """The rules of the objects of one retrieve."""

    def __init__(self, coercer: Coercer, studies: Collection[str] = ()) -> None:
        """``studies`` are those about which leading archives are asked, in one batch, with the first object."""
        self._coercer = coercer
        self._studies = [UID(uid) for uid in studies]
        self._known: dict[object, Selection | CoercionFailed] = {}
        self._tags = tuple(sorted({SPECIFIC_CHARACTER_SET, *coercer.reads}))
        self._layouts = Layouts()
        self._last: list[tuple[bytes, bytes]] = [(b"", b"")] * len(LEVELS)

    def of_instance(self, instance: IndexedInstance) -> Selection | CoercionFailed:
        """The rules by the attributes in the index; a failure concerns only this instance."""
        key: object = instance.sop_class_uid
        if self._coercer.needs_attributes:
            key = (key, *map(self._cut, range(len(LEVELS)), instance.encoded_attributes))
        return self._of(
            key,
            instance.sop_class_uid,
            lambda: instance.attributes if self._coercer.needs_attributes else Dataset(),
        )

    def of_object(self, source: ObjectBytes, encoding: Encoding, sop_class_uid: str) -> Selection:
        """The rules by the attributes of the object. Raises NeedsDecoding, CoercionFailed."""
        cut = self._cut_out(source, encoding) if self._coercer.needs_attributes else b""
        selection = self._of(
            (sop_class_uid, encoding, cut), sop_class_uid, lambda: self._decoded(cut, encoding), self._studies
        )
        if isinstance(selection, CoercionFailed):
            raise CoercionFailed(str(selection)) from selection
        return selection

    def _of(
        self, key: object, sop_class_uid: str, attributes: Callable[[], Dataset], studies: Collection[UID] = ()
    ) -> Selection | CoercionFailed:
        selection = self._known.get(key)
        if selection is None:
            try:
                selection = self._coercer.select(attributes(), sop_class_uid)
                self._coercer.prefetch([(selection, uid) for uid in studies])
            except CoercionFailed as err:
                selection = err
            self._known[key] = selection
        return selection

    def _cut_out(self, source: ObjectBytes, encoding: Encoding) -> bytes:
        try:
            spans, _ = self._layouts.scan_object(source, encoding, stop_before=self._tags[-1] + 1)
        except Unscannable as err:
            raise NeedsDecoding from err
        return b"".join([source.view[spans[tag][0] : spans[tag][2]] for tag in self._tags if tag in spans])

    def _decoded(self, cut: bytes, encoding: Encoding) -> Dataset:
        ds = read(cut, encoding) if cut else Dataset()
        declare_default(ds, self._coercer.local_ae.settings.default_character_set)
        return ds

    def _cut(self, number: int, attributes: bytes) -> bytes:
        """Attributes of a level that the rules read; usually the same as for the last instance."""
        known, cut = self._last[number]
        if known != attributes:
            spans, _ = scan(attributes, EXPLICIT_LITTLE)
            cut = b"".join(attributes[spans[tag][0] : spans[tag][2]] for tag in self._tags if tag in spans)
            self._last[number] = (attributes, cut)
        return cut
