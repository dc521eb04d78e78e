from datetime import timedelta

import pytest

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.loader import load_device, load_remote_ae
from dcm4py_leading.errors import ConfigInvalid, Severity
from dcm4py_leading.model.archive import AttributeSetType, Entity, OverwritePolicy
from dcm4py_leading.model.coercion import CoercionRule, CoercionRule2, UpdatePolicy
from dcm4py_leading.model.values import Tag
from tests.fixtures import trees
from tests.fixtures.trees import AE, CONNECTION, DEVICE, DEVICES

CT = "1.2.840.10008.5.1.4.1.1.2"


def load(*entries):
    device, problems = load_device(entries, "dcm4chee-arc")
    assert problems == []
    return device


def problems_of(*entries):
    return load_device(entries, "dcm4chee-arc")[1]


def tree(**attributes):
    return trees.device(**attributes), trees.connection(), trees.ae()


def test_device_with_connection_and_ae():
    device = load(*tree())
    (ae,) = device.application_entities
    assert (device.device_name, device.dn) == ("dcm4chee-arc", DEVICE)
    assert ae.ae_title == "DCM4CHEE"
    assert ae.connections == device.connections
    assert device.connections[0].port == 11112


def test_unknown_device_is_a_problem():
    device, (problem,) = load_device(tree(), "other")
    assert device is None
    assert str(problem) == "there is no such dicomDevice (dicomDeviceName=other)"


def test_timeouts_are_finite_unless_explicitly_none():
    device = load(trees.device(), trees.connection(dcmIdleTimeout="0"), trees.ae())
    assert device.connections[0].idle_timeout is None
    assert device.connections[0].aarq_timeout == timedelta(seconds=10)


@pytest.mark.ldap("dcmLeadingCFindSCPQueryCacheStaleTimeout")
@pytest.mark.ldap("dcmLeadingCFindSCPQueryCacheSize")
def test_cache_attributes_and_their_defaults():
    archive = load(*tree()).archive
    assert archive.leading_cfind_scp_query_cache_size == 10
    assert archive.leading_cfind_scp_query_cache_stale_timeout is None
    archive = load(
        *tree(dcmLeadingCFindSCPQueryCacheSize="50", dcmLeadingCFindSCPQueryCacheStaleTimeout="PT5M")
    ).archive
    assert archive.leading_cfind_scp_query_cache_size == 50
    assert archive.leading_cfind_scp_query_cache_stale_timeout == timedelta(minutes=5)


@pytest.mark.ldap("dcmOverwritePolicy")
@pytest.mark.ldap("dcmSendPendingCGet")
def test_ae_wins_over_device_over_default():
    device = load(
        trees.device(dcmOverwritePolicy="SAME_SOURCE", dcmSendPendingCGet="TRUE"),
        trees.connection(),
        trees.ae("A", dcmOverwritePolicy="NEVER"),
        trees.ae("B"),
    )
    a, b = device.application_entities
    assert a.settings.overwrite_policy is OverwritePolicy.NEVER
    assert b.settings.overwrite_policy is OverwritePolicy.SAME_SOURCE
    assert (a.settings.send_pending_cget, b.settings.send_pending_cget) == (True, True)
    assert a.settings.query_max_number_of_results == 0


@pytest.mark.ldap("dcmObjectStorageID")
def test_attributes_that_the_schema_has_on_the_ae_alone_are_not_inherited():
    device = load(*tree(dcmObjectStorageID="fs1", dcmAcceptedMoveDestination="X"))
    assert device.application_entities[0].settings.object_storage_ids == ()
    assert device.application_entities[0].settings.accepted_move_destinations == frozenset()


@pytest.mark.ldap("dcmLeadingCFindSCP")
def test_rules_of_device_and_ae_stay_apart():
    device = load(
        *tree(),
        trees.rule("on device", dcmLeadingCFindSCP="QRSCP"),
        trees.rule("on ae", AE, dcmLeadingCFindSCP="OTHER"),
        trees.rule2("second", AE),
    )
    (on_device,) = device.archive.coercion_rules
    on_ae, second = device.application_entities[0].coercion_rules
    assert (on_device.leading_cfind_scp, on_ae.leading_cfind_scp) == ("QRSCP", "OTHER")
    assert isinstance(on_ae, CoercionRule)
    assert isinstance(second, CoercionRule2)


def test_rules_deeper_than_one_level_are_not_read():
    capability = f"cn=CT,{AE}"
    device = load(*tree(), trees.rule("deep", capability), trees.rule("elsewhere", f"cn=x,{DEVICE}"))
    assert device.archive.coercion_rules == ()
    assert device.application_entities[0].coercion_rules == ()


@pytest.mark.ldap("dcmRulePriority")
@pytest.mark.ldap("cn")
def test_rules_come_by_descending_priority_then_name():
    device = load(
        *tree(),
        trees.rule("b"),
        trees.rule("a"),
        trees.rule("low", dcmRulePriority="-1"),
        trees.rule("high", dcmRulePriority="7"),
    )
    assert [rule.cn for rule in device.archive.coercion_rules] == ["high", "a", "b", "low"]


@pytest.mark.ldap("dcmAttributeUpdatePolicy")
def test_update_policy_is_merge_on_rules_and_preserve_on_filters():
    filter_ = trees.entry(f"dcmEntity=Study,{DEVICE}", "dcmAttributeFilter", dcmEntity="Study", dcmTag="0020000D")
    archive = load(*tree(), trees.rule(), filter_).archive
    assert archive.coercion_rules[0].attribute_update_policy is UpdatePolicy.MERGE
    assert archive.attribute_filters[Entity.STUDY].attribute_update_policy is UpdatePolicy.PRESERVE


@pytest.mark.ldap("dcmEntity")
def test_filters_and_sets_of_other_services_are_passed_over():
    entries = [
        trees.entry(f"dcmEntity={name},{DEVICE}", "dcmAttributeFilter", dcmEntity=name, dcmTag="00100010")
        for name in ("MWL", "UPS", "MPPS", "Patient")
    ]
    entries += [
        trees.entry(
            f"dcmAttributeSetID={set_id}+dcmAttributeSetType={kind},{DEVICE}",
            "dcmAttributeSet",
            dcmAttributeSetID=set_id,
            dcmAttributeSetType=kind,
            dcmTag="00100010",
            **more,
        )
        for kind, set_id, more in [
            ("QIDO_RS", "*", {}),
            ("LEADING_CFIND_SCP", "*", {}),
            ("LEADING_CFIND_SCP", "OFF", {"dicomInstalled": "FALSE"}),
        ]
    ]
    archive = load(*tree(), *entries).archive
    assert list(archive.attribute_filters) == [Entity.PATIENT]
    assert [(s.attribute_set_type, s.attribute_set_id, s.tags) for s in archive.attribute_sets] == [
        (AttributeSetType.LEADING_CFIND_SCP, "*", (Tag(0x00100010),))
    ]


def test_unknown_entity_is_a_problem():
    entry = trees.entry(f"dcmEntity=Stud,{DEVICE}", "dcmAttributeFilter", dcmEntity="Stud", dcmTag="00100010")
    (problem,) = problems_of(*tree(), entry)
    assert "expected one of Patient, Study, Series, Instance" in problem.reason


def capability(below=AE):
    return trees.entry(
        f"cn=CT,{below}",
        "dicomTransferCapability dcmTransferCapability",
        cn="CT",
        dicomSOPClass=CT,
        dicomTransferRole="SCP",
        dicomTransferSyntax="1.2.840.10008.1.2",
    )


def test_transfer_capabilities_belong_to_their_ae():
    device = load(*tree(), trees.ae("OTHER"), capability())
    by_title = {ae.ae_title: ae.transfer_capabilities for ae in device.application_entities}
    assert [found.sop_class for found in by_title["DCM4CHEE"]] == [CT]
    assert by_title["OTHER"] == ()


def test_transfer_capabilities_may_be_shared_from_another_ae():
    other = trees.ae("OTHER", dcmShareTransferCapabilitiesFromAETitle="DCM4CHEE")
    device = load(*tree(), other, capability())
    assert [len(ae.transfer_capabilities) for ae in device.application_entities] == [1, 1]
    (problem,) = problems_of(*tree(), trees.ae("OTHER", dcmShareTransferCapabilitiesFromAETitle="NOBODY"))
    assert problem.value == "NOBODY"


def test_all_problems_are_told_at_once_each_with_its_place():
    found = problems_of(
        trees.device(
            dcmLeadingCFindSCPQueryCacheSize="fifty", dcmAECacheStaleTimeout="P1M", dcmOverwritePolicy="MAYBE"
        ),
        trees.connection(dicomPort="high", dcmProtocol="FTP"),
        trees.ae(dicomAssociationAcceptor="yes", dcmAcceptedCallingAETitle="A TITLE THAT IS TOO LONG"),
        trees.rule(dcmDIMSE="C_STORE", dicomTransferRole="scp", dcmAttributeUpdatePolicy="REPLACE"),
        trees.rule("other", AE, dcmLeadingCFindSCP="A\\B"),
    )
    assert {(problem.dn, problem.attribute) for problem in found} == {
        (DEVICE, "dcmLeadingCFindSCPQueryCacheSize"),
        (DEVICE, "dcmAECacheStaleTimeout"),
        (DEVICE, "dcmOverwritePolicy"),
        (CONNECTION, "dicomPort"),
        (CONNECTION, "dcmProtocol"),
        (AE, "dicomAssociationAcceptor"),
        (AE, "dcmAcceptedCallingAETitle"),
        (f"cn=lead,{DEVICE}", "dcmDIMSE"),
        (f"cn=lead,{DEVICE}", "dicomTransferRole"),
        (f"cn=lead,{DEVICE}", "dcmAttributeUpdatePolicy"),
        (f"cn=other,{AE}", "dcmLeadingCFindSCP"),
    }
    assert all(problem.value and problem.reason for problem in found)


def test_reference_to_a_missing_connection_is_a_problem():
    (problem,) = problems_of(trees.device(), trees.connection("other"), trees.ae())
    assert (problem.attribute, problem.value) == ("dicomNetworkConnectionReference", CONNECTION)


def test_reference_to_a_broken_connection_is_no_second_problem():
    (problem,) = problems_of(trees.device(), trees.connection(dicomPort="x"), trees.ae())
    assert problem.attribute == "dicomPort"


def test_malformed_dn_is_a_problem():
    (problem,) = problems_of(*tree(), Entry.of("rubbish", {"objectClass": ["dcmStorage"]}))
    assert "distinguished name" in problem.reason


def test_spelling_of_servers_does_not_matter():
    """389-ds and ApacheDS add top, reorder, echo the request's case, and write DNs in their own way."""
    plain = (*tree(), trees.rule(dcmSOPClass=[CT, "1.2"]), capability(), trees.storage())

    def respelt(entry):
        attributes = {
            name.upper(): tuple(reversed(values)) + (("top",) if name == "objectclass" else ())
            for name, values in entry.attributes.items()
        }
        attributes["OBJECTCLASS"] = tuple(value.lower() for value in attributes["OBJECTCLASS"])
        return Entry.of(entry.dn.replace(",cn=Devices", " , CN = devices"), attributes)

    assert load(*map(respelt, reversed(plain))) == load(*plain)


@pytest.mark.parametrize("attribute", ["dcmAETitle", "dcmHostname", "dcmTag", "dcmMergeLocalMWLSCP"])
def test_attribute_that_dcm4chee_no_longer_reads_on_a_rule_is_a_warning(attribute):
    (problem,) = problems_of(*tree(), trees.rule(**{attribute: "00100010"}))
    assert (problem.severity, problem.attribute) == (Severity.WARNING, attribute)
    assert "no longer reads" in problem.reason


def test_misspelt_attribute_is_one_warning_however_often_it_stands():
    entries = [trees.ae(title, dcmAcceptedCalingAETitle="X") for title in ("A", "B")]
    (problem,) = problems_of(trees.device(), trees.connection(), *entries)
    assert (problem.severity, problem.attribute) == (Severity.WARNING, "dcmAcceptedCalingAETitle")


def test_misspelt_object_class_is_a_warning():
    (problem,) = problems_of(*tree(), trees.entry(f"cn=a,{DEVICE}", "dcmArchiveAtributeCoercion", cn="a"))
    assert (problem.severity, problem.value) == (Severity.WARNING, "dcmArchiveAtributeCoercion")


def test_remote_ae_needs_only_the_classes_of_the_standard():
    ae = load_remote_ae(trees.remote("QRSCP"), "QRSCP")
    assert ae is not None
    assert (ae.ae_title, ae.device_name) == ("QRSCP", "remote")
    assert [(found.hostname, found.port) for found in ae.connections] == [("localhost", 11113)]


def test_remote_ae_of_another_title_is_not_there():
    assert load_remote_ae(trees.remote("QRSCP"), "qrscp") is None
    assert load_remote_ae((), "QRSCP") is None


def test_remote_ae_is_called_on_plain_dicom_connections_first():
    names = ("a-tls", "b", "hl7", "off", "client")
    connections = [
        trees.connection("a-tls", dicomTLSCipherSuite="TLS_A"),
        trees.connection("b"),
        trees.connection("hl7", dcmProtocol="HL7"),
        trees.connection("off", dicomInstalled="FALSE"),
        trees.connection("client", dicomPort=[]),
        trees.connection("unreferenced"),
    ]
    ae = trees.ae(dicomNetworkConnectionReference=[f"cn={name},{DEVICE}" for name in names])
    found = load_remote_ae([trees.device(), *connections, ae], "DCM4CHEE")
    assert found is not None
    assert [connection.cn for connection in found.connections] == ["b", "a-tls"]


def test_remote_ae_without_its_connection_cannot_be_read():
    device, _, ae = trees.remote("QRSCP")
    with pytest.raises(ConfigInvalid, match="no such dicomNetworkConnection"):
        load_remote_ae([device, ae], "QRSCP")


def test_broken_connection_of_another_ae_does_not_matter():
    assert load_remote_ae([*tree(), trees.connection("other", dicomPort="x")], "DCM4CHEE") is not None


def test_dn_below_another_devices_tree_is_not_ours():
    other = trees.entry(f"cn=dicom,dicomDeviceName=other,{DEVICES}", "dicomNetworkConnection", dicomHostname="x")
    assert len(load(*tree(), other).connections) == 1
