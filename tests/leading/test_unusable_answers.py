"""Answers of a leading archive that cannot be used: the lookup has failed, the study is not unknown there."""

from __future__ import annotations

import pytest
from pydicom import Dataset
from pydicom.dataelem import DataElement

from dcm4py_leading.errors import LeadingUnavailable
from dcm4py_leading.leading.query import UnreadableAnswer
from dcm4py_leading.leading.readable import page_of
from dcm4py_leading.leading.uid_list import Page
from dcm4py_leading.model.values import UID, AETitle, Tag

STUDY, OTHER = UID("1.2.3"), UID("1.2.4")
KEYS = frozenset(map(Tag, (0x00100010, 0x00100020, 0x0020000D)))


def answer(**attributes: object) -> Dataset:
    ds = Dataset()
    ds.StudyInstanceUID, ds.PatientName, ds.PatientID = STUDY, "New^Name", "NEW"
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def page(*responses: Dataset, asked: tuple[UID, ...] = (STUDY,)) -> Page:
    return page_of(responses, scp=AETitle("QRSCP"), asked_for=asked, return_keys=KEYS, default_character_set=None)


def unreadable(uid: str = "") -> UnreadableAnswer:
    ds = UnreadableAnswer()
    if uid:
        ds.StudyInstanceUID = uid
    return ds


@pytest.mark.parametrize("keyword", ["PatientID", "PatientName"])
def test_two_identities_are_none(keyword: str) -> None:
    found = page(answer(**{keyword: ["P1", "P2"]})).found
    assert isinstance(found[STUDY], LeadingUnavailable)


def test_a_value_that_has_no_form_in_its_vr_is_none() -> None:
    ds = answer()
    ds[0x00100010] = DataElement(0x00100010, "UN", b"N" * 65536)
    assert isinstance(page(ds).found[STUDY], LeadingUnavailable)


@pytest.mark.parametrize("uid", ["", STUDY])
def test_unreadable_answer_fails_the_lookup_of_its_study(uid: str) -> None:
    assert isinstance(page(unreadable(uid)).found[STUDY], LeadingUnavailable)


def test_unreadable_answer_costs_no_other_study() -> None:
    found = page(answer(), unreadable(OTHER), asked=(STUDY, OTHER)).found
    assert isinstance(found[STUDY], Dataset) and isinstance(found[OTHER], LeadingUnavailable)


def test_answer_without_a_study_uid_is_of_a_stranger() -> None:
    both = page(answer(), unreadable(), asked=(STUDY, OTHER))
    assert both.has_stranger  # then each is asked for by itself
