"""What an edit leaves in the index, and what it does to objects that leave."""

from __future__ import annotations

from datetime import datetime

import pytest
from pydicom import Dataset
from pydicom.dataelem import DataElement

from dcm4py_leading.archive.index.attributes import decode, encode
from dcm4py_leading.archive.index.edits import carry_edits, edited_tags, states_of
from dcm4py_leading.coercion.changes import apply
from dcm4py_leading.coercion.original_attributes import original_attributes

NAME, SEX, COMMENTS = 0x00100010, 0x00100040, 0x00104000
NOW = datetime(2026, 1, 2, 3, 4, 5)


def data_set(character_set: str | None = None, **attributes: str) -> Dataset:
    ds = Dataset()
    if character_set is not None:
        ds.SpecificCharacterSet = character_set
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def edited(now: Dataset, **previous: str) -> bytes:
    """The bytes of ``now``, which an edit has made of what had these values."""
    before = data_set(**previous)
    told: dict[int, DataElement | None] = {int(element.tag): element for element in before}
    change = original_attributes(
        now, told, modifying_system="US", source_of_previous_values="", now=NOW, reason="CORRECT"
    )
    apply(now, [change] if change is not None else [])
    return encode(now)


def delivered(ds: Dataset, encoded: bytes, *only: int) -> Dataset:
    carry_edits(ds, encoded, only, lambda changes: apply(ds, changes))
    return ds


def test_unedited_study_has_no_edited_tags() -> None:
    assert edited_tags(encode(data_set(PatientName="A"))) == frozenset()


def test_only_what_was_edited_is_carried() -> None:
    kept = edited(data_set(PatientName="New", PatientSex="F"), PatientName="Old")
    assert edited_tags(kept) == {NAME}
    ds = delivered(data_set(PatientName="Old", PatientSex="M"), kept, NAME, SEX)
    assert (ds.PatientName, ds.PatientSex) == ("New", "M")
    assert ds.OriginalAttributesSequence[0].ModifiedAttributesSequence[0].PatientName == "Old"


def test_values_kept_nearer_to_the_object_are_not_carried() -> None:
    kept = edited(data_set(PatientName="New"), PatientName="Old")
    assert delivered(data_set(PatientName="Old"), kept, SEX) == data_set(PatientName="Old")


def test_removed_values_become_empty_where_the_object_has_them() -> None:
    kept = edited(data_set(PatientName="Name"), PatientComments="Old")
    ds = delivered(data_set(PatientComments="Old"), kept, COMMENTS)
    assert COMMENTS in ds and not ds.PatientComments
    assert delivered(data_set(), kept, COMMENTS) == data_set()


def test_an_object_that_has_the_edit_already_stays_as_it_is() -> None:
    kept = edited(data_set(PatientName="New"), PatientName="Old")
    assert delivered(data_set(PatientName="New"), kept, NAME) == data_set(PatientName="New")


def test_references_to_other_objects_stay() -> None:
    kept = edited(data_set(PatientName="New"), PatientName="Old")
    ds = decode(edited(data_set(PatientName="Old"), PatientName="Oldest"))
    told = delivered(ds, kept, NAME).OriginalAttributesSequence
    assert [item.ModifiedAttributesSequence[0].PatientName for item in told] == ["Oldest", "Old"]


@pytest.mark.parametrize("theirs", [None, "ISO_IR 100", "ISO_IR 144", "ISO_IR 192"])
def test_text_comes_through_every_character_set(theirs: str | None) -> None:
    old = data_set("ISO_IR 144", PatientName="Иванов")
    kept = edited(data_set("ISO_IR 144", PatientName="Müller"), PatientName="Иванов")
    again = decode(encode(delivered(data_set(theirs, PatientName="X"), kept, NAME)))
    assert again.PatientName == "Müller"
    assert again.OriginalAttributesSequence[0].ModifiedAttributesSequence[0].PatientName == old.PatientName


def test_earlier_states_are_told_the_last_one_first() -> None:
    kept = decode(edited(decode(edited(data_set(PatientName="B"), PatientName="A")), PatientSex="F"))
    kept.PatientName = "B"
    assert [(str(state.get("PatientName", "")), state.get("PatientSex")) for state in states_of(kept)] == [
        ("B", None),
        ("B", "F"),
        ("A", "F"),
    ]
