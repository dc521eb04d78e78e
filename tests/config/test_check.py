import pytest

from dcm4py_leading.config.check import check, unserved_capabilities
from dcm4py_leading.config.loader import load_device
from dcm4py_leading.errors import ConfigUnavailable, Severity
from tests.fixtures import trees
from tests.fixtures.trees import AE, DEVICE

CT = "1.2.840.10008.5.1.4.1.1.2"


def checked(*entries, others=()):
    device, problems = load_device(entries, "dcm4chee-arc")
    assert problems == [] and device is not None
    return check(device, trees.EntrySource([*entries, *others]))


def tree(**attributes):
    return trees.device(**attributes), trees.connection(), trees.ae(), trees.storage()


def told(problems):
    return [(problem.severity.value, problem.dn, problem.attribute) for problem in problems]


def test_sound_tree_has_no_problem():
    assert checked(*tree()) == []


@pytest.mark.ldap("dcmLeadingCFindSCPQueryCacheSize")
def test_unlimited_cache_needs_a_stale_timeout():
    (problem,) = checked(*tree(dcmLeadingCFindSCPQueryCacheSize="0"))
    assert problem.severity is Severity.ERROR
    assert "needs dcmLeadingCFindSCPQueryCacheStaleTimeout" in problem.reason
    assert not checked(*tree(dcmLeadingCFindSCPQueryCacheSize="0", dcmLeadingCFindSCPQueryCacheStaleTimeout="PT5M"))


@pytest.mark.parametrize("policy", ["SUPPLEMENT", "MERGE"])
def test_instance_attribute_kept_for_a_series_is_a_warning(policy):
    kept = trees.entry(
        f"dcmEntity=Series,{DEVICE}",
        "dcmAttributeFilter",
        dcmEntity="Series",
        dcmTag=["0020000E", "00080032", "00080022"],
        dcmAttributeUpdatePolicy=policy,
    )
    (problem,) = checked(*tree(), kept)
    assert told([problem]) == [("WARNING", kept.dn, "dcmTag")]
    assert "AcquisitionDate (00080022), AcquisitionTime (00080032);" in problem.reason
    assert ("delivered" in problem.reason) is (policy == "MERGE")


@pytest.mark.parametrize("entity", ["Patient", "Study", "Series"])
def test_a_filter_with_the_sequence_of_edits_is_a_warning_where_there_are_edits(entity):
    kept = trees.entry(
        f"dcmEntity={entity},{DEVICE}", "dcmAttributeFilter", dcmEntity=entity, dcmTag=["0020000D", "04000561"]
    )
    problems = checked(*tree(), kept)
    assert told(problems) == [("WARNING", kept.dn, "dcmTag")] * (entity != "Series")


def test_instance_attribute_may_be_kept_for_the_instance():
    kept = trees.entry(
        f"dcmEntity=Instance,{DEVICE}", "dcmAttributeFilter", dcmEntity="Instance", dcmTag=["00080018", "00080022"]
    )
    assert checked(*tree(), kept) == []


@pytest.mark.ldap("dcmProtocol")
@pytest.mark.ldap("dicomTLSCipherSuite")
@pytest.mark.parametrize(
    ("attributes", "attribute"),
    [
        ({"dcmProtocol": "HL7"}, "dcmProtocol"),
        ({"dcmProtocol": "HTTP"}, "dcmProtocol"),
        ({"dcmProtocol": "SYSLOG_TLS", "dicomTLSCipherSuite": "TLS_A"}, "dcmProtocol"),
        ({"dicomTLSCipherSuite": ["TLS_A", "TLS_B"]}, "dicomTLSCipherSuite"),
    ],
)
def test_connection_that_we_cannot_serve_is_one_warning(attributes, attribute):
    other = trees.connection("other", **attributes)
    assert told(checked(*tree(), other)) == [("WARNING", other.dn, attribute)]


@pytest.mark.ldap("dicomInstalled")
def test_connection_that_is_not_installed_is_passed_over_in_silence():
    assert checked(*tree(), trees.connection("other", dcmProtocol="HL7", dicomInstalled="FALSE")) == []


@pytest.mark.parametrize(("address", "clash"), [("localhost", True), ("0.0.0.0", True), ("192.0.2.1", False)])
def test_two_connections_on_one_address_clash(address, clash):
    other = trees.connection("other", dcmBindAddress=address)
    assert told(checked(*tree(), other)) == [("ERROR", other.dn, "dicomPort")] * clash


def test_port_of_a_connection_that_is_not_served_does_not_clash():
    other = trees.connection("other", dcmProtocol="HL7")
    assert [problem.severity for problem in checked(*tree(), other)] == [Severity.WARNING]


def test_ae_that_nobody_can_call_is_a_warning():
    tls = trees.connection("tls", dicomTLSCipherSuite="TLS_A", dicomPort="2762")
    other = trees.ae("OTHER", dicomNetworkConnectionReference=tls.dn)
    assert ("WARNING", other.dn, "dicomNetworkConnectionReference") in told(checked(*tree(), tls, other))


@pytest.mark.parametrize(
    "entries",
    [
        (trees.device(), trees.connection(dicomTLSCipherSuite="TLS_A"), trees.ae()),
        (trees.device(), trees.connection(), trees.ae(dicomInstalled="FALSE")),
        (trees.device(), trees.connection(), trees.ae(dicomAssociationAcceptor="FALSE")),
        (trees.device(),),
    ],
)
def test_device_on_which_nobody_can_call_anything_is_an_error(entries):
    problems = checked(*entries)
    assert ("ERROR", DEVICE, None) in told(problems)
    assert any("nothing to serve" in problem.reason for problem in problems)


@pytest.mark.ldap("dicomInstalled")
def test_device_that_is_not_installed_is_an_error():
    assert told(checked(*tree(dicomInstalled="FALSE"))) == [("ERROR", DEVICE, "dicomInstalled")]


@pytest.mark.ldap("dcmOtherAETitle")
def test_title_that_two_aes_answer_to_is_an_error_on_both():
    other = trees.ae("OTHER", dcmOtherAETitle="DCM4CHEE")
    assert told(checked(*tree(), other)) == [("ERROR", AE, "dicomAETitle"), ("ERROR", other.dn, "dcmOtherAETitle")]


def test_other_title_that_repeats_the_own_one_is_harmless():
    entries = (trees.device(), trees.connection(), trees.ae(dcmOtherAETitle="DCM4CHEE"), trees.storage())
    assert checked(*entries) == []


@pytest.mark.ldap("dcmObjectStorageID")
@pytest.mark.ldap("dcmStorageID")
def test_storage_that_does_not_exist_is_an_error():
    entries = (trees.device(), trees.connection(), trees.ae(dcmObjectStorageID="fs9"), trees.storage())
    (problem,) = checked(*entries)
    assert (problem.severity, problem.value) == (Severity.ERROR, "fs9")
    assert problem.reason.endswith("fs1")


@pytest.mark.ldap("dcmURI")
def test_storage_in_use_must_be_a_file_uri():
    s3 = trees.storage("s3", "https://bucket.example/a")
    assert told(checked(trees.device(), trees.connection(), trees.ae(), s3)) == [("ERROR", s3.dn, "dcmURI")]
    used = trees.ae(dcmObjectStorageID="fs1")
    assert told(checked(trees.device(), trees.connection(), used, trees.storage(), s3)) == [
        ("WARNING", s3.dn, "dcmURI")
    ]


def test_ae_that_cannot_choose_its_storage_is_a_warning():
    assert told(checked(*tree(), trees.storage("fs2"))) == [("WARNING", AE, "dcmObjectStorageID")]


def test_device_without_storage_is_a_warning():
    assert told(checked(trees.device(), trees.connection(), trees.ae())) == [("WARNING", DEVICE, None)]


def view(view_id, **attributes):
    return trees.entry(
        f"dcmQueryRetrieveViewID={view_id},{DEVICE}",
        "dcmQueryRetrieveView",
        dcmQueryRetrieveViewID=view_id,
        **attributes,
    )


@pytest.mark.ldap("dcmQueryRetrieveViewID")
def test_view_that_does_not_exist_is_an_error():
    entries = tree(dcmQueryRetrieveViewID="all")
    assert told(checked(*entries)) == [("ERROR", AE, "dcmQueryRetrieveViewID")]
    assert checked(*entries, view("all")) == []


@pytest.mark.ldap("dcmHideNotRejectedInstances")
def test_view_of_rejected_instances_is_a_warning():
    problems = checked(*tree(dcmQueryRetrieveViewID="iocm"), view("iocm", dcmHideNotRejectedInstances="TRUE"))
    assert told(problems) == [("WARNING", AE, "dcmQueryRetrieveViewID")]
    assert "no matches" in problems[0].reason


@pytest.mark.ldap("dcmLeadingCFindSCP")
@pytest.mark.parametrize(
    ("rule", "attribute"),
    [
        (trees.rule(dcmLeadingCFindSCP="QRSCP"), "dcmLeadingCFindSCP"),
        (trees.rule("lead", AE, dcmMergeMWLSCP="QRSCP"), "dcmMergeMWLSCP"),
        (trees.rule2(dcmURI="leading-arc:QRSCP"), "dcmURI"),
    ],
)
def test_ae_title_that_the_directory_does_not_have_is_a_warning(rule, attribute):
    assert told(checked(*tree(), rule)) == [("WARNING", rule.dn, attribute)]
    assert checked(*tree(), rule, others=trees.remote("QRSCP")) == []


def test_registered_title_without_an_ae_is_not_enough():
    registered = trees.entry(
        "dicomAETitle=QRSCP,cn=Unique AE Titles Registry,cn=x", "dicomUniqueAETitle", dicomAETitle="QRSCP"
    )
    assert len(checked(*tree(), trees.rule(dcmLeadingCFindSCP="QRSCP"), others=[registered])) == 1


def test_ae_that_cannot_be_called_is_a_warning_with_the_reason():
    rule = trees.rule(dcmLeadingCFindSCP="QRSCP")
    (problem,) = checked(*tree(), rule, others=trees.remote("QRSCP", port="x"))
    assert problem.severity is Severity.WARNING
    assert "dicomPort: x" in problem.reason
    device, connection, ae = trees.remote("QRSCP")
    off = trees.entry(connection.dn, "dicomNetworkConnection", dicomHostname="x")
    (problem,) = checked(*tree(), rule, others=[device, off, ae])
    assert "no installed DICOM connection with a port" in problem.reason


def test_leading_archive_that_is_ourselves_is_a_warning():
    (problem,) = checked(*tree(), trees.rule(dcmLeadingCFindSCP="DCM4CHEE"))
    assert "ask itself" in problem.reason


def test_uri_without_a_well_formed_title_is_an_error():
    assert told(checked(*tree(), trees.rule2(dcmURI="leading-arc:"))) == [("ERROR", f"cn=second,{DEVICE}", "dcmURI")]


def test_each_title_is_looked_up_once():
    entries = [*tree(), *(trees.rule(name, dcmLeadingCFindSCP="QRSCP") for name in "abc")]
    device, _ = load_device(entries, "dcm4chee-arc")
    assert device is not None
    source = trees.EntrySource(entries)
    assert len(check(device, source)) == 3
    assert source.reads == ["QRSCP"]


def test_directory_that_goes_down_during_the_check_is_unavailable():
    entries = [*tree(), trees.rule(dcmLeadingCFindSCP="QRSCP")]
    device, _ = load_device(entries, "dcm4chee-arc")
    assert device is not None
    source = trees.EntrySource(entries)
    source.down = ConfigUnavailable("gone")
    with pytest.raises(ConfigUnavailable, match="gone"):
        check(device, source)


ARCHIVE_ATTRIBUTES = ("dcmSpanningCFindSCP", "dcmFallbackCMoveSCP")


def proxy(**attributes):
    return trees.device(), trees.connection(), trees.ae(**attributes), trees.storage()


@pytest.mark.ldap("dcmSpanningCFindSCP")
@pytest.mark.ldap("dcmFallbackCMoveSCP")
@pytest.mark.ldap("dcmFallbackCMoveSCPLeadingCFindSCP")
@pytest.mark.parametrize("attribute", [*ARCHIVE_ATTRIBUTES, "dcmFallbackCMoveSCPLeadingCFindSCP"])
def test_other_archive_that_the_directory_does_not_have_is_a_warning(attribute):
    assert told(checked(*proxy(**{attribute: "PACS"}))) == [("WARNING", AE, attribute)]
    assert told(checked(*tree(**{attribute: "PACS"}))) == [("WARNING", AE, attribute)]
    assert checked(*proxy(**{attribute: "PACS"}), others=trees.remote("PACS")) == []


@pytest.mark.ldap("dcmSpanningCFindSCP")
@pytest.mark.ldap("dcmFallbackCMoveSCP")
@pytest.mark.parametrize("attribute", ARCHIVE_ATTRIBUTES)
def test_each_of_several_other_archives_is_looked_up(attribute):
    entries = proxy(**{attribute: "PACS_A\\PACS_B\\PACS_C"})
    problems = checked(*entries, others=trees.remote("PACS_B"))
    assert [(problem.severity, problem.dn, problem.attribute, problem.value) for problem in problems] == [
        (Severity.WARNING, AE, attribute, title) for title in ("PACS_A", "PACS_C")
    ]
    (problem,) = checked(*proxy(**{attribute: "PACS\\DCM4CHEE"}), others=trees.remote("PACS"))
    assert (problem.severity, problem.attribute, problem.value) == (Severity.ERROR, attribute, "DCM4CHEE")


@pytest.mark.ldap("dcmCStoreSCUOfCMoveSCP")
def test_archive_of_another_calling_title_that_the_directory_does_not_have_is_a_warning():
    entries = tree(dcmCStoreSCUOfCMoveSCP="STORESCU=PACS")
    assert told(checked(*entries)) == [("WARNING", DEVICE, "dcmCStoreSCUOfCMoveSCP")]
    assert checked(*entries, others=trees.remote("PACS")) == []


@pytest.mark.parametrize("attribute", ARCHIVE_ATTRIBUTES)
@pytest.mark.parametrize("title", ["DCM4CHEE", "OTHER"])
def test_device_that_would_ask_itself_on_behalf_of_a_client_is_an_error(attribute, title):
    (problem,) = checked(*proxy(**{attribute: title}), trees.ae("OTHER"))
    assert (problem.severity, problem.dn, problem.attribute) == (Severity.ERROR, AE, attribute)
    assert "ask itself" in problem.reason


@pytest.mark.ldap("dcmOtherAETitle")
@pytest.mark.parametrize("attribute", ARCHIVE_ATTRIBUTES)
def test_archive_with_a_title_that_our_ae_also_answers_is_separate(attribute):
    entries = proxy(dcmOtherAETitle="PACS", **{attribute: "PACS"})
    assert checked(*entries, others=trees.remote("PACS")) == []
    assert told(checked(*entries)) == [("WARNING", AE, attribute)]


@pytest.mark.ldap("dcmFallbackCMoveSCPDestination")
def test_objects_of_another_archive_that_would_arrive_elsewhere_are_an_error():
    def sent_to(destination):
        entries = proxy(dcmFallbackCMoveSCP="PACS", dcmFallbackCMoveSCPDestination=destination)
        return told(checked(*entries, others=[*trees.remote("PACS"), *trees.remote("VIEWER")]))

    assert sent_to("DCM4CHEE") == []
    assert sent_to("VIEWER") == [("ERROR", AE, "dcmFallbackCMoveSCPDestination")]
    assert checked(*proxy(dcmFallbackCMoveSCPDestination="VIEWER")) == []


@pytest.mark.ldap("dcmExternalRetrieveAET")
def test_archive_from_which_objects_are_fetched_back_is_looked_up():
    def external(title):
        storage = trees.storage(dcmExternalRetrieveAET=title)
        return checked(trees.device(), trees.connection(), trees.ae(), storage, others=trees.remote("PACS"))

    storage = trees.storage().dn
    assert external("PACS") == []
    assert told(external("GONE")) == [("WARNING", storage, "dcmExternalRetrieveAET")]
    assert told(external("DCM4CHEE")) == [("ERROR", storage, "dcmExternalRetrieveAET")]


@pytest.mark.ldap("dcmExternalRetrieveAEDestination")
def test_objects_that_would_be_fetched_back_to_elsewhere_are_an_error():
    def sent_to(destination, **attributes):
        ae = trees.ae(dcmExternalRetrieveAEDestination=destination)
        entries = trees.device(), trees.connection(), ae, trees.storage(**attributes)
        return told(checked(*entries, others=[*trees.remote("PACS"), *trees.remote("VIEWER", name="viewer")]))

    assert sent_to("DCM4CHEE", dcmExternalRetrieveAET="PACS") == []
    assert sent_to("VIEWER", dcmExternalRetrieveAET="PACS") == [("ERROR", AE, "dcmExternalRetrieveAEDestination")]
    assert sent_to("VIEWER") == []


def test_legacy_rule_that_dcm4chee_ignores_is_a_warning_that_names_both_rules():
    problems = checked(*tree(), trees.rule("legacy"), trees.rule2("unconditional", AE))
    assert told(problems) == [("WARNING", f"cn=legacy,{DEVICE}", None)]
    assert f"on DCM4CHEE by 'unconditional' (cn=unconditional,{AE})" in problems[0].reason


@pytest.mark.parametrize(
    ("legacy", "second", "hidden"),
    [
        ({}, {"dcmProperty": "Modality=CT"}, False),
        ({"dcmProperty": "Modality=CT"}, {"dcmProperty": "Modality=CT"}, True),
        ({"dcmProperty": ["Modality=CT", "a=b"]}, {"dcmProperty": "Modality=CT"}, True),
        ({}, {"dcmSOPClass": CT}, False),
        ({"dcmSOPClass": CT}, {"dcmSOPClass": [CT, "1.2"]}, True),
        ({"dcmSOPClass": [CT, "1.2"]}, {"dcmSOPClass": CT}, False),
        ({}, {"dicomTransferRole": "SCU"}, False),
        ({}, {"dcmDIMSE": "C_FIND_RSP"}, False),
    ],
)
def test_rule_is_hidden_only_where_that_is_certain(legacy, second, hidden):
    problems = checked(*tree(), trees.rule(**legacy), trees.rule2(**second))
    assert bool(problems) is hidden


def test_rule_of_one_ae_hides_nothing_on_another():
    other = trees.ae("OTHER")
    assert checked(*tree(), other, trees.rule("legacy", other.dn), trees.rule2("second", AE)) == []


def test_capabilities_that_are_not_served_are_named():
    capabilities = [
        trees.entry(
            f"{rdn},{AE}",
            "dicomTransferCapability",
            dicomSOPClass=uid,
            dicomTransferRole=role,
            dicomTransferSyntax="1.2.840.10008.1.2",
            **names,
        )
        for rdn, uid, role, names in [
            ("cn=CT", CT, "SCP", {"cn": "CT"}),
            ("cn=MPPS SCP", "1.2.840.10008.3.1.2.3.3", "SCP", {"cn": "MPPS SCP"}),
            ("dicomSOPClass=1.2", "1.2", "SCU", {}),
        ]
    ]
    device, _ = load_device([*tree(), *capabilities], "dcm4chee-arc")
    assert device is not None
    (ae,) = device.application_entities
    names = unserved_capabilities(ae, lambda capability: capability.sop_class == CT)
    assert set(names) == {"MPPS SCP", "1.2 SCU"}


# AE titles that conditions name, and titles of two devices.


def rule_for(*conditions, **attributes):
    return trees.rule("R", dcmLeadingCFindSCP="QRSCP", dcmProperty=list(conditions), **attributes)


VIEWER = trees.remote("STORESCP", name="viewer")
QRSCP = trees.remote("QRSCP", name="leading")


def reasons(*conditions, others=(*VIEWER, *QRSCP), **attributes):
    return [problem.reason for problem in checked(*tree(), rule_for(*conditions, **attributes), others=others)]


@pytest.mark.ldap("dcmProperty")
@pytest.mark.parametrize(
    "condition",
    [
        "ReceivingApplicationEntityTitle=STORESCP",
        "ReceivingApplicationEntityTitle!=STORESCP",
        "ReceivingApplicationEntityTitle=STORE.*",
        "ReceivingApplicationEntityTitle=VIEWER[0-9]|STORESCP",
        "SendingApplicationEntityTitle=DCM4CHEE",
        "PatientID=storescp",
    ],
)
def test_condition_on_an_ae_that_is_there_is_no_problem(condition):
    assert reasons(condition) == []


@pytest.mark.ldap("dcmProperty")
@pytest.mark.parametrize("value", ["VIEWER2", "STORE*", "STORESCP1|STORESCP2", "STORE.SCP"])
def test_condition_on_a_receiver_that_the_directory_lacks_is_a_warning(value):
    for mark in ("=", "!="):
        text = f"ReceivingApplicationEntityTitle{mark}{value}"
        (problem,) = checked(*tree(), rule_for(text), others=(*VIEWER, *QRSCP))
        assert problem.severity is Severity.WARNING
        assert (problem.attribute, problem.value) == ("dcmProperty", text)
        assert problem.reason == f"the directory has no dicomNetworkAE that {value} matches"


@pytest.mark.ldap("dcmProperty")
@pytest.mark.parametrize("value", ["storescp", "StoreSCP", "store.*"])
def test_condition_that_differs_by_case_names_the_title_that_is_meant(value):
    (reason,) = reasons(f"ReceivingApplicationEntityTitle={value}")
    assert reason.endswith("it differs only by case from STORESCP")


def test_condition_on_our_own_end_is_held_against_our_own_titles():
    (reason,) = reasons("SendingApplicationEntityTitle=dcm4chee")
    assert reason.endswith("it differs only by case from DCM4CHEE")
    (reason,) = reasons("SendingApplicationEntityTitle=STORESCP")
    assert reason == "no AE of this device for which the rule holds matches STORESCP"


def test_caller_that_the_directory_lacks_is_a_warning_that_asks_for_the_spelling():
    given = {"dcmDIMSE": "C_FIND_RSP", "dicomTransferRole": "SCU"}
    (reason,) = reasons("SendingApplicationEntityTitle=VIEWER2", **given)
    assert reason.endswith("which a caller need not be in: is it spelt so?")
    (reason,) = reasons("SendingApplicationEntityTitle=storescp", **given)
    assert reason.endswith("it differs only by case from STORESCP")


@pytest.mark.ldap("dcmAcceptedMoveDestination")
@pytest.mark.ldap("dcmAcceptedCallingAETitle")
def test_accepted_titles_are_looked_up_too():
    entries = trees.device(), trees.connection(), trees.storage()
    ae = trees.ae(
        dcmAcceptedMoveDestination=["STORESCP", "storescp", "GONE"], dcmAcceptedCallingAETitle=["MODALITY", "storescp"]
    )
    found = [(p.attribute, p.value, "by case" in p.reason) for p in checked(*entries, ae, others=VIEWER)]
    assert found == [
        ("dcmAcceptedMoveDestination", "GONE", False),
        ("dcmAcceptedMoveDestination", "storescp", True),
        ("dcmAcceptedCallingAETitle", "storescp", True),
    ]


@pytest.mark.ldap("dcmLeadingCFindSCP")
def test_named_ae_that_differs_by_case_says_so():
    rule = trees.rule("R", dcmLeadingCFindSCP="qrscp")
    (problem,) = checked(*tree(), rule, others=QRSCP)
    assert problem.reason.endswith("it differs only by case from QRSCP")


def test_two_devices_with_the_title_that_a_rule_asks_are_an_error_with_both_dns():
    twice = trees.remote("QRSCP", name="aaa-other")
    (problem,) = checked(*tree(), trees.rule("R", dcmLeadingCFindSCP="QRSCP"), others=(*twice, *QRSCP))
    assert (problem.severity, problem.value) == (Severity.ERROR, "QRSCP")
    assert all(entries[2].dn in problem.reason for entries in (twice, QRSCP))


def test_two_devices_with_the_title_of_the_archive_behind_are_an_error():
    ae = trees.ae(dcmSpanningCFindSCP="PACS", dcmFallbackCMoveSCP="PACS")
    others = (*trees.remote("PACS", name="one"), *trees.remote("PACS", name="two"))
    found = checked(trees.device(), trees.connection(), ae, others=others)
    assert [(p.severity, p.attribute) for p in found] == [
        (Severity.ERROR, "dcmSpanningCFindSCP"),
        (Severity.ERROR, "dcmFallbackCMoveSCP"),
    ]


def test_two_devices_with_a_title_that_a_condition_names_or_that_is_ours_are_a_warning():
    twice = trees.remote("STORESCP", name="other")
    (reason,) = reasons("ReceivingApplicationEntityTitle=STORESCP", others=(*VIEWER, *twice, *QRSCP))
    assert all(entries[2].dn in reason for entries in (twice, VIEWER))
    (problem,) = checked(*tree(), others=trees.remote("DCM4CHEE", name="foreign"))
    assert problem.severity is Severity.WARNING
    assert f"dicomDeviceName=foreign,{trees.DEVICES}" in problem.reason and AE in problem.reason


def test_large_directory_is_not_listed_for_a_hint():
    many = [entries[2] for number in range(2001) if (entries := trees.remote(f"A{number}", name=f"d{number}"))]
    (reason,) = reasons("ReceivingApplicationEntityTitle=storescp", others=(*many, *VIEWER, *QRSCP))
    assert reason == "the directory has no dicomNetworkAE that storescp matches"


def test_ae_that_passes_on_what_is_stored_to_it_refuses_nothing():
    ae = trees.ae(dcmSpanningCFindSCP="PACS")
    assert checked(trees.device(), trees.connection(), ae, others=trees.remote("PACS")) == []
