"""Reduction of a character set with code extensions, but nothing to extend to, to the plain one (``trim-ISO2022:``).

Many systems do not know ISO 2022 at all, and modalities name it for text that needs none of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydicom import Dataset

from dcm4py_leading.coercion.changes import Change, remove_attribute, set_attribute
from dcm4py_leading.coercion.context import CoercionContext
from dcm4py_leading.coercion.steps.step import Traits
from dcm4py_leading.coercion.tags import Tags
from dcm4py_leading.dataset.text.character_sets import CharacterSet, normalized
from dcm4py_leading.dataset.text.charset import SPECIFIC_CHARACTER_SET, character_set, lost, specific_character_set

_SINGLE_BYTE = ("13", "100", "101", "109", "110", "126", "127", "138", "144", "148", "166", "203")
# PS3.3 C.12.1.1.2, tables C.12-2 and C.12-3.
_PLAIN: dict[CharacterSet, CharacterSet] = {
    ("ISO 2022 IR 6",): (),
    **{(f"ISO 2022 IR {number}",): (f"ISO_IR {number}",) for number in _SINGLE_BYTE},
}


@dataclass(frozen=True, slots=True)
class TrimISO2022Step:
    """Name a single-byte character set without code extensions (dcmTrimISO2022CharacterSet, ``trim-ISO2022:``)."""

    name: ClassVar[str] = "trim-ISO2022"
    traits: ClassVar[Traits] = Traits(is_timeless=True)

    @property
    def reads(self) -> Tags:
        """Specific Character Set."""
        return frozenset({SPECIFIC_CHARACTER_SET})

    @property
    def writes(self) -> Tags:
        """Specific Character Set."""
        return frozenset({SPECIFIC_CHARACTER_SET})

    def changes(self, ds: Dataset, context: CoercionContext) -> list[Change] | None:
        """The plain set in place of a single one of ISO 2022; None when there is none, or text that needs it."""
        codes = normalized(character_set(ds))
        if codes not in _PLAIN or lost(ds, _PLAIN[codes]) is not None:
            return None
        plain = _PLAIN[codes]
        # The default repertoire is meant by an absent attribute, and must not be by an empty one (type 1C).
        return [set_attribute(specific_character_set(plain)) if plain else remove_attribute(SPECIFIC_CHARACTER_SET)]
