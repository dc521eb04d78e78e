"""Objects of a request that tells their attributes as JSON, and their bulk data in parts of its own (PS3.18 10.5.2).

All bulk data of a request is written to one unnamed file while it arrives; objects are made of it at the end.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import BinaryIO, NamedTuple

from dcm4py_leading.dataset.dicom_json.reading import Json, tree_of_json
from dcm4py_leading.dataset.elements import Fragments, Value
from dcm4py_leading.dataset.encoder import encode
from dcm4py_leading.dataset.scan import DEFLATED, EXPLICIT_LITTLE, Buffer, is_encapsulated
from dcm4py_leading.errors import InvalidObject, StorageUnavailable
from dcm4py_leading.model.bounds import STORED_JSON_BYTES, STORED_PARTS
from dcm4py_leading.service.dicomweb.multipart import MalformedBody, Part, TooMuch
from dcm4py_leading.service.dicomweb.sent_object import SentObject

DICOM_JSON = "application/dicom+json"
_PIXEL_DATA = 0x7FE00010
_IMPLICIT_LITTLE, _EXPLICIT_LITTLE, _EXPLICIT_BIG = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
)
_SYNTAXES = {
    "application/octet-stream": _EXPLICIT_LITTLE,
    "image/dicom-rle": "1.2.840.10008.1.2.5",
    "image/jpeg": "1.2.840.10008.1.2.4.70",
    "image/jls": "1.2.840.10008.1.2.4.80",
    "image/jp2": "1.2.840.10008.1.2.4.90",
    "image/jpx": "1.2.840.10008.1.2.4.92",
    "image/jphc": "1.2.840.10008.1.2.4.201",
    "image/jxl": "1.2.840.10008.1.2.4.110",
    "video/mpeg": "1.2.840.10008.1.2.4.100",
    "video/mp4": "1.2.840.10008.1.2.4.102",
}
"""Transfer syntaxes of media types that do not name one (PS3.18 8.7.3.3)."""


class _Bulk(NamedTuple):
    start: int
    end: int
    transfer_syntax_uid: str
    """Empty for a media type that has none."""


class ToldObjects:
    """Attributes and bulk data of one request."""

    def __init__(self, file: BinaryIO) -> None:
        """``file`` is unbuffered, and closed with these."""
        self._file = file
        self._size = 0
        self._json_size = 0
        self._bulk: defaultdict[str, list[_Bulk]] = defaultdict(list)
        self._data_sets: list[Json] = []

    def close(self) -> None:
        """Give the room of the file back, when the last object is read."""
        self._file.close()

    def add(self, part: Part) -> None:
        """Read a part. Raises MalformedBody, TooMuch, StorageUnavailable, and what reading it raises."""
        if part.media_type in (DICOM_JSON, "application/json"):
            self._data_sets += self._read_json(part)
            if len(self._data_sets) > STORED_PARTS:
                raise TooMuch(f"part {part.number}: the JSON has more than {STORED_PARTS} objects")
            return
        location = part.headers.get("content-location", "")
        if not location:
            raise MalformedBody(f"part {part.number}: bulk data has no Content-Location")
        start = self._size
        try:
            for piece in part.data:
                self._write(piece)
        except OSError as err:
            raise StorageUnavailable(f"no room for bulk data: {err.strerror}") from err
        syntax = part.parameter("transfer-syntax") or _SYNTAXES.get(part.media_type, "")
        self._bulk[location].append(_Bulk(start, self._size, syntax))

    def _write(self, piece: Buffer) -> None:
        view = memoryview(piece)
        self._size += len(view)
        while view:
            view = view[os.write(self._file.fileno(), view) :]

    def _read_json(self, part: Part) -> list[Json]:
        text = bytearray()
        for piece in part.data:
            self._json_size += len(piece)
            if self._json_size > STORED_JSON_BYTES:
                raise TooMuch(f"part {part.number}: the JSON is longer than {STORED_JSON_BYTES} bytes")
            text += piece
        try:
            told = json.loads(text)
        except (ValueError, RecursionError) as err:
            raise MalformedBody(f"part {part.number}: it is no JSON ({type(err).__name__})") from err
        return told if isinstance(told, list) else [told]

    def objects(self) -> Iterator[ToldObject]:
        """The objects that were told, in their order."""
        data = memoryview(mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)) if self._size else memoryview(b"")
        for told in self._data_sets:
            yield ToldObject(told, data, self._bulk)


class ToldObject:
    """An object whose attributes are told."""

    def __init__(self, told: Json, data: memoryview, bulk: dict[str, list[_Bulk]]) -> None:
        self._told = told
        self._data = data
        self._bulk = bulk
        self._transfer_syntax_uid = _EXPLICIT_LITTLE

    @property
    def sop_class_uid(self) -> str:
        """Its SOP class; empty where that is not told."""
        return _told_uid(self._told, "00080016")

    @property
    def sop_instance_uid(self) -> str:
        """Its SOP Instance UID; empty where that is not told."""
        return _told_uid(self._told, "00080018")

    def sent(self) -> SentObject:
        """The same in the transfer syntax that the media type of its pixel data tells. Raises InvalidObject."""
        elements = tree_of_json(self._told, self._value)
        if not self.sop_class_uid or not self.sop_instance_uid:
            raise InvalidObject("the JSON has no SOPClassUID or no SOPInstanceUID")
        try:
            data = encode(elements, EXPLICIT_LITTLE)
        except struct.error as err:  # PS3.5 7.1: 32 bits
            raise InvalidObject("a value or a sequence is longer than an element can be") from err
        return SentObject(
            sop_class_uid=self.sop_class_uid,
            sop_instance_uid=self.sop_instance_uid,
            transfer_syntax_uid=self._transfer_syntax_uid,
            data=data,
        )

    def _value(self, uri: str, tag: int, depth: int) -> Value:
        parts = self._bulk.get(uri)
        if not parts:
            raise InvalidObject(f"element ({tag >> 16:04X},{tag & 0xFFFF:04X}): no part has its bulk data")
        pieces = [self._data[part.start : part.end] for part in parts]
        if tag == _PIXEL_DATA and depth == 0:
            self._transfer_syntax_uid = _syntax_of(parts)
            if is_encapsulated(self._transfer_syntax_uid):
                return Fragments((b"", *pieces))
        if any(one.end != following.start for one, following in pairwise(parts)):
            raise InvalidObject("the parts of one value do not follow each other")
        return self._data[parts[0].start : parts[-1].end]


def _told_uid(told: Json, tag: str) -> str:
    try:
        (uid,) = told[tag]["Value"]
    except (KeyError, TypeError, ValueError):
        return ""
    return uid if isinstance(uid, str) else ""


def _syntax_of(parts: Iterable[_Bulk]) -> str:
    syntaxes = {part.transfer_syntax_uid for part in parts}
    if len(syntaxes) != 1 or "" in syntaxes:
        raise InvalidObject("the Content-Type of pixel data tells no transfer syntax, or its parts tell several")
    (syntax,) = syntaxes
    if syntax in DEFLATED or syntax == _EXPLICIT_BIG:
        raise InvalidObject("pixel data comes in a transfer syntax in which it cannot be put into an object here")
    return _EXPLICIT_LITTLE if syntax == _IMPLICIT_LITTLE else syntax
