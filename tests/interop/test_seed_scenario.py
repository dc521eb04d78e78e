"""The seed's scene with real peers, on our tree and on the stock one."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.fixtures.datasets import make_study, read_sample, write
from tests.fixtures.dcmtk import DcmQrScp, StoreScp, dcmsend, findscu, getscu, storescu
from tests.fixtures.orthanc import Orthanc
from tests.fixtures.scene import (
    RIGHT_VALUES,
    STALE_VALUES,
    STUDY,
    Archive,
    StartArchive,
    delivered,
    feed,
    move_all,
    move_study,
)
from tests.fixtures.slapd import OUR_LDIF, Upstream


@pytest.mark.ldap("dcmLeadingCFindSCP")
def test_the_seed_on_our_schema_and_quickstart_tree(
    start_archive: StartArchive,
    dcmqrscp: Callable[..., DcmQrScp],
    storescp: Callable[..., StoreScp],
    tmp_path: Path,
) -> None:
    archive = start_archive()
    leading = dcmqrscp(port=archive.leading_port)
    viewer = storescp(port=archive.viewer_port, options=("+xa", "+B", "+uf"))
    feed(archive, tmp_path, leading)
    assert move_study(archive) == 0x0000
    assert delivered(viewer) == STALE_VALUES
    assert leading.requests("C-FIND RQ") == 0

    assert archive.slapd.ldapmodify(OUR_LDIF / "leading-cfind-scp.ldif").returncode == 0
    archive.reload()
    assert move_study(archive) == 0x0000
    assert delivered(viewer, since=3) == RIGHT_VALUES
    assert len(viewer.received()) == 6
    assert leading.requests("C-FIND RQ") == 1
    assert move_study(archive) == 0x0000
    assert leading.requests("C-FIND RQ") == 1


@pytest.mark.parametrize("compat", [False, True])
def test_the_seed_on_the_stock_tree_with_its_own_schema(
    compat: bool,
    start_archive: StartArchive,
    dcmqrscp: Callable[..., DcmQrScp],
    storescp: Callable[..., StoreScp],
    upstream: Upstream,
    tmp_path: Path,
) -> None:
    """Its version-2 rule on AE DCM4CHEE hides the seed's rule from dcm4chee; here it does so only when asked to."""
    archive = start_archive(
        content=upstream.stock_content,
        schema=upstream.schema,
        changes=(OUR_LDIF / "stock-peers.ldif",),
        extra=("--compat", "5.35") if compat else (),
    )
    leading = dcmqrscp(port=archive.leading_port)
    viewer = storescp(port=archive.viewer_port, options=("+xa", "+B", "+uf"))
    feed(archive, tmp_path, leading)
    assert archive.slapd.ldapmodify(OUR_LDIF / "leading-cfind-scp.ldif").returncode == 0
    archive.reload()
    assert move_study(archive) == 0x0000
    assert delivered(viewer) == (STALE_VALUES if compat else RIGHT_VALUES)


def test_orthanc_as_the_leading_archive(
    start_archive: StartArchive,
    orthanc: Callable[..., Orthanc],
    storescp: Callable[..., StoreScp],
    tmp_path: Path,
) -> None:
    archive = start_archive(changes=(OUR_LDIF / "leading-cfind-scp.ldif",))
    leading = orthanc(ae_title="QRSCP", settings={"DicomPort": archive.leading_port})
    viewer = storescp(port=archive.viewer_port, options=("+xa", "+B", "+uf"))
    feed(archive, tmp_path, leading)
    assert move_study(archive) == 0x0000
    assert delivered(viewer) == RIGHT_VALUES


@pytest.mark.parametrize("archive_program", ["dcmqrscp", "orthanc"])
def test_findscu_is_answered_with_the_values_of_a_real_leading_archive(
    start_archive: StartArchive,
    dcmqrscp: Callable[..., DcmQrScp],
    orthanc: Callable[..., Orthanc],
    tmp_path: Path,
    archive_program: str,
) -> None:
    archive = start_archive()
    rule = (
        "dn: cn=matches,dicomDeviceName=dcm4chee-arc,cn=Devices,cn=DICOM Configuration,dc=dcm4che,dc=org\n"
        "changetype: add\nobjectClass: dcmArchiveAttributeCoercion2\ncn: matches\ndcmDIMSE: C_FIND_RSP\n"
        "dicomTransferRole: SCU\ndcmURI: leading-arc:QRSCP\n\n"
    )
    assert archive.slapd.ldapmodify(rule).returncode == 0
    archive.reload()
    leading = (
        dcmqrscp(port=archive.leading_port)
        if archive_program == "dcmqrscp"
        else orthanc(ae_title="QRSCP", settings={"DicomPort": archive.leading_port})
    )
    studies = [f"{STUDY}.{number}" for number in range(1, 6)]
    for study_uid in studies:
        feed(archive, tmp_path / study_uid, leading, study_uid)
    keys = {"StudyInstanceUID": "", "PatientName": "", "PatientID": "", "StudyDescription": ""}
    outcome = findscu(archive.port, called_ae_title="DCM4CHEE", level="STUDY", keys=keys)
    assert outcome.status == 0x0000
    assert {match.StudyInstanceUID for match in outcome.matches} == set(studies)
    found = {(str(match.PatientName), match.PatientID, match.StudyDescription) for match in outcome.matches}
    assert found == {("Right^Name", "RIGHT-ID", "Right description")}
    if isinstance(leading, DcmQrScp):
        assert leading.requests("C-FIND RQ") == 1


def test_sighup_reloads_and_sigterm_stops(start_archive: StartArchive) -> None:
    archive = start_archive()
    before = httpx.get(f"{archive.http}/health/ready").json()["configuration"]
    assert archive.slapd.ldapmodify(OUR_LDIF / "leading-cfind-scp.ldif").returncode == 0
    os.kill(archive.process.pid, signal.SIGHUP)
    for _ in range(500):
        after = httpx.get(f"{archive.http}/health/ready").json()["configuration"]
        if after["fingerprint"] != before["fingerprint"]:
            break
    assert after["fingerprint"] != before["fingerprint"]
    os.kill(archive.process.pid, signal.SIGTERM)
    assert archive.process._popen.wait(60) == 0


def test_the_reload_command_tells_a_bad_tree(start_archive: StartArchive) -> None:
    archive = start_archive()
    assert archive.command("reload", "--http", archive.http).returncode == 0
    bad = (OUR_LDIF / "leading-cfind-scp.ldif").read_text().replace("PT5M", "5 minutes")
    assert archive.slapd.ldapmodify(bad).returncode == 0
    refused = archive.command("reload", "--http", archive.http)
    assert refused.returncode == 1
    assert "dcmLeadingCFindSCPQueryCacheStaleTimeout" in refused.stderr
    assert "5 minutes" in refused.stderr
    answer = httpx.post(f"{archive.http}/dcm4chee-arc/ctrl/reload")
    assert answer.status_code == 409
    assert any(p["attribute"] == "dcmLeadingCFindSCPQueryCacheStaleTimeout" for p in answer.json()["problems"])
    assert httpx.get(f"{archive.http}/dcm4chee-arc/ctrl/status").json() == {"status": "STARTED"}
    assert httpx.get(f"{archive.http}/health/live").status_code == 200
    checked = archive.command("check", *archive.options, "--json")
    assert checked.returncode == 1
    assert {p["severity"] for p in json.loads(checked.stdout)} >= {"ERROR"}


def test_a_directory_that_goes_away_stops_nothing(
    start_archive: StartArchive, storescp: Callable[..., StoreScp], tmp_path: Path
) -> None:
    archive = start_archive()
    storescp(port=archive.viewer_port)
    stale = make_study(tmp_path / "s", patient_id="P", patient_name="A^B", study_uid=STUDY)
    assert storescu(archive.port, stale, called_ae_title="DCM4CHEE").returncode == 0
    assert move_study(archive) == 0x0000
    archive.slapd.stop()
    assert archive.command("reload", "--http", archive.http).returncode == 1
    assert move_study(archive) == 0x0000


# DCMTK's clients against our services.


@pytest.fixture
def fed(start_archive: StartArchive, tmp_path: Path) -> Archive:
    archive = start_archive()
    files = make_study(
        tmp_path / "s", patient_id="P1", patient_name="Smith^John", study_uid=STUDY, instances=2, series=2
    )
    for number, name in enumerate(("MR_small_RLE.dcm", "test-SR.dcm", "rtplan.dcm", "SC_rgb_rle_2frame.dcm")):
        ds = read_sample(name)
        ds.StudyInstanceUID, ds.PatientID, ds.PatientName = STUDY, "P1", "Smith^John"
        files.append(write(ds, tmp_path / f"{number}.dcm"))
    assert dcmsend(archive.port, files, called_ae_title="DCM4CHEE").returncode == 0
    return archive


def test_findscu(fed: Archive) -> None:
    keys = {"StudyInstanceUID": "", "PatientName": "smith*"}
    counts = {"NumberOfStudyRelatedInstances": "", "ModalitiesInStudy": ""}
    outcome = findscu(fed.port, called_ae_title="DCM4CHEE", level="STUDY", keys=keys | counts)
    assert outcome.status == 0x0000
    (match,) = outcome.matches
    assert match.StudyInstanceUID == STUDY
    assert match.NumberOfStudyRelatedInstances == 8
    assert {"CT", "MR", "SR", "RTPLAN"} <= set(match.ModalitiesInStudy)


def test_movescu_of_all_kinds_of_objects(fed: Archive, storescp: Callable[..., StoreScp]) -> None:
    viewer = storescp(port=fed.viewer_port, options=("+xa", "+B", "+uf"))
    outcome = move_all(fed)
    assert (outcome.status, outcome.final.completed, outcome.final.failed) == (0x0000, 8, 0)
    assert len(viewer.received()) == 8
    requests = viewer.store_requests()
    assert {request.calling_ae_title for request in requests} == {"DCM4CHEE"}
    assert all(request.move_originator_ae_title for request in requests)


def test_movescu_to_a_viewer_that_takes_only_uncompressed_objects(
    fed: Archive, storescp: Callable[..., StoreScp]
) -> None:
    viewer = storescp(port=fed.viewer_port, options=("+xi", "+uf"))
    outcome = move_all(fed)
    assert (outcome.status, outcome.final.completed) == (0x0000, 8)
    assert {str(ds.file_meta.TransferSyntaxUID) for ds in viewer.datasets()} == {"1.2.840.10008.1.2"}


def test_getscu(fed: Archive, tmp_path: Path) -> None:
    outcome = getscu(
        fed.port, tmp_path / "got", called_ae_title="DCM4CHEE", level="STUDY", keys={"StudyInstanceUID": STUDY}
    )
    # The tool does not negotiate RLE: those two are decompressed on the way.
    assert (outcome.status, outcome.final.completed) == (0x0000, 8)
    assert len(outcome.files) == 8
