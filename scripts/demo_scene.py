"""Parts of a demonstration: the directory, a viewer, archives, and what is done with them."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pydicom
from pydicom import Dataset
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelMove  # type: ignore[attr-defined]

from tests.fixtures.dcmtk import DcmQrScp, StoreScp, movescu, storescu
from tests.fixtures.ports import free_port
from tests.fixtures.processes import find_program
from tests.fixtures.slapd import OUR_LDIF, Slapd

ROOT = Path(__file__).resolve().parents[1]
USUAL_PORTS = {"archive": 11112, "leading": 11113, "proxy": 11114, "viewer": 11115}


@dataclass
class Scene:
    """Scene: what runs, and how to reach it."""

    directory: Path
    ports: dict[str, int]
    http_port: int
    without: frozenset[str]
    running: ExitStack
    source: list[str] = field(default_factory=list)
    edit: str = ""
    """The beginning of a shell command that changes the directory; change records in LDIF come on its input."""
    apply_change: Callable[[Path], object] = lambda _: None
    delivered: Callable[[], list[Dataset]] = list

    def has(self, *programs: str) -> bool:
        """True if these programs are installed and wanted."""
        return all(find_program(name) is not None for name in programs)

    def subdirectory(self, name: str) -> Path:
        path = self.directory / name
        path.mkdir()
        return path


class Steps:
    """Progress, with the time that has passed."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, text: str) -> None:
        print(f"[{time.monotonic() - self._began:5.1f} s] {text}", flush=True)


def start_directory(scene: Scene, step: Steps) -> None:
    """slapd with our schema and the quickstart tree, else the embedded directory on the same LDIF."""
    tree = on_our_ports(scene, OUR_LDIF / "quickstart.ldif")
    data_dir = ["--data-dir", str(scene.subdirectory("service"))]
    if scene.has("slapd", "slapadd", "ldapmodify") and "slapd" not in scene.without:
        slapd = scene.running.enter_context(Slapd(scene.subdirectory("slapd"), content=[tree]))
        step(f"directory: a real slapd at {slapd.url}, with schema/ and ldif/quickstart.ldif")
        scene.source = [
            *("--ldap-url", f"{slapd.url}/{slapd.base_dn}"),
            *("--bind-dn", slapd.bind_dn, "--bind-password-file", str(slapd.password_file)),
            *data_dir,
        ]
        scene.edit = f"ldapmodify -x -H {slapd.url} -D {slapd.bind_dn} -y {slapd.password_file}"

        def ldapmodify(change: Path) -> None:
            done = slapd.ldapmodify(change)
            if done.returncode:
                raise SystemExit(f"ldapmodify: {done.stderr}")

        scene.apply_change = ldapmodify
        return
    step("directory: slapd is not here, so the embedded directory reads ldif/quickstart.ldif itself")
    quickstart, changes = scene.directory / "quickstart.ldif", scene.directory / "changes.ldif"
    quickstart.write_text(tree)
    changes.write_text("version: 1\n")
    scene.edit = f"cat >> {changes}"
    scene.source = ["--ldif", str(quickstart), "--ldif", str(changes), *data_dir]
    scene.apply_change = lambda change: shutil.copyfile(change, changes)


def on_our_ports(scene: Scene, ldif: Path) -> str:
    """An LDIF with the ports of this scene instead of the usual ones, and loopback instead of all addresses."""
    text = ldif.read_text()
    for role, usual_port in USUAL_PORTS.items():
        text = text.replace(f"dicomPort: {usual_port}\n", f"dicomPort: {scene.ports[role]}\n")
    return text.replace("dcmBindAddress: 0.0.0.0", "dcmBindAddress: 127.0.0.1")


def start_viewer(scene: Scene, step: Steps) -> None:
    """STORESCP: DCMTK's storescp, else pynetdicom."""
    port = scene.ports["viewer"]
    if scene.has("storescp") and "dcmtk" not in scene.without:
        step(f"viewer STORESCP on port {port}: DCMTK's storescp")
        viewer = scene.running.enter_context(
            StoreScp(scene.subdirectory("viewer"), port=port, options=("+xa", "+B", "+uf"))
        )
        scene.delivered = viewer.datasets
        return
    step(f"viewer STORESCP on port {port}: pynetdicom, as DCMTK is not here")
    received: list[Dataset] = []

    def on_store(event: evt.Event) -> int:
        received.append(event.dataset)
        return 0x0000

    ae = AE("STORESCP")
    ae.supported_contexts = AllStoragePresentationContexts
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, on_store)])
    assert server is not None
    scene.running.callback(server.shutdown)
    scene.delivered = received.copy


def start_leading(scene: Scene, step: Steps) -> None:
    """QRSCP: DCMTK's dcmqrscp, else another of our own services."""
    port = scene.ports["leading"]
    if scene.has("dcmqrscp") and "dcmtk" not in scene.without:
        step(f"leading archive QRSCP on port {port}: DCMTK's dcmqrscp")
        scene.running.enter_context(DcmQrScp(scene.subdirectory("leading"), port=port))
        return
    step(f"leading archive QRSCP on port {port}: dcm4py-leading, as DCMTK is not here")
    records = (OUR_LDIF / "quickstart.ldif").read_text().split("\n\n")
    own = [record for record in records if "dicomDeviceName=dcmqrscp" not in record and "=QRSCP," not in record]
    tree = scene.directory / "leading.ldif"
    tree.write_text(
        "\n\n".join(own).replace("DCM4CHEE", "QRSCP").replace("dicomPort: 11112", f"dicomPort: {port}") + "\n"
    )
    http_port = free_port()
    data_dir = str(scene.subdirectory("leading"))
    options = ["--ldif", str(tree), "--data-dir", data_dir, "--http", f"127.0.0.1:{http_port}"]
    start_service(scene, "leading", options, http_port)


def start_service(scene: Scene, name: str, options: Sequence[str], http_port: int) -> None:
    """Run ``dcm4py-leading serve``, as one process, until the scene ends; return when it is ready."""
    log = scene.directory / f"{name}.log"
    command = [sys.executable, "-m", "dcm4py_leading", "serve", "--workers", "1", *options]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=ROOT, start_new_session=True)
    scene.running.callback(_end, process)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            http(http_port, "GET", "/health/ready")
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"dcm4py-leading did not start:\n{log.read_text()}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()


def http(port: int, method: str, path: str) -> str:
    """One request to the service's control. Raises OSError when it cannot be reached."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return str(response.read().decode())
    except urllib.error.HTTPError as err:
        raise SystemExit(f"{method} {path}: {err.code} {err.read().decode()}") from err


def store(scene: Scene, files: Sequence[Path], port: int, called: str) -> None:
    """C-STORE the files, with DCMTK's storescu or pynetdicom."""
    if scene.has("storescu") and "dcmtk" not in scene.without:
        outcome = storescu(port, files, called_ae_title=called)
        if outcome.returncode:
            raise SystemExit(outcome.output)
        return
    ae = AE("DEMO")
    for ds in (pydicom.dcmread(path, specific_tags=["SOPClassUID"]) for path in files):
        ae.add_requested_context(ds.SOPClassUID, ds.file_meta.TransferSyntaxUID)
        break
    with associated(ae, port, called) as assoc:
        for path in files:
            status = assoc.send_c_store(pydicom.dcmread(path))
            if status.get("Status") != 0x0000:
                raise SystemExit(f"C-STORE to {called}: {status}")


def move(scene: Scene, study_uid: str, *, port: int, called: str = "DCM4CHEE") -> None:
    """C-MOVE the study to STORESCP, with DCMTK's movescu or pynetdicom."""
    if scene.has("movescu") and "dcmtk" not in scene.without:
        outcome = movescu(
            port,
            called_ae_title=called,
            destination="STORESCP",
            level="STUDY",
            keys={"StudyInstanceUID": study_uid},
        )
        if outcome.status != 0x0000:
            raise SystemExit(outcome.output)
        return
    ae = AE("DEMO")
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelMove)
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    identifier.StudyInstanceUID = study_uid
    with associated(ae, port, called) as assoc:
        responses = list(assoc.send_c_move(identifier, "STORESCP", StudyRootQueryRetrieveInformationModelMove))
    if responses[-1][0].get("Status") != 0x0000:
        raise SystemExit(f"C-MOVE: {responses[-1][0]}")


@contextmanager
def associated(ae: AE, port: int, called: str) -> Iterator[Association]:
    assoc = ae.associate("127.0.0.1", port, ae_title=called)
    if not assoc.is_established:
        raise SystemExit(f"no association with {called}")
    try:
        yield assoc
    finally:
        assoc.release()


def ports() -> dict[str, int]:
    """The usual ports if all of them are free, else others."""
    try:
        for port in USUAL_PORTS.values():
            socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return {role: free_port() for role in USUAL_PORTS}
    return dict(USUAL_PORTS)
