"""Metadata by WADO-RS (PS3.18 10.4.1.1.2): all of objects but their pixels, as JSON.

An object is coerced as it is for a C-MOVE; of its file only what stands before the pixel data is read.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from dcm4py_leading.bounded_cache import BoundedCache
from dcm4py_leading.dataset.dicom_json.tree import BULK_VRS, Path, json_of_tree
from dcm4py_leading.dataset.elements import Elements
from dcm4py_leading.dataset.reading import parse, read_data_set
from dcm4py_leading.dataset.scan import Encoding, EndsEarly, Unscannable, encoding_of, scan
from dcm4py_leading.dataset.vr import dictionary_vr
from dcm4py_leading.errors import StatusError
from dcm4py_leading.model.bounds import METADATA_BYTES, METADATA_VALUE_BYTES
from dcm4py_leading.service.dicomweb.chunks import Chunk, Chunks, nothing
from dcm4py_leading.service.dicomweb.objects import (
    AS_STORED,
    Found,
    Named,
    ObjectsHead,
    accepted_for,
    answered,
    find_objects,
    first_of,
)
from dcm4py_leading.service.retrieve.encode import ObjectErrors, PreparedObject, Spliced
from dcm4py_leading.service.runtime import Runtime

_STUDY, _SERIES, _INSTANCE = 0x0020000D, 0x0020000E, 0x00080018
PIXELS = range(0x7FE00008, 0x7FE00011)
"""Float Pixel Data, Double Float Pixel Data, Pixel Data."""
_CHUNK = 1 << 16
_SHORT = 4096
"""Octets of an element that is read by itself: headers are read in such pieces, too."""
_READING = ObjectErrors("its metadata cannot be told")


MetadataMemo = BoundedCache[str, tuple[bytes, ...]]
"""Chunks of answers, by their validators."""


class Opening(NamedTuple):
    """A data set up to its pixel data."""

    elements: Elements
    not_read: Mapping[int, bytes]
    """VRs of pixel data, and of long values behind the head of the file, by tag."""
    places: Mapping[int, tuple[int, int]]
    """Offset and length of these values, but for pixel data."""
    pixels_at: int | None
    """Offset of the element with the pixel data, where it is known."""


def retrieve_metadata(runtime: Runtime, named: Named, is_gone: Callable[[], bool]) -> tuple[ObjectsHead, Chunks]:
    """The answer: what comes before it, and a JSON array; to be closed. Raises as `objects.retrieve_objects`."""
    found = find_objects(runtime, named, is_gone)
    first = first_of(found, (AS_STORED,))
    if first is None:
        return found.head, nothing()
    found.validate("metadata")
    told = found.head.validator
    known = runtime.metadata.get(told) if told else None
    chunks = answered(
        found,
        first,
        lambda stored: accepted_for(stored, (AS_STORED,)),
        lambda objects: (
            _kept(_array(objects, named.request.base_url), told, runtime.metadata)
            if known is None
            else _known(found, known)
        ),
    )
    next(chunks)  # from now on it ends in form, also where nobody reads it
    return found.head, chunks


def _kept(chunks: Iterator[bytes], validator: str, memo: MetadataMemo) -> Iterator[Chunk]:
    """The chunks, remembered when all of them are made."""
    made: list[bytes] | None = [] if validator else None
    size = 0
    for chunk in chunks:
        yield (chunk,)
        size += len(chunk)
        if made is not None:
            made.append(chunk)
            if size > METADATA_BYTES:
                made = None
    if made is not None:
        memo.put(validator, tuple(made), size)


def _known(found: Found, made: Chunk) -> Iterator[Chunk]:
    found.sent = found.retrieval.expected
    yield made


def _array(objects: Iterator[PreparedObject], base_url: str) -> Iterator[bytes]:
    text, size = ["["], 0
    for number, prepared in enumerate(objects):
        if number:
            text.append(",")
        text.append(_object(prepared, base_url))
        size += len(text[-1])
        if size >= _CHUNK or not number:
            yield "".join(text).encode()
            text, size = [], 0
    text.append("]")
    yield "".join(text).encode()


def _object(prepared: PreparedObject, base_url: str) -> str:
    with _READING:
        opening = opening_of(prepared)
        study, series, instance = (_uid(opening.elements, tag) for tag in (_STUDY, _SERIES, _INSTANCE))
        url = f"{base_url}/studies/{study}/series/{series}/instances/{instance}/bulkdata/"
        return json_of_tree(
            opening.elements,
            longest=METADATA_VALUE_BYTES,
            url_of=lambda path: url + path_text(path),
            not_read=opening.not_read,
        )


def path_text(path: Path) -> str:
    """A path as it stands in a URL: tags, and numbers of items, counted from 1, between them."""
    return "/".join(f"{part:08X}" if number % 2 == 0 else str(part) for number, part in enumerate(path))


def opening_of(prepared: PreparedObject) -> Opening:
    """The data set up to its pixel data. Raises InvalidObject, StorageUnavailable."""
    encoding = encoding_of(prepared.transfer_syntax_uid)
    spliced = prepared.spliced
    if spliced is not None and encoding is not None:
        opening = head_of(spliced, encoding)
        if opening is not None:
            return opening
    whole = b"".join(buffer for batch in prepared.batches() for buffer in batch)
    elements = read_data_set(whole, prepared.transfer_syntax_uid).elements
    pixels = {tag: element.vr or b"OW" for tag, element in elements.items() if tag in PIXELS}
    return Opening({tag: element for tag, element in elements.items() if tag < PIXELS.start}, pixels, {}, None)


def head_of(spliced: Spliced, encoding: Encoding) -> Opening | None:
    """The same of a data set that is cut out of a file; None where its elements cannot be found one by one.

    Raises InvalidObject, StorageUnavailable.
    """
    pieces, source, rest = spliced
    read = bytearray(b"".join(pieces))
    try:
        try:  # what is in memory is scanned several times faster, and does for most objects
            spans, end = scan(source.view, encoding, start=rest, end=source.size, stop_before=PIXELS.start)
        except EndsEarly:
            spans, end = scan(source, encoding, start=rest, end=source.size, stop_before=PIXELS.start)
    except Unscannable:
        return None
    not_read: dict[int, bytes] = {}
    places: dict[int, tuple[int, int]] = {}
    pixels_at = None
    header = struct.Struct("<HH2s" if encoding.is_little_endian else ">HH2s")
    for tag, (at, value, following) in spans.items():
        if following > len(source.view) and following - value > METADATA_VALUE_BYTES:
            vr = _vr(source.unpacked(header, at), encoding)
            if vr in BULK_VRS:
                not_read[tag] = vr
                places[tag] = value, following - value
                continue
        if following > len(source.view) and following - at <= _SHORT:
            read += source.unpacked(struct.Struct(f"{following - at}s"), at)[0]
            continue
        while following > len(source.view):
            if not source.look_further():
                return None
        read += source.view[at:following]
    if end + header.size <= source.size:
        found = source.unpacked(header, end)
        tag = found[0] << 16 | found[1]
        if tag in PIXELS:
            not_read[tag] = _vr(found, encoding)
            pixels_at = end
    return Opening(parse(bytes(read), encoding).elements, not_read, places, pixels_at)


def _vr(header: tuple[int, int, bytes], encoding: Encoding) -> bytes:
    group, number, vr = header
    if not encoding.is_implicit_vr:
        return vr
    known = dictionary_vr(group << 16 | number)
    return b"OW" if " or OW" in known else known.encode() or b"UN"


def _uid(elements: Elements, tag: int) -> str:
    element = elements.get(tag)
    if element is None or isinstance(element.value, tuple):
        raise StatusError(f"an object lacks element {tag:08X}")
    return bytes(element.value).decode("ascii", "replace").rstrip("\0 ")
