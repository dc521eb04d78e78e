from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.dataelem import DataElement

from dcm4py_leading.coercion.chain import coercion, run
from dcm4py_leading.coercion.changes import Change, ChangeKind, apply
from dcm4py_leading.coercion.original_attributes import ORIGINAL_ATTRIBUTES_SEQUENCE, original_attributes
from dcm4py_leading.dataset.data_sets import read, write
from dcm4py_leading.dataset.scan import IMPLICIT_LITTLE
from dcm4py_leading.model.coercion import UpdatePolicy
from tests.fixtures.datasets import read_sample
from tests.fixtures.rules import LEADING, data_set, legacy_rule, selected, version_2_rule

NAME, SEX, COMMENTS, REQUESTS = 0x00100010, 0x00100040, 0x00104000, 0x00400275
NOW = datetime(2026, 11, 24, 8, 5, 6, 7000)

Previous = Mapping[int, DataElement | None]


def told(ds: Dataset, previous: Previous) -> Change | None:
    return original_attributes(ds, previous, modifying_system="DCM4CHEE", source_of_previous_values="ARCHIVE", now=NOW)


def told_in(ds: Dataset, previous: Previous) -> Dataset:
    """The new item, once it is in ``ds``."""
    change = told(ds, previous)
    assert change is not None
    apply(ds, [change])
    item: Dataset = ds.OriginalAttributesSequence[-1]
    return item


def rewritten(ds: Dataset) -> Dataset:
    return read(write(ds, IMPLICIT_LITTLE), IMPLICIT_LITTLE)


def test_item_tells_who_changed_what_when_and_why() -> None:
    ds = data_set(PatientName="New", PatientSex="M")
    item = told_in(ds, {NAME: DataElement(NAME, "PN", "Old")})
    assert item == data_set(
        SourceOfPreviousValues="ARCHIVE",
        AttributeModificationDateTime="20261124080506.007000",
        ModifyingSystem="DCM4CHEE",
        ReasonForTheAttributeModification="COERCE",
        ModifiedAttributesSequence=[data_set(PatientName="Old")],
    )
    assert (ds.PatientName, ds.PatientSex) == ("New", "M")


def test_change_is_one_of_the_sequence() -> None:
    ds = data_set(PatientName="New")
    before = copy.deepcopy(ds)
    change = told(ds, {NAME: DataElement(NAME, "PN", "Old")})
    assert change is not None
    assert (change.kind, change.path) == (ChangeKind.SET, (ORIGINAL_ATTRIBUTES_SEQUENCE,))
    assert ds == before


def test_items_that_are_there_stay_in_front() -> None:
    older = data_set(ModifyingSystem="OTHER", ModifiedAttributesSequence=[data_set(PatientName="Oldest")])
    ds = data_set(PatientName="New", OriginalAttributesSequence=[older])
    told_in(ds, {NAME: DataElement(NAME, "PN", "Old")})
    assert [item.ModifyingSystem for item in ds.OriginalAttributesSequence] == ["OTHER", "DCM4CHEE"]
    assert ds.OriginalAttributesSequence[0] == older


def test_attribute_that_was_not_there_is_told_as_empty() -> None:
    ds = data_set(PatientComments="new", RequestAttributesSequence=[data_set(StudyID="1")])
    (modified,) = told_in(ds, {COMMENTS: None, REQUESTS: None}).ModifiedAttributesSequence
    assert {element.tag: (element.VR, element.is_empty) for element in modified} == {
        COMMENTS: ("LT", True),
        REQUESTS: ("SQ", True),
    }
    rewritten(ds)


def test_attribute_that_was_removed_is_told_with_its_value() -> None:
    item = told_in(Dataset(), {COMMENTS: DataElement(COMMENTS, "LT", "gone")})
    assert item.ModifiedAttributesSequence[0] == data_set(PatientComments="gone")


def test_attribute_that_came_and_went_is_not_told() -> None:
    assert told(Dataset(), {COMMENTS: None}) is None


def test_nothing_changed_is_nothing_told() -> None:
    assert told(data_set(PatientName="X"), {}) is None


@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        (0x00080005, "CS", "ISO_IR 100"),
        (0x7FE00008, "OF", b"\0" * 4),
        (0x7FE00009, "OD", b"\0" * 8),
        (0x7FE00010, "OW", b"\0" * 2),
        (ORIGINAL_ATTRIBUTES_SEQUENCE, "SQ", []),
    ],
)
def test_pixel_data_character_set_and_the_sequence_itself_are_never_told(tag: int, vr: str, value: Any) -> None:
    ds = data_set(PatientSex="F")
    assert told(ds, {tag: DataElement(tag, vr, value)}) is None
    item = told_in(ds, {tag: DataElement(tag, vr, value), SEX: DataElement(SEX, "CS", "M")})
    assert item.ModifiedAttributesSequence[0] == data_set(PatientSex="M")


def test_answers_are_not_shared() -> None:
    previous = {REQUESTS: DataElement(REQUESTS, "SQ", [data_set(StudyID="1")])}
    change = told(data_set(), previous)
    assert change is not None and change.element is not None
    change.element.value[0].ModifiedAttributesSequence[0].RequestAttributesSequence[0].StudyID = "2"
    assert previous[REQUESTS].value[0].StudyID == "1"


def test_changes_of_a_coercion_are_told_of_a_real_object() -> None:
    ds = Dataset(read_sample("CT_small.dcm"))
    old = str(ds.PatientName)
    outcome = run(
        coercion(ds, selected(legacy_rule(leading_cfind_scp=LEADING, nullify_tags=(SEX,)))),
        lambda question: data_set(PatientName="Leading^Name", PatientComments="new"),
    )
    told_in(ds, outcome.previous)
    (modified,) = rewritten(ds).OriginalAttributesSequence[0].ModifiedAttributesSequence
    assert (modified.PatientName, modified.PatientSex, modified.PatientComments) == (old, "O", "")
    assert len(modified) == 3


def german() -> Dataset:
    return data_set(
        SpecificCharacterSet="ISO_IR 100",
        StudyInstanceUID="1.2.3",
        PatientName="Müller^Jürgen",
        StudyDescription="Schädel",
        ProcedureCodeSequence=[data_set(CodeMeaning="Schädel nativ")],
    )


@pytest.mark.parametrize("prepare", [copy.deepcopy, rewritten], ids=["made", "read"])
def test_previous_text_survives_a_change_of_the_character_set(prepare: Any) -> None:
    ds = prepare(german())
    theirs = data_set(
        SpecificCharacterSet="ISO_IR 192",
        PatientName="山田^太郎",
        StudyDescription="頭部",
        ProcedureCodeSequence=[data_set(CodeMeaning="頭部")],
    )
    outcome = run(coercion(ds, selected(legacy_rule(leading_cfind_scp=LEADING), ds=ds)), lambda question: theirs)
    told_in(ds, outcome.previous)
    again = rewritten(ds)
    assert (again.SpecificCharacterSet, again.PatientName) == ("ISO_IR 192", "山田^太郎")
    (modified,) = again.OriginalAttributesSequence[0].ModifiedAttributesSequence
    assert (str(modified.PatientName), modified.StudyDescription) == ("Müller^Jürgen", "Schädel")
    assert modified.ProcedureCodeSequence[0].CodeMeaning == "Schädel nativ"


@pytest.mark.parametrize("prepare", [copy.deepcopy, rewritten], ids=["made", "read"])
def test_previous_text_survives_in_an_object_whose_set_cannot_hold_it(prepare: Any) -> None:
    ds = prepare(german())
    replaced = version_2_rule(
        "1",
        uri="merge-attrs:",
        merge_attributes=(
            "PatientName=Mueller^Juergen",
            "StudyDescription=Schaedel",
            "ProcedureCodeSequence.CodeMeaning=Schaedel",
        ),
    )
    narrowed = version_2_rule("2", uri="change-charset:ISO_IR 101")
    outcome = run(coercion(ds, selected(replaced, narrowed, ds=ds)), lambda question: None)
    ds.PatientName = "Łucja"
    told_in(ds, {**outcome.previous, COMMENTS: DataElement(COMMENTS, "LT", "Больница")})
    again = rewritten(ds)
    assert (again.SpecificCharacterSet, str(again.PatientName)) == ("ISO_IR 101", "Łucja")
    (modified,) = again.OriginalAttributesSequence[0].ModifiedAttributesSequence
    assert (str(modified.PatientName), modified.StudyDescription) == ("Müller^Jürgen", "Schädel")
    assert modified.ProcedureCodeSequence[0].CodeMeaning == "Schädel nativ"
    assert modified.PatientComments == "Больница"


@pytest.mark.parametrize("policy", list(UpdatePolicy))
def test_recorded_values_are_the_previous_ones_under_every_policy(policy: UpdatePolicy) -> None:
    ds = data_set(StudyInstanceUID="1.2.3", PatientName="Ours", PatientSex="M")
    before = copy.deepcopy(ds)
    rule = legacy_rule(leading_cfind_scp=LEADING, attribute_update_policy=policy)
    outcome = run(
        coercion(ds, selected(rule)),
        lambda question: data_set(PatientName="Theirs", PatientSex="", PatientComments="x"),
    )
    change = told(ds, outcome.previous)
    assert change is not None and change.element is not None
    for element in change.element.value[0].ModifiedAttributesSequence[0]:
        assert element.value == (before[element.tag].value if element.tag in before else None) or element.is_empty
        assert ds[element.tag] != element


def test_previous_octets_keep_their_declared_character_set() -> None:
    data = b"\x10\x00\x10\x00\x08\x00\x00\x00M\xfcller^X\x20\x00\x0d\x00\x06\x00\x00\x001.2.3\x00"
    ds = read(data, IMPLICIT_LITTLE)
    theirs = data_set(SpecificCharacterSet="ISO_IR 192", PatientName="山田^太郎")
    outcome = run(coercion(ds, selected(legacy_rule(leading_cfind_scp=LEADING), ds=ds)), lambda question: theirs)
    told_in(ds, outcome.previous)
    raw = write(ds, IMPLICIT_LITTLE)
    assert b"M\xfcller^X" in raw
    again = read(raw, IMPLICIT_LITTLE)
    assert (again.SpecificCharacterSet, str(again.PatientName)) == ("ISO_IR 192", "山田^太郎")
    assert again.OriginalAttributesSequence[0].SpecificCharacterSet == "ISO_IR 6"
