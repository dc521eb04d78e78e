"""Data set of a DICOM file that somebody has dropped on a page: read in memory, and cut to what rules look at."""

from __future__ import annotations

from dcm4py_leading.dataset.elements import Element, Fragments, Items
from dcm4py_leading.dataset.encoder import encode
from dcm4py_leading.dataset.reading import read_data_set
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE, Unscannable, scan
from dcm4py_leading.dataset.vr import TEXT_VRS
from dcm4py_leading.errors import InvalidObject
from dcm4py_leading.model.bounds import TRIED_DATA_SET_BYTES, TRIED_VALUE_BYTES
from dcm4py_leading.service.explain import WrongQuestion

_PREFIX = 128
_META = _PREFIX + len(b"DICM")
_GROUP_LENGTH = 0x00020000
_TRANSFER_SYNTAX_UID = 0x00020010
BULK_SHOWN_BYTES = 8
"""Bytes that are left of bulk data: a whole number of words of any VR."""


def data_set_of_file(content: bytes) -> bytes:
    """The data set of a DICOM file (PS3.10 7.1) in Explicit VR Little Endian, with the first bytes of bulk data alone.

    Raises WrongQuestion, without values.
    """
    start, transfer_syntax_uid = _meta_information(content)
    try:
        elements = read_data_set(content, transfer_syntax_uid, start=start).elements
    except InvalidObject as err:
        raise WrongQuestion(f"the file cannot be read: {err}") from err
    cut = {tag: _cut(element) for tag, element in elements.items()}
    data = b"".join(encode(cut, EXPLICIT_LITTLE))
    if len(data) > TRIED_DATA_SET_BYTES:
        raise WrongQuestion(f"the file has more than {TRIED_DATA_SET_BYTES} bytes without its bulk data")
    return data


def _meta_information(content: bytes) -> tuple[int, str]:
    """Where the data set begins, and its transfer syntax."""
    if content[_PREFIX:_META] != b"DICM":
        raise WrongQuestion("the file is no DICOM file")
    try:
        head, _ = scan(content, EXPLICIT_LITTLE, start=_META, stop_before=_GROUP_LENGTH + 1)
        _, value, following = head[_GROUP_LENGTH]
        start = following + int.from_bytes(content[value:following], "little")
        spans, _ = scan(content, EXPLICIT_LITTLE, start=_META, end=start)
        _, value, following = spans[_TRANSFER_SYNTAX_UID]
    except (Unscannable, KeyError) as err:
        raise WrongQuestion("the File Meta Information of the file is damaged") from err
    return start, content[value:following].decode("latin-1").rstrip("\0 ")


def _cut(element: Element) -> Element:
    """The element; of bulk data, at whose value no rule looks, its first bytes."""
    if isinstance(element.value, Items):
        return element
    if isinstance(element.value, Fragments):
        return element._replace(vr=b"OB", value=bytes(BULK_SHOWN_BYTES))
    if len(element.value) <= TRIED_VALUE_BYTES or element.vr in TEXT_VRS:
        return element
    return element._replace(value=bytes(element.value[:BULK_SHOWN_BYTES]))
