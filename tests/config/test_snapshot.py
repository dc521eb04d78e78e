from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dcm4py_leading.config.ldif.source import LdifSource
from dcm4py_leading.config.snapshot import fingerprint, load_snapshot
from dcm4py_leading.errors import ConfigInvalid, Severity
from dcm4py_leading.model.archive import Entity, OverwritePolicy
from tests.fixtures import trees
from tests.fixtures.trees import CONNECTION

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def load(*entries, properties=None, environment=None):
    return load_snapshot(
        trees.EntrySource(entries),
        "dcm4chee-arc",
        properties=properties or {},
        data_dir=Path("/srv/data"),
        environment=environment or {},
        clock=lambda: NOW,
    )


def tree(**attributes):
    return trees.device(**attributes), trees.connection(), trees.ae(), trees.storage()


def test_snapshot_says_when_and_from_where_it_was_read():
    snapshot = load(*tree())
    assert (snapshot.loaded_at, snapshot.source, snapshot.problems) == (NOW, "entries", ())
    assert snapshot.device.device_name == "dcm4chee-arc"


def test_errors_of_entries_and_between_them_are_told_together():
    entries = (
        trees.device(dcmLeadingCFindSCPQueryCacheSize="0", dcmAECacheStaleTimeout="P1Y"),
        trees.connection("other", dcmProtocol="HL7"),
        trees.connection(),
        trees.ae(dcmObjectStorageID="fs9"),
    )
    with pytest.raises(ConfigInvalid) as caught:
        load(*entries)
    assert {problem.attribute for problem in caught.value.problems} >= {
        "dcmAECacheStaleTimeout",
        "dcmLeadingCFindSCPQueryCacheSize",
        "dcmObjectStorageID",
        "dcmProtocol",
    }
    assert "3 errors" in str(caught.value)


def test_unknown_device_is_invalid():
    with pytest.raises(ConfigInvalid, match="no such dicomDevice"):
        load(trees.connection())


def test_warnings_do_not_refuse():
    snapshot = load(*tree(), trees.rule(dcmLeadingCFindSCP="QRSCP"))
    assert [problem.severity for problem in snapshot.problems] == [Severity.WARNING]


@pytest.mark.ldap("dcmURI")
def test_placeholders_default_to_the_data_dir_and_yield_to_properties_and_environment():
    uri = "${jboss.server.storage.url}/${env.NAME:fs1}"
    entries = (trees.device(), trees.connection(), trees.ae(), trees.storage(uri=uri))

    def storage(**given):
        return load(*entries, **given).device.archive.storages["fs1"].uri

    assert storage() == "file:///srv/data/storage/fs1"
    assert storage(environment={"NAME": "disk"}) == "file:///srv/data/storage/disk"
    assert storage(properties={"jboss.server.storage.url": "file:///mnt"}) == "file:///mnt/fs1"


def test_unresolved_placeholder_counts_only_where_we_act_on_it():
    load(*tree(dcmKeyStoreURL="${jboss.server.config.url}/key.p12"))
    with pytest.raises(ConfigInvalid, match=r"jboss\.server\.config\.url"):
        load(trees.device(), trees.connection(), trees.ae(), trees.storage(uri="${jboss.server.config.url}"))


def test_equal_configurations_have_one_fingerprint():
    entries = (*tree(), trees.rule(dcmSOPClass=["1.2", "1.3"], dcmProperty=["a=b", "c=d"]))
    turned = (*tree(), trees.rule(dcmSOPClass=["1.3", "1.2"], dcmProperty=["c=d", "a=b"]))
    assert load(*entries).fingerprint == load(*reversed(turned)).fingerprint


@pytest.mark.parametrize(
    "attributes",
    [
        {"dcmLeadingCFindSCPQueryCacheStaleTimeout": "PT5M"},
        {"dcmLeadingCFindSCPQueryCacheSize": "11"},
        {"dcmOverwritePolicy": "ALWAYS"},
        {"dicomDescription": "x"},
    ],
)
def test_different_configurations_have_different_fingerprints(attributes):
    assert load(*tree(**attributes)).fingerprint != load(*tree()).fingerprint


def test_fingerprint_does_not_depend_on_the_place_in_the_directory():
    device = load(*tree()).device
    assert fingerprint(replace(device, dn="dicomDeviceName=elsewhere")) == fingerprint(device)
    assert fingerprint(replace(device, device_name="other")) != fingerprint(device)


@pytest.fixture
def stock(upstream):
    source = LdifSource(upstream.stock_content)
    return load_snapshot(source, "dcm4chee-arc", properties={}, data_dir=Path("/srv/data"), environment={})


def test_upstreams_stock_tree_loads_without_any_option(stock):
    archive = stock.device.archive
    titles = [ae.ae_title for ae in stock.device.application_entities]
    assert titles == sorted(titles)
    assert len(titles) == 8
    assert archive.storages["fs1"].uri == "file:///srv/data/storage/fs1/"
    assert set(archive.attribute_filters) == set(Entity)
    assert [(found.attribute_set_id, len(found.tags)) for found in archive.attribute_sets] == [("*", 17)]
    ae = stock.device.application_entity("DCM4CHEE")
    assert len(ae.transfer_capabilities) == 520
    assert ae.settings.overwrite_policy is OverwritePolicy.SAME_SOURCE
    assert [rule.cn for rule in ae.coercion_rules] == [
        "RemoveEncapsulatedPixelDataValueTotalLength",
        "SupplementIssuerOfPatientID",
        "SupplementIssuerOfPatientIDOnMPPS",
    ]


def test_upstreams_stock_tree_warns_once_for_each_thing_that_is_not_served(stock):
    told = [(problem.severity, problem.dn.split(",")[0], problem.attribute) for problem in stock.problems]
    assert sorted(told, key=str) == sorted(
        [
            (Severity.WARNING, "cn=hl7", "dcmProtocol"),
            (Severity.WARNING, "cn=hl7-tls", "dcmProtocol"),
            (Severity.WARNING, "cn=syslog", "dcmProtocol"),
            (Severity.WARNING, "cn=dicom-tls", "dicomTLSCipherSuite"),
            (Severity.WARNING, "dcmEntity=Series", "dcmTag"),
            (Severity.WARNING, "dicomAETitle=IOCM_EXPIRED", "dcmQueryRetrieveViewID"),
            (Severity.WARNING, "dicomAETitle=IOCM_PAT_SAFETY", "dcmQueryRetrieveViewID"),
            (Severity.WARNING, "dicomAETitle=IOCM_QUALITY", "dcmQueryRetrieveViewID"),
            (Severity.WARNING, "dicomAETitle=IOCM_WRONG_MWL", "dcmQueryRetrieveViewID"),
        ],
        key=str,
    )
    (kept_once,) = [problem for problem in stock.problems if problem.attribute == "dcmTag"]
    tags = "AcquisitionDate (00080022), AcquisitionDateTime (0008002A), AcquisitionTime (00080032);"
    assert tags in kept_once.reason


def test_stock_file_alone_is_enough(upstream, stock):
    source = LdifSource(upstream.stock_content[-1:])
    alone = load_snapshot(source, "dcm4chee-arc", properties={}, data_dir=Path("/srv/data"), environment={})
    assert alone.device == stock.device
    assert alone.fingerprint == stock.fingerprint


def test_connection_dn_is_shown_but_does_not_count():
    device = load(*tree()).device
    assert device.connections[0].dn == CONNECTION
