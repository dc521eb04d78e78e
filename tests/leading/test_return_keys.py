from __future__ import annotations

import pytest

from dcm4py_leading.leading.return_keys import return_keys
from dcm4py_leading.model.archive import AttributeFilter, AttributeSet, AttributeSetType, Entity
from dcm4py_leading.model.values import AETitle, Tag
from tests.fixtures.rules import LEADING, device

ALWAYS = {0x0020000D, 0x00080005}
PATIENT_ID_GROUP = {0x00100020, 0x00100021, 0x00100024, 0x00101002}


def attribute_set(name: str, *tags: int) -> AttributeSet:
    return AttributeSet(
        dn=name,
        attribute_set_type=AttributeSetType.LEADING_CFIND_SCP,
        attribute_set_id=name,
        tags=tuple(Tag(tag) for tag in tags),
    )


def attribute_filter(entity: Entity, *tags: int) -> AttributeFilter:
    return AttributeFilter(dn=entity.value, entity=entity, tags=tuple(Tag(tag) for tag in tags))


FILTERS = {
    entity: attribute_filter(entity, tag)
    for entity, tag in [(Entity.PATIENT, 0x00100010), (Entity.STUDY, 0x00081030), (Entity.SERIES, 0x0008103E)]
}


@pytest.mark.ldap("dcmAttributeSetID")
@pytest.mark.ldap("dcmTag")
def test_attribute_set_of_the_ae_title_comes_first() -> None:
    sets = (attribute_set("*", 0x00100030), attribute_set("QRSCP", 0x00100040))
    of_device = device(attribute_sets=sets, attribute_filters=FILTERS)
    assert return_keys(of_device, LEADING) == ALWAYS | {0x00100040}
    assert return_keys(of_device, AETitle("OTHER")) == ALWAYS | {0x00100030}


def test_patient_and_study_filter_stand_in_for_attribute_sets() -> None:
    of_device = device(attribute_sets=(attribute_set("OTHER", 0x00100030),), attribute_filters=FILTERS)
    assert return_keys(of_device, LEADING) == ALWAYS | {0x00100010, 0x00081030}


def test_without_any_configuration_only_the_study_is_asked_for() -> None:
    assert return_keys(device(), LEADING) == ALWAYS


@pytest.mark.parametrize(
    ("tag", "group"),
    [(0x00100020, PATIENT_ID_GROUP), (0x00080050, {0x00080050, 0x00080051}), (0x00100021, {0x00100021})],
)
def test_identifier_is_asked_for_with_its_issuer(tag: int, group: set[int]) -> None:
    assert return_keys(device(attribute_sets=(attribute_set("*", tag),)), LEADING) == ALWAYS | group


def test_attributes_of_the_query_are_never_asked_for() -> None:
    sets = (attribute_set("*", 0x00080052, 0x00080054, 0x00080056),)
    assert return_keys(device(attribute_sets=sets), LEADING) == ALWAYS
