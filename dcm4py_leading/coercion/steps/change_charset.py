"""Conversion of all text to another character set (``change-charset:``), for receivers that know only one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydicom import Dataset

from dcm4py_leading.coercion.changes import Change, remove_attribute, set_attribute
from dcm4py_leading.coercion.context import CoercionContext
from dcm4py_leading.coercion.steps.step import Traits
from dcm4py_leading.coercion.tags import AllTags, Tags
from dcm4py_leading.dataset.text.character_sets import DEFINED_TERMS, STAND_ALONE, CharacterSet
from dcm4py_leading.dataset.text.charset import (
    SPECIFIC_CHARACTER_SET,
    character_set,
    described,
    lost,
    specific_character_set,
)
from dcm4py_leading.errors import CoercionFailed

_DEFAULT_REPERTOIRE = frozenset({"", "ISO_IR 6", "ISO 2022 IR 6"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeCharsetStep:
    """Re-encode all text (``change-charset:``). Items with their own character set keep it."""

    name: ClassVar[str] = "change-charset"
    traits: ClassVar[Traits] = Traits()

    codes: CharacterSet
    """Empty: the default repertoire."""

    @property
    def reads(self) -> Tags:
        """All text."""
        return AllTags.ALL

    @property
    def writes(self) -> Tags:
        """All text."""
        return AllTags.ALL

    def changes(self, ds: Dataset, context: CoercionContext) -> list[Change] | None:
        """Specific Character Set, which re-encodes all text; nothing if already set.

        Raises CoercionFailed when the set lacks a character of the text, or text is not in the set that it is declared
        to be in.
        """
        # dcm4chee writes a question mark for what the new set cannot encode; a name is not to be lost in silence.
        if character_set(ds) == self.codes:
            return []
        if (attribute := lost(ds, self.codes)) is not None:
            raise CoercionFailed(
                f"{self.name}: {attribute} cannot be decoded in {described(character_set(ds))},"
                f" or not encoded in {described(self.codes)}"
            )
        if self.codes:
            return [set_attribute(specific_character_set(self.codes))]
        return [remove_attribute(SPECIFIC_CHARACTER_SET)]


def compile_change_charset(specific: str) -> ChangeCharsetStep:
    """Compile the text after ``change-charset:``, values of Specific Character Set separated by colons.

    ISO_IR 6 means the default repertoire. Raises ValueError.
    """
    codes = tuple(code.strip() for code in specific.split(":"))
    if codes == ("",):
        raise ValueError("expected a character set after the colon, such as ISO_IR 192")
    if len(codes) == 1 and codes[0] in _DEFAULT_REPERTOIRE:
        return ChangeCharsetStep(codes=())
    if len(codes) > 1:
        codes = tuple(_with_code_extensions(code) for code in codes)
    for number, code in enumerate(codes):
        # Only the first may be left out: it means the default repertoire.
        if code not in DEFINED_TERMS or (number > 0 and not code):
            raise ValueError(f"unknown character set {code!r}")
        if len(codes) > 1 and code in STAND_ALONE:
            raise ValueError(f"{code} allows no code extensions: it stands alone")
    return ChangeCharsetStep(codes=codes)


def _with_code_extensions(code: str) -> str:
    """ISO_IR 100 among several means ISO 2022 IR 100, to dcm4che too."""
    extended = code.replace("ISO_IR ", "ISO 2022 IR ", 1)
    return extended if extended in DEFINED_TERMS else code
