"""Content of an object for the index, by level: attributes as bytes, and the values that queries compare.

Both are copied from the bytes of the object if possible, else read by pydicom, with the same result. The levels above
the instance are equal for the objects of a series, so they are extracted once.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pydicom import Dataset
from pydicom.datadict import dictionary_VR

from dcm4py_leading.archive.index.attributes import encode, selected
from dcm4py_leading.archive.index.edits import states_of
from dcm4py_leading.archive.index.identity import BY_ID, Identification, are_different_patients, name_of
from dcm4py_leading.archive.index.keys import (
    ALWAYS_KEPT,
    ENTITIES,
    KEY_OF,
    LEVELS,
    SERIES_INSTANCE_UID,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    column_values,
    compared_values,
    keys_of,
    normal,
)
from dcm4py_leading.bounded_cache import put_flushing
from dcm4py_leading.dataset.data_sets import read
from dcm4py_leading.dataset.integrity import PIXELS
from dcm4py_leading.dataset.layout import Ranges
from dcm4py_leading.dataset.plain import compared_text, is_plain
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE, Buffer, Encoding, Span, scan
from dcm4py_leading.dataset.text.charset import SPECIFIC_CHARACTER_SET
from dcm4py_leading.dataset.text.unreadable import UNREADABLE
from dcm4py_leading.model.archive import AttributeFilter, Entity
from dcm4py_leading.model.coercion import UpdatePolicy
from dcm4py_leading.model.values import Level

_PIXEL_REPRESENTATION = 0x00280103
_UIDS = (SOP_CLASS_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID, SERIES_INSTANCE_UID)
_MAX_REMEMBERED = 512
_MAX_REMEMBERED_BYTES = 128
_MAX_REMEMBERED_LAYOUTS, _MAX_REMEMBERED_ELEMENTS = 64, 1024


@dataclass(frozen=True, slots=True)
class IndexedEntity:
    """Content that is kept for one level."""

    encoded: bytes
    """A data set; see `attributes`."""
    columns: Mapping[str, str | None]
    """The values that are compared, by column; see `keys.column_values`."""


Levels = Mapping[Level, IndexedEntity]


class AttributeExtractor:
    """Extracts from objects the attributes of the attribute filters of a configuration. Safe for threads."""

    def __init__(self, filters: Mapping[Entity, AttributeFilter], identification: Identification = BY_ID) -> None:
        self.filters = filters
        self.identification = identification
        self.tags: Mapping[Level, frozenset[int]] = {level: _tags(filters, level) for level in LEVELS}
        self._levels = tuple(_Level(level, self.tags[level]) for level in LEVELS)
        self._known_places: dict[int, tuple[Mapping[int, Span], Sequence[tuple[_Level, _Places]]]] = {}
        self._can_cut = not any(tag >> 16 & 1 or tag >= PIXELS for tags in self.tags.values() for tag in tags)

    def update_policy(self, level: Level) -> UpdatePolicy:
        """Policy for updates of a level by further objects."""
        entity_filter = self.filters.get(ENTITIES[level])
        return UpdatePolicy.PRESERVE if entity_filter is None else entity_filter.attribute_update_policy

    def are_different_patients(self, kept: Dataset, own: Dataset) -> bool:
        """True if an object is about another patient than the one in the index (see `identity`)."""
        by = self.identification
        if by.by_id_and_name and all(name_of(state) != name_of(own) for state in states_of(kept)):
            return True
        all_of = self.tags[Level.PATIENT] if by.by_all_attributes else ()
        policy = self.policy_of_corrections
        # An object may be older than an edit.
        return all(are_different_patients(state, own, policy=policy, all_of=all_of) for state in states_of(kept))

    @property
    def policy_of_corrections(self) -> UpdatePolicy:
        """Policy for corrections of patient attributes by further objects."""
        is_strict = self.identification.by_id_and_name or self.identification.by_all_attributes
        return UpdatePolicy.PRESERVE if is_strict else self.update_policy(Level.PATIENT)

    def take(self, header: Dataset) -> Levels:
        """Extract from a data set. May change its character set."""
        return {level: _kept(header, level, self.tags[level]) for level in LEVELS}

    def cut(self, data: Buffer, spans: Mapping[int, Span], encoding: Encoding) -> Levels | None:
        """Extract from the bytes of a data set with its elements at ``spans``.

        None if pydicom is needed: for private attributes, big endian, or an invalid UID.
        """
        if not self._can_cut or not encoding.is_little_endian:
            return None
        for tag in _UIDS:
            span = spans.get(tag)
            element = b"" if span is None else bytes(data[span[0] : span[2]])
            is_uid = _is_uid if len(element) <= _MAX_REMEMBERED_BYTES else _is_uid.__wrapped__
            if not is_uid(element, encoding.is_implicit_vr):
                return None
        try:
            return {
                level.level: level.cut(places.cut(data), is_implicit_vr=encoding.is_implicit_vr)
                for level, places in self._places_of(spans)
            }
        except UNREADABLE:
            return None

    def _places_of(self, spans: Mapping[int, Span]) -> Sequence[tuple[_Level, _Places]]:
        """Positions of the elements of each level in such an object.

        Objects of the same layout share ``spans`` (see `integrity.plain_spans`).
        """
        known_spans, places = self._known_places.get(id(spans), (None, ()))
        if known_spans is not spans:
            places = [(level, _Places(spans, level.looks_at)) for level in self._levels]
            if len(spans) <= _MAX_REMEMBERED_ELEMENTS:
                put_flushing(self._known_places, id(spans), (spans, places), _MAX_REMEMBERED_LAYOUTS)
        return places


class _Places:
    """Positions of the elements of a level, in objects of one layout."""

    def __init__(self, spans: Mapping[int, Span], tags: Sequence[int]) -> None:
        """``tags`` are in order."""
        self.tags = tuple(tag for tag in tags if tag in spans)
        self._spans = spans
        self._ranges: Ranges | None = None
        self._is_used = False

    def cut(self, data: Buffer) -> Mapping[int, bytes]:
        """Those elements, each with its header."""
        if self._ranges is None:
            if not self._is_used:  # for one object of a layout it would not be worth while
                self._is_used = True
                return {tag: _bytes_of(data, self._spans, tag) for tag in self.tags}
            self._ranges = Ranges((at, following) for at, _, following in map(self._spans.__getitem__, self.tags))
        return dict(zip(self.tags, self._ranges.each_of(data), strict=True))


class _Level:
    """The cutting of one level."""

    def __init__(self, level: Level, tags: frozenset[int]) -> None:
        self.level = level
        self._wanted = tags
        self.tags = tuple(tag for tag in sorted(tags) if tag != SPECIFIC_CHARACTER_SET and tag & 0xFFFF)
        # Which VR some attributes of items have in Implicit VR depends on Pixel Representation.
        self.looks_at = tuple(sorted({*self.tags, SPECIFIC_CHARACTER_SET, _PIXEL_REPRESENTATION}))
        self._keeps_pixel_representation = _PIXEL_REPRESENTATION in self.tags
        self._keys = keys_of(level)
        self._columns = {key.tag: key.columns for key in self._keys}
        self._no_columns: Mapping[str, str | None] = dict.fromkeys(name for key in self._keys for name in key.columns)
        self._remembers = level is not Level.IMAGE
        self._known: dict[tuple[bool, bytes], IndexedEntity] = {}

    def cut(self, looked_at: Mapping[int, bytes], *, is_implicit_vr: bool) -> IndexedEntity:
        """Content of an object in which the elements of `looks_at` are ``looked_at``."""
        if not self._remembers:
            return self._made(self._parts(looked_at, is_implicit_vr))
        key = (is_implicit_vr, b"".join(looked_at.values()))
        kept = self._known.get(key)
        if kept is None:
            kept = self._made(self._parts(looked_at, is_implicit_vr))
            put_flushing(self._known, key, kept, _MAX_REMEMBERED)
        return kept

    def _parts(self, looked_at: Mapping[int, bytes], is_implicit_vr: bool) -> _Parts:
        elements = dict(looked_at)
        character_set = elements.pop(SPECIFIC_CHARACTER_SET, b"")
        pixel_representation = elements.get(_PIXEL_REPRESENTATION, b"")
        if pixel_representation and not self._keeps_pixel_representation:
            del elements[_PIXEL_REPRESENTATION]
        return _Parts(is_implicit_vr, character_set, pixel_representation, elements)

    def _made(self, parts: _Parts) -> IndexedEntity:
        return self._copied(parts) or _kept(parts.read(self.tags), self.level, self._wanted)

    def _copied(self, parts: _Parts) -> IndexedEntity | None:
        """The plain elements as they stand, in Explicit VR, the others through pydicom.

        None if they need different character sets.
        """
        if len(parts.character_set) > _MAX_REMEMBERED_BYTES:
            return None
        character_set_value, character_set, plain, _ = _look(
            SPECIFIC_CHARACTER_SET, parts.character_set, parts.is_implicit_vr
        )
        if parts.character_set and not plain:
            return None
        has_romaji = b"13" in character_set
        pieces: dict[int, bytes] = {}
        columns = dict(self._no_columns)
        for tag, element in parts.elements.items():
            look = _look if len(element) <= _MAX_REMEMBERED_BYTES else _look.__wrapped__
            value, piece, plain, compared = look(tag, element, parts.is_implicit_vr)
            if plain and not (has_romaji and (b"~" in value or b"\\" in value)):
                pieces[tag] = piece
                if tag in self._columns:
                    columns.update(zip(self._columns[tag], compared, strict=True))
        if len(pieces) < len(parts.elements):
            odd = parts.elements.keys() - pieces.keys()
            ds = selected(parts.read(odd), odd)
            encoded = encode(ds)
            spans, _ = scan(encoded, EXPLICIT_LITTLE)
            if _bytes_of(encoded, spans, SPECIFIC_CHARACTER_SET) != (character_set if character_set_value else b""):
                return None
            pieces = {tag: pieces.get(tag) or _bytes_of(encoded, spans, tag) for tag in parts.elements}
            for key in self._keys:
                if key.tag in odd:
                    columns.update(zip(key.columns, compared_values(ds, key), strict=True))
        return IndexedEntity(b"".join([character_set if character_set_value else b"", *pieces.values()]), columns)


@dataclass(frozen=True, slots=True)
class _Parts:
    """The elements of an object for a level, each with its header."""

    is_implicit_vr: bool
    character_set: bytes
    pixel_representation: bytes
    elements: Mapping[int, bytes]
    """Without those two, in ascending order."""

    def read(self, tags: Collection[int]) -> Dataset:
        """A data set of those elements, and of those two."""
        parts = {tag: element for tag, element in self.elements.items() if tag in tags}
        parts[SPECIFIC_CHARACTER_SET] = self.character_set
        parts.setdefault(_PIXEL_REPRESENTATION, self.pixel_representation)
        return read(b"".join(parts[tag] for tag in sorted(parts)), Encoding(self.is_implicit_vr, True))


@lru_cache(maxsize=8192)
def _look(tag: int, element: bytes, is_implicit_vr: bool) -> tuple[bytes, bytes, bool, tuple[str | None, ...]]:
    """Value and whole element in Explicit VR, if the element is plain."""
    value = element[8:]
    vr = _vr_of(tag) if is_implicit_vr else element[4:6]
    piece = element[:4] + vr + _LENGTH.pack(len(value) & 0xFFFF) + value if is_implicit_vr else element
    if not is_plain(vr, value):
        return value, piece, False, ()
    key = KEY_OF.get(tag)
    return value, piece, True, () if key is None else normal(compared_text(vr, value), key.comparison)


_LENGTH = struct.Struct("<H")


@lru_cache(maxsize=4096)
def _vr_of(tag: int) -> bytes:
    """The VR in the data dictionary; empty if it has none, or several."""
    try:
        vr = dictionary_VR(tag).encode()
    except KeyError:
        return b""
    return vr if len(vr) == 2 else b""


def _bytes_of(data: Buffer, spans: Mapping[int, Span], tag: int) -> bytes:
    span = spans.get(tag)
    return bytes(data[span[0] : span[2]]) if span is not None else b""


@lru_cache(maxsize=1024)
def _is_uid(element: bytes, is_implicit_vr: bool) -> bool:
    return len(element) > 8 and (is_implicit_vr or element[4:6] == b"UI") and is_plain(b"UI", element[8:])


def _kept(header: Dataset, level: Level, tags: frozenset[int]) -> IndexedEntity:
    ds = selected(header, tags)
    return IndexedEntity(encode(ds), column_values(ds, level))


def _tags(filters: Mapping[Entity, AttributeFilter], level: Level) -> frozenset[int]:
    """The attributes kept for a level: those of its dcmAttributeFilter, else its matching keys."""
    entity_filter = filters.get(ENTITIES[level])
    tags = [key.tag for key in keys_of(level)] if entity_filter is None else entity_filter.tags
    return frozenset({*map(int, tags), *ALWAYS_KEPT[level]})
