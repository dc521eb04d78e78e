"""What an import would do, told from the tree and the file."""

from pathlib import Path

import pytest

from dcm4py_leading.composition.site import Site
from dcm4py_leading.config.ldif.changed import ChangedSource, directory_for
from dcm4py_leading.config.ldif.records import parse_ldif
from dcm4py_leading.config.ldif.source import LdifSource
from dcm4py_leading.errors import ConfigUnavailable
from dcm4py_leading.forecast import forecast, lint_alone
from tests.fixtures.ldif import seed_ldif
from tests.fixtures.slapd import OUR_LDIF
from tests.fixtures.trees import DEVICE, DEVICES, EntrySource

VIEWER = f"dicomDeviceName=storescp,{DEVICES}"
LEADING = OUR_LDIF / "leading-cfind-scp.ldif"
RULE = f"cn=Leading DCMQRSCP,{DEVICE}"


def site(source, tmp_path=Path("/srv/data")):
    return Site(source=source, device_name="dcm4chee-arc", properties={}, data_dir=tmp_path)


@pytest.fixture
def quickstart(tmp_path):
    return site(LdifSource([OUR_LDIF / "quickstart.ldif"]), tmp_path)


@pytest.fixture
def leading(tmp_path):
    return site(LdifSource([OUR_LDIF / "quickstart.ldif", LEADING]), tmp_path)


def told(text, site):
    return forecast([parse_ldif(text, "a.ldif")], site)


def change(dn, *modifications):
    return f"dn: {dn}\nchangetype: modify\n" + "".join(f"{lines}\n-\n" for lines in modifications)


def test_new_rule_and_new_values_are_told(quickstart):
    found = told(LEADING.read_text(), quickstart)
    lines = [str(difference) for difference in found.differences]
    assert found.findings == ()
    assert not found.has_errors
    assert "device dcm4chee-arc: dcmLeadingCFindSCPQueryCacheSize from 10 to 50" in lines
    assert any(line.startswith("rule Leading DCMQRSCP of device dcm4chee-arc: added") for line in lines)


def test_existing_content_makes_no_difference(leading):
    found = told(
        change(DEVICE, "replace: dcmLeadingCFindSCPQueryCacheSize\ndcmLeadingCFindSCPQueryCacheSize: 50"), leading
    )
    assert (found.findings, found.differences, found.is_comparable) == ((), (), True)


def test_moved_viewer_is_told_though_it_is_another_device(quickstart):
    moved = change(f"cn=dicom,{VIEWER}", "replace: dicomPort\ndicomPort: 4711")
    assert [str(found) for found in told(moved, quickstart).differences] == [
        "connection dicom of AE STORESCP: dicomPort from 11115 to 4711"
    ]


def test_removed_leading_archive_is_told_and_missed(leading):
    gone = "".join(
        f"dn: {rdn}dicomDeviceName=dcmqrscp,{DEVICES}\nchangetype: delete\n\n"
        for rdn in ("dicomAETitle=QRSCP,", "cn=dicom,", "")
    )
    found = told(gone, leading)
    assert [str(difference) for difference in found.differences] == ["AE QRSCP: removed"]
    (finding,) = found.findings
    assert (finding.problem.attribute, finding.problem.value, finding.line) == ("dcmLeadingCFindSCP", "QRSCP", 0)
    assert not found.has_errors


def test_missing_ae_title_is_told_at_its_line(quickstart):
    (finding,) = told(LEADING.read_text().replace("CFindSCP: QRSCP", "CFindSCP: NOBODY"), quickstart).findings
    assert "the directory has no dicomNetworkAE of this title" in finding.problem.reason
    assert LEADING.read_text().splitlines()[finding.line - 1] == "dcmLeadingCFindSCP: QRSCP"


@pytest.mark.parametrize(
    ("value", "is_told"),
    [
        ("ReceivingApplicationEntityTitle=STORESCP", False),
        ("ReceivingApplicationEntityTitle=DCM4CHEE", False),
        ("ReceivingApplicationEntityTitle=STORESPC", True),
        ("ReceivingApplicationEntityTitle=STORE.*", False),
        ("ReceivingApplicationEntityTitle=STORE*", True),
        ("ReceivingApplicationEntityTitle=storescp", True),
        ("ReceivingApplicationEntityTitle!=VIEWER2", True),
        ("SendingApplicationEntityTitle=DCM4CHEE", False),
        ("SendingApplicationEntityTitle=MODALITY", True),  # the rule is for what we send
    ],
)
def test_receiver_that_the_directory_lacks_is_told(leading, value, is_told):
    found = told(change(RULE, f"replace: dcmProperty\ndcmProperty: {value}"), leading)
    assert [(finding.line, finding.problem.value) for finding in found.findings] == ([(4, value)] if is_told else [])
    assert not found.has_errors


def test_move_destination_that_the_directory_lacks_is_told(leading):
    ae = f"dicomAETitle=DCM4CHEE,{DEVICE}"
    text = change(
        ae, "add: dcmAcceptedMoveDestination\ndcmAcceptedMoveDestination: STORESCP\ndcmAcceptedMoveDestination: X"
    )
    assert [finding.problem.value for finding in told(text, leading).findings] == ["X"]


def test_ae_that_an_earlier_file_brings_is_not_missed(quickstart):
    other = f"dicomDeviceName=other,{DEVICES}"
    brings = (
        f"dn: {other}\nchangetype: add\nobjectClass: dicomDevice\ndicomDeviceName: other\ndicomInstalled: TRUE\n\n"
        f"dn: cn=dicom,{other}\nchangetype: add\nobjectClass: dicomNetworkConnection\ncn: dicom\ndicomHostname: h\n"
        f"dicomPort: 104\n\ndn: dicomAETitle=OTHER,{other}\nchangetype: add\nobjectClass: dicomNetworkAE\n"
        f"dicomAETitle: OTHER\ndicomNetworkConnectionReference: cn=dicom,{other}\n"
        "dicomAssociationInitiator: TRUE\ndicomAssociationAcceptor: TRUE\n"
    )
    uses = LEADING.read_text().replace("CFindSCP: QRSCP", "CFindSCP: OTHER")
    found = forecast([parse_ldif(brings, "a.ldif"), parse_ldif(uses, "b.ldif")], quickstart)
    assert found.findings == ()
    assert "AE OTHER: added (h:104)" in map(str, found.differences)


def test_renamed_ae_is_told_and_the_old_name_missed(leading):
    ae = f"dicomAETitle=QRSCP,dicomDeviceName=dcmqrscp,{DEVICES}"
    found = told(f"dn: {ae}\nchangetype: modrdn\nnewrdn: dicomAETitle=OTHER\ndeleteoldrdn: 1\n", leading)
    assert [str(difference) for difference in found.differences] == [
        "AE OTHER: added (localhost:11113)",
        "AE QRSCP: removed",
    ]
    assert [finding.problem.value for finding in found.findings] == ["QRSCP"]


def test_renamed_device_is_found_under_its_new_name_only(leading):
    rdn = "dicomDeviceName=other"
    file = parse_ldif(f"dn: {VIEWER}\nchangetype: modrdn\nnewrdn: {rdn}\ndeleteoldrdn: 1\n", "a.ldif")
    directory = directory_for([file], leading.source)
    assert directory.apply(file) == []
    changed = ChangedSource(leading.source, directory, [file])
    assert changed.read_device("storescp") == ()
    assert len(changed.read_device("other")) == len(leading.source.read_device("storescp"))


def test_result_that_cannot_be_put_in_force_has_no_differences(leading):
    broken = change(RULE, "replace: dcmProperty\ndcmProperty: NoSuchKeyword=a")
    found = told(broken, leading)
    assert found.has_errors
    assert not found.is_comparable
    assert found.differences == ()
    (finding,) = found.findings
    assert (finding.line, finding.problem.value) == (4, "NoSuchKeyword=a")


def test_aes_of_a_device_that_is_not_valid_are_not_taken_for_others(quickstart, tmp_path):
    broken = tmp_path / "broken.ldif"
    broken.write_text(change(DEVICE, "replace: dcmOverwritePolicy\ndcmOverwritePolicy: SOMETIMES"))
    now = site(LdifSource([OUR_LDIF / "quickstart.ldif", broken]), tmp_path)
    found = told(change(f"cn=dicom,{DEVICE}", "replace: dicomPort\ndicomPort: 4711"), now)
    assert (found.differences, found.is_comparable, found.findings) == ((), False, ())


def test_mended_faults_of_a_change_are_told(quickstart, tmp_path):
    broken = tmp_path / "broken.ldif"
    broken.write_text(change(DEVICE, "replace: dcmOverwritePolicy\ndcmOverwritePolicy: SOMETIMES"))
    now = site(LdifSource([OUR_LDIF / "quickstart.ldif", broken]), tmp_path)
    found = told(change(DEVICE, "replace: dcmOverwritePolicy"), now)
    assert [problem.attribute for problem in found.mended] == ["dcmOverwritePolicy"]
    assert not found.has_errors


def test_seed_that_adds_existing_entries_is_reported(leading):
    found = told(seed_ldif(), leading).findings
    assert [finding.line for finding in found if "use replace" in finding.problem.reason] == [5, 11]
    assert [finding.line for finding in found if "exists already" in finding.problem.reason] == [14]


def test_files_alone_are_looked_at_without_a_tree():
    assert len(lint_alone([parse_ldif(seed_ldif(), "a.ldif")])) > 2


def test_other_devices_are_asked_of_the_source_itself(leading):
    file = parse_ldif(change(VIEWER, "replace: dicomDescription\ndicomDescription: a"), "a.ldif")
    directory = directory_for([file], leading.source)
    directory.apply(file)
    changed = ChangedSource(leading.source, directory, [file])
    assert changed.read_device("dcm4chee-arc") == leading.source.read_device("dcm4chee-arc")
    assert changed.read_device("STORESCP")[0].values("dicomDescription") == ("a",)
    assert changed.read_ae("QRSCP") == leading.source.read_ae("QRSCP")
    assert changed.read_ae("STORESCP")[0].values("dicomDescription") == ("a",)
    assert changed.describe().endswith("with a.ldif applied")


def test_source_without_single_entries_is_refused():
    with pytest.raises(ConfigUnavailable, match="single entries"):
        told("dn: cn=a\nchangetype: delete\n", site(EntrySource([])))
