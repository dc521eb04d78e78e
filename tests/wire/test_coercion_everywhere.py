"""Every kind of message is coerced, by legacy and by version-2 rules, and what a failure means."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import Dataset

from dcm4py_leading.errors import ConfigInvalid
from dcm4py_leading.model.options import parse_options
from tests.fixtures.datasets import make_study, read_sample
from tests.fixtures.scripted import LeadingScp, Viewer, knows
from tests.fixtures.scu import PATIENT_FIND, find, identifier, move, store
from tests.fixtures.service import DEVICE, Seed

STUDY = "1.2.826.0.1.3680043.8.498.81"
LEGACY, SECOND = "dcmArchiveAttributeCoercion", "dcmArchiveAttributeCoercion2"
RETRIEVE, RECEIVE = ("C_STORE_RQ", "SCP"), ("C_STORE_RQ", "SCU")
QUERY, RESPONSE = ("C_FIND_RQ", "SCU"), ("C_FIND_RSP", "SCU")
OWN_QUERY, OWN_RESPONSE = ("C_FIND_RQ", "SCP"), ("C_FIND_RSP", "SCP")


def rule(seed: Seed, message: tuple[str, str], text: str, *, cn: str = "rule", kind: str = SECOND) -> None:
    """Add a rule for a message below the device; ``text`` has its other attributes, a line each."""
    dimse, role = message
    seed.change(
        f"dn: cn={cn},{DEVICE}\nchangetype: add\nobjectClass: {kind}\ncn: {cn}\n"
        f"dcmDIMSE: {dimse}\ndicomTransferRole: {role}\n{text}"
    )


def leading_study(study_uid: str = STUDY, **attributes: Any) -> Dataset:
    ds = Dataset()
    ds.StudyInstanceUID, ds.PatientName, ds.PatientID = study_uid, "Right^Name", "RIGHT-ID"
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


@pytest.fixture
def stale(tmp_path: Path) -> list[Path]:
    return make_study(tmp_path / "stale", patient_id="STALE-ID", patient_name="Stale^Name", study_uid=STUDY)


def moved(seed: Seed) -> Dataset:
    return move(seed.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))[-1][0]


def found(seed: Seed, **keys: Any) -> Dataset:
    status, matches = find(seed.archive_port, identifier("STUDY", **{"StudyInstanceUID": STUDY, **keys}))
    assert status == 0x0000
    (match,) = matches
    return match


# Queries.


@pytest.mark.parametrize(
    ("kind", "text"), [(LEGACY, "dcmLeadingCFindSCP: QRSCP"), (SECOND, "dcmURI: leading-arc:QRSCP")]
)
@pytest.mark.ldap("dcmLeadingCFindSCP")
@pytest.mark.ldap("dcmURI")
def test_matches_carry_the_leading_values(
    seed: Seed, stale: list[Path], leading_scp: Callable[..., LeadingScp], kind: str, text: str
) -> None:
    rule(seed, RESPONSE, text, kind=kind)
    seed.start()
    store(seed.archive_port, stale)
    leading = leading_scp(seed.leading_port, knows(leading_study(StudyDescription="Not asked for")))
    match = found(seed, PatientName="", PatientID="")
    assert (match.PatientName, match.PatientID) == ("Right^Name", "RIGHT-ID")
    assert "StudyDescription" not in match
    assert match.RetrieveAETitle == "DCM4CHEE"
    status, series = find(seed.archive_port, identifier("SERIES", StudyInstanceUID=STUDY, PatientName=""))
    assert (status, {str(one.PatientName) for one in series}) == (0x0000, {"Right^Name"})
    assert len(leading.queries) == 1


def test_retrieve_at_patient_level_asks_about_no_study(
    seed: Seed, stale: list[Path], leading_scp: Callable[..., LeadingScp]
) -> None:
    rule(seed, RESPONSE, "dcmURI: leading-arc:QRSCP")
    seed.start()
    store(seed.archive_port, stale)
    leading = leading_scp(seed.leading_port, knows(leading_study()))
    _, (match,) = find(seed.archive_port, identifier("PATIENT", PatientID="", PatientName=""), PATIENT_FIND)
    assert match.PatientName == "Stale^Name"
    assert leading.queries == []


def test_many_matches_cost_a_query_a_page(seed: Seed, tmp_path: Path, leading_scp: Callable[..., LeadingScp]) -> None:
    seed.set(DEVICE, dcmLeadingCFindSCPQueryCacheSize="100")
    rule(seed, RESPONSE, "dcmURI: leading-arc:QRSCP")
    seed.start()
    uids = [f"{STUDY}.{number}" for number in range(1, 31)]
    objects = []
    for uid in uids:
        (file,) = make_study(tmp_path / uid, patient_id=uid[-6:], patient_name="Stale^Name", study_uid=uid, instances=1)
        objects.append(file)
    store(seed.archive_port, objects)
    leading = leading_scp(seed.leading_port, knows(*(leading_study(uid, PatientName=f"N^{uid[-3:]}") for uid in uids)))
    _, matches = find(seed.archive_port, identifier("STUDY", StudyInstanceUID="", PatientName=""))
    assert {str(match.PatientName) for match in matches} == {f"N^{uid[-3:]}" for uid in uids}
    assert len(leading.queries) == 2  # 20 on the first page, 10 on the second
    find(seed.archive_port, identifier("STUDY", StudyInstanceUID="", PatientName=""))
    assert len(leading.queries) == 2


@pytest.mark.ldap("dcmMergeAttribute")
def test_keys_are_coerced_before_the_query_and_matches_after_it(seed: Seed, stale: list[Path]) -> None:
    rule(seed, QUERY, "dcmURI: merge-attrs:\ndcmMergeAttribute: PatientID=STALE-ID", cn="keys")
    rule(seed, RESPONSE, "dcmURI: merge-attrs:\ndcmMergeAttribute: StudyDescription=For {PatientID}", cn="matches")
    seed.start()
    store(seed.archive_port, stale)
    match = found(seed, PatientID="NO-SUCH-ID", StudyDescription="")
    assert (match.PatientID, match.StudyDescription) == ("STALE-ID", "For STALE-ID")


# Received objects.


@pytest.mark.ldap("dcmDIMSE")
@pytest.mark.ldap("dicomTransferRole")
def test_received_objects_are_stored_coerced_and_tell_it(seed: Seed, stale: list[Path]) -> None:
    rule(seed, RECEIVE, "dcmURI: merge-attrs:\ndcmMergeAttribute: PatientID=NEW.{PatientID}")
    seed.start()
    assert store(seed.archive_port, stale, calling="MODALITY1") == [0x0000] * 3
    for path in seed.objects:
        ds = pydicom.dcmread(path)
        assert ds.PatientID == "NEW.STALE-ID"
        (item,) = ds.OriginalAttributesSequence
        assert item.ModifiedAttributesSequence[0].PatientID == "STALE-ID"
        assert (item.ModifyingSystem, item.SourceOfPreviousValues) == ("DCM4CHEE", "MODALITY1")
        assert item.ReasonForTheAttributeModification == "COERCE"
    assert found(seed, PatientID="").PatientID == "NEW.STALE-ID"


@pytest.mark.parametrize(
    "name", ["MR_small_RLE.dcm", "JPEG2000.dcm", "rtdose.dcm", "SC_rgb_rle_2frame.dcm", "test-SR.dcm"]
)
def test_object_coerced_on_receive_keeps_its_transfer_syntax_and_everything_else(seed: Seed, name: str) -> None:
    rule(seed, RECEIVE, "dcmURI: merge-attrs:\ndcmMergeAttribute: StudyID=COERCED")
    seed.start()
    ds = read_sample(name)
    assert store(seed.archive_port, [ds]) == [0x0000]
    (path,) = seed.objects
    stored = pydicom.dcmread(path)
    assert stored.StudyID == "COERCED"
    assert stored.file_meta.TransferSyntaxUID == ds.file_meta.TransferSyntaxUID
    for tag in set(ds.keys()) - {0x00200010, 0x04000561}:
        assert stored[tag] == ds[tag]


@pytest.mark.ldap("dcmDeIdentification")
def test_object_de_identified_on_receive_leaves_no_trace(seed: Seed, stale: list[Path]) -> None:
    rule(seed, RECEIVE, "dcmDeIdentification: BasicApplicationConfidentialityProfile", kind=LEGACY)
    seed.start()
    assert store(seed.archive_port, stale[:1]) == [0x0000]
    (path,) = seed.objects
    ds = pydicom.dcmread(path)
    assert ds.PatientIdentityRemoved == "YES"
    assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
    assert ds.SOPInstanceUID != pydicom.dcmread(stale[0]).SOPInstanceUID
    assert b"STALE-ID" not in path.read_bytes() and b"Stale^Name" not in path.read_bytes()


# Delivered objects.


def test_de_identified_object_is_sent_with_new_uid_and_a_failure_names_the_old_one(
    seed: Seed, stale: list[Path], viewer: Callable[..., Viewer]
) -> None:
    rule(seed, RETRIEVE, "dcmURI: deidentify:")
    seed.start()
    originals = {pydicom.dcmread(path).SOPInstanceUID for path in stale}
    burned_in = pydicom.dcmread(stale[0])
    burned_in.BurnedInAnnotation = "YES"
    store(seed.archive_port, [burned_in, *stale[1:]])
    station = viewer(seed.viewer_port)
    responses = move(seed.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))
    status, failed = responses[-1]
    assert (status.Status, status.NumberOfFailedSuboperations) == (0xB000, 1)
    assert failed is not None and failed.FailedSOPInstanceUIDList == burned_in.SOPInstanceUID
    for request, ds in zip(station.requests, station.received, strict=True):
        assert request.AffectedSOPInstanceUID == ds.SOPInstanceUID not in originals
        assert ds.PatientIdentityRemoved == "YES"


def test_a_style_sheet_changes_what_goes_out(seed: Seed, stale: list[Path], viewer: Callable[..., Viewer]) -> None:
    sheet = seed.data_dir / "temp" / "station.xsl"
    sheet.parent.mkdir()
    sheet.write_text(
        """<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
          <xsl:param name="ReceivingApplicationEntityTitle"/>
          <xsl:template match="/NativeDicomModel">
            <NativeDicomModel>
              <DicomAttribute tag="00081010" vr="SH">
                <Value number="1"><xsl:value-of select="$ReceivingApplicationEntityTitle"/></Value>
              </DicomAttribute>
            </NativeDicomModel>
          </xsl:template>
        </xsl:stylesheet>"""
    )
    rule(seed, RETRIEVE, "dcmURI: xslt:${jboss.server.temp.url}/station.xsl")
    seed.start()
    store(seed.archive_port, stale)
    station = viewer(seed.viewer_port)
    assert moved(seed).Status == 0x0000
    assert {ds.StationName for ds in station.received} == {"STORESCP"}


@pytest.mark.ldap("dcmCoercionOnFailure")
@pytest.mark.parametrize(
    ("on_failure", "status", "comments"),
    [("RETHROW", 0xA702, set[str]()), ("CONTINUE", 0x0000, {"later"}), ("SUFFICIENT", 0x0000, {"Uncompressed"})],
)
def test_unreachable_leading_archive_is_explained(
    seed: Seed,
    stale: list[Path],
    viewer: Callable[..., Viewer],
    on_failure: str,
    status: int,
    comments: set[str],
) -> None:
    rule(
        seed,
        RETRIEVE,
        f"dcmURI: leading-arc:QRSCP\ndcmRulePriority: 2\ndcmCoercionOnFailure: {on_failure}",
        cn="first",
    )
    rule(seed, RETRIEVE, "dcmURI: merge-attrs:\ndcmMergeAttribute: ImageComments=later", cn="second")
    seed.start()
    store(seed.archive_port, stale)
    station = viewer(seed.viewer_port)
    assert moved(seed).Status == status
    assert {ds.get("ImageComments") for ds in station.received} == comments


@pytest.mark.parametrize(("message", "status"), [(QUERY, None), (RESPONSE, 0x0110), (RECEIVE, 0x0110)])
def test_a_rule_that_rethrows_ends_a_query_and_a_store_with_0110(
    seed: Seed, stale: list[Path], message: tuple[str, str], status: int | None
) -> None:
    if message == QUERY:
        rule(seed, message, "dcmURI: leading-arc:QRSCP")
        with pytest.raises(ConfigInvalid):  # into the keys of a query nothing must come from elsewhere
            seed.start()
        return
    rule(seed, message, "dcmURI: leading-arc:QRSCP")
    seed.start()
    if message == RECEIVE:
        assert store(seed.archive_port, stale[:1]) == [status]
        assert seed.objects == []
    else:
        store(seed.archive_port, stale)
        assert find(seed.archive_port, identifier("STUDY", StudyInstanceUID="", PatientName="")) == (status, [])


@pytest.mark.ldap("dcmCoercionSufficient")
def test_no_rule_follows_one_that_was_applied_and_is_sufficient(
    seed: Seed, stale: list[Path], viewer: Callable[..., Viewer]
) -> None:
    first = (
        "dcmURI: merge-attrs:\ndcmMergeAttribute: ImageComments=first\ndcmRulePriority: 2\ndcmCoercionSufficient: TRUE"
    )
    rule(seed, RETRIEVE, first, cn="first")
    rule(seed, RETRIEVE, "dcmURI: merge-attrs:\ndcmMergeAttribute: ImageComments=second", cn="second")
    seed.start()
    store(seed.archive_port, stale)
    station = viewer(seed.viewer_port)
    moved(seed)
    assert {ds.ImageComments for ds in station.received} == {"first"}


def test_original_attributes_are_told_on_retrieve_where_set(
    seed: Seed, stale: list[Path], leading_scp: Callable[..., LeadingScp], viewer: Callable[..., Viewer]
) -> None:
    seed.lead()
    seed.options = parse_options(["original-attributes-on-retrieve=true"])
    seed.start()
    store(seed.archive_port, stale)
    leading_scp(seed.leading_port, knows(leading_study()))
    station = viewer(seed.viewer_port)
    moved(seed)
    for ds in station.received:
        (item,) = ds.OriginalAttributesSequence
        original = item.ModifiedAttributesSequence[0]
        assert (original.PatientName, original.PatientID) == ("Stale^Name", "STALE-ID")


@pytest.mark.parametrize(("compat", "name"), [(False, "Right^Name"), (True, "Stale^Name")])
def test_a_version_2_rule_hides_a_legacy_rule_only_under_compat(
    seed: Seed,
    stale: list[Path],
    leading_scp: Callable[..., LeadingScp],
    viewer: Callable[..., Viewer],
    compat: bool,
    name: str,
) -> None:
    seed.lead()
    rule(seed, RETRIEVE, "dcmURI: merge-attrs:\ndcmMergeAttribute: ImageComments=second")
    seed.options = parse_options([], compat_5_35=compat)
    seed.start()
    store(seed.archive_port, stale)
    leading_scp(seed.leading_port, knows(leading_study()))
    station = viewer(seed.viewer_port)
    moved(seed)
    assert {(str(ds.PatientName), ds.ImageComments) for ds in station.received} == {(name, "second")}


# Our own queries.


def test_our_own_query_and_its_answers_are_coerced(
    seed: Seed, stale: list[Path], leading_scp: Callable[..., LeadingScp], viewer: Callable[..., Viewer]
) -> None:
    seed.lead()
    rule(seed, OWN_QUERY, "dcmURI: merge-attrs:\ndcmMergeAttribute: InstitutionName=Ours", cn="keys")
    rule(seed, OWN_RESPONSE, "dcmURI: merge-attrs:\ndcmMergeAttribute: PatientName={PatientName,upper}", cn="answers")
    seed.start()
    store(seed.archive_port, stale)
    leading = leading_scp(seed.leading_port, knows(leading_study()))
    station = viewer(seed.viewer_port)
    moved(seed)
    assert leading.queries[0].InstitutionName == "Ours"
    assert {str(ds.PatientName) for ds in station.received} == {"RIGHT^NAME"}


@pytest.mark.parametrize("message", [OWN_QUERY, OWN_RESPONSE, QUERY, ("N_CREATE_RQ", "SCU"), ("C_STORE_RQ", "SCU")])
def test_leading_step_is_refused_on_our_own_queries(seed: Seed, message: tuple[str, str]) -> None:
    rule(seed, message, "dcmURI: leading-arc:QRSCP")
    if message == RECEIVE:
        seed.start()
        return
    with pytest.raises(ConfigInvalid) as refused:
        seed.start()
    assert [problem.attribute for problem in refused.value.problems if problem.attribute == "dcmURI"]
