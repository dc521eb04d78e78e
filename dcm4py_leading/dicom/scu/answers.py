"""Lenient reading of response identifiers to our own queries: elements that were not asked for are ignored.

Elements out of order, duplicates, missing or unknown VRs and stray delimiters are accepted. But a response is
unreadable if an element that was asked for has two different values, or a value that cannot be determined.
"""

from __future__ import annotations

from collections.abc import Collection

from pydicom import Dataset

from dcm4py_leading.dataset.encoder import encode
from dcm4py_leading.dataset.reading import read_data_set
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE
from dcm4py_leading.dataset.text.charset import SPECIFIC_CHARACTER_SET
from dcm4py_leading.dataset.text.unreadable import UNREADABLE
from dcm4py_leading.dicom.identifier import decode
from dcm4py_leading.errors import InvalidObject

_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
_LAST = 0xFFFFFFFF
_LONGEST = 1 << 26
"""Octets of an answer that was deflated."""


def plain_answer(data: bytes, transfer_syntax_uid: str, wanted: Collection[int] | None) -> bytes:
    """The ``wanted`` elements of a response in Explicit VR Little Endian; None: all. Raises InvalidObject."""
    tags = None if wanted is None else {*wanted, SPECIFIC_CHARACTER_SET}
    found = read_data_set(data, transfer_syntax_uid, wanted=tags, most_inflated=_LONGEST)
    if found.conflicting:
        raise InvalidObject("an element stands in it twice, with different values")
    return b"".join(encode(found.elements, EXPLICIT_LITTLE))


def read_answer(
    data: bytes, transfer_syntax_uid: str, wanted: Collection[int] | None, *, is_whole: bool = False
) -> Dataset:
    """The same as a data set; pydicom parses a value when it is first read. Raises InvalidObject.

    ``is_whole``: the response must be complete, also after the last wanted element.
    """
    if is_whole and wanted is not None:
        wanted = [*wanted, _LAST]
    try:
        return decode(plain_answer(data, transfer_syntax_uid, wanted), _EXPLICIT_VR_LITTLE_ENDIAN)
    except UNREADABLE as err:
        raise InvalidObject(f"it cannot be parsed ({type(err).__name__})") from err
