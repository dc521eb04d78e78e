"""Reading of responses: only the attributes that were asked for, fully decoded."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom import Dataset

from dcm4py_leading.coercion.question import LeadingAnswer
from dcm4py_leading.dataset.data_sets import declare_default, decode_text
from dcm4py_leading.dataset.text.charset import undecodable
from dcm4py_leading.dataset.text.unreadable import UNREADABLE
from dcm4py_leading.errors import LeadingUnavailable, LeadingUnreadable
from dcm4py_leading.leading.query import StudyAttributes, UnreadableAnswer
from dcm4py_leading.leading.uid_list import Page
from dcm4py_leading.model.values import UID, AETitle, Tag

_OF_ONE_VALUE = frozenset(
    {0x00080050, 0x00100010, 0x00100020, 0x00100021, 0x00100030, 0x00100040, 0x0020000D, 0x00200010}
)
"""Accession Number, what tells the patient, Study Instance UID, Study ID."""


def page_of(
    responses: Sequence[Dataset],
    *,
    scp: AETitle,
    asked_for: Sequence[UID],
    return_keys: frozenset[Tag],
    default_character_set: str | None,
) -> Page:
    """Sort the responses to one C-FIND by study."""
    known = {str(uid): uid for uid in asked_for}
    found: dict[UID, LeadingAnswer] = {}
    twice: set[UID] = set()
    has_stranger = False
    for response in responses:
        uid = known.get(str(response.get("StudyInstanceUID", "")))
        if isinstance(response, UnreadableAnswer):
            if uid is None and len(asked_for) == 1 and "StudyInstanceUID" not in response:
                uid = asked_for[0]  # what else
            if uid is None:
                has_stranger = True  # the study is not known, so each is queried separately
            else:
                found[uid] = LeadingUnreadable(f"{scp} answered with what cannot be read")
        elif uid is None:
            has_stranger = True
        elif uid in found:
            twice.add(uid)
        else:
            try:
                found[uid] = _study_attributes(response, return_keys, default_character_set)
            except LeadingUnreadable as err:
                found[uid] = LeadingUnreadable(f"{scp} {err}")
            except UNREADABLE as err:
                found[uid] = LeadingUnavailable(f"{scp} answered with what cannot be read: {type(err).__name__}")
    return Page(
        found={uid: answer for uid, answer in found.items() if uid not in twice},
        twice=frozenset(twice),
        has_stranger=has_stranger,
    )


def _study_attributes(response: Dataset, keys: frozenset[Tag], default_character_set: str | None) -> StudyAttributes:
    """The return keys of a response and nothing else, fully decoded: afterwards the data set is only read.

    Raises LeadingUnreadable, one of UNREADABLE.
    """
    declare_default(response, default_character_set)
    decode_text(response)
    study = Dataset()
    for tag in sorted(keys):
        if tag in response:
            study[tag] = response[tag]
    for _ in study.iterall():
        pass  # pydicom decodes an element when it is first read, which is not safe under threads
    if (attribute := undecodable(study)) is not None:
        raise LeadingUnreadable(f"answered with {attribute} in another character set than it declares")
    _require_sound(study)
    return study


def _require_sound(study: Dataset) -> None:
    """Raise LeadingUnreadable if an identifying attribute has two values, or a value is not valid for its VR."""
    for element in study:
        if element.tag in _OF_ONE_VALUE and element.VM > 1:
            raise LeadingUnreadable(f"answered with {element.VM} values of {element.keyword}")
        if isinstance(element.value, bytes) and element.VR == "UN" and element.keyword:
            raise LeadingUnreadable(f"answered with {element.keyword} that is not what its VR says")
