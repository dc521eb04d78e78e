"""Native DICOM Model (PS3.19 Annex A.1): a data set as the XML tree that style sheets work on.

As dcm4che gives it to style sheets: without a name space, private tags as gggg00ee with their privateCreator, without
group lengths and Private Creator elements, text as Unicode. Both directions read and make trees only: nothing is
serialized, so that line ends and blanks stay as they are.

Pixel data and other long binary values are not put into the tree. A BulkData element stands for each, and its uri says
where in the data set the value is: ``#/00540016/0/...``, sequence tag, item index from 0, and so on.
"""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from lxml import etree
from pydicom import Dataset, config
from pydicom.datadict import dictionary_VR, keyword_for_tag, private_dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement, empty_value_for_VR
from pydicom.valuerep import AMBIGUOUS_VR, BYTES_VR, STANDARD_VR, PersonName

from dcm4py_leading.dataset.text.text import is_storable_as_it_is, restored, storable

INLINE_BINARY_BYTES = 1024
"""Longer binary values are bulk data."""

PIXEL_DATA = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
"""Float Pixel Data, Double Float Pixel Data, Pixel Data: always bulk data, however short."""

_SPACE = "{http://www.w3.org/XML/1998/namespace}space"
_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_NAME_COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_NUMBERS = {"US": "<H", "SS": "<h", "UL": "<L", "SL": "<l", "UV": "<Q", "SV": "<q", "FL": "<f", "FD": "<d"}
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_STANDS_FOR_CONTROL = 0x10FE00
_UNREADABLE = (ValueError, TypeError, ArithmeticError, NotImplementedError, struct.error)
_MAX_NUMBER = 0xFFFF

# lxml's own names for its classes; they are generic only for type checkers.
Tree: TypeAlias = "etree._ElementTree[etree._Element]"
_Element: TypeAlias = etree._Element


def to_native(ds: Dataset, *, keywords: bool) -> Tree:
    """The model of ``ds``, which is not changed: unread elements stay unread.

    Control characters that XML does not know, such as form feed, and octets that could not be decoded each become a
    character of private use, which `from_native` knows again. Trailing delimiters of person names are left out.
    Raises ValueError, which names the attribute, for a value that cannot be read.
    """
    root = etree.Element("NativeDicomModel", {_SPACE: "preserve"})
    _write_item(root, ds, keywords, "#")
    return etree.ElementTree(root)


def from_native(tree: Tree, *, like: Dataset | None = None, given: Tree | None = None) -> Dataset:
    """The data set of a model, in the name space of PS3.19 or in none.

    ``like`` is the data set that the model was made from: bulk data is taken from there, private attributes get its
    blocks. Bulk data at the top that stands where it was is left out, without ``like`` all is. ``given`` is the model
    as `to_native` made it of ``like``: what is the same there is left out too, and inside of sequences taken from
    ``like``, so that nothing is changed that was only passed on.

    Attributes of groups 0000 and 0002, group lengths and Private Creator elements are passed over. Raises ValueError,
    which names the attribute and never a value, for what is no model.
    """
    root: _Element | None = tree.getroot()
    if root is None or _local_name(root) != "NativeDicomModel":
        raise ValueError("expected the root element NativeDicomModel")
    return _read_item(root, like, like, None if given is None else given.getroot(), top=True)


def _unread(ds: Dataset) -> Dataset:
    """The same elements in a data set of their own, so that decoding them leaves ``ds`` as it is.

    Text that was read and not looked at is written as it was read (see charset), even where it is not encoded well.
    """
    view = Dataset({tag: ds.get_item(tag, keep_deferred=True) for tag in ds.keys()})
    is_implicit_vr, is_little_endian = ds.original_encoding
    view.set_original_encoding(is_implicit_vr, is_little_endian, ds.original_character_set)
    return view


def _write_item(parent: _Element, ds: Dataset, keywords: bool, path: str) -> None:
    view = _unread(ds)
    creators = _private_creators(view)
    for tag in sorted(view.keys()):
        if tag.element == 0 or _is_private_creator(tag):
            continue
        try:
            _write_attribute(parent, view, tag, creators.get(_block(tag), ""), keywords, f"{path}/{tag:08X}")
        except _UNREADABLE:
            raise ValueError(f"the value of {_named(tag)} cannot be read") from None


def _write_attribute(parent: _Element, view: Dataset, tag: int, creator: str, keywords: bool, path: str) -> None:
    shown = tag & 0xFFFF00FF if creator else tag
    attributes = {"tag": f"{shown:08X}"}
    if keywords and (keyword := keyword_for_tag(tag)):
        attributes["keyword"] = keyword
    if creator:
        attributes["privateCreator"] = creator
    xml = etree.SubElement(parent, "DicomAttribute", attributes)
    unread: object = view.get_item(tag, keep_deferred=True)
    if isinstance(unread, RawDataElement) and (tag in PIXEL_DATA or (unread.value is None and unread.length)):
        xml.set("vr", _written_vr(unread.VR or "OW", b""))
        etree.SubElement(xml, "BulkData", uri=path)
        return
    element = view[tag]
    xml.set("vr", _written_vr(element.VR, element.value))
    if element.VR == "SQ":
        for index, item in enumerate(element.value or ()):
            _write_item(etree.SubElement(xml, "Item", number=str(index + 1)), item, keywords, f"{path}/{index}")
    elif element.is_buffered or tag in PIXEL_DATA:
        etree.SubElement(xml, "BulkData", uri=path)
    elif isinstance(element.value, bytes):
        if len(element.value) > INLINE_BINARY_BYTES or not _is_binary(element.VR):
            etree.SubElement(xml, "BulkData", uri=path)
        elif element.value:
            etree.SubElement(xml, "InlineBinary").text = base64.b64encode(element.value).decode("ascii")
    else:
        for number, value in enumerate(_values(element), start=1):
            _write_value(xml, element.VR, value, str(number))


def _write_value(xml: _Element, vr: str, value: object, number: str) -> None:
    if vr != "PN":
        etree.SubElement(xml, "Value", number=number).text = _xml(_value_text(vr, value))
        return
    name = etree.SubElement(xml, "PersonName", number=number)
    for group, text in zip(_NAME_GROUPS, str(value).split("=", 2), strict=False):
        # Text after the fifth component has no meaning, and is kept with it.
        components = text.rstrip("^").split("^", 4)
        if not any(components):
            continue
        xml_group = etree.SubElement(name, group)
        for component, part in zip(_NAME_COMPONENTS, components, strict=False):
            if part:
                etree.SubElement(xml_group, component).text = _xml(part)


def _values(element: DataElement) -> Sequence[object]:
    value = element.value
    if value is None or (isinstance(value, str | PersonName) and not value):
        return ()
    if isinstance(value, str | PersonName) or not isinstance(value, Sequence):
        return (value,)
    return value


def _value_text(vr: str, value: object) -> str:
    if vr == "AT" and isinstance(value, int):
        return f"{value:08X}"
    if isinstance(value, float) and vr in ("FL", "FD"):
        return _float_text(vr, value)
    return "" if value is None else str(value)


def _float_text(vr: str, value: float) -> str:
    """The shortest text that is the same number, special values as XPath's number() and Java know them."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    if vr == "FL":
        exact = _packed("FL", value)
        for digits in range(6, 9):
            if _packed("FL", float(text := f"{value:.{digits}g}")) == exact:
                return text
        return f"{value:.9g}"
    return repr(value)


def _read_item(
    xml: _Element, like: Dataset | None, whole: Dataset | None, given: _Element | None, *, top: bool = False
) -> Dataset:
    """The data set in a NativeDicomModel or Item.

    ``like`` is the data set or item that ``given`` was made from, ``whole`` the data set.
    """
    ds = Dataset()
    view = Dataset() if like is None else _unread(like)
    reserved = _private_creators(view)
    before = {} if given is None else {_key(attribute): attribute for attribute in _children(given, "DicomAttribute")}
    for attribute in _children(xml, "DicomAttribute"):
        tag, creator = _read_tag(attribute), attribute.get("privateCreator")
        if tag >> 16 in (0x0000, 0x0002) or (not creator and (tag & 0xFFFF == 0 or _is_private_creator(tag))):
            continue
        vr, was = _read_vr(attribute, tag, creator), before.get(_key(attribute))
        same = was is not None and _is_same(was, attribute)
        if same and top:
            continue
        if creator:
            block = _reserve(reserved, tag >> 16, creator)
            ds[block] = DataElement(block, "LO", creator, validation_mode=config.IGNORE)
            tag = tag & 0xFFFF00FF | (block & 0xFF) << 8
        if same and vr != "SQ" and tag in view:
            ds[tag] = view[tag]
            continue
        uri = next((bulk.get("uri", "") for bulk in _children(attribute, "BulkData")), None)
        if uri is not None and (whole is None or (top and uri == f"#/{tag:08X}")):
            continue
        try:
            if uri is not None and whole is not None:
                element = DataElement(tag, vr, _bulk_data(whole, uri), already_converted=True)
            else:
                value = _read_value(attribute, vr, _items(view, tag), whole, was)
                # Validation would warn, and print the value.
                element = DataElement(tag, vr, value, validation_mode=config.IGNORE)
        except _UNREADABLE:
            raise ValueError(f"what stands in the model for {_named(tag)} is no value of {vr}") from None
        ds[tag] = element
    return ds


def _key(attribute: _Element) -> tuple[str | None, str | None]:
    return attribute.get("tag"), attribute.get("privateCreator")


def _is_same(left: _Element, right: _Element) -> bool:
    """True if they mean the same; blanks between elements do not count."""
    if _local_name(left) != _local_name(right) or dict(left.attrib) != dict(right.attrib):
        return False
    children, others = _elements(left), _elements(right)
    if not children and not others:
        return _text(left) == _text(right)
    return len(children) == len(others) and all(map(_is_same, children, others))


def _read_tag(attribute: _Element) -> int:
    text = attribute.get("tag", "")
    if not re.fullmatch("[0-9A-Fa-f]{8}", text) or text.upper().startswith("FFFE"):
        raise ValueError("expected a DicomAttribute with a tag of 8 hexadecimal digits")
    return int(text, 16)


def _read_vr(attribute: _Element, tag: int, creator: str | None) -> str:
    vr = attribute.get("vr")
    if vr is None:
        try:
            vr = private_dictionary_VR(tag, creator) if creator else dictionary_VR(tag)
        except KeyError:
            vr = "UN"
        if vr in AMBIGUOUS_VR:
            vr = "US" if vr.startswith("US") else "OW"
    if vr not in STANDARD_VR:
        raise ValueError(f"expected a value representation for {_named(tag)}")
    return str(vr)


def _read_value(
    attribute: _Element, vr: str, items: Sequence[Dataset], whole: Dataset | None, was: _Element | None
) -> object:
    if vr == "SQ":
        return list(_read_items(attribute, items, whole, was))
    if _is_binary(vr):
        inline = next(_children(attribute, "InlineBinary"), None)
        if inline is None and list(_children(attribute, "Value", "DataFragment")):
            raise ValueError("binary, but no InlineBinary")
        text = "" if inline is None else "".join(_text(inline).split())
        return base64.b64decode(text, validate=True) if text else empty_value_for_VR(vr)
    if list(_children(attribute, "InlineBinary")):
        raise ValueError("InlineBinary, but not binary")
    texts: list[str] = []
    for value in _children(attribute, "Value", "PersonName"):
        texts += [""] * (_number(value, len(texts)) - 1 - len(texts))
        texts.append(_read_name(value) if _local_name(value) == "PersonName" else _text(value))
    if not any(texts):
        return "\\".join(texts) or empty_value_for_VR(vr)
    if vr == "AT":
        return [int(text, 16) for text in texts]
    if vr in _NUMBERS:
        return [_packed(vr, float(text) if vr in ("FL", "FD") else int(text)) for text in texts]
    return "\\".join(texts)


def _read_items(
    attribute: _Element, items: Sequence[Dataset], whole: Dataset | None, was: _Element | None
) -> Iterator[Dataset]:
    given = [] if was is None else list(_children(was, "Item"))
    count = 0
    for item in _children(attribute, "Item"):
        for _ in range(count + 1, _number(item, count)):
            yield Dataset()
            count += 1
        # Without the same number of items they are not the same, and their attributes are just read.
        is_known = count < len(items) == len(given)
        yield _read_item(item, items[count] if is_known else None, whole, given[count] if is_known else None)
        count += 1


def _read_name(xml: _Element) -> str:
    groups = []
    for group in _NAME_GROUPS:
        found = next(_children(xml, group), None)
        parts = {} if found is None else {_local_name(part): _text(part) for part in found}
        groups.append("^".join(parts.get(component, "") for component in _NAME_COMPONENTS).rstrip("^"))
    return "=".join(groups).rstrip("=")


def _number(xml: _Element, count: int) -> int:
    """The number of a value or item, of which ``count`` came before; absent: the next."""
    number = int(xml.get("number", count + 1))
    if not 1 <= number <= _MAX_NUMBER:
        raise ValueError("no number of a value or item")
    return number


def _bulk_data(ds: Dataset, uri: str) -> object:
    """The value that a BulkData element stands for."""
    if not re.fullmatch("#(/[0-9A-F]{8}/[0-9]+)*/[0-9A-F]{8}", uri):
        raise ValueError("no bulk data of this data set")
    *within, tag = uri.split("/")[1:]
    for sequence, index in zip(within[::2], within[1::2], strict=True):
        items = _items(_unread(ds), int(sequence, 16))
        if int(index) >= len(items):
            raise ValueError("no bulk data of this data set")
        ds = items[int(index)]
    if int(tag, 16) not in ds:
        raise ValueError("no bulk data of this data set")
    return ds.get_item(int(tag, 16)).value


def _items(view: Dataset, tag: int) -> Sequence[Dataset]:
    return tuple(view[tag].value or ()) if tag in view and view[tag].VR == "SQ" else ()


def _reserve(reserved: dict[int, str], group: int, creator: str) -> int:
    """The tag of the Private Creator element of that creator, reserved for it if there is none (PS3.5 7.8.1)."""
    blocks = range(group << 16 | 0x10, group << 16 | 0x100)
    for block in blocks:
        if reserved.get(block) == creator:
            return block
    for block in blocks:
        if block not in reserved:
            reserved[block] = creator
            return block
    raise ValueError(f"no free private block in group {group:04X}")


def _private_creators(view: Dataset) -> dict[int, str]:
    """Creators by the tag of their Private Creator element."""
    found = {}
    for tag in view.keys():
        if _is_private_creator(tag):
            value: object = view[tag].value
            found[int(tag)] = _xml(value) if isinstance(value, str) else ""
    return found


def _block(tag: int) -> int:
    """The tag of the Private Creator element that a private attribute belongs to; else 0."""
    return tag & 0xFFFF0000 | (tag & 0xFFFF) >> 8 if tag >> 16 & 1 and tag & 0xFFFF >= 0x1000 else 0


def _is_private_creator(tag: int) -> bool:
    return bool(tag >> 16 & 1) and 0x10 <= tag & 0xFFFF <= 0xFF


def _written_vr(vr: str, value: object) -> str:
    """PS3.19 has no name for the VR of an attribute that can have one or the other."""
    if vr not in AMBIGUOUS_VR:
        return vr
    if value is None or isinstance(value, bytes):
        return "OW"
    values = value if isinstance(value, Sequence) else (value,)
    return "SS" if any(isinstance(number, int) and number < 0 for number in values) else "US"


def _is_binary(vr: str) -> bool:
    return vr in BYTES_VR or vr in AMBIGUOUS_VR


def _packed(vr: str, number: float) -> float:
    """The number as that VR holds it. Raises struct.error or OverflowError when it does not."""
    found: float = struct.unpack(_NUMBERS[vr], struct.pack(_NUMBERS[vr], number))[0]
    return found


def _xml(text: str) -> str:
    """The text in characters of XML. Raises ValueError for those that mean something else here."""
    if text.isascii() and text.isprintable():
        return text
    if not is_storable_as_it_is(text) or any(0x10FE00 <= ord(char) < 0x10FE20 for char in text):
        raise ValueError("characters of private use that stand for others in the model")
    return _NOT_XML.sub(_stand_in, storable(text))


def _stand_in(match: re.Match[str]) -> str:
    code = ord(match[0])
    return chr(_STANDS_FOR_CONTROL + code) if code < 0x20 else "\ufffd"


def _text(xml: _Element) -> str:
    text = "".join(str(piece) for piece in xml.itertext(with_tail=False))
    return text if text.isascii() else restored(text.translate(_CONTROLS))


_CONTROLS = {_STANDS_FOR_CONTROL + code: chr(code) for code in range(0x20)}


def _children(xml: _Element, *names: str) -> Iterator[_Element]:
    return (child for child in xml if _local_name(child) in names)


def _elements(xml: _Element) -> list[_Element]:
    return [child for child in xml if _local_name(child)]


def _local_name(xml: _Element) -> str:
    # Comments and processing instructions have a function there.
    return xml.tag.rpartition("}")[2] if isinstance(xml.tag, str) else ""


def _named(tag: int) -> str:
    return keyword_for_tag(tag) or f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
