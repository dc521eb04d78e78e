"""Edits of some attributes of a study or its patient, as a form has them; all others stay."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Self

from pydicom import Dataset
from pydicom.datadict import keyword_for_tag

from dcm4py_leading.archive.index.attributes import decode
from dcm4py_leading.archive.index.index import IndexedInstance
from dcm4py_leading.archive.index.keys import STUDY_INSTANCE_UID
from dcm4py_leading.archive.index.querying.query import RetrieveKeys
from dcm4py_leading.archive.index.writing.editing import EditNote
from dcm4py_leading.coercion.differences import shown_element
from dcm4py_leading.coercion.original_attributes import ORIGINAL_ATTRIBUTES_SEQUENCE
from dcm4py_leading.dataset.normal import element_of as readable_element_of
from dcm4py_leading.dataset.text.charset import SPECIFIC_CHARACTER_SET
from dcm4py_leading.errors import EditRefused, Refusal
from dcm4py_leading.model.values import UID, Level
from dcm4py_leading.service.editing.edit import REASONS, holding_ae, log_edit
from dcm4py_leading.service.editing.typed import (
    Lines,
    can_be_typed,
    element_of,
    lines_of,
    may_have_several,
    typed_vr,
)
from dcm4py_leading.service.runtime import Runtime
from dcm4py_leading.service.studies.receivers import LeadingReceivers, leading_receivers

_LEVELS = (Level.PATIENT, Level.STUDY)


class Fixed(enum.Enum):
    """Reason why an attribute cannot be typed."""

    NO_TEXT = "no-text"
    """A sequence, or a number."""
    UNDECODABLE = "undecodable"
    """Text that cannot be decoded as its character set says."""
    IDENTITY = "identity"
    """The UID by which the study is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EditField:
    """One attribute that the index keeps."""

    tag: int
    keyword: str
    vr: str
    lines: Lines
    is_multiple: bool
    fixed: Fixed | None
    shown: str
    """The values, to be looked at."""

    def to_json(self) -> Any:
        """As JSON, for other processes."""
        return {**asdict(self), "fixed": None if self.fixed is None else self.fixed.value}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The value of which `to_json` made that."""
        fixed = None if value["fixed"] is None else Fixed(value["fixed"])
        return cls(**{**value, "lines": tuple(value["lines"]), "fixed": fixed})


@dataclass(frozen=True, slots=True, kw_only=True)
class Amendment:
    """New values of some attributes, and those that they had when somebody decided so."""

    ae_title: str
    study_instance_uid: str
    level: Level
    """PATIENT or STUDY."""
    shown: Mapping[int, Lines]
    wanted: Mapping[int, Lines]
    """By tag; no line takes the value out."""
    author: str = ""

    def to_json(self) -> Any:
        """As JSON, for other processes."""
        shown = [[tag, list(lines), list(self.wanted[tag])] for tag, lines in self.shown.items()]
        return {
            "aet": self.ae_title,
            "study": self.study_instance_uid,
            "level": self.level.value,
            "lines": shown,
            "author": self.author,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The value of which `to_json` made that."""
        return cls(
            ae_title=value["aet"],
            study_instance_uid=value["study"],
            level=Level(value["level"]),
            shown={tag: tuple(lines) for tag, lines, _ in value["lines"]},
            wanted={tag: tuple(lines) for tag, _, lines in value["lines"]},
            author=value["author"],
        )


def edit_fields(runtime: Runtime, ae_title: str, study_instance_uid: str, level: Level) -> tuple[EditField, ...]:
    """The attributes of a study or its patient that the index keeps or would keep, in the order of tags.

    Without private attributes and internal ones of the index. Raises EditRefused, IndexUnavailable.
    """
    holding_ae(runtime, ae_title)
    tags = runtime.keeper.tags[level]
    if ORIGINAL_ATTRIBUTES_SEQUENCE in tags:
        raise EditRefused(
            Refusal.CONFLICT,
            f"the dcmAttributeFilter of {level.value} has Original Attributes Sequence (04000561), by which the index "
            "knows what was edited: take it out of the filter",
        )
    encoded = _first_instance(runtime, study_instance_uid).encoded_attributes[_LEVELS.index(level)]
    ds = decode(encoded)
    fields = (_field(ds, tag) for tag in sorted(tags) if not tag >> 16 & 1 and tag != SPECIFIC_CHARACTER_SET)
    return tuple(field for field in fields if field.fixed is None or field.shown)


def make_amendment(runtime: Runtime, amendment: Amendment, *, now: datetime) -> None:
    """Make it, if the attributes are still as they were shown. Raises EditRefused, DocumentInvalid, IndexUnavailable.

    The Original Attributes Sequence records it as a correction.
    """
    ae = holding_ae(runtime, amendment.ae_title)
    keeper = runtime.keeper
    wanted = _wanted(amendment, keeper.tags[amendment.level])
    note = EditNote(modifying_system=ae.ae_title, source_of_previous_values="", reason=REASONS[0], now=now)

    def is_as_shown(kept: Dataset) -> bool:
        return all(lines_of(kept.get(tag)) == lines for tag, lines in amendment.shown.items())

    uid = _uid(amendment.study_instance_uid)
    changed = runtime.index.amend(uid, amendment.level, wanted, is_as_shown, keeper=keeper, note=note)
    log_edit(amendment.level, uid, amendment.author, changed)


def led_after(runtime: Runtime, amendment: Amendment, receivers: Sequence[str]) -> tuple[LeadingReceivers, ...]:
    """AEs that would not get the edited values, as a rule takes them from a leading archive.

    Raises EditRefused, DocumentInvalid, IndexUnavailable.
    """
    ae = holding_ae(runtime, amendment.ae_title)
    attributes = _first_instance(runtime, amendment.study_instance_uid).attributes
    attributes.update(_wanted(amendment, runtime.keeper.tags[amendment.level]))
    return leading_receivers(runtime, ae, attributes, receivers, changed=frozenset(amendment.wanted))


def _wanted(amendment: Amendment, kept: frozenset[int]) -> Dataset:
    wanted = Dataset()
    for tag, lines in amendment.wanted.items():
        if tag not in kept or tag == STUDY_INSTANCE_UID:
            raise EditRefused(Refusal.CONFLICT, f"{_name(tag)} is none of the attributes that can be edited here")
        wanted.add(element_of(tag, lines))
    return wanted


def _field(ds: Dataset, tag: int) -> EditField:
    element = readable_element_of(ds, tag)
    vr, lines = typed_vr(tag), lines_of(element)
    shown = shown_element(element)
    fixed = None
    if tag == STUDY_INSTANCE_UID:
        fixed = Fixed.IDENTITY
    elif vr is None or (element is not None and vr != element.VR):
        fixed = Fixed.NO_TEXT
    elif not can_be_typed(lines):
        fixed = Fixed.UNDECODABLE
    return EditField(
        tag=tag,
        keyword=_name(tag),
        vr=vr or "",
        lines=lines if fixed is None else (),
        is_multiple=fixed is None and (may_have_several(tag) or len(lines) > 1),
        fixed=fixed,
        shown="" if shown is None else shown.text,
    )


def _name(tag: int) -> str:
    return keyword_for_tag(tag) or f"{tag:08X}"


def _uid(text: str) -> UID:
    try:
        return UID(text)
    except ValueError:
        raise EditRefused(Refusal.UNKNOWN, "there is no such study") from None


def _first_instance(runtime: Runtime, study_instance_uid: str) -> IndexedInstance:
    keys = RetrieveKeys(level=Level.STUDY, study_instance_uids=(_uid(study_instance_uid),))
    instances = runtime.index.instances(keys)
    if not instances:
        raise EditRefused(Refusal.UNKNOWN, "there is no such study")
    return instances[0]
