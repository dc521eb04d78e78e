"""Specific Character Set (0008,0005): which one a data set has, and what that can encode (PS3.3 C.12.1.1.2, PS3.5 6.1).

pydicom encodes text when a data set is written, in the set that it names then; text that was read and not looked at
stays bytes and is written as it is. So before a data set gets another set, its text has to be decoded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, MutableSequence

from pydicom import Dataset
from pydicom.charset import convert_encodings, custom_encoders, decode_bytes, encode_string, python_encoding
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.valuerep import CUSTOMIZABLE_CHARSET_VR, TEXT_VR_DELIMS, PersonName

from dcm4py_leading.dataset.vr import dictionary_vr

SPECIFIC_CHARACTER_SET = 0x00080005
UTF_8 = "ISO_IR 192"

CharacterSet = tuple[str, ...]
"""Values of Specific Character Set; empty: the default repertoire."""

_DEFAULT_REPERTOIRE = frozenset({"", "ISO_IR 6", "ISO 2022 IR 6"})
_WITHOUT_CODE_EXTENSIONS = frozenset({UTF_8, "GB18030", "GBK"})


def character_set(ds: Dataset) -> CharacterSet:
    """The set that ``ds`` names itself; empty when it names none, which means the default repertoire."""
    if SPECIFIC_CHARACTER_SET not in ds:
        return ()
    value = ds[SPECIFIC_CHARACTER_SET].value
    codes = (value,) if isinstance(value, str) else tuple(value or ())
    return codes if any(codes) else ()


def parse_character_set(text: str) -> CharacterSet:
    """Read dcmDefaultCharacterSet: one value, or several with a backslash between them."""
    return tuple(code.strip() for code in text.split("\\"))


def declare_default(ds: Dataset, default: str | None) -> None:
    """Let a data set that names no character set name ``default`` (dcmDefaultCharacterSet).

    Its text is taken as written in that set, so this has to come before any of it is read.
    """
    if default is None or character_set(ds):
        return
    codes = parse_character_set(default)
    _read_as(ds, convert_encodings(list(codes)))
    ds[SPECIFIC_CHARACTER_SET] = specific_character_set(codes)


def _read_as(ds: Dataset, encodings: MutableSequence[str]) -> None:
    is_implicit_vr, is_little_endian = ds.original_encoding
    ds.set_original_encoding(is_implicit_vr, is_little_endian, encodings)
    for tag in list(ds.keys()):
        element = ds.get_item(tag)
        if isinstance(element, DataElement) and element.VR == "SQ":
            for item in element.value:
                if not character_set(item):
                    _read_as(item, encodings)


def specific_character_set(codes: CharacterSet) -> DataElement:
    """The element (0008,0005) that names ``codes``."""
    return DataElement(SPECIFIC_CHARACTER_SET, "CS", codes[0] if len(codes) == 1 else list(codes))


def unified(local: CharacterSet, new: Iterable[DataElement]) -> CharacterSet:
    """The character set that a data set needs once it has the ``new`` elements: ``local`` if it can, else UTF-8."""
    # dcm4chee refuses to merge different sets; here text is Unicode between reading and writing.
    if all(can_encode(text, local) for element in new for text in _texts(element)):
        return local
    return (UTF_8,)


def can_encode(text: str, codes: CharacterSet) -> bool:
    """Whether ``text`` can be written in ``codes`` and read back the same."""
    if text.isascii():
        return True
    if not all(code in _DEFAULT_REPERTOIRE or code in python_encoding for code in codes):
        return False
    if not codes or set(codes) <= _DEFAULT_REPERTOIRE:
        return False
    if codes[0] in _DEFAULT_REPERTOIRE and any("\x80" <= char <= "\xff" for char in text):
        return False  # pydicom would write it as Latin-1, without the escape sequence
    if codes[0] in _WITHOUT_CODE_EXTENSIONS:
        codes = codes[:1]
    encodings = [python_encoding[code] for code in codes]
    strict = ["ascii" if code in _DEFAULT_REPERTOIRE else python_encoding[code] for code in codes]
    if not all(any(_encodes(char, encoding) for encoding in strict) for char in text):
        return False
    return decode_bytes(encode_string(text, encodings), encodings, TEXT_VR_DELIMS) == text


def _encodes(char: str, encoding: str) -> bool:
    try:
        if encoding in custom_encoders:
            custom_encoders[encoding](char, errors="strict")
        else:
            char.encode(encoding)
    except UnicodeError:
        return False
    return True


def _texts(element: DataElement) -> Iterator[str]:
    """Every piece of text of an element that is encoded by itself, in items that name no set of their own too."""
    if element.VR == "SQ":
        for item in element.value:
            if not character_set(item):
                for nested in item:
                    yield from _texts(nested)
    elif element.VR in CUSTOMIZABLE_CHARSET_VR and element.value is not None:
        values = [element.value] if isinstance(element.value, str | bytes | PersonName) else element.value
        for value in values:
            yield from re.split("[=^]", str(value)) if element.VR == "PN" else (str(value),)


def _may_be_text(tag: int, vr: str | None) -> bool:
    """Whether an element that nobody has looked at may hold text; others need not be readable."""
    known = vr if vr not in (None, "UN") else dictionary_vr(tag)
    return not known or known == "SQ" or known in CUSTOMIZABLE_CHARSET_VR


def decode_text(ds: Dataset) -> None:
    """Turn all text of ``ds`` into Unicode, so that it is encoded anew when ``ds`` is written.

    Items that name their own set keep it and stay as they are. Text in UN elements cannot be told from other bytes
    and is left alone.
    """
    for tag in list(ds.keys()):
        unread: object = ds.get_item(tag)
        if isinstance(unread, RawDataElement) and not _may_be_text(int(tag), unread.VR):
            continue
        element = ds[tag]
        if element.VR == "SQ":
            for item in element.value:
                if not character_set(item):
                    decode_text(item)
        elif element.VR == "PN" and element.value:
            # A PersonName keeps the bytes of its first encoding; a new one does not know them.
            values = [element.value] if isinstance(element.value, str | PersonName) else element.value
            names = [PersonName(str(value)) for value in values]
            element.value = names[0] if len(names) == 1 else names
