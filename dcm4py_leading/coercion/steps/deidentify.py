"""De-identification (dcmDeIdentification, ``deidentify:``): PS3.15 Annex E, Basic Application Level Confidentiality.

No library is behind it: those at hand replace values in a file by rules of their own, and none has the columns of the
options; here changes are wanted as data. What the table leaves to the IOD is decided for every IOD alike, so that no
attribute of type 1 or 2 is lost: a dummy rather than no value, no value rather than no attribute.

Only attributes are de-identified. An object that says of itself that identity is burned into its pixels is refused:
Patient Identity Removed YES would speak for the pixels too (PS3.3 C.7.1.1), and dcm4chee's sending it would be a leak.
Other objects are sent, as the standard leaves this decision to the administrator.
"""

from __future__ import annotations

import enum
import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from pydicom import Dataset
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.tag import BaseTag

from dcm4py_leading.coercion.attribute_path import items_of, values_of
from dcm4py_leading.coercion.changes import Change, TagPath, empty_attribute, remove_attribute, set_attribute
from dcm4py_leading.coercion.context import CoercionContext
from dcm4py_leading.coercion.steps.deidentification_table import METHODS, TABLE, Option
from dcm4py_leading.coercion.steps.pseudonyms import new_uid, patient_id_hash
from dcm4py_leading.coercion.steps.step import Traits
from dcm4py_leading.coercion.tags import AllTags, Tags
from dcm4py_leading.coercion.update import is_empty, with_character_set
from dcm4py_leading.dataset.pydicom_bridge import first_unreadable, name_of
from dcm4py_leading.errors import CoercionFailed

_PATIENT_ID = 0x00100020
_PATIENT_IDENTITY_REMOVED = 0x00120062
_DE_IDENTIFICATION_METHOD = 0x00120063
_DE_IDENTIFICATION_METHOD_CODE_SEQUENCE = 0x00120064
_LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED = 0x00280303
_BURNED_IN_ANNOTATION = 0x00280301
_ENCAPSULATED_DOCUMENT = 0x00420011
_ENCAPSULATED_DOCUMENT_LENGTH = 0x00420015
_PIXEL_DATA = (0x7FE00008, 0x7FE00009, 0x7FE00010)


class _Action(enum.Enum):
    REMOVE = "X"
    EMPTY = "Z"
    DUMMY = "D"
    NEW_UID = "U"
    KEEP = "K"
    """A sequence is kept with its items de-identified."""


_RESOLVED = {
    "X": _Action.REMOVE,
    "Z": _Action.EMPTY,
    "D": _Action.DUMMY,
    "U": _Action.NEW_UID,
    "X/Z": _Action.EMPTY,
    "X/D": _Action.DUMMY,
    "Z/D": _Action.DUMMY,
    "X/Z/D": _Action.DUMMY,
    "X/Z/U*": _Action.KEEP,
}

_DUMMIES: Mapping[str, str | int | float | bytes] = {
    "AS": "000D",
    "DA": "19991111",
    "DT": "19991111111111",
    "TM": "111111",
    "DS": "0",
    "IS": "0",
    **dict.fromkeys(("FL", "FD"), 0.0),
    **dict.fromkeys(("AT", "SL", "SS", "SV", "UL", "US", "UV"), 0),
    **dict.fromkeys(("OB", "OW", "UN"), b"\0\0"),
    **dict.fromkeys(("OF", "OL"), bytes(4)),
    **dict.fromkeys(("OD", "OV"), bytes(8)),
}
"""By VR, dcm4che's where it has one; all other text is `_DUMMY_TEXT`."""

_DUMMY_TEXT = "REMOVED"
_NUMBERS = frozenset({"DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"})
_AMBIGUOUS_VR = {"US or SS": "US", "US or OW": "US", "US or SS or OW": "US", "OB or OW": "OB"}
_CODE_STRING = re.compile("[A-Z0-9_ ]{0,16}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeidentifyStep:
    """De-identify a data set; the Basic Application Level Confidentiality Profile is always part of it."""

    name: ClassVar[str] = "deidentify"
    # dcm4chee sends what could not be de-identified where the rule says CONTINUE.
    traits: ClassVar[Traits] = Traits(is_failure_final=True, hides_originals=True)

    options: frozenset[Option] = frozenset()
    _actions: Mapping[int, _Action] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        actions = {
            tag: _Action.KEEP if entry.retained_by & self.options else _RESOLVED[entry.code]
            for tag, entry in TABLE.items()
        }
        # Type 2 in every composite IOD: with a dummy all patients would become one.
        actions[_PATIENT_ID] = _Action.EMPTY
        object.__setattr__(self, "_actions", actions)

    @property
    def reads(self) -> Tags:
        """Everything."""
        return AllTags.ALL

    @property
    def writes(self) -> Tags:
        """Everything."""
        return AllTags.ALL

    def changes(self, ds: Dataset, context: CoercionContext) -> list[Change]:
        """Changes that de-identify ``ds``; one is of SOP Instance UID (0008,0018).

        Raises CoercionFailed when ``ds`` has annotation burned in, or holds something that cannot be read.
        """
        _refuse_burned_in_annotation(ds)
        try:
            return with_character_set(ds, [*self._item(ds, ()), *self._replaced(ds), *self._declared(ds)])
        except (ValueError, NotImplementedError, OSError, EOFError, struct.error) as err:
            tag = first_unreadable(ds)
            which = "an attribute" if tag is None else name_of(tag)
            raise CoercionFailed(f"deidentify: {which} cannot be read") from err

    def _item(self, ds: Dataset, within: TagPath) -> Iterator[Change]:
        for tag in sorted(ds.keys()):
            match self._action(tag):
                case _Action.REMOVE:
                    yield remove_attribute(tag, within=within)
                case _Action.EMPTY:
                    if not _is_empty(ds, tag):
                        yield empty_attribute(tag, _vr(ds, tag), within=within)
                case _Action.DUMMY:
                    # Without a value it is of type 2 here, and says nothing.
                    if not _is_empty(ds, tag):
                        yield set_attribute(self._dummy(ds, tag), within=within)
                case _Action.NEW_UID:
                    element = _with_new_uids(ds, tag)
                    if element is not None:
                        yield set_attribute(element, within=within)
                case _Action.KEEP:
                    if tag in _PIXEL_DATA or _vr(ds, tag) != "SQ":
                        continue
                    items = _items(ds, tag)
                    if items is None:
                        yield remove_attribute(tag, within=within)
                    else:
                        for index, item in enumerate(items):
                            yield from self._item(item, (*within, int(tag), index))

    def _action(self, tag: BaseTag) -> _Action:
        action = self._actions.get(int(tag))
        if action is not None:
            return action
        # An unknown attribute may contain anything: it may be new in the standard, or a sequence that looks like bytes.
        if tag.is_private or tag.group & 0xFF00 in (0x5000, 0x6000) or not dictionary_has_tag(tag):
            return _Action.REMOVE
        return _Action.KEEP

    def _dummy(self, ds: Dataset, tag: BaseTag) -> DataElement:
        """The attribute with nothing left of its value; a sequence keeps the shape of its first item."""
        vr = _vr(ds, tag)
        if vr == "UI":
            kept = Option.RETAIN_UIDS in self.options
            return (None if kept else _with_new_uids(ds, tag)) or DataElement(tag, "UI", _uids(ds, tag))
        if vr == "SQ":
            return DataElement(tag, "SQ", [self._dummy_item(item) for item in (_items(ds, tag) or [])[:1]])
        dummy = _DUMMIES.get(vr, _DUMMY_TEXT)
        count = ds[tag].VM if vr in _NUMBERS else 1
        return DataElement(tag, vr, [dummy] * count if count > 1 else dummy)

    def _dummy_item(self, item: Dataset) -> Dataset:
        dummy = Dataset()
        for tag in sorted(item.keys()):
            action = self._action(tag)
            if action is _Action.REMOVE:
                continue
            vr = _vr(item, tag)
            if action is _Action.EMPTY or _is_empty(item, tag):
                dummy[tag] = DataElement(tag, vr, [] if vr == "SQ" else None)
            elif action is _Action.KEEP and (vr == "AT" or (vr == "CS" and _are_code_strings(item, tag))):
                # Of a closed set, such as Value Type: no free text, and the item is not valid without.
                dummy[tag] = item[tag]
            else:
                dummy[tag] = self._dummy(item, tag)
        return dummy

    def _replaced(self, ds: Dataset) -> Iterator[Change]:
        if Option.RETAIN_PATIENT_ID_HASH in self.options and not is_empty(ds.get(_PATIENT_ID)):
            yield set_attribute(DataElement(_PATIENT_ID, "LO", patient_id_hash(ds)))
        if not is_empty(ds.get(_ENCAPSULATED_DOCUMENT_LENGTH)) and not _is_empty(ds, BaseTag(_ENCAPSULATED_DOCUMENT)):
            yield set_attribute(DataElement(_ENCAPSULATED_DOCUMENT_LENGTH, "UL", 2))

    def _declared(self, ds: Dataset) -> Iterator[Change]:
        """Changes that declare the de-identification (PS3.15 E.1.1); what is there of an earlier one stays."""
        yield set_attribute(DataElement(_PATIENT_IDENTITY_REMOVED, "CS", "YES"))
        methods = [METHODS[option] for option in Option if option in self.options | {Option.BASIC_PROFILE}]
        said = _texts(ds, _DE_IDENTIFICATION_METHOD)
        said += [method.meaning for method in methods if method.meaning not in said]
        yield set_attribute(DataElement(_DE_IDENTIFICATION_METHOD, "LO", said[0] if len(said) == 1 else said))
        items = list(items_of(ds, _DE_IDENTIFICATION_METHOD_CODE_SEQUENCE))
        coded = {(_text(item, 0x00080100), _text(item, 0x00080102)) for item in items}
        new = [method for method in methods if (method.value, method.scheme) not in coded]
        for index, method in enumerate(new, start=len(items)):
            within = (_DE_IDENTIFICATION_METHOD_CODE_SEQUENCE, index)
            yield set_attribute(DataElement(0x00080100, "SH", method.value), within=within)
            yield set_attribute(DataElement(0x00080102, "SH", method.scheme), within=within)
            yield set_attribute(DataElement(0x00080104, "LO", method.meaning), within=within)
        modified = "REMOVED"
        if Option.RETAIN_FULL_DATES in self.options:
            # Dates that an earlier de-identification took away are not back.
            modified = _text(ds, _LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED) or "UNMODIFIED"
        yield set_attribute(DataElement(_LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED, "CS", modified))


def compile_deidentify(options: Iterable[str]) -> DeidentifyStep:
    """Compile the values of dcmDeIdentification, or the comma-separated text after ``deidentify:``.

    Raises ValueError for an option that is not built.
    """
    chosen: set[Option] = set()
    for name in filter(None, map(str.strip, options)):
        try:
            chosen.add(Option(name))
        except ValueError:
            known = ", ".join(option.value for option in Option)
            raise ValueError(f"unknown de-identification option {name}, expected one of {known}") from None
    return DeidentifyStep(options=frozenset(chosen | {Option.BASIC_PROFILE}))


def _refuse_burned_in_annotation(ds: Dataset) -> None:
    if _text(ds, _BURNED_IN_ANNOTATION) != "YES":
        return
    # An encapsulated document is replaced as a whole; Pixel Data emptied by a step before shows nothing any more.
    if _ENCAPSULATED_DOCUMENT in ds or any(tag in ds and _is_empty(ds, BaseTag(tag)) for tag in _PIXEL_DATA):
        return
    raise CoercionFailed("deidentify: Burned In Annotation (0028,0301) is YES, and pixel data is not cleaned")


def _stored(ds: Dataset, tag: BaseTag) -> DataElement | RawDataElement:
    """The attribute as it is in the data set: reading it could fail, or warn, where its value does not matter."""
    stored: DataElement | RawDataElement = ds.get_item(tag)
    return stored


def _vr(ds: Dataset, tag: BaseTag) -> str:
    vr = _stored(ds, tag).VR
    if vr in (None, "UN") and dictionary_has_tag(tag):
        vr = dictionary_VR(tag)
    return _AMBIGUOUS_VR.get(vr or "UN", vr or "UN")


def _items(ds: Dataset, tag: BaseTag) -> list[Dataset] | None:
    """The items of a sequence; None when its bytes cannot be taken for items."""
    element = ds[tag]
    return list(element.value or []) if element.VR == "SQ" else None


def _is_empty(ds: Dataset, tag: BaseTag) -> bool:
    if tag not in ds:
        return True
    stored = _stored(ds, tag)
    if isinstance(stored, DataElement):
        return is_empty(stored)
    return not (stored.value or b"").strip(b"" if _vr(ds, tag) in _NUMBERS else b" \0")


def _with_new_uids(ds: Dataset, tag: BaseTag) -> DataElement | None:
    old = _uids(ds, tag)
    new = [new_uid(uid) for uid in old]
    if new == old:
        return None
    return DataElement(tag, "UI", new[0] if len(new) == 1 else new)


def _uids(ds: Dataset, tag: BaseTag) -> list[str]:
    stored = _stored(ds, tag)
    if isinstance(stored, DataElement):
        text = "\\".join(values_of(stored))
    else:
        text = (stored.value or b"").decode("ascii", "replace")
    return [uid.strip(" \0") for uid in text.split("\\")]


def _are_code_strings(ds: Dataset, tag: BaseTag) -> bool:
    return all(_CODE_STRING.fullmatch(value) for value in values_of(ds[tag]))


def _texts(ds: Dataset, tag: int) -> list[str]:
    return [text for value in values_of(ds.get(tag)) if (text := value.strip())]


def _text(ds: Dataset, tag: int) -> str:
    """The first value; empty when there is none."""
    return next(iter(_texts(ds, tag)), "")
