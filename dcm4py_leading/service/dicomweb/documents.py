"""Documents: encapsulated ones as they are, and structured reports as a page or a text (PS3.3 C.17.3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from pydicom import Dataset
from pydicom.uid import UID

from dcm4py_leading.dataset.data_sets import read
from dcm4py_leading.dataset.encoder import encode
from dcm4py_leading.dataset.reading import read_data_set
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE
from dcm4py_leading.dataset.text.text import shown
from dcm4py_leading.errors import SubOperationFailed
from dcm4py_leading.service.dicomweb.frame_places import whole
from dcm4py_leading.service.retrieve.encode import PreparedObject

DOCUMENTS: Mapping[str, str] = {
    "1.2.840.10008.5.1.4.1.1.104.1": "application/pdf",
    "1.2.840.10008.5.1.4.1.1.104.2": "text/xml",
    "1.2.840.10008.5.1.4.1.1.104.3": "model/stl",
    "1.2.840.10008.5.1.4.1.1.104.4": "model/obj",
    "1.2.840.10008.5.1.4.1.1.104.5": "model/mtl",
}
"""Media types of encapsulated documents, by SOP class (PS3.3 A.45)."""
_REPORTS = "1.2.840.10008.5.1.4.1.1.88."
_DOCUMENT, _LENGTH = 0x00420011, 0x00420015
_CHUNK = 1 << 20
_HEADER = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "AccessionNumber")
_HEADER_OF_REPORT = ("ContentDate", "ContentTime", "CompletionFlag", "VerificationFlag")
_UNITS = "MeasurementUnitsCodeSequence"
_MOST_DEPTH = 32
_STYLE = "body{font:1em sans-serif;margin:2em;max-width:50em}dt{font-weight:bold}dd{margin:0 0 .5em 1em}ul{margin:0}"


def is_report(sop_class_uid: str) -> bool:
    """True if the SOP class is a structured report, or a selection of key objects."""
    return sop_class_uid.startswith(_REPORTS)


def document_of(prepared: PreparedObject) -> Iterator[bytes]:
    """The octets of an encapsulated document. Raises SubOperationFailed, InvalidObject, StorageUnavailable."""
    ds = read_data_set(whole(prepared), prepared.transfer_syntax_uid)
    value = ds.value(_DOCUMENT)
    if not value:
        raise SubOperationFailed("the document is missing")
    length = ds.value(_LENGTH)
    end = min(int.from_bytes(length, "little"), len(value)) if len(length) == 4 else len(value)
    return (value[at : min(at + _CHUNK, end)] for at in range(0, end, _CHUNK))


def report_of(prepared: PreparedObject, *, is_html: bool) -> str:
    """The report for people to read, with the identity that the object is delivered with. Raises as `document_of`."""
    elements = read_data_set(whole(prepared), prepared.transfer_syntax_uid).elements
    ds = read(b"".join(encode(elements, EXPLICIT_LITTLE)), EXPLICIT_LITTLE)
    title = _meaning(ds.get("ConceptNameCodeSequence")) or UID(prepared.sop_class_uid).name
    head = [(keyword, _text(ds.get(keyword))) for keyword in (*_HEADER, *_HEADER_OF_REPORT)]
    told = [(_spaced(keyword), text) for keyword, text in head if text]
    content = ds.get("ContentSequence") or ()
    if is_html:
        rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in told)
        return (
            f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
            f"<style>{_STYLE}</style>\n<h1>{escape(title)}</h1>\n<dl>{rows}</dl>\n{_list(content, 0)}\n</html>\n"
        )
    lines = [title, "", *(f"{name}: {text}" for name, text in told), ""]
    return "\n".join([*lines, *_lines(content, 0)]) + "\n"


def _list(items: Sequence[Dataset], depth: int) -> str:
    if not items or depth > _MOST_DEPTH:
        return ""
    return f"<ul>{''.join(_entry(item, depth) for item in items)}</ul>"


def _entry(item: Dataset, depth: int) -> str:
    name, value = _meaning(item.get("ConceptNameCodeSequence")), _value(item)
    text = f"<b>{escape(name)}</b>" + (": " if name and value else "") + escape(value).replace("\n", "<br>")
    return f"<li>{text}{_list(item.get('ContentSequence') or (), depth + 1)}</li>"


def _lines(items: Sequence[Dataset], depth: int) -> Iterator[str]:
    if depth > _MOST_DEPTH:
        return
    for item in items:
        name, value = _meaning(item.get("ConceptNameCodeSequence")), _value(item)
        yield "  " * depth + ": ".join(part for part in (name, value) if part)
        yield from _lines(item.get("ContentSequence") or (), depth + 1)


def _value(item: Dataset) -> str:
    """The value of a content item, by its Value Type."""
    match str(item.get("ValueType", "")):
        case "TEXT":
            return _text(item.get("TextValue"))
        case "CODE":
            return _meaning(item.get("ConceptCodeSequence"))
        case "NUM":
            measured = (item.get("MeasuredValueSequence") or [Dataset()])[0]
            return f"{_text(measured.get('NumericValue'))} {_meaning(measured.get(_UNITS))}".strip()
        case "DATETIME" | "DATE" | "TIME" | "UIDREF" | "PNAME" as kind:
            keyword = {"DATETIME": "DateTime", "DATE": "Date", "TIME": "Time", "UIDREF": "UID", "PNAME": "PersonName"}
            return _text(item.get(keyword[kind]))
        case "IMAGE" | "COMPOSITE" | "WAVEFORM":
            named = (item.get("ReferencedSOPSequence") or [Dataset()])[0]
            return (
                f"{UID(str(named.get('ReferencedSOPClassUID', ''))).name} {named.get('ReferencedSOPInstanceUID', '')}"
            )
        case _:
            return ""


def _meaning(codes: Sequence[Dataset] | None) -> str:
    if not codes:
        return ""
    return _text(codes[0].get("CodeMeaning")) or _text(codes[0].get("CodeValue"))


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, (list, tuple)) or hasattr(value, "append"):
        return ", ".join(_text(one) for one in value)  # type: ignore[attr-defined]
    return shown(str(value)).replace("\r\n", "\n").replace("\r", "\n").strip(" \0")


def _spaced(keyword: str) -> str:
    return "".join(
        f" {char}" if char.isupper() and not keyword[at - 1 : at].isupper() else char for at, char in enumerate(keyword)
    ).strip()
