import json
from pathlib import Path

from dcm4py_leading.config.ldif.source import LdifSource
from dcm4py_leading.config.loader import load_device
from dcm4py_leading.config.report.show import describe
from dcm4py_leading.config.snapshot import load_snapshot
from tests.fixtures import trees
from tests.fixtures.trees import CONNECTION, DEVICE


def described(*entries):
    device, problems = load_device(entries, "dcm4chee-arc")
    assert problems == [] and device is not None
    return json.loads(json.dumps(describe(device)))


def test_defaults_and_inheritance_are_resolved_under_ldap_names():
    shown = described(
        trees.device(dcmSendPendingCMoveInterval="PT5S", dcmLeadingCFindSCPQueryCacheStaleTimeout="PT300S"),
        trees.connection(dcmIdleTimeout="0", dcmAARQTimeout="1500"),
        trees.ae(dcmAcceptedCallingAETitle=["B", "A"], dcmSpanningCFindSCP="PACS_B \\PACS_A"),
    )
    assert shown["dcmLeadingCFindSCPQueryCacheStaleTimeout"] == "PT5M"
    assert shown["dcmLeadingCFindSCPQueryCacheSize"] == 10
    assert shown["dcmAECacheStaleTimeout"] is None
    (connection,) = shown["dicomNetworkConnection"]
    assert (connection["dcmProtocol"], connection["dcmIdleTimeout"], connection["dcmAARQTimeout"]) == ("DICOM", 0, 1500)
    (ae,) = shown["dicomNetworkAE"]
    assert ae["dicomNetworkConnectionReference"] == [CONNECTION]
    assert ae["dcmSendPendingCMoveInterval"] == "PT5S"
    assert ae["dcmOverwritePolicy"] == "NEVER"
    assert ae["dcmAcceptedCallingAETitle"] == ["A", "B"]
    assert ae["dcmSpanningCFindSCP"] == "PACS_B\\PACS_A"
    assert ae["dcmFallbackCMoveSCP"] is None


def test_children_stand_under_their_object_class():
    shown = described(
        trees.device(),
        trees.connection(),
        trees.ae(),
        trees.storage(),
        trees.rule(dcmLeadingCFindSCP="QRSCP", dcmNullifyTag="00100010"),
        trees.rule2(below=trees.AE),
        trees.entry(f"dcmEntity=Study,{DEVICE}", "dcmAttributeFilter", dcmEntity="Study", dcmTag="0020000D"),
    )
    (rule,) = shown["dcmArchiveAttributeCoercion"]
    assert (rule["dcmLeadingCFindSCP"], rule["dcmAttributeUpdatePolicy"], rule["dcmNullifyTag"]) == (
        "QRSCP",
        "MERGE",
        ["00100010"],
    )
    assert shown["dicomNetworkAE"][0]["dcmArchiveAttributeCoercion2"][0]["dcmURI"] == "merge-attrs:"
    assert shown["dcmAttributeFilter"] == [
        {"dcmEntity": "Study", "dcmTag": ["0020000D"], "dcmAttributeUpdatePolicy": "PRESERVE"}
    ]
    assert shown["dcmStorage"][0]["dcmURI"] == "file:///srv/fs1"


def test_stock_tree_can_be_shown(upstream):
    source = LdifSource(upstream.stock_content)
    snapshot = load_snapshot(source, "dcm4chee-arc", properties={}, data_dir=Path("/srv"), environment={})
    assert len(json.loads(json.dumps(describe(snapshot.device)))["dicomNetworkAE"]) == 8
