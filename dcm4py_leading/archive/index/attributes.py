"""Attributes that the index keeps of an entity: taken from an object, encoded, decoded and merged.

The bytes are a data set in Explicit VR Little Endian, in the Specific Character Set that the object had, which it
names itself; UTF-8 where that cannot hold the text.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from pydicom import Dataset

from dcm4py_leading.coercion.formats.attributes_format import Uids
from dcm4py_leading.coercion.update import update
from dcm4py_leading.dataset.data_sets import read, write
from dcm4py_leading.dataset.normal import element_of
from dcm4py_leading.dataset.plain import is_plain
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE, Buffer, Encoding, Span
from dcm4py_leading.dataset.text.character_sets import CharacterSet, normalized
from dcm4py_leading.dataset.text.charset import (
    SPECIFIC_CHARACTER_SET,
    character_set,
    elements_of,
    specific_character_set,
    unified,
    unwritable,
)
from dcm4py_leading.dataset.text.text import is_decodable
from dcm4py_leading.dataset.text.text_values import texts_of
from dcm4py_leading.errors import UnencodableText
from dcm4py_leading.model.coercion import UpdatePolicy

_WORDS = frozenset({"OW", "OL", "OF", "OD", "OV"})


def selected(ds: Dataset, tags: Collection[int]) -> Dataset:
    """The attributes of ``ds`` whose tag is in ``tags``, and its character set.

    Leaves out attributes that are invalid for their VR, so that a retrieve sends them as in the object.
    """
    chosen = Dataset()
    codes = character_set(ds)
    if codes:
        chosen.add(specific_character_set(codes))
    _, is_little_endian = ds.original_encoding
    for tag in sorted(tags):
        element = element_of(ds, tag)
        if element is None or tag == SPECIFIC_CHARACTER_SET:
            continue
        if is_little_endian is False and element.VR in _WORDS:
            continue  # its bytes are in the order of the file
        chosen.add(element)
    return chosen


def encode(ds: Dataset) -> bytes:
    """The bytes to keep. May change the character set of ``ds``."""
    local = character_set(ds)
    needed = unified(local, elements_of(ds))
    if needed != local:
        ds[SPECIFIC_CHARACTER_SET] = specific_character_set(needed)
    return write(ds, EXPLICIT_LITTLE)


def decode(data: bytes) -> Dataset:
    """Data set that `encode` wrote."""
    return read(data, EXPLICIT_LITTLE)


def read_elements(data: Buffer, spans: Mapping[int, Span], tags: Collection[int], encoding: Encoding) -> Dataset | Uids:
    """The elements of an encoded data set whose tag is in ``tags``, and its character set if needed."""
    if not encoding.is_implicit_vr and encoding.is_little_endian:
        uids = _plain_uids(data, spans, tags)
        if uids is not None:
            return uids
    wanted = sorted(tag for tag in {*tags, SPECIFIC_CHARACTER_SET} if tag in spans)
    parts = b"".join(bytes(data[spans[tag][0] : spans[tag][2]]) for tag in wanted)
    return read(parts, encoding)


def _plain_uids(data: Buffer, spans: Mapping[int, Span], tags: Collection[int]) -> Uids | None:
    """The elements if all of them are UIDs, which need no conversion."""
    uids = Uids()
    for tag in tags:
        at, value, following = spans.get(tag, (0, 0, 0))
        if data[at + 4 : at + 6] != b"UI" or not is_plain(b"UI", uid := bytes(data[value:following])):
            return None
        uids[tag] = uid.decode("ascii").rstrip("\0")
    return uids


def merged(levels: Sequence[bytes]) -> Dataset:
    """Merge the attributes of an entity and of those above it, given from the top down.

    If several levels have an attribute, the value of the lowest level is used. The data set has the character set of
    the lowest level, or UTF-8 if that set lacks characters. If a level has text that cannot be decoded, the data set
    has the declared set of that text, with code extensions if needed; text that this set lacks is left out.
    """
    read = [decode(level) for level in levels]
    _bring_into_one_set(read)
    ds = read[-1]
    for upper in reversed(read[:-1]):
        update(ds, upper, UpdatePolicy.SUPPLEMENT)
    return ds


def _bring_into_one_set(levels: Sequence[Dataset]) -> None:
    """Declare one character set for all levels if they name different ones and have text that cannot be decoded."""
    if len({normalized(character_set(ds)) for ds in levels}) == 1:
        return
    declared = [ds for ds in levels if any(not is_decodable(text) for _, text in texts_of(elements_of(ds)))]
    if not declared:
        return
    codes = next((found for ds in declared if (found := _common_set(ds, levels)) is not None), None)
    codes = character_set(declared[0]) if codes is None else codes
    for ds in levels:
        for tag in unwritable(ds, codes):
            del ds[tag]
        if codes:
            ds[SPECIFIC_CHARACTER_SET] = specific_character_set(codes)
        elif SPECIFIC_CHARACTER_SET in ds:
            del ds[SPECIFIC_CHARACTER_SET]


def _common_set(declaring: Dataset, levels: Sequence[Dataset]) -> CharacterSet | None:
    """The set of ``declaring``, extended if needed, if it can encode all levels."""
    others = [element for ds in levels if ds is not declaring for element in elements_of(ds)]
    try:
        codes = unified(character_set(declaring), others, elements_of(declaring))
    except UnencodableText:
        return None
    return None if any(unwritable(ds, codes) for ds in levels) else codes
