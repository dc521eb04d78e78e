"""Values that are parsed once at the border, and trusted below it.

Every ``parse``/constructor raises ValueError with what was expected; callers add where it stood.
"""

from __future__ import annotations

import enum
import re
from datetime import timedelta
from typing import Self

import isodate

_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*")


class AETitle(str):
    """Application Entity title: 1 to 16 characters of the default repertoire (PS3.5 6.2, VR AE).

    Leading and trailing blanks are not significant and are dropped.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        title = text.strip(" ")
        if not 1 <= len(title) <= 16:
            raise ValueError("expected an AE title of 1 to 16 characters")
        if "\\" in title or not (title.isascii() and title.isprintable()):
            raise ValueError("expected an AE title of printable ASCII characters without backslash")
        return super().__new__(cls, title)


class UID(str):
    """Unique identifier (PS3.5 9.1): digits and dots, at most 64 characters."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        uid = text.strip(" \0")
        if len(uid) > 64 or not _UID.fullmatch(uid):
            raise ValueError("expected a DICOM UID of digits and dots, at most 64 characters")
        return super().__new__(cls, uid)


class Tag(int):
    """Attribute tag (gggg,eeee) as one number."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the form of dcmTag: eight hexadecimal digits."""
        if not re.fullmatch(r"[0-9A-Fa-f]{8}", text.strip()):
            raise ValueError("expected a tag of eight hexadecimal digits, such as 00100010")
        return cls(int(text, 16))

    def __str__(self) -> str:
        return f"{self:08X}"

    def __repr__(self) -> str:
        return f"Tag(0x{self:08X})"


class TransferRole(enum.Enum):
    """dicomTransferRole (PS3.15 Annex H); on a coercion rule the role of the *other* system."""

    SCU = "SCU"
    SCP = "SCP"


class Level(enum.Enum):
    """Query/Retrieve Level (0008,0052), PS3.4 C.6; the value is what stands in the identifier."""

    PATIENT = "PATIENT"
    STUDY = "STUDY"
    SERIES = "SERIES"
    IMAGE = "IMAGE"

    # Levels are keys wherever an object is looked at; that of Enum hashes the name, in Python.
    __hash__ = object.__hash__


class InformationModel(enum.Enum):
    """Query/Retrieve information model (PS3.4 C.6.1, C.6.2)."""

    PATIENT_ROOT = "PATIENT_ROOT"
    STUDY_ROOT = "STUDY_ROOT"


def parse_duration(text: str) -> timedelta:
    """Read an ISO 8601 duration such as PT5M, P1DT12H, PT0.5S or P2W, in upper or lower case.

    Months and years have no fixed length, and a timeout cannot be negative: both raise ValueError.
    """
    text = text.strip().upper()
    try:
        value = isodate.parse_duration(text)
        if text.endswith("T"):  # isodate takes PT for zero
            raise ValueError(text)
    except (isodate.ISO8601Error, ValueError, TypeError, ArithmeticError) as err:
        raise ValueError("expected an ISO 8601 duration such as PT5M") from err
    if not isinstance(value, timedelta):
        raise ValueError("years and months have no fixed length: use weeks, days, hours, minutes, seconds")
    if value < timedelta(0) or text.startswith("-"):
        raise ValueError("a duration cannot be negative")
    return value
