"""Coercion of the objects of one retrieve: attributes of the index, then the rules."""

from __future__ import annotations

from copy import deepcopy

from pydicom import Dataset
from pydicom.dataelem import DataElement

from dcm4py_leading.archive.index.indexed_attributes import AttributeExtractor
from dcm4py_leading.coercion.chain import Answer, ExecutedStep, Question, coercion, run
from dcm4py_leading.coercion.changes import Change, apply
from dcm4py_leading.coercion.original_attributes import ORIGINAL_ATTRIBUTES_SEQUENCE
from dcm4py_leading.coercion.select import Selection
from dcm4py_leading.coercion.update import plan_update
from dcm4py_leading.dataset.data_sets import declare_default
from dcm4py_leading.errors import CoercionFailed
from dcm4py_leading.model.coercion import UpdatePolicy
from dcm4py_leading.service.coerce import Coercer, add_original_attributes
from dcm4py_leading.service.index_attributes import IndexAttributes
from dcm4py_leading.service.retrieve.bytewise_coercion import BytewiseCoercion, CoercedDataSet, IndexedLevels
from dcm4py_leading.service.retrieve.file_bytes import Buffers


class RetrieveCoercion:
    """Coercion of the objects of one retrieve. For one thread at a time."""

    def __init__(
        self,
        coercer: Coercer,
        keeper: AttributeExtractor,
        *,
        tells_original_attributes: bool = False,
        source: str | None = None,
        are_copies: bool = False,
    ) -> None:
        """``tells_original_attributes``: changed objects get an Original Attributes Sequence.

        ``source`` is the sender of objects that are coerced as received; they always get the sequence. ``are_copies``:
        the objects are copies from another archive, not the stored ones.
        """
        self.coercer = coercer
        self.local_ae = coercer.local_ae
        tells = source is not None or tells_original_attributes
        self._source = source or ""
        self._keeper = keeper
        self._kept = IndexAttributes(keeper)
        self._are_copies = are_copies
        self._tells_original_attributes = tells
        self.buffers = Buffers()
        # Original Attributes contain the time of the change, which differs on each retrieve.
        memo = None if tells else coercer.outcomes
        whose = (coercer.local_ae.ae_title, are_copies)
        self.bytewise = BytewiseCoercion(
            self.rework, tells_original_attributes=tells, memo=memo, whose=whose, answer=coercer.answer
        )

    def for_copies(self) -> RetrieveCoercion:
        """The same for copies from another archive that replace stored objects."""
        tells = self._tells_original_attributes
        return RetrieveCoercion(self.coercer, self._keeper, tells_original_attributes=tells, are_copies=True)

    def that_count(self, attributes: IndexedLevels) -> IndexedLevels:
        """Attributes of an instance in the index that may change its object."""
        return attributes if self._are_copies else self._kept.that_count(attributes)

    def rework(
        self, ds: Dataset, kept: IndexedLevels | None, attributes: Dataset | None, selection: Selection
    ) -> CoercedDataSet:
        """Coerce ``ds`` in place: by the edits in ``kept``, by the index's ``attributes``, and by the rules.

        Failed steps are counted here, others by the sender of the object, which may need several attempts.
        """
        declare_default(ds, self.local_ae.settings.default_character_set)
        previous: dict[int, DataElement | None] = {}
        changes: list[Change] = []
        asked: list[tuple[Question, Answer]] = []

        def make(planned: list[Change]) -> None:
            if self._tells_original_attributes:
                for change in planned:
                    previous.setdefault(change.path[0], deepcopy(ds.get(change.path[0])))
            make_edits(planned)

        def answer(question: Question) -> Answer:
            asked.append((question, self.coercer.answer(question)))
            return asked[-1][1]

        def make_edits(planned: list[Change]) -> None:
            """Apply edits, which record the replaced values themselves."""
            apply(ds, planned)
            changes.extend(planned)

        if attributes is not None:
            if kept is not None:
                self._kept.carry_edits(ds, kept, make_edits)
            if not self._are_copies:
                self._kept.update(ds, attributes, make)
            else:
                # A stored object may have been coerced when it came; the copy of another archive was not.
                tags = {int(tag) for tag in attributes.keys()} - {ORIGINAL_ATTRIBUTES_SEQUENCE}
                make(plan_update(ds, attributes, UpdatePolicy.OVERWRITE, only=tags))
        executed: list[ExecutedStep] = []
        try:
            coerced = run(coercion(ds, selection, executed), answer)
        except CoercionFailed:
            self.coercer.count(executed)
            raise
        changes += coerced.changes
        if changes and self._tells_original_attributes:
            told = add_original_attributes(ds, coerced, self.local_ae, source=self._source, previous=previous)
            changes += [told] if told is not None else []
        return CoercedDataSet(changes=tuple(changes), executed=coerced.executed, asked=tuple(asked))
