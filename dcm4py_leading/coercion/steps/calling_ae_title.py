"""The sender's AE title as an attribute (dcmUseCallingAETitleAs), so that a modality finds only its own steps."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import ClassVar, assert_never

from pydicom import Dataset
from pydicom.dataelem import DataElement

from dcm4py_leading.coercion.attribute_path import items_of, vr_of
from dcm4py_leading.coercion.changes import Change, empty_attribute, set_attribute
from dcm4py_leading.coercion.context import CoercionContext
from dcm4py_leading.coercion.steps.step import Traits
from dcm4py_leading.coercion.tags import Tags
from dcm4py_leading.coercion.update import is_empty
from dcm4py_leading.errors import CoercionFailed
from dcm4py_leading.model.coercion import Dimse

SCHEDULED_PROCEDURE_STEP_SEQUENCE = 0x00400100
SCHEDULED_STATION_AE_TITLE = 0x00400001

PRIVATE_GROUP = 0x7777
PRIVATE_CREATOR = "DCM4CHEE Archive 5"
SENDING_AE_TITLE_OF_SERIES = 0x37
"""Element in a private block of dcm4chee."""

# A query without keys in the item asks for all of it; a first key must not narrow that to itself.
_RETURN_KEYS = (
    *(0x00080060, 0x00102210, 0x0018990C, 0x0018990D, 0x00321070),
    *(0x00400002, 0x00400003, 0x00400004, 0x00400005, 0x00400006, 0x00400007, 0x00400008, 0x00400009),
    *(0x0040000B, 0x00400010, 0x00400011, 0x00400012, 0x00400020, 0x00400400),
)


class CallingAETitleUse(enum.Enum):
    """dcmUseCallingAETitleAs: the attribute."""

    SCHEDULED_STATION_AE_TITLE = "ScheduledStationAETitle"
    """(0040,0001) in the first item of the Scheduled Procedure Step Sequence."""
    SENDING_APPLICATION_ENTITY_TITLE_OF_SERIES = "SendingApplicationEntityTitleOfSeries"
    """dcm4chee's private (7777,xx37)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCallingAETitleStep:
    """Set an attribute without a value to the sending AE title (dcmUseCallingAETitleAs, ``use-calling-aet-as:``)."""

    name: ClassVar[str] = "use-calling-aet-as"
    traits: ClassVar[Traits] = Traits(is_timeless=True)

    use: CallingAETitleUse

    @property
    def reads(self) -> Tags:
        """The attribute, or the sequence that it is in."""
        return self.writes

    @property
    def writes(self) -> Tags:
        """The attribute, or the sequence that it is in; in any private block."""
        match self.use:
            case CallingAETitleUse.SCHEDULED_STATION_AE_TITLE:
                return frozenset({SCHEDULED_PROCEDURE_STEP_SEQUENCE})
            case CallingAETitleUse.SENDING_APPLICATION_ENTITY_TITLE_OF_SERIES:
                return frozenset(tag for block in _BLOCKS for tag in (_tag(block), _sending_ae_title(block)))
            case _:
                assert_never(self.use)

    def changes(self, ds: Dataset, context: CoercionContext) -> list[Change] | None:
        """The attribute; None if it has a value, or the sender is not known."""
        ae_title = context.sending.ae_title
        if ae_title is None:
            return None
        match self.use:
            case CallingAETitleUse.SCHEDULED_STATION_AE_TITLE:
                return _scheduled_station(ds, ae_title, is_query=context.dimse is Dimse.C_FIND_RQ)
            case CallingAETitleUse.SENDING_APPLICATION_ENTITY_TITLE_OF_SERIES:
                return _sending_of_series(ds, ae_title)
            case _:
                assert_never(self.use)


def compile_use_calling_ae_title(specific: str) -> UseCallingAETitleStep:
    """Compile dcmUseCallingAETitleAs, or the text after ``use-calling-aet-as:``. Raises ValueError."""
    try:
        return UseCallingAETitleStep(use=CallingAETitleUse(specific.strip()))
    except ValueError:
        raise ValueError("expected one of " + ", ".join(member.value for member in CallingAETitleUse)) from None


def _scheduled_station(ds: Dataset, ae_title: str, *, is_query: bool) -> list[Change] | None:
    within = (SCHEDULED_PROCEDURE_STEP_SEQUENCE, 0)
    item = next(iter(items_of(ds, SCHEDULED_PROCEDURE_STEP_SEQUENCE)), None)
    if item is not None and not is_empty(item.get(SCHEDULED_STATION_AE_TITLE)):
        return None
    title = set_attribute(DataElement(SCHEDULED_STATION_AE_TITLE, "AE", ae_title), within=within)
    if item or not is_query:
        return [title]
    # The item is made by the first SET.
    return [title, *(empty_attribute(tag, vr_of(tag) or "UN", within=within) for tag in _RETURN_KEYS)]


_BLOCKS = range(0x10, 0x100)


def _tag(element: int) -> int:
    return PRIVATE_GROUP << 16 | element


def _sending_ae_title(block: int) -> int:
    return _tag(block << 8 | SENDING_AE_TITLE_OF_SERIES)


def _sending_of_series(ds: Dataset, ae_title: str) -> list[Change] | None:
    reserved = {block: str(ds[_tag(block)].value).strip() for block in _BLOCKS if _tag(block) in ds}
    block = next((block for block, creator in reserved.items() if creator == PRIVATE_CREATOR), None)
    if block is not None:
        if not is_empty(ds.get(_sending_ae_title(block))):
            return None
        return [set_attribute(DataElement(_sending_ae_title(block), "AE", ae_title))]
    block = next((block for block in _BLOCKS if block not in reserved), None)
    if block is None:
        raise CoercionFailed("use-calling-aet-as: group 7777 has no free private block")
    return [
        set_attribute(DataElement(_tag(block), "LO", PRIVATE_CREATOR)),
        set_attribute(DataElement(_sending_ae_title(block), "AE", ae_title)),
    ]
