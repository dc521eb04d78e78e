"""The scene with a PACS that stays as it is, and the service between it and the viewers (docs/proxy.md)."""

from __future__ import annotations

from pydicom import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind  # type: ignore[attr-defined]

from scripts.demo_scene import (
    Scene,
    Steps,
    associated,
    move,
    on_our_ports,
    start_directory,
    start_leading,
    start_service,
    start_viewer,
    store,
)
from scripts.demo_study import CURRENT, INSTANCES, make_both, verdict
from tests.fixtures.dcmtk import findscu
from tests.fixtures.orthanc import Orthanc
from tests.fixtures.processes import Peer
from tests.fixtures.slapd import OUR_LDIF

TRY_PROXY = """\
  findscu -v -S -aec LEADING -k QueryRetrieveLevel=STUDY -k StudyInstanceUID= -k PatientName -k PatientID \\
      localhost {proxy}
  movescu -v -S -aec LEADING -aem STORESCP -k QueryRetrieveLevel=STUDY -k StudyInstanceUID={study_uid} \\
      localhost {proxy}
and, to see what the PACS itself has,

  movescu -v -S -aec DCM4CHEE -aem STORESCP -k QueryRetrieveLevel=STUDY -k StudyInstanceUID={study_uid} \\
      localhost {archive}
"""


def play_proxy(scene: Scene, step: Steps, study_uid: str) -> bool:
    """The scene from the empty directory to the verdict."""
    if not scene.has("Orthanc"):
        raise SystemExit("the PACS of this scene is Orthanc (Debian package orthanc)")
    start_directory(scene, step)
    start_viewer(scene, step)
    start_leading(scene, step)
    pacs = start_pacs(scene, step)

    step(f"one real CT study of {INSTANCES} objects to both archives; DCM4CHEE gets stale patient and study attributes")
    stale, current = make_both(scene.directory, study_uid)
    store(scene, current, scene.ports["leading"], "QRSCP")
    store(scene, stale, scene.ports["archive"], "DCM4CHEE")

    step("C-MOVE from DCM4CHEE to STORESCP")
    move(scene, study_uid, port=scene.ports["archive"])
    before = scene.delivered()

    step("the change: ldif/proxy.ldif")
    change = scene.directory / "proxy.ldif"
    change.write_text(on_our_ports(scene, OUR_LDIF / "proxy.ldif"))
    scene.apply_change(change)
    step(f"starting LEADING on port {scene.ports['proxy']}: dcm4py-leading, device dcm4py-leading")
    options = ["--device", "dcm4py-leading", *scene.source, "--http", f"127.0.0.1:{scene.http_port}"]
    start_service(scene, "service", options, scene.http_port)

    step("C-FIND at LEADING")
    names = find(scene)
    step(f"one study is found, of {names[0]}" if len(names) == 1 else f"{len(names)} studies are found")
    step("C-MOVE from LEADING to STORESCP")
    move(scene, study_uid, port=scene.ports["proxy"], called="LEADING")
    is_right = verdict(
        before,
        scene.delivered()[len(before) :],
        ("attribute", "DCM4CHEE (PACS)", "QRSCP (leading)", "from DCM4CHEE", "from LEADING"),
    )
    if pacs.instance_count() != INSTANCES or names != [CURRENT["PatientName"]]:
        print(
            "FAILED: the PACS has changed, or the query did not answer with the leading archive's values.", flush=True
        )
        return False
    return is_right


def start_pacs(scene: Scene, step: Steps) -> Orthanc:
    """DCM4CHEE: an Orthanc, which knows LEADING and the viewer as move destinations."""
    port = scene.ports["archive"]
    step(f"the PACS DCM4CHEE on port {port}: Orthanc, which knows the move destinations STORESCP and LEADING")
    destinations = [
        Peer(ae_title="STORESCP", port=scene.ports["viewer"]),
        Peer(ae_title="LEADING", port=scene.ports["proxy"]),
    ]
    return scene.running.enter_context(
        Orthanc(
            scene.subdirectory("pacs"),
            ae_title="DCM4CHEE",
            destinations=destinations,
            settings={"DicomPort": port},
        )
    )


def find(scene: Scene) -> list[str]:
    """The patient names of all studies that LEADING finds, with DCMTK's findscu or pynetdicom."""
    port = scene.ports["proxy"]
    if scene.has("findscu") and "dcmtk" not in scene.without:
        keys = {"StudyInstanceUID": "", "PatientName": ""}
        outcome = findscu(port, called_ae_title="LEADING", level="STUDY", keys=keys)
        if outcome.status != 0x0000:
            raise SystemExit(outcome.output)
        return [str(match.PatientName) for match in outcome.matches]
    ae = AE("DEMO")
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
    keys_wanted = Dataset()
    keys_wanted.QueryRetrieveLevel = "STUDY"
    keys_wanted.StudyInstanceUID = keys_wanted.PatientName = ""
    with associated(ae, port, "LEADING") as assoc:
        responses = list(assoc.send_c_find(keys_wanted, StudyRootQueryRetrieveInformationModelFind))
    if responses[-1][0].get("Status") != 0x0000:
        raise SystemExit(f"C-FIND: {responses[-1][0]}")
    return [str(match.PatientName) for _, match in responses if match is not None]
