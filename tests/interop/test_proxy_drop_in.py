"""ldif/proxy.ldif beside dcm4chee's stock configuration: our own device in front of the PACS that is there already."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.fixtures.datasets import make_study
from tests.fixtures.dcmtk import DcmQrScp, StoreScp, findscu, getscu, movescu, storescu
from tests.fixtures.orthanc import Orthanc
from tests.fixtures.ports import free_ports
from tests.fixtures.processes import Peer, Process
from tests.fixtures.slapd import BASE_DN, OUR_LDIF, Slapd, SlapdFactory, Upstream

DEVICES = f"cn=Devices,cn=DICOM Configuration,{BASE_DN}"
OUR_DEVICE = f"dicomDeviceName=dcm4py-leading,{DEVICES}"
PROXY, PROXY_ARCHIVE = OUR_LDIF / "proxy.ldif", OUR_LDIF / "proxy-archive.ldif"
PROXY_SEVERAL = OUR_LDIF / "proxy-several.ldif"
ALREADY_EXISTS = 68
STUDY = "1.2.826.0.1.3680043.8.498.81"
LOCAL_STUDY = "1.2.826.0.1.3680043.8.498.82"
OLD, NEW = ("OLD", "Old^Name"), ("NEW", "New^Name")


def on_port(device: str, port: int) -> str:
    """A record that lets the connection of a device be on this port."""
    return (
        f"dn: cn=dicom,dicomDeviceName={device},{DEVICES}\nchangetype: modify\nreplace: dicomPort\ndicomPort: {port}\n"
    )


def entries_of(slapd: Slapd, device: str) -> list[dict[str, list[str]]]:
    found = slapd.ldapsearch(base=f"dicomDeviceName={device},{DEVICES}")
    return sorted(
        ({name: sorted(values) for name, values in entry.items()} for entry in found), key=lambda entry: entry["dn"]
    )


@pytest.fixture(params=["the stock tree, upstream's schema", "the quickstart tree, our schema"])
def directory(request: pytest.FixtureRequest, slapd_factory: SlapdFactory) -> Slapd:
    """With the PACS DCM4CHEE, the leading archive QRSCP and the viewer STORESCP."""
    if request.param.startswith("the quickstart"):
        return slapd_factory(content=[OUR_LDIF / "quickstart.ldif"])
    upstream: Upstream = request.getfixturevalue("upstream")
    slapd = slapd_factory(schema=upstream.schema, content=upstream.stock_content)
    done = slapd.ldapmodify(OUR_LDIF / "stock-peers.ldif")
    assert done.returncode == 0, done.stderr
    return slapd


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Ours between the viewer and the PACS, which has STUDY under the old name; QRSCP has it under the new one."""

    slapd: Slapd
    pacs: Orthanc
    leading: DcmQrScp
    viewer: StoreScp
    port: int
    http: str

    def matches(self, called: str = "LEADING") -> set[tuple[str, str, str, str]]:
        """Study, patient and Retrieve AE Title of everything that is found."""
        outcome = findscu(
            self.port,
            called_ae_title=called,
            level="STUDY",
            keys={"StudyInstanceUID": "", "PatientID": "", "PatientName": "", "RetrieveAETitle": ""},
        )
        assert outcome.status == 0x0000
        return {(m.StudyInstanceUID, m.PatientID, str(m.PatientName), m.RetrieveAETitle) for m in outcome.matches}

    def moved(self, study_uid: str, called: str = "LEADING") -> int:
        """How many objects were moved to the viewer."""
        outcome = movescu(
            self.port,
            called_ae_title=called,
            destination="STORESCP",
            level="STUDY",
            keys={"StudyInstanceUID": study_uid},
        )
        assert outcome.status == 0x0000 and outcome.final is not None and outcome.final.completed is not None
        return outcome.final.completed

    def delivered(self) -> set[tuple[str, str, str]]:
        """Study and patient of everything that the viewer has got."""
        return {(ds.StudyInstanceUID, ds.PatientID, str(ds.PatientName)) for ds in self.viewer.datasets()}


@pytest.fixture
def scene(
    directory: Slapd,
    orthanc: Callable[..., Orthanc],
    dcmqrscp: Callable[..., DcmQrScp],
    storescp: Callable[..., StoreScp],
    tmp_path: Path,
) -> Iterator[Scene]:
    port, pacs_port, viewer_port, http_port = free_ports(4)
    pacs = orthanc(
        ae_title="DCM4CHEE",
        destinations=[Peer(ae_title="LEADING", port=port)],
        settings={"DicomPort": pacs_port},
    )
    leading = dcmqrscp()
    for archive, (patient_id, patient_name) in ((pacs, OLD), (leading, NEW)):
        for uid in (STUDY, LOCAL_STUDY)[: 1 if archive is pacs else 2]:
            name = tmp_path / f"{archive.ae_title}-{uid}"
            archive.store(make_study(name, patient_id=patient_id, patient_name=patient_name, study_uid=uid))
    done = directory.ldapmodify(PROXY)
    assert done.returncode == 0, done.stderr
    ports = {"dcm4chee-arc": pacs_port, "dcmqrscp": leading.port, "storescp": viewer_port, "dcm4py-leading": port}
    records = [on_port(device, number) for device, number in ports.items()]
    records.append(
        f"dn: cn=dicom,{OUR_DEVICE}\nchangetype: modify\nreplace: dcmBindAddress\ndcmBindAddress: 127.0.0.1\n"
    )
    done = directory.ldapmodify("\n".join(records))
    assert done.returncode == 0, done.stderr
    http = f"http://127.0.0.1:{http_port}"
    command = [
        *(sys.executable, "-m", "dcm4py_leading", "serve", "--workers", "1"),
        *("--device", "dcm4py-leading"),
        *("--ldap-url", f"{directory.url}/{directory.base_dn}", "--bind-dn", directory.bind_dn),
        *("--bind-password-file", str(directory.password_file)),
        *("--data-dir", str(tmp_path / "data"), "--http", http.removeprefix("http://")),
    ]

    def is_ready() -> bool:
        try:
            return httpx.get(f"{http}/health/ready", timeout=60).status_code == 200
        except httpx.HTTPError:
            return False

    with ExitStack() as running:
        process = Process(command, log=tmp_path / "service.log")
        running.callback(process.stop)
        process.await_ready(is_ready)
        viewer = storescp(port=viewer_port, options=("+xa", "+B", "+uf"))
        yield Scene(slapd=directory, pacs=pacs, leading=leading, viewer=viewer, port=port, http=http)


@pytest.mark.peers
@pytest.mark.ldap("dcmSpanningCFindSCP")
@pytest.mark.ldap("dcmSpanningCFindSCPPolicy")
@pytest.mark.ldap("dcmSpanningCFindSCPRetrieveAET")
@pytest.mark.ldap("dcmFallbackCMoveSCP")
@pytest.mark.ldap("dcmFallbackCMoveSCPDestination")
@pytest.mark.ldap("dcmFallbackCMoveSCPCallingAET")
def test_a_viewer_finds_and_retrieves_the_studies_of_the_pacs_as_the_leading_archive_has_them(
    scene: Scene, tmp_path: Path
) -> None:
    assert scene.matches() == {(STUDY, *NEW, "LEADING")}
    assert scene.moved(STUDY) == len(scene.viewer.received()) == 3
    assert scene.delivered() == {(STUDY, *NEW)}
    assert {request.calling_ae_title for request in scene.viewer.store_requests()} == {"LEADING"}
    got = getscu(
        scene.port, tmp_path / "got", called_ae_title="LEADING", level="STUDY", keys={"StudyInstanceUID": STUDY}
    )
    assert got.status == 0x0000 and len(got.files) == 3


@pytest.mark.peers
def test_objects_of_a_modality_go_to_the_pacs_unchanged_and_unasked_ones_of_the_pacs_are_refused(
    scene: Scene, tmp_path: Path
) -> None:
    files = make_study(tmp_path / "new", patient_id="OLD", patient_name="Old^Name", study_uid=LOCAL_STUDY)
    refused = storescu(scene.port, files[:1], called_ae_title="LEADING", calling_ae_title="DCM4CHEE")
    assert refused.status == 0xC000
    assert "nobody asked DCM4CHEE for it, and here is no storage" in refused.output
    assert scene.pacs.instance_count() == 3

    assert storescu(scene.port, files, called_ae_title="LEADING").returncode == 0
    assert scene.pacs.instance_count() == 6
    there = [scene.pacs.instance(one) for one in scene.pacs.rest("GET", "/instances")]
    assert {(ds.PatientID, str(ds.PatientName)) for ds in there} == {OLD}
    assert scene.matches() == {(STUDY, *NEW, "LEADING"), (LOCAL_STUDY, *NEW, "LEADING")}


@pytest.mark.peers
@pytest.mark.ldap("dcmShareTransferCapabilitiesFromAETitle")
def test_title_with_an_own_archive_has_both_and_another_title_only_the_own_studies(
    scene: Scene, tmp_path: Path
) -> None:
    changed = scene.slapd.ldapmodify(PROXY_ARCHIVE)
    assert changed.returncode == 0, changed.stderr
    assert httpx.post(f"{scene.http}/dcm4chee-arc/ctrl/reload", timeout=60).status_code == 204
    files = make_study(tmp_path / "local", patient_id="OLD", patient_name="Old^Name", study_uid=LOCAL_STUDY)
    assert storescu(scene.port, files, called_ae_title="LEADING").returncode == 0

    assert scene.matches() == {(STUDY, *NEW, "LEADING"), (LOCAL_STUDY, *NEW, "LEADING")}
    assert scene.matches("LEADING_ARC") == {(LOCAL_STUDY, *NEW, "LEADING")}
    assert scene.moved(STUDY) == scene.moved(LOCAL_STUDY) == scene.moved(LOCAL_STUDY, "LEADING_ARC") == 3
    assert scene.moved(STUDY, "LEADING_ARC") == 0  # nothing is there
    assert scene.delivered() == {(STUDY, *NEW), (LOCAL_STUDY, *NEW)}
    assert scene.pacs.instance_count() == 3


@pytest.mark.peers
@pytest.mark.ldap("dcmSpanningCFindSCP")
@pytest.mark.ldap("dcmFallbackCMoveSCP")
def test_a_second_pacs_behind_the_same_title_is_asked_for_what_the_first_does_not_have(
    scene: Scene, dcmqrscp: Callable[..., DcmQrScp], tmp_path: Path
) -> None:
    old_pacs = dcmqrscp(ae_title="OLD_PACS", destinations=[Peer(ae_title="LEADING", port=scene.port)])
    for uid in (STUDY, LOCAL_STUDY):
        name = tmp_path / f"old-{uid}"
        old_pacs.store(make_study(name, patient_id="OLD", patient_name="Old^Name", study_uid=uid, instances=2))
    for change in (PROXY_SEVERAL, on_port("old-pacs", old_pacs.port)):
        changed = scene.slapd.ldapmodify(change)
        assert changed.returncode == 0, changed.stderr
    assert httpx.post(f"{scene.http}/dcm4chee-arc/ctrl/reload", timeout=60).status_code == 204

    assert scene.matches() == {(STUDY, *NEW, "LEADING"), (LOCAL_STUDY, *NEW, "LEADING")}
    assert (scene.moved(STUDY), scene.moved(LOCAL_STUDY)) == (3, 2)
    assert scene.delivered() == {(STUDY, *NEW), (LOCAL_STUDY, *NEW)}


@pytest.mark.peers
@pytest.mark.ldap("dcmOtherAETitle")
def test_it_answers_under_the_title_of_the_pacs_too(scene: Scene) -> None:
    changed = scene.slapd.ldapmodify(
        f"dn: dicomAETitle=LEADING,{OUR_DEVICE}\nchangetype: modify\nadd: dcmOtherAETitle\ndcmOtherAETitle: DCM4CHEE\n"
    )
    assert changed.returncode == 0, changed.stderr
    assert httpx.post(f"{scene.http}/dcm4chee-arc/ctrl/reload", timeout=60).status_code == 204

    assert scene.matches("DCM4CHEE") == {(STUDY, *NEW, "LEADING")}
    assert scene.moved(STUDY, "DCM4CHEE") == 3
    assert scene.delivered() == {(STUDY, *NEW)}


@pytest.mark.peers
def test_our_device_stands_beside_the_pacs_and_changes_nothing_of_it(directory: Slapd) -> None:
    before = entries_of(directory, "dcm4chee-arc")

    for path in (PROXY, PROXY_ARCHIVE, PROXY_SEVERAL):
        changed = directory.ldapmodify(path)
        assert changed.returncode == 0, changed.stderr

    assert entries_of(directory, "dcm4chee-arc") == before
    reserved = directory.ldapsearch(base=f"cn=Unique AE Titles Registry,cn=DICOM Configuration,{BASE_DN}", scope="one")
    assert {"LEADING", "LEADING_ARC", "DCM4CHEE"} <= {entry["dicomaetitle"][0] for entry in reserved}
    ours = directory.ldapsearch(base=OUR_DEVICE, filter_="(objectClass=dicomNetworkAE)")
    assert {entry["dicomaetitle"][0] for entry in ours} == {"LEADING", "LEADING_ARC"}


@pytest.mark.peers
def test_a_second_run_of_the_recipe_ends_at_once_and_changes_nothing(directory: Slapd) -> None:
    directory.ldapmodify(PROXY)
    once = entries_of(directory, "dcm4py-leading")

    assert directory.ldapmodify(PROXY).returncode == ALREADY_EXISTS
    assert entries_of(directory, "dcm4py-leading") == once


@pytest.mark.peers
def test_the_recipe_negotiates_what_the_quickstart_archive_negotiates(slapd_factory: SlapdFactory) -> None:
    slapd = slapd_factory(content=[OUR_LDIF / "quickstart.ldif"])
    slapd.ldapmodify(PROXY)

    def capabilities(device: str) -> list[dict[str, list[str]]]:
        return [
            {name: values for name, values in entry.items() if name != "dn"}
            for entry in entries_of(slapd, device)
            if "dicomTransferCapability" in entry["objectclass"]
        ]

    def by_name(found: list[dict[str, list[str]]]) -> list[dict[str, list[str]]]:
        return sorted(found, key=lambda entry: entry["cn"])

    assert by_name(capabilities("dcm4py-leading")) == by_name(capabilities("dcm4chee-arc")) != []
