"""A long-term archive with stale values, a leading archive, a viewer, and one LDIF that joins them.

With --proxy the long-term archive is an Orthanc that stays as it is, and the service stands in front of it. Everything
runs on loopback and in a temporary directory, and is stopped and removed at the end.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from pydicom.uid import generate_uid

from scripts.demo_proxy import TRY_PROXY, play_proxy
from scripts.demo_scene import (
    Scene,
    Steps,
    http,
    move,
    ports,
    start_directory,
    start_leading,
    start_service,
    start_viewer,
    store,
)
from scripts.demo_study import INSTANCES, make_both, verdict
from tests.fixtures.ports import free_port
from tests.fixtures.slapd import OUR_LDIF

TRY = """\
  movescu -v -S -aec DCM4CHEE -aem STORESCP -k QueryRetrieveLevel=STUDY -k StudyInstanceUID={study_uid} \\
      localhost {archive}
  findscu -v -S -aec QRSCP -k QueryRetrieveLevel=STUDY -k StudyInstanceUID={study_uid} -k PatientName \\
      localhost {leading}
or, with dcm4che's tools,

  movescu -c DCM4CHEE@localhost:{archive} -m StudyInstanceUID={study_uid} --dest STORESCP
"""
CHANGE = """\
  {edit} <<'END'

dn: {rule},cn=Devices,cn=DICOM Configuration,dc=dcm4che,dc=org
changetype: modify
replace: dcmAttributeUpdatePolicy
dcmAttributeUpdatePolicy: SUPPLEMENT
-

END
  {program} reload --http {http}
  {program} explain --study {study_uid} --to STORESCP --http {http}
  {program} status --http {http}
  {program} show {source}
"""
RULE, PROXY_RULE = (
    "cn=Leading DCMQRSCP,dicomDeviceName=dcm4chee-arc",
    "cn=Leading objects,dicomDeviceName=dcm4py-leading",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--proxy", action="store_true", help="in front of an existing PACS, which is an Orthanc")
    parser.add_argument("--keep", action="store_true", help="leave everything running, with commands to try by hand")
    parser.add_argument(
        "--without", action="append", default=[], choices=["slapd", "dcmtk"], help="act as if it were not installed"
    )
    options = parser.parse_args()
    step = Steps()
    with tempfile.TemporaryDirectory(prefix="dcm4py-demo-") as name, ExitStack() as running:
        scene = Scene(
            directory=Path(name),
            ports=ports(),
            http_port=free_port(),
            without=frozenset(options.without),
            running=running,
        )
        study_uid = str(generate_uid())
        passed = (play_proxy if options.proxy else play)(scene, step, study_uid)
        if options.keep:
            keep(scene, *((TRY_PROXY, PROXY_RULE) if options.proxy else (TRY, RULE)), study_uid)
        step("stopping everything")
    return 0 if passed else 1


def play(scene: Scene, step: Steps, study_uid: str) -> bool:
    """The scene from the empty directory to the verdict."""
    start_directory(scene, step)
    start_viewer(scene, step)
    start_leading(scene, step)
    step(f"starting the long-term archive DCM4CHEE on port {scene.ports['archive']}: dcm4py-leading")
    start_service(scene, "service", [*scene.source, "--http", f"127.0.0.1:{scene.http_port}"], scene.http_port)

    step(f"one real CT study of {INSTANCES} objects to both archives; DCM4CHEE gets stale patient and study attributes")
    stale, current = make_both(scene.directory, study_uid)
    store(scene, current, scene.ports["leading"], "QRSCP")
    store(scene, stale, scene.ports["archive"], "DCM4CHEE")

    step("C-MOVE to STORESCP without the rule")
    move(scene, study_uid, port=scene.ports["archive"])
    before = scene.delivered()

    step("the change: ldif/leading-cfind-scp.ldif")
    scene.apply_change(OUR_LDIF / "leading-cfind-scp.ldif")
    step("reload: POST /dcm4chee-arc/ctrl/reload")
    http(scene.http_port, "POST", "/dcm4chee-arc/ctrl/reload")

    step("C-MOVE to STORESCP with the rule")
    move(scene, study_uid, port=scene.ports["archive"])
    return verdict(
        before,
        scene.delivered()[len(before) :],
        ("attribute", "DCM4CHEE (ours)", "QRSCP (leading)", "without the rule", "with the rule"),
    )


def keep(scene: Scene, hints: str, rule: str, study_uid: str) -> None:
    """Leave it running until Enter or Ctrl-C, with commands to try."""
    command_line = Path(sys.executable).with_name("dcm4py-leading")
    device = ["--device", rule.rpartition("=")[2]]
    change = CHANGE.format(
        edit=scene.edit,
        rule=rule,
        program=command_line if command_line.exists() else f"{sys.executable} -m dcm4py_leading",
        http=f"http://127.0.0.1:{scene.http_port}",
        source=shlex.join([*device, *scene.source]),
        study_uid=study_uid,
    )
    print(
        f"\nAll of it is still running; its files are in {scene.directory}. Try\n\n"
        f"{hints.format(study_uid=study_uid, **scene.ports)}\n"
        "To let the leading archive fill in what the objects lack, and no more (MERGE is what it was before):\n\n"
        f"{change}\n"
        f"The service's log: {scene.directory / 'service.log'}\n"
        f"In a browser: http://127.0.0.1:{scene.http_port}/ui/\nEnter or Ctrl-C ends everything."
    )
    try:
        input()
    except (KeyboardInterrupt, EOFError):
        print()


if __name__ == "__main__":
    os.environ.setdefault("TCP_NODELAY", "1")  # DCMTK's switch
    sys.exit(main())
