"""Coercion of objects that are decoded as a whole; elements that do not change still keep their bytes.

The object is read as a tree of elements, which is converted for pydicom and the rules. Changed elements are taken back
from pydicom; the rest is encoded from the tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property

from pydicom import Dataset

from dcm4py_leading.coercion.changes import Change
from dcm4py_leading.dataset.deflate import deflated
from dcm4py_leading.dataset.elements import IDENTITY, Elements
from dcm4py_leading.dataset.encoder import encode
from dcm4py_leading.dataset.pixels.pixel_data import decompressed
from dcm4py_leading.dataset.pydicom_bridge import (
    UnreadableElement,
    encoded_elements,
    first_unreadable,
    name_of,
    to_pydicom,
)
from dcm4py_leading.dataset.reading import read_data_set
from dcm4py_leading.dataset.scan import DEFLATED, EXPLICIT_LITTLE, Buffer, encoding_of, is_encapsulated
from dcm4py_leading.dataset.soundness import require_sound
from dcm4py_leading.dataset.text.character_sets import CharacterSet, keeps
from dcm4py_leading.dataset.text.charset import SPECIFIC_CHARACTER_SET, character_set
from dcm4py_leading.errors import SubOperationFailed, UnencodableText
from dcm4py_leading.service.retrieve.encode import ObjectErrors

_PIXELS = 0x7FE00000
_PIXEL_DATA = 0x7FE00010


class WholeObject:
    """An object that is coerced with pydicom."""

    def __init__(self, data: Buffer, transfer_syntax_uid: str, *, start: int = 0) -> None:
        """The data set is ``data`` from octet ``start`` on. Raises InvalidObject."""
        self._data = memoryview(data)[start:]
        self.transfer_syntax_uid = transfer_syntax_uid
        read = read_data_set(self._data, transfer_syntax_uid)
        self._before = read.elements
        self._is_odd = bool(read.oddities)
        self._conflicting = read.conflicting.keys() & IDENTITY
        self._changed: set[int] = set()
        self._local: CharacterSet = ()
        self.elements: Elements = dict(read.elements)
        """As they are now."""

    @cached_property
    def dataset(self) -> Dataset:
        """The elements as a pydicom data set; after a change call `take_over`."""
        ds = to_pydicom(self._before)
        self._local = character_set(ds)
        return ds

    def header(self) -> Dataset:
        """The current elements before the pixel data, for pydicom."""
        return to_pydicom({tag: element for tag, element in self.elements.items() if tag < _PIXELS})

    def ambiguous(self) -> str | None:
        """Name of an identifying attribute that is there twice with different values."""
        return next((name_of(tag) for tag in sorted(self._conflicting - self._changed)), None)

    @property
    def is_emptied(self) -> bool:
        """True if the pixel data element is empty."""
        element = self.elements.get(_PIXEL_DATA)
        return element is not None and not isinstance(element.value, tuple) and not len(element.value)

    def text(self, tag: int) -> str:
        """The value of a UID; empty if there is none."""
        element = self.elements.get(tag)
        if element is None or isinstance(element.value, tuple):
            return ""
        return bytes(element.value).decode("ascii", "replace").rstrip("\0 ")

    def take_over(self, changes: Sequence[Change]) -> None:
        """Take these changes over from `dataset`, and nothing else. Raises UnreadableElement."""
        if changes:
            self._take(changed_tags(self.dataset, self._before.keys(), changes, self._local))

    def encoded(self, target: str) -> list[Buffer]:
        """The data set in that transfer syntax, in pieces. Raises SubOperationFailed."""
        if is_encapsulated(self.transfer_syntax_uid) and not is_encapsulated(target):
            self._decompress()
        if (name := self.ambiguous()) is not None:
            raise SubOperationFailed(f"{name} is there twice, with different values")
        with ObjectErrors("cannot be encoded"):
            require_sound(self._before, self.elements, self._changed, is_encapsulated=is_encapsulated(target))
            if target == self.transfer_syntax_uid and not self._changed and not self._is_odd:
                return [self._data]
            pieces = encode(self.elements, encoding_of(target) or EXPLICIT_LITTLE)
        return [deflated(b"".join(pieces))] if target in DEFLATED else pieces

    def _decompress(self) -> None:
        if self.transfer_syntax_uid in _REFERENCED:
            raise SubOperationFailed("its pixel data is elsewhere, which only its own transfer syntax can tell")
        native = decompressed(self.elements, self.transfer_syntax_uid)
        tags = self.elements.keys() | native.keys()
        self._changed |= {tag for tag in tags if native.get(tag) is not self.elements.get(tag)}
        self.elements = native

    def _take(self, tags: Iterable[int]) -> None:
        edits = encoded_elements(self.dataset, tags)
        self._changed |= edits.keys()
        for tag, element in edits.items():
            if element is None:
                self.elements.pop(tag, None)
            else:
                self.elements[tag] = element
        self.elements = dict(sorted(self.elements.items()))


_REFERENCED = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (94, 95, 204, 205))
"""JPIP (PS3.5 A.6): an object has the URL of its pixel data."""


@contextmanager
def coercing(ds: Dataset) -> Iterator[None]:
    """Turn errors of a rule on an invalid object into SubOperationFailed that names the element."""
    try:
        with ObjectErrors("cannot be coerced"):
            yield
    except SubOperationFailed as err:
        tag = first_unreadable(ds)
        if tag is None or isinstance(err.__cause__, (UnencodableText, UnreadableElement)):
            raise
        raise SubOperationFailed(f"{err}: {name_of(tag)} cannot be read") from err


def changed_tags(ds: Dataset, before: Iterable[int], changes: Iterable[Change], local: CharacterSet) -> set[int]:
    """Tags of the top level in ``ds`` that the changes, and their side effects, may have changed.

    ``before`` are the earlier tags, ``local`` is the character set.
    """
    paths = {change.path for change in changes}
    added = ds.keys() - set(before)
    # If the new set extends the old one, unchanged text keeps its meaning.
    if (SPECIFIC_CHARACTER_SET,) in paths and not keeps(local, character_set(ds)):
        return {int(tag) for tag in ds.keys() | set(before)}
    return {path[0] for path in paths} | {SPECIFIC_CHARACTER_SET} | {int(tag) for tag in added}
