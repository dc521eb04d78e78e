from __future__ import annotations

import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence

from dcm4py_leading.archive.index.identity import are_different_patients
from dcm4py_leading.model.coercion import UpdatePolicy


def person(name: str = "", birth_date: str = "", sex: str = "", **attributes: object) -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientID = "P1"
    ds.PatientName, ds.PatientBirthDate, ds.PatientSex = name, birth_date, sex
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def qualifiers(universal_entity_id: str) -> Sequence:
    item = Dataset()
    item.UniversalEntityID, item.UniversalEntityIDType = universal_entity_id, "ISO"
    return Sequence([item])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (person(), person()),
        (person("Doe^John"), person("Doe^John")),
        (person("Doe^John"), person("DOE^JOHN^^^")),
        (person("Doe^John"), person("Doe^John^Q")),
        (person("Doe^John"), person()),
        (person("Yamada^Tarou=山田^太郎"), person("Yamada^Tarou")),
        (person("Yamada^Tarou"), person("=山田^太郎")),
        (person("Doe^John", "19700101"), person("Doe^John", sex="M")),
        (person("Doe^John", "1970.01.01"), person("Doe^John", "19700101")),
        (person("Doe^John", sex="m"), person("Doe^John", sex="M")),
        (person(IssuerOfPatientID="A"), person(IssuerOfPatientIDQualifiersSequence=qualifiers("1.2.3"))),
    ],
)
@pytest.mark.parametrize("policy", UpdatePolicy)
def test_where_one_says_nothing_else_they_may_be_the_same(one: Dataset, other: Dataset, policy: UpdatePolicy) -> None:
    assert not are_different_patients(one, other, policy=policy)
    assert not are_different_patients(other, one, policy=policy)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (person("Doe^John"), person("Roe^Jane")),
        (person("Doe^John"), person("Doe^Jane")),
        (person("Yamada^Tarou=山田^太郎"), person("Yamada^Tarou=山田^次郎")),
        (person("Doe^John", "19700101"), person("Doe^John", "19700102")),
        (person("Doe^John", "19700101"), person("Roe^Jane", "19800101")),
        (person("Doe^John", "19700101", "M"), person("Roe^Jane", "19700101", "F")),
        (person("Doe^John", sex="M"), person("Doe^John", sex="F")),
        (person(), person(PatientID="P2")),
        (person(IssuerOfPatientID="A"), person(IssuerOfPatientID="B")),
        (
            person(IssuerOfPatientIDQualifiersSequence=qualifiers("1.2.3")),
            person(IssuerOfPatientIDQualifiersSequence=qualifiers("1.2.4")),
        ),
    ],
)
@pytest.mark.parametrize("policy", UpdatePolicy)
def test_who_is_called_otherwise_is_somebody_else(one: Dataset, other: Dataset, policy: UpdatePolicy) -> None:
    assert are_different_patients(one, other, policy=policy)
    assert are_different_patients(other, one, policy=policy)


@pytest.mark.parametrize("policy", UpdatePolicy)
def test_new_name_with_the_same_birth_date_is_a_correction_where_the_latest_counts(
    policy: UpdatePolicy,
) -> None:
    before, after = person("Smith^Jon", "19700101", "M"), person("Smith^John", "19700101", "M")
    is_correction = policy in (UpdatePolicy.MERGE, UpdatePolicy.OVERWRITE)
    assert are_different_patients(before, after, policy=policy) is not is_correction
