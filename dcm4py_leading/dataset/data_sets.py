"""pydicom data sets read from bytes and written to bytes, with text by our own codec.

pydicom decodes and encodes text in its own way (no reset at delimiters, replaced octets, guesses). So text is decoded
at once when a data set is read, and what is written of it is octets already: pydicom's codec is never used.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Literal

from pydicom import Dataset, FileDataset, dcmread
from pydicom.charset import default_encoding
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import correct_ambiguous_vr, write_data_element
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

from dcm4py_leading.dataset.scan import Buffer, Encoding, Unscannable, scan
from dcm4py_leading.dataset.text.character_sets import DEFINED_TERMS, CharacterSet
from dcm4py_leading.dataset.text.charset import (
    SPECIFIC_CHARACTER_SET,
    character_set,
    elements_of,
    parse_character_set,
    specific_character_set,
)
from dcm4py_leading.dataset.text.text import TEXT_VRS
from dcm4py_leading.dataset.text.text_values import octets_of, text_element, texts_of, vr_of
from dcm4py_leading.dataset.text.unreadable import UNREADABLE
from dcm4py_leading.errors import UnencodableText

_ITEM = b"\xfe\xff\x00\xe0"
_ITEM_DELIMITATION = b"\xfe\xff\x0d\xe0" + bytes(4)
_UNDEFINED = 0xFFFFFFFF
# pydicom warns of other terms, and of how they are spelt.
_KNOWN_TO_PYDICOM = DEFINED_TERMS - {"ISO_IR 203", "ISO 2022 IR 203"}


def read(data: Buffer, encoding: Encoding, *, inherited: CharacterSet = ()) -> Dataset:
    """The data set, with its text decoded; other values are parsed when they are looked at.

    ``inherited`` is the character set of what it is an item of. Raises one of UNREADABLE.
    """
    data = bytes(data)
    codes = b""
    try:
        spans, _ = scan(data, encoding, stop_before=SPECIFIC_CHARACTER_SET + 1)
        start, value, end = spans.get(SPECIFIC_CHARACTER_SET, (0, 0, 0))
        if not set(_terms(data[value:end])) <= _KNOWN_TO_PYDICOM:
            codes, data = data[value:end], data[:start] + data[end:]
    except Unscannable:
        pass  # pydicom may take it
    ds = read_dataset(BytesIO(data), encoding.is_implicit_vr, encoding.is_little_endian)
    if codes:
        ds[SPECIFIC_CHARACTER_SET] = _codes_element(codes)
    decode_text(ds, inherited)
    return ds


def read_file(file: BinaryIO | Path, *, stop_before_pixels: bool = False, force: bool = False) -> FileDataset:
    """A DICOM file, or with ``force`` a data set without File Meta Information, with its text decoded.

    Raises InvalidDicomError, one of UNREADABLE.
    """
    ds = dcmread(file, stop_before_pixels=stop_before_pixels, force=force)
    decode_text(ds)
    return ds


def read_image(file: BinaryIO, *, longest: int | None = None) -> FileDataset:
    """A DICOM file read for its image; no text is decoded.

    Values of more than ``longest`` bytes are read when they are wanted. Raises InvalidDicomError, one of UNREADABLE.
    """
    return dcmread(file, defer_size=longest)


def decode_text(ds: Dataset, inherited: CharacterSet = ()) -> None:
    """Decode all text of a data set that pydicom has just read, in items too; what is decoded already stays.

    Octets that cannot be decoded as declared are marked, see `text`. What cannot be parsed is left as it is. Text in
    UN elements that the data dictionary does not know cannot be told from other bytes and is left alone.
    """
    codes_element: object = ds.get_item(SPECIFIC_CHARACTER_SET) if SPECIFIC_CHARACTER_SET in ds else None
    if isinstance(codes_element, RawDataElement):
        ds[SPECIFIC_CHARACTER_SET] = _codes_element(codes_element.value or b"")
    codes = character_set(ds) or inherited
    is_implicit_vr, is_little_endian = ds.original_encoding
    # So it does not look at the terms each time that it parses a value.
    ds.set_original_encoding(is_implicit_vr, is_little_endian, default_encoding)
    for tag in sorted(ds.keys()):
        unread: object = ds.get_item(tag, keep_deferred=True)
        if isinstance(unread, RawDataElement):
            vr = vr_of(unread, ds)
            if vr in TEXT_VRS and unread.value is not None:
                ds[tag] = text_element(tag, vr, unread.value, codes)
            elif vr == "SQ":
                try:
                    unread = ds[tag]
                except UNREADABLE:
                    continue
        if isinstance(unread, DataElement) and unread.VR == "SQ":
            for item in unread.value or ():
                decode_text(item, codes)


def _terms(octets: bytes) -> list[str]:
    return [term.rstrip(" \0") for term in octets.decode("latin-1").split("\\")]


def _codes_element(octets: bytes) -> DataElement:
    terms = _terms(octets)
    value = terms[0] if len(terms) == 1 else MultiValue(str, terms)
    return DataElement(SPECIFIC_CHARACTER_SET, "CS", value or None, already_converted=True)


def write(ds: Dataset, encoding: Encoding, *, inherited: CharacterSet = ()) -> bytes:
    """``ds`` encoded; what was read and not looked at is written as it was read, where the encoding is the same.

    ``inherited`` is the character set of what it is an item of. Raises UnencodableText, which names the attribute, and
    one of UNREADABLE.
    """
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = encoding.is_implicit_vr, encoding.is_little_endian
    codes = character_set(ds) or inherited
    is_as_read = ds.original_encoding == (encoding.is_implicit_vr, encoding.is_little_endian)
    if not is_as_read:
        ds = correct_ambiguous_vr(ds, encoding.is_little_endian)
    for tag in sorted(ds.keys()):
        if tag.element == 0 and tag.group > 6:
            continue  # group lengths (PS3.5 7.2, retired)
        element: DataElement | RawDataElement = ds.get_item(tag) if is_as_read else ds[tag]
        if isinstance(element, DataElement):
            element = _encoded(element, codes, encoding)
        write_data_element(buffer, element)
    return buffer.getvalue()


def _encoded(element: DataElement, codes: CharacterSet, encoding: Encoding) -> DataElement | RawDataElement:
    """The element with octets as its value, if it is of text or of items."""
    if element.VR in TEXT_VRS:
        try:
            return _raw(element, octets_of(element, codes), encoding)
        except UnicodeEncodeError as err:
            named = keyword_for_tag(element.tag) or str(element.tag)
            raise UnencodableText(f"{named} has a character that its character set does not have") from err
    if element.VR != "SQ":
        return element
    octets = b"".join(_encoded_item(item, codes, encoding) for item in element.value or ())
    return _raw(element, octets, encoding, is_undefined_length=element.is_undefined_length)


def _encoded_item(item: Dataset, codes: CharacterSet, encoding: Encoding) -> bytes:
    octets = write(item, encoding, inherited=codes)
    order: Literal["little", "big"] = "little" if encoding.is_little_endian else "big"
    is_undefined = getattr(item, "is_undefined_length_sequence_item", False)
    header = _ITEM if encoding.is_little_endian else b"\xff\xfe\xe0\x00"
    if not is_undefined:
        return header + len(octets).to_bytes(4, order) + octets
    end = _ITEM_DELIMITATION if encoding.is_little_endian else b"\xff\xfe\xe0\x0d" + bytes(4)
    return header + _UNDEFINED.to_bytes(4, order) + octets + end


def _raw(
    element: DataElement, octets: bytes, encoding: Encoding, *, is_undefined_length: bool = False
) -> RawDataElement:
    return RawDataElement(
        BaseTag(element.tag),
        element.VR,
        _UNDEFINED if is_undefined_length else len(octets),
        octets,
        0,
        encoding.is_implicit_vr,
        encoding.is_little_endian,
    )


def declare_default(ds: Dataset, default: str | None) -> None:
    """Let a data set that names no character set name ``default`` (dcmDefaultCharacterSet): its text is in that."""
    if default is None or character_set(ds):
        return
    codes = parse_character_set(default)
    decode_text(ds)
    _read_anew(ds, codes)
    ds[SPECIFIC_CHARACTER_SET] = specific_character_set(codes)


def declare_default_if_needed(ds: Dataset, default: str | None) -> None:
    """As `declare_default`, where there is text beyond ASCII; a query that has none stays as it is."""
    if default is not None and not all(text.isascii() for _, text in texts_of(elements_of(ds))):
        declare_default(ds, default)


def _read_anew(ds: Dataset, codes: CharacterSet) -> None:
    for tag in list(ds.keys()):
        element: object = ds.get_item(tag, keep_deferred=True)
        if not isinstance(element, DataElement):
            continue
        if element.VR == "SQ":
            for item in element.value or ():
                if not character_set(item):
                    _read_anew(item, codes)
        elif element.VR in TEXT_VRS and element.value:
            # In the default repertoire any octets are the same again.
            ds[tag] = text_element(tag, element.VR, octets_of(element, ()), codes)
