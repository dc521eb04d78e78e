"""Attributes that answers to QIDO-RS have although nobody names them (PS3.18 10.6.3.3), as dcm4chee has them."""

from __future__ import annotations

from collections.abc import Mapping

from dcm4py_leading.archive.index.keys import LEVELS, UNIQUE_KEYS
from dcm4py_leading.model.values import Level

DEFAULTS: Mapping[Level, tuple[int, ...]] = {
    Level.PATIENT: (0x00100010, 0x00100020, 0x00100030, 0x00100040),
    Level.STUDY: (
        *(0x00080020, 0x00080030, 0x00080050, 0x00080061, 0x00080090, 0x00100010, 0x00100020, 0x00100030, 0x00100040),
        *(0x0020000D, 0x00200010, 0x00201206, 0x00201208),
    ),
    Level.SERIES: (0x00080060, 0x0008103E, 0x00200011, 0x0020000E, 0x00201209, 0x00400244, 0x00400245, 0x00400275),
    Level.IMAGE: (*(0x00080016, 0x00080018, 0x00083002, 0x00200013, 0x00280010, 0x00280011, 0x00280100, 0x00280008),),
}
"""By level."""


def default_attributes(level: Level, named: Level | None) -> frozenset[int]:
    """The defaults of a resource; ``named`` is the level of the entity in its path, None where there is none.

    A search that starts above its level has the attributes of the levels between too, as nobody has chosen these.
    """
    first = level if level is Level.PATIENT else Level.STUDY if named is None else LEVELS[LEVELS.index(named) + 1]
    reached = LEVELS[LEVELS.index(first) : LEVELS.index(level) + 1]
    return frozenset(tag for one in reached for tag in DEFAULTS[one])


def identifying(level: Level) -> tuple[int, ...]:
    """Unique keys of a level and those above it, of which its URL is made."""
    if level is Level.PATIENT:
        return ()
    return tuple(UNIQUE_KEYS[one] for one in LEVELS[1 : LEVELS.index(level) + 1])
