"""dcmMergeAttribute: ``path=format`` sets an attribute, ``path=`` empties it, ``path!`` removes it.

A path may lead into sequences: ``RequestAttributesSequence[2].StudyID``; without a number it is the first item.
``SpecificCharacterSet=ISO_IR 192`` re-encodes all text.
"""

from __future__ import annotations

import re
import struct
from copy import deepcopy
from dataclasses import dataclass
from typing import ClassVar

from pydicom import Dataset, config
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement, RawDataElement

from dcm4py_leading.coercion.attribute_path import items_of, parse_tag, vr_of
from dcm4py_leading.coercion.changes import Change, TagPath, apply, empty_attribute, remove_attribute, set_attribute
from dcm4py_leading.coercion.context import CoercionContext
from dcm4py_leading.coercion.formats.attributes_format import AttributesFormat, compile_format, texts_of
from dcm4py_leading.coercion.steps.step import Traits
from dcm4py_leading.coercion.tags import AllTags, Tags
from dcm4py_leading.coercion.update import is_empty, with_character_set
from dcm4py_leading.dataset.text.character_sets import DEFINED_TERMS, UTF_8, CharacterSet, folded
from dcm4py_leading.dataset.text.charset import (
    SPECIFIC_CHARACTER_SET,
    character_set,
    lost,
    parse_character_set,
    specific_character_set,
)
from dcm4py_leading.errors import CoercionFailed

_INTEGER_FORMATS = {"US": "<H", "SS": "<h", "UL": "<L", "SL": "<l", "UV": "<Q", "SV": "<q"}
_FLOAT_FORMATS = {"FL": "<f", "FD": "<d"}
_TEXT_VR = frozenset(
    {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeAttribute:
    """One compiled dcmMergeAttribute."""

    text: str
    """As it stands in the directory."""
    within: TagPath
    """Path of the item that holds the attribute; empty at the top."""
    tag: int
    format: AttributesFormat | None = None
    """Value that it is set to; None: it is emptied or removed."""
    remove: bool = False

    @property
    def reads(self) -> Tags:
        """Tags at the top of the data set that decide what is changed."""
        if self.tag == SPECIFIC_CHARACTER_SET:
            return AllTags.ALL
        top = (*self.within, self.tag)[0]
        return frozenset({top, SPECIFIC_CHARACTER_SET}) | (self.format.reads if self.format is not None else set())

    @property
    def writes(self) -> frozenset[int]:
        """Tags at the top of the data set that it may change."""
        return frozenset({(*self.within, self.tag)[0], SPECIFIC_CHARACTER_SET})

    def changes(self, ds: Dataset, context: CoercionContext) -> list[Change]:
        """Changes in ``ds``. Raises CoercionFailed when the text is no value for the attribute."""
        text = self.format.render(ds, context.now()) if self.format is not None else ""
        if self.tag == SPECIFIC_CHARACTER_SET:
            return self._encoded_anew(ds, text)
        item = _item(ds, self.within)
        if text:
            return self._set(ds, item, text)
        if item is None:
            return []
        if self.tag not in item:
            # A format that comes to nothing makes the attribute present, without a value.
            is_set = self.format is not None
            return [empty_attribute(self.tag, vr_of(self.tag) or "UN", within=self.within)] if is_set else []
        if self.remove:
            return [remove_attribute(self.tag, within=self.within)]
        vr = _vr_of_value(item, self.tag)
        return [empty_attribute(self.tag, vr, within=self.within)] if vr is not None else []

    def _set(self, ds: Dataset, item: Dataset | None, text: str) -> list[Change]:
        if item is not None and "\\".join(texts_of(item, self.tag)) == text:
            return []
        try:
            element = _element(self.tag, text)
        except (ValueError, OverflowError, struct.error) as err:
            raise self._failed() from err
        return with_character_set(ds, [set_attribute(element, within=self.within)])

    def _encoded_anew(self, ds: Dataset, text: str) -> list[Change]:
        """The change of the character set: to the requested one if it can encode all text, else to UTF-8.

        Where it is to be emptied or removed, it stays as long as there is text that needs it.
        """
        try:
            wanted = _known_codes(text) if text else ()
        except ValueError as err:
            raise self._failed() from err
        possible = wanted
        if lost(ds, wanted) is not None:
            possible = (UTF_8,)
            if wanted and (attribute := lost(ds, possible)) is not None:
                raise CoercionFailed(
                    f"merge-attrs: {attribute} cannot be decoded in the character set that is declared"
                )
        if wanted:
            return [set_attribute(specific_character_set(possible))] if possible != character_set(ds) else []
        if possible != wanted or SPECIFIC_CHARACTER_SET not in ds:
            return []
        if self.remove:
            return [remove_attribute(SPECIFIC_CHARACTER_SET)]
        return [empty_attribute(SPECIFIC_CHARACTER_SET, "CS")] if character_set(ds) else []

    def _failed(self) -> CoercionFailed:
        return CoercionFailed(f"merge-attrs: what dcmMergeAttribute gives is no value for {keyword_for_tag(self.tag)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeAttributesStep:
    """All dcmMergeAttribute of a rule (``merge-attrs:``), in their order."""

    name: ClassVar[str] = "merge-attrs"

    merges: tuple[MergeAttribute, ...]

    @property
    def traits(self) -> Traits:
        """Repeatable, and timeless, as all formats are."""
        formats = [merge.format for merge in self.merges if merge.format is not None]
        return Traits(
            is_repeatable=not any(form.is_random for form in formats),
            is_timeless=all(form.is_timeless for form in formats),
        )

    @property
    def reads(self) -> Tags:
        """Tags that decide what is changed."""
        tags: set[int] = set()
        for merge in self.merges:
            reads = merge.reads
            if isinstance(reads, AllTags):
                return AllTags.ALL
            tags |= reads
        return frozenset(tags)

    @property
    def writes(self) -> Tags:
        """Tags that may be changed."""
        return frozenset[int]().union(*(merge.writes for merge in self.merges))

    def changes(self, ds: Dataset, context: CoercionContext) -> list[Change]:
        """Changes in ``ds``; each merge sees what those before it have changed. Raises CoercionFailed."""
        if len(self.merges) == 1:
            return self.merges[0].changes(ds, context)
        changes: list[Change] = []
        ours = _copy(ds, self.reads)
        for merge in self.merges:
            new = merge.changes(ours, context)
            apply(ours, new)
            changes += new
        return changes


def compile_merge_attribute(text: str) -> MergeAttribute:
    """Compile one dcmMergeAttribute. Raises ValueError with the error."""
    path, separator, pattern = text.partition("=")
    remove = not separator and path.endswith("!")
    if not separator and not remove:
        raise ValueError("expected ATTRIBUTE=FORMAT, ATTRIBUTE= or ATTRIBUTE!")
    within, tag = _parse_path(path.removesuffix("!") if remove else path)
    if tag == SPECIFIC_CHARACTER_SET and within:
        raise ValueError("the Specific Character Set of an item cannot be changed by itself")
    if not pattern:
        return MergeAttribute(text=text, within=within, tag=tag, remove=remove)
    form = compile_format(pattern)
    _check_value(tag, form)
    return MergeAttribute(text=text, within=within, tag=tag, format=form)


def _parse_path(path: str) -> tuple[TagPath, int]:
    steps: list[int] = []
    for name in path.split("."):
        match = re.fullmatch(r"([^\[\]]+)(?:\[([0-9]{1,4})\])?", name)
        if match is None:
            raise ValueError(f"expected ATTRIBUTE or SEQUENCE[ITEM].ATTRIBUTE, not {path!r}")
        number = int(match[2] or 1)
        if number == 0:
            raise ValueError("the number of an item counts from 1")
        steps += [parse_tag(match[1]), number - 1]
    if path.endswith("]"):
        raise ValueError("the number of an item belongs to a sequence on the way, not to the attribute itself")
    within, tag = tuple(steps[:-2]), steps[-2]
    for sequence in within[::2]:
        if vr_of(sequence) not in ("SQ", None):
            raise ValueError(f"an attribute on the way of {path!r} is no sequence")
    return within, tag


def _check_value(tag: int, form: AttributesFormat) -> None:
    """Refuse a value that can never be set, as far as that is known without a data set."""
    vr = vr_of(tag)
    if vr is None:
        raise ValueError("an attribute that the data dictionary does not have cannot be set: its VR is unknown")
    if vr not in _TEXT_VR | _INTEGER_FORMATS.keys() | _FLOAT_FORMATS.keys():
        raise ValueError(f"an attribute of VR {vr} cannot be set from text")
    if form.placeholders:
        return
    if tag == SPECIFIC_CHARACTER_SET:
        _known_codes(form.literals[0])
    elif form.literals[0]:
        try:
            _element(tag, form.literals[0])
        except (ValueError, OverflowError, struct.error) as err:
            raise ValueError(f"expected numbers for VR {vr}") from err


def _known_codes(text: str) -> CharacterSet:
    codes = parse_character_set(text)
    for code in codes:
        if folded(code) not in DEFINED_TERMS:
            raise ValueError(f"unknown Specific Character Set {code!r}")
    return codes


def _element(tag: int, text: str) -> DataElement:
    """Raises ValueError, OverflowError, struct.error."""
    vr = vr_of(tag) or "UN"
    value: str | list[int] | list[float] = text
    if vr in _INTEGER_FORMATS:
        value = [int(number) for number in text.split("\\")]
        struct.pack(f"<{len(value)}{_INTEGER_FORMATS[vr][1]}", *value)
    elif vr in _FLOAT_FORMATS:
        value = [float(number) for number in text.split("\\")]
        struct.pack(f"<{len(value)}{_FLOAT_FORMATS[vr][1]}", *value)
    # pydicom's warnings would tell the value.
    return DataElement(tag, vr, value, validation_mode=config.IGNORE)


def _item(ds: Dataset, within: TagPath) -> Dataset | None:
    item = ds
    for tag, index in zip(within[::2], within[1::2], strict=True):
        items = items_of(item, tag)
        if len(items) <= index:
            return None
        item = items[index]
    return item


def _vr_of_value(item: Dataset, tag: int) -> str | None:
    """The VR of an attribute that is there; None: it has no value. One that cannot be read has."""
    element: RawDataElement | DataElement = item.get_item(tag)
    without = not element.value if isinstance(element, RawDataElement) else is_empty(element)
    return None if without else element.VR or vr_of(tag) or "UN"


def _copy(ds: Dataset, tags: Tags) -> Dataset:
    """A data set of these attributes, none of which is shared with ``ds``."""
    if isinstance(tags, AllTags):
        return deepcopy(ds)
    copy = Dataset()
    is_implicit_vr, is_little_endian = ds.original_encoding
    copy.set_original_encoding(is_implicit_vr, is_little_endian, ds.original_character_set)
    for tag in sorted(tags):
        if tag in ds:
            copy[tag] = deepcopy(ds.get_item(tag))
    return copy
