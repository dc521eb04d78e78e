"""Stored objects that are offered to try rules on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.tag import BaseTag

from dcm4py_leading.coercion.attribute_path import values_of
from dcm4py_leading.dataset.text import shown
from dcm4py_leading.service.runtime import Runtime

_SHOWN = ("PatientName", "StudyDate", "Modality", "SeriesDescription")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSeries:
    """One series, with the instance that stands for it."""

    study_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    described: tuple[str, ...]
    """Patient's Name, Study Date, Modality and Series Description; empty where they are not known."""


def recent_series(runtime: Runtime, most: int) -> Sequence[StoredSeries]:
    """The series that were stored last, the newest first. Raises IndexUnavailable."""
    return [
        StoredSeries(
            study_instance_uid=found.study_instance_uid,
            sop_instance_uid=found.sop_instance_uid,
            sop_class_uid=found.sop_class_uid,
            described=tuple(_text(found.attributes, keyword) for keyword in _SHOWN),
        )
        for found in runtime.index.recent_series(most)
    ]


def _text(ds: Dataset, keyword: str) -> str:
    tag = BaseTag(tag_for_keyword(keyword) or 0)
    return shown("\\".join(values_of(ds[tag]))) if tag in ds else ""
