"""Data sets as trees of elements without decoded values; oddities are read as other toolkits read them.

The elements of a tree are in order, and each is there once. Values are in little endian, whatever they came in, and
are views of the bytes that were read where nothing had to be swapped.

What DCMTK and dcm4che take is taken, and told as an `Oddity`. Of an element that comes twice, the first one counts, as
it does for DCMTK; where the second one says something else, `DataSet.conflicting` has its tag, for those who must not
choose.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import NamedTuple

from dcm4py_leading.dataset.scan import Buffer


class Oddity(enum.Enum):
    """Oddity of an encoding: against the rules, but does no harm."""

    OUT_OF_ORDER = "tags that do not ascend"
    TWICE = "an element twice"
    STRAY_DELIMITER = "a delimitation item of no item or sequence"
    UNKNOWN_VR = "a VR that is none"
    OTHER_FORM = "an element with VR among those without, or the other way round"
    ODD_LENGTH = "a value of odd length"
    ZLIB_HEADER = "a zlib header before the deflated data set"


class Fragments(NamedTuple):
    """Encapsulated pixel data (PS3.5 A.4): the Basic Offset Table, and the fragments."""

    fragments: tuple[Buffer, ...]


class Items(NamedTuple):
    """The value of a sequence (PS3.5 7.5)."""

    items: tuple[Item, ...]
    is_undefined_length: bool


class Item(NamedTuple):
    """One item of a sequence."""

    elements: Elements
    is_undefined_length: bool


class Element(NamedTuple):
    """One element."""

    tag: int
    vr: bytes
    """Empty where it has none, or none that is known: that of the data dictionary is meant."""
    value: Value


IDENTITY = frozenset(
    (
        *(0x00080016, 0x00080018, 0x00080050, 0x0020000D, 0x0020000E),
        *(0x00100010, 0x00100020, 0x00100021, 0x00100030, 0x00100040),
    )
)
"""Tags of what tells whose an object is, and which: of these nobody may choose between two values."""

Value = Buffer | Items | Fragments
Elements = dict[int, Element]
"""By tag, in order."""


@dataclass(slots=True)
class DataSet:
    """Data set that was read."""

    elements: Elements
    oddities: set[Oddity] = field(default_factory=set)
    conflicting: dict[int, Value] = field(default_factory=dict)
    """Elements of the top level that came again with another value: that, by tag."""

    def value(self, tag: int) -> bytes:
        """The value of an element; empty where it is absent, or a sequence."""
        element = self.elements.get(tag)
        return b"" if element is None or isinstance(element.value, tuple) else bytes(element.value)
