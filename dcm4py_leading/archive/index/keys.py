"""Keys that the index matches (PS3.4 C.6.1.1, C.6.2.1), and how each is compared."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from pydicom import Dataset

from dcm4py_leading.dataset.normal import first_text, normal_date, normal_name, normal_number, normal_time
from dcm4py_leading.model.archive import Entity
from dcm4py_leading.model.values import Level

LEVELS = (Level.PATIENT, Level.STUDY, Level.SERIES, Level.IMAGE)
"""From the top down."""

ENTITIES: Mapping[Level, Entity] = {
    Level.PATIENT: Entity.PATIENT,
    Level.STUDY: Entity.STUDY,
    Level.SERIES: Entity.SERIES,
    Level.IMAGE: Entity.INSTANCE,
}

PATIENT_ID = 0x00100020
ISSUER_OF_PATIENT_ID = 0x00100021
STUDY_INSTANCE_UID = 0x0020000D
SERIES_INSTANCE_UID = 0x0020000E
SOP_INSTANCE_UID = 0x00080018
SOP_CLASS_UID = 0x00080016
MODALITY = 0x00080060
MODALITIES_IN_STUDY = 0x00080061
SOP_CLASSES_IN_STUDY = 0x00080062

UNIQUE_KEYS: Mapping[Level, int] = {
    Level.PATIENT: PATIENT_ID,
    Level.STUDY: STUDY_INSTANCE_UID,
    Level.SERIES: SERIES_INSTANCE_UID,
    Level.IMAGE: SOP_INSTANCE_UID,
}

COUNTS: Mapping[int, tuple[Level, Level]] = {
    0x00201200: (Level.PATIENT, Level.STUDY),
    0x00201202: (Level.PATIENT, Level.SERIES),
    0x00201204: (Level.PATIENT, Level.IMAGE),
    0x00201206: (Level.STUDY, Level.SERIES),
    0x00201208: (Level.STUDY, Level.IMAGE),
    0x00201209: (Level.SERIES, Level.IMAGE),
}
"""Number of Patient Related Studies and the like: of which entity, and what is counted."""


class Comparison(enum.Enum):
    """Kinds of matching that an attribute supports (PS3.4 C.2.2.2)."""

    UID = "UID"
    """Single value, list of UIDs."""
    TEXT = "text"
    """Single value, wild card; case sensitive."""
    NAME = "name"
    """Single value, wild card; case insensitive, by component group."""
    NUMBER = "number"
    """Single value."""
    DATE = "date"
    """Single value, range."""
    TIME = "time"
    """Single value, range."""


@dataclass(frozen=True, slots=True)
class Key:
    """A matching key: its attribute, and its column (for a name the first of three)."""

    tag: int
    level: Level
    column: str
    comparison: Comparison = Comparison.TEXT

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that hold it; for a name alphabetic, ideographic and phonetic."""
        if self.comparison is Comparison.NAME:
            return (self.column, f"{self.column}_ideographic", f"{self.column}_phonetic")
        return (self.column,)


KEYS = (
    Key(0x00100010, Level.PATIENT, "patient_name", Comparison.NAME),
    Key(PATIENT_ID, Level.PATIENT, "patient_id"),
    Key(ISSUER_OF_PATIENT_ID, Level.PATIENT, "issuer_of_patient_id"),
    Key(0x00100030, Level.PATIENT, "patient_birth_date", Comparison.DATE),
    Key(0x00100032, Level.PATIENT, "patient_birth_time", Comparison.TIME),
    Key(0x00100040, Level.PATIENT, "patient_sex"),
    Key(STUDY_INSTANCE_UID, Level.STUDY, "study_instance_uid", Comparison.UID),
    Key(0x00080020, Level.STUDY, "study_date", Comparison.DATE),
    Key(0x00080030, Level.STUDY, "study_time", Comparison.TIME),
    Key(0x00080050, Level.STUDY, "accession_number"),
    Key(0x00200010, Level.STUDY, "study_id"),
    Key(0x00080090, Level.STUDY, "referring_physician_name", Comparison.NAME),
    Key(0x00081030, Level.STUDY, "study_description"),
    Key(SERIES_INSTANCE_UID, Level.SERIES, "series_instance_uid", Comparison.UID),
    Key(0x00200011, Level.SERIES, "series_number", Comparison.NUMBER),
    Key(MODALITY, Level.SERIES, "modality"),
    Key(0x0008103E, Level.SERIES, "series_description"),
    Key(0x00180015, Level.SERIES, "body_part_examined"),
    Key(0x00200060, Level.SERIES, "laterality"),
    Key(0x00080080, Level.SERIES, "institution_name"),
    Key(0x00081010, Level.SERIES, "station_name"),
    Key(0x00081050, Level.SERIES, "performing_physician_name", Comparison.NAME),
    Key(0x00400244, Level.SERIES, "performed_procedure_step_start_date", Comparison.DATE),
    Key(0x00400245, Level.SERIES, "performed_procedure_step_start_time", Comparison.TIME),
    Key(SOP_INSTANCE_UID, Level.IMAGE, "sop_instance_uid", Comparison.UID),
    Key(SOP_CLASS_UID, Level.IMAGE, "sop_class_uid", Comparison.UID),
    Key(0x00200013, Level.IMAGE, "instance_number", Comparison.NUMBER),
    Key(0x00080023, Level.IMAGE, "content_date", Comparison.DATE),
    Key(0x00080033, Level.IMAGE, "content_time", Comparison.TIME),
)

KEY_OF: Mapping[int, Key] = {key.tag: key for key in KEYS}

# Every object has them, and no object is found without them: they are kept regardless of the filter.
ALWAYS_KEPT: Mapping[Level, tuple[int, ...]] = {
    Level.PATIENT: (PATIENT_ID, ISSUER_OF_PATIENT_ID),
    Level.STUDY: (STUDY_INSTANCE_UID,),
    Level.SERIES: (SERIES_INSTANCE_UID,),
    Level.IMAGE: (SOP_CLASS_UID, SOP_INSTANCE_UID),
}


def keys_of(level: Level) -> tuple[Key, ...]:
    """The matching keys of one level."""
    return tuple(key for key in KEYS if key.level is level)


def column_values(ds: Dataset, level: Level) -> dict[str, str | None]:
    """Values of the columns of ``level`` for the attributes in ``ds``; None if there is no value to compare."""
    values: dict[str, str | None] = {}
    for key in keys_of(level):
        values.update(zip(key.columns, compared_values(ds, key), strict=True))
    return values


def compared_values(ds: Dataset, key: Key) -> tuple[str | None, ...]:
    """Values that the columns of ``key`` hold for its attribute in ``ds``."""
    return normal(first_text(ds, key.tag), key.comparison)


def normal(text: str | None, comparison: Comparison) -> tuple[str | None, ...]:
    if comparison is Comparison.NAME:
        return tuple(group or None for group in normal_name(text or ""))
    if text is None:
        return (None,)
    match comparison:
        case Comparison.DATE:
            return (normal_date(text),)
        case Comparison.TIME:
            return (normal_time(text),)
        case Comparison.NUMBER:
            return (normal_number(text),)
        case _:
            return (text,)
