"""Explaining as the services coerce: which AE, with what context, and what goes into an object besides the rules."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest
from pydicom import Dataset

from dcm4py_leading.archive.index.attributes import encode
from dcm4py_leading.archive.index.indexed_attributes import AttributeExtractor
from dcm4py_leading.coercion.explain import to_text
from dcm4py_leading.coercion.rules import rules_for
from dcm4py_leading.coercion.schemes import Environment
from dcm4py_leading.errors import ConfigUnavailable
from dcm4py_leading.model.archive import Entity
from dcm4py_leading.model.coercion import AnyRule, UpdatePolicy
from dcm4py_leading.model.device import RemoteAE
from dcm4py_leading.model.options import Options, parse_options
from dcm4py_leading.model.values import AETitle
from dcm4py_leading.service.explain import Basis, Indexed, WrongQuestion, explain, parse_message
from dcm4py_leading.service.index_attributes import IndexAttributes
from tests.fixtures.archive import make_filter
from tests.fixtures.rules import CT, LEADING, application_entity, data_set, device, legacy_rule, version_2_rule

RETRIEVE = parse_message({"dimse": "C_STORE_RQ", "role": "SCP", "receiving-ae": "STORESCP"})


def unknown(_: AETitle) -> RemoteAE | None:
    return None


def basis(*rules: AnyRule, options: Options | None = None, charset: str | None = None) -> Basis:
    ae = application_entity("DCM4CHEE", *rules, charset=charset)
    ours = replace(device(), application_entities=(ae,))
    return Basis(
        device=ours,
        rules={ae.ae_title: rules_for(ours, ae, Environment())},
        options=options or Options(),
        resolve=unknown,
    )


def stored(**values: object) -> Dataset:
    return data_set(**{"SOPClassUID": CT, "StudyInstanceUID": "1.2.3", "PatientName": "Stored^Name", **values})


def indexed(policy: UpdatePolicy, **values: object) -> Indexed:
    """The index's attributes of an object, kept by a filter of that dcmAttributeUpdatePolicy."""
    ds = stored(**values)
    filters = {
        Entity.PATIENT: make_filter(Entity.PATIENT, 0x00100010, policy=policy),
        Entity.STUDY: make_filter(Entity.STUDY, 0x00081030, policy=policy),
    }
    encoded = [encode(ds), *(encode(Dataset()) for _ in range(3))]
    return Indexed(attributes=ds, encoded=encoded, kept=IndexAttributes(AttributeExtractor(filters)))


@pytest.mark.parametrize(
    ("policy", "delivered"),
    [
        (UpdatePolicy.OVERWRITE, ["Indexed"]),
        (UpdatePolicy.MERGE, ["Indexed"]),
        (UpdatePolicy.SUPPLEMENT, []),
        (UpdatePolicy.PRESERVE, []),
    ],
)
def test_indexed_values_that_count_go_into_a_retrieved_object_first(policy: UpdatePolicy, delivered: list[str]) -> None:
    ds, kept = stored(StudyDescription="Stored"), indexed(policy, StudyDescription="Indexed")
    told = explain(ds, RETRIEVE, basis(), indexed=kept)
    assert [element.after.text for element in told.elements if element.after is not None] == delivered
    assert ["1 attribute was brought to what the index says" in note for note in told.notes[:-1]] == [True] * len(
        delivered
    )


def test_edits_go_in_first_with_the_values_before() -> None:
    item, modified = Dataset(), Dataset()
    modified.PatientName = "Stored^Name"
    item.ModifiedAttributesSequence = [modified]
    edited = indexed(UpdatePolicy.PRESERVE, PatientName="Edited^Name", OriginalAttributesSequence=[item])
    told = explain(stored(), RETRIEVE, basis(), indexed=edited)
    assert {element.path for element in told.elements} >= {"PatientName", "OriginalAttributesSequence"}


OTHERWISE = indexed(UpdatePolicy.OVERWRITE, PatientName="Indexed^Name")


@pytest.mark.ldap("dcmRetrieveAsReceived")
def test_they_stay_out_where_a_rule_says_so() -> None:
    rule = version_2_rule(uri="retrieve-as-received:")
    assert explain(stored(), RETRIEVE, basis(rule), indexed=OTHERWISE).elements == ()


@pytest.mark.ldap("dcmProperty")
def test_conditions_look_at_the_attributes_of_the_index() -> None:
    rule = legacy_rule(leading_cfind_scp=LEADING, properties=("PatientName=Indexed.*",))
    told = explain(stored(), RETRIEVE, basis(rule), indexed=OTHERWISE)
    assert [rule.matched for rule in told.rules] == [True]
    assert [step.outcome for step in told.steps] == ["would ask QRSCP"]


def test_original_attributes_are_told_on_retrieve_where_it_is_set() -> None:
    rule = version_2_rule(uri="merge-attrs:", merge_attributes=("PatientName=New^Name",))
    assert [e.path for e in explain(stored(), RETRIEVE, basis(rule)).elements] == ["PatientName"]
    options = parse_options(["original-attributes-on-retrieve=true"])
    told = explain(stored(), RETRIEVE, basis(rule, options=options))
    assert "OriginalAttributesSequence" in [element.path for element in told.elements]


@pytest.mark.ldap("dcmDefaultCharacterSet")
def test_text_without_a_character_set_is_read_as_the_ae_says() -> None:
    ds = stored()
    rule = version_2_rule(uri="merge-attrs:", merge_attributes=("PatientComments=ä",))
    told = explain(ds, RETRIEVE, basis(rule, charset="ISO_IR 100"))
    assert [element.path for element in told.elements] == ["PatientComments"]
    assert ds.SpecificCharacterSet == "ISO_IR 100"


def test_the_level_of_a_query_stays() -> None:
    wanted = parse_message({"dimse": "C_FIND_RQ", "role": "SCU"})
    rule = version_2_rule(
        uri="merge-attrs:",
        merge_attributes=("QueryRetrieveLevel=SERIES",),
        dimse=wanted.dimse,
        transfer_role=wanted.transfer_role,
    )
    assert explain(data_set(QueryRetrieveLevel="STUDY"), wanted, basis(rule)).elements == ()


def test_a_directory_that_is_down_leaves_the_host_unknown() -> None:
    def down(_: AETitle) -> RemoteAE | None:
        raise ConfigUnavailable("no directory")

    told = explain(stored(), RETRIEVE, replace(basis(), resolve=down))
    assert (told.context.receiving.ae_title, told.context.receiving.host) == ("STORESCP", None)


def test_an_object_without_sop_class_wants_one() -> None:
    with pytest.raises(WrongQuestion, match="--sop-class"):
        explain(Dataset(), RETRIEVE, basis())
    told = explain(Dataset(), parse_message({"dimse": "C_STORE_RQ", "role": "SCU", "sop-class": CT}), basis())
    assert told.context.sop_class == CT


def test_rules_for_an_other_ae_title_are_those_of_its_ae() -> None:
    given = basis()
    (ae,) = given.device.application_entities
    alias = replace(given.device, application_entities=(replace(ae, other_ae_titles=(AETitle("ALIAS"),)),))
    wanted = parse_message({"dimse": "C_STORE_RQ", "role": "SCP", "sending-ae": "ALIAS"})
    told = explain(stored(), wanted, replace(given, device=alias))
    assert (told.ae_title, told.context.sending.ae_title, told.notes) == ("DCM4CHEE", "DCM4CHEE", ())


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"dimse": "C_STORE_RQ"},
        {"dimse": "C_MOVE_RQ", "role": "SCP"},
        {"dimse": "N_SET_RQ", "role": "SCP"},
        {"dimse": "C_STORE_RQ", "role": "SCP", "sop-class": "CT"},
        {"dimse": "C_STORE_RQ", "role": "SCP", "receiving-ae": "back\\slash"},
    ],
)
def test_nonsense_is_refused(parameters: dict[str, str]) -> None:
    with pytest.raises(WrongQuestion):
        parse_message(parameters)


def test_the_answer_of_nobody_changes_nothing() -> None:
    ds = stored()
    before = deepcopy(ds)
    told = explain(ds, RETRIEVE, basis(legacy_rule(leading_cfind_scp=LEADING)))
    assert (told.elements, told.has_failed) == ((), False)
    assert ds == before


@pytest.mark.ldap("dcmCoercionOnFailure")
def test_rule_that_fails_the_request_is_shown_with_earlier_steps() -> None:
    rules = (
        version_2_rule("first", uri="merge-attrs:", rule_priority=3, merge_attributes=("ImageComments=x",)),
        version_2_rule("refusing", uri="deidentify:", rule_priority=2),
        version_2_rule("last", uri="nullify-pixel-data:", rule_priority=1),
    )
    told = explain(stored(BurnedInAnnotation="YES"), RETRIEVE, basis(*rules))
    assert told.failure is not None and "refusing" in told.failure
    assert [(step.rule, step.outcome) for step in told.steps] == [
        ("first", "applied"),
        ("refusing", "failed"),
        ("last", "not run"),
    ]
    assert told.steps[-1].remark == "a rule before it failed the request"
    text = to_text(told)
    assert text.index("STEPS") < text.index("refusing  deidentify") < text.index("FAILED: ")
