"""Studies that were found, their series and instances; as values that pass between processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydicom.datadict import tag_for_keyword

from dcm4py_leading.dataset.dicom_json.model import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySearch:
    """A search for studies: the next page of what a C-FIND with these keys would find."""

    ae_title: str
    """Of the AE of ours that would be asked."""
    keys: Mapping[str, str]
    """Matching keys of PS3.4 by keyword, such as PatientName; several values are parted by a backslash."""
    most: int
    """Length of the page."""
    after: str | None = None
    """`StudyPage.next` of the page before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundStudy:
    """A study as the archive has it."""

    study_instance_uid: str
    at: str
    """AE title of the archive that has it; empty for the archive here."""
    attributes: Json
    """Attributes of patient and study, in the DICOM JSON Model (PS3.18 Annex F); of a search those that it lists."""
    edited: tuple[str, ...] = ()
    """Attributes that were edited here, by tag of 8 hexadecimal digits."""

    def text(self, keyword: str) -> str:
        """An attribute as text (see `text_of`)."""
        return text_of(self.attributes, keyword)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSeries:
    """A series of a study."""

    series_instance_uid: str
    attributes: Json
    """Attributes of the series, and of study and patient."""

    def text(self, keyword: str) -> str:
        """An attribute as text (see `text_of`)."""
        return text_of(self.attributes, keyword)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundInstance:
    """An instance of a series."""

    sop_instance_uid: str
    attributes: Json
    """Attributes of the instance, and of all levels above."""

    def text(self, keyword: str) -> str:
        """An attribute as text (see `text_of`)."""
        return text_of(self.attributes, keyword)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPage:
    """A page of the studies that were found, the newest first."""

    studies: tuple[FoundStudy, ...]
    next: str | None = None
    """Where the next page begins; None if there is none.

    A page may be short, or empty, although another one follows: so many studies were looked at, and no more.
    """
    is_cut: bool = False
    """True if another archive has more, of which there are no pages: the search has to be narrower."""

    @property
    def back_to(self) -> str:
        """Study Date (VR DA) back to which studies were searched; empty after all, or if the rest has no date."""
        return (self.next or "").partition(".")[0]

    def to_json(self) -> Json:
        """As JSON, for other processes."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> StudyPage:
        """Page out of what `to_json` made."""
        return cls(studies=tuple(map(study_from_json, value["studies"])), next=value["next"], is_cut=value["is_cut"])


def study_from_json(value: Mapping[str, Any]) -> FoundStudy:
    """Study out of what `dataclasses.asdict` made."""
    return FoundStudy(**{**value, "edited": tuple(value["edited"])})


def text_of(attributes: Json, keyword: str) -> str:
    """An attribute of the DICOM JSON Model as text, its values parted by a backslash; empty if there is none."""
    return element_text(attributes.get(f"{tag_for_keyword(keyword):08X}", {}))


def element_text(element: Mapping[str, Json]) -> str:
    """The value of an element of the DICOM JSON Model as text, its values parted by a backslash."""
    return "\\".join(map(_text, element.get("Value", [])))


def _text(value: Json) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        groups: Sequence[str] = [value.get(group, "") for group in ("Alphabetic", "Ideographic", "Phonetic")]
        return "=".join(groups).rstrip("=")
    return str(value)
