"""Output of studies: lines of at most 80 columns, and JSON."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from dcm4py_leading.archive.index.querying.match import Match
from dcm4py_leading.cli.studies.reading import LastEdit, Series, text

_COLUMNS = (
    ("StudyDate", "date", 10),
    ("PatientID", "patient ID", 14),
    ("PatientName", "name", 22),
    ("AccessionNumber", "accession", 12),
    ("ModalitiesInStudy", "modality", 8),
)
_COUNT_COLUMNS = 7
_KEYWORDS = (
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyDescription",
    "AccessionNumber",
    "ModalitiesInStudy",
    "PatientID",
    "IssuerOfPatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances",
)


def heading() -> str:
    """The line above a list."""
    cells = [_cell(name, width) for _, name, width in _COLUMNS]
    return " ".join([*cells, f"{'objects':>{_COUNT_COLUMNS}}"])


def lines(found: Match) -> Iterator[str]:
    """A study in a list: its description, and its UID below."""
    ds = found.attributes
    cells = [
        _cell(_date(text(ds, keyword)) if keyword == "StudyDate" else text(ds, keyword), width)
        for keyword, _, width in _COLUMNS
    ]
    yield " ".join([*cells, f"{text(ds, 'NumberOfStudyRelatedInstances'):>{_COUNT_COLUMNS}}"])
    yield f"  {_printable(text(ds, 'StudyInstanceUID'))}"


def study_json(found: Match) -> dict[str, Any]:
    """A study by keywords, without empty values."""
    ds = found.attributes
    values = {keyword: text(ds, keyword) for keyword in _KEYWORDS}
    numbers = {keyword: int(value) for keyword, value in values.items() if keyword.startswith("NumberOf")}
    return {keyword: value for keyword, value in {**values, **numbers}.items() if value != ""}


def details(found: Match, series: Sequence[Series], edits: Iterable[LastEdit]) -> Iterator[str]:
    """All details of one study."""
    for keyword, value in study_json(found).items():
        yield f"{keyword:<29} {_printable(str(value))}"
    yield f"{'Size':<29} {_size(sum(one.size for one in series))}"
    for edit in edits:
        what = f"{edit.level.value.lower()}, by {edit.system} ({edit.reason}): {', '.join(edit.attributes)}"
        yield _printable(f"{'Edited':<29} {edit.at}, {what}")
    for one in series:
        yield ""
        yield f"series {_printable(one.series_instance_uid)}"
        storages = f"in storage {', '.join(one.storage_ids)}"
        parts = [one.modality, one.description, f"{one.objects} objects", _size(one.size), storages]
        yield "  " + _printable(", ".join(part for part in parts if part))


def details_json(found: Match, series: Iterable[Series], edits: Iterable[LastEdit]) -> dict[str, Any]:
    """The same as JSON."""
    listed = [
        {
            "SeriesInstanceUID": one.series_instance_uid,
            "Modality": one.modality,
            "SeriesDescription": one.description,
            "objects": one.objects,
            "bytes": one.size,
            "storages": list(one.storage_ids),
        }
        for one in series
    ]
    told = [{**asdict(edit), "level": edit.level.value} for edit in edits]
    return {**study_json(found), "lastEdits": told, "series": listed}


def _cell(value: str, width: int) -> str:
    """A value, cut or padded to a number of terminal columns."""
    value = _printable(value)
    if _width(value) > width:
        while _width(value) > width - 1:
            value = value[:-1]
        value += "…"
    return value + " " * (width - _width(value))


def _width(value: str) -> int:
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in value
    )


def _printable(value: str) -> str:
    """Text of an object, made safe for a terminal: it may contain control sequences."""
    return "".join(char if char.isprintable() else "?" for char in value)


def _date(value: str) -> str:
    is_plain = len(value) == len("YYYYMMDD") and value.isdigit()
    return f"{value[:4]}-{value[4:6]}-{value[6:]}" if is_plain else value


def _size(size: int) -> str:
    amount, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
