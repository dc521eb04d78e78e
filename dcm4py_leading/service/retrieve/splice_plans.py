"""Splice plans for objects of the same layout: results of `bytewise_coercion` as positions and bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dcm4py_leading.archive.index.keys import SOP_CLASS_UID, SOP_INSTANCE_UID
from dcm4py_leading.dataset.layout import Ranges
from dcm4py_leading.dataset.object_bytes import ObjectBytes
from dcm4py_leading.dataset.scan import Buffer, Span
from dcm4py_leading.dataset.splice import Edits, Piece, buffers_of, merged_ranges, pieces_of
from dcm4py_leading.service.counts import Key
from dcm4py_leading.service.retrieve.relevant_tags import RelevantTags


@dataclass(frozen=True, slots=True, kw_only=True)
class SplicedDataSet:
    """An encoded data set to send: pieces of its head, and the offset of the unchanged rest."""

    pieces: list[Buffer]
    rest: int
    length: int
    """Octets of the whole."""
    counted: tuple[Key, ...]
    """The steps that make the difference, as they are counted."""
    sop_class_uid: str | None
    """Where it changes."""
    sop_instance_uid: str | None
    """Where it changes."""


def unspliced(source: ObjectBytes) -> SplicedDataSet:
    """The unchanged data set."""
    return SplicedDataSet(
        pieces=[],
        rest=source.start,
        length=source.size - source.start,
        counted=(),
        sop_class_uid=None,
        sop_instance_uid=None,
    )


@dataclass(frozen=True, slots=True)
class SplicePlan:
    """Pieces of the coerced data set; valid for all data sets of one layout."""

    pieces: tuple[Piece, ...]
    pieces_length: int
    rest: int
    counted: tuple[Key, ...]
    sop_class_uid: str | None
    sop_instance_uid: str | None

    def cut(self, view: memoryview, size: int) -> SplicedDataSet:
        """Apply the plan to a data set that begins in ``view`` and ends at ``size``."""
        return SplicedDataSet(
            pieces=buffers_of(view, self.pieces),
            rest=self.rest,
            length=self.pieces_length + size - self.rest,
            counted=self.counted,
            sop_class_uid=self.sop_class_uid,
            sop_instance_uid=self.sop_instance_uid,
        )


class LayoutPlans:
    """Plans for objects of one layout, by the bytes of their relevant elements."""

    def __init__(self, spans: Mapping[int, Span], own_spans: Mapping[int, Span], concern: RelevantTags) -> None:
        self.kept_alive = (spans, own_spans, concern)
        self._concerned = Ranges(merged_ranges(spans, concern.tags))
        # An element equal up to its header needs no further comparison.
        self._is_comparable = all(tag in spans for tag in concern.own)
        self._compared = Ranges(merged_ranges(spans, concern.own))
        self._compared_with = Ranges(merged_ranges(own_spans, concern.own))
        # The key also has attributes that are not compared, and the character set that gives the bytes their meaning.
        self._own_concerned = Ranges(merged_ranges(own_spans, concern.tags))
        self._has_own = bool(own_spans)
        self.plans: dict[bytes, SplicePlan] = {}

    def find(self, view: memoryview, own: bytes) -> SplicePlan | None:
        """The plan for an object whose instance attributes equal those of the index."""
        if self._has_own and (not self._is_comparable or self._compared.of(view) != self._compared_with.of(own)):
            return None
        return self.plans.get(self.key(self._concerned.of(view), own))

    def key(self, concerned: bytes, own: bytes) -> bytes:
        """Key of a plan: the relevant bytes of the object and of its instance attributes in the index."""
        return concerned + self._own_concerned.of(own) if self._has_own else concerned


def splice_plan_of(
    edits: Edits, counted: tuple[Key, ...], spans: Mapping[int, Span], start: int, scanned_to: int
) -> SplicePlan:
    """Make the plan of edits for data sets of this layout (see `splice.pieces_of`)."""
    pieces, rest = pieces_of(spans, edits, start, scanned_to)
    return SplicePlan(
        pieces=tuple(pieces),
        pieces_length=sum(len(piece) if isinstance(piece, bytes) else piece[1] - piece[0] for piece in pieces),
        rest=rest,
        counted=counted,
        sop_class_uid=_edited_uid(edits, SOP_CLASS_UID),
        sop_instance_uid=_edited_uid(edits, SOP_INSTANCE_UID),
    )


def _edited_uid(edits: Edits, tag: int) -> str | None:
    for edited, element in edits:
        if edited == tag and element is not None:
            return element[8:].decode("ascii").rstrip("\0 ")
    return None
