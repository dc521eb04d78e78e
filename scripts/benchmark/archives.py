"""Contenders: this service, dcmqrscp and Orthanc, each as an archive below a directory of its own.

All on loopback, with TCP_NODELAY and a maximum PDU length of 128 KiB, otherwise as they are shipped.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from scripts.benchmark import records
from scripts.benchmark.process import BenchmarkError, Server, program, run
from scripts.benchmark.raw.messages import MAX_PDU_LENGTH
from scripts.benchmark.wire import WireError, echo
from tests.fixtures.ports import free_port, free_ports

ROOT = Path(__file__).resolve().parents[2]
DCMQRSCP_STUDIES = 500
"""dcmqrscp keeps no more studies in one storage area, whatever its configuration says."""
DICOMWEB_PLUG_IN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")

_DEVICE = f"dicomDeviceName=dcm4chee-arc,{records.DEVICES}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """An application entity on this machine, to which archives send."""

    ae_title: str
    port: int


class Peer(Protocol):
    """A running archive as it is called: its AE title, port and first process."""

    @property
    def ae_title(self) -> str: ...

    @property
    def port(self) -> int: ...

    @property
    def pid(self) -> int: ...


class Archive(Peer, Protocol):
    """An archive that runs from start() to stop(), and has what was stored when it is started again."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


class Ours:
    """``dcm4py-leading serve`` on ldif/quickstart.ldif; with ``is_leading_asked`` every delivered object and every
    answer gets the attributes of ``leading``."""

    ae_title = "DCM4CHEE"
    dicomweb_root = "/dcm4chee-arc/aets/DCM4CHEE/rs"

    def __init__(
        self,
        directory: Path,
        *,
        leading: Destination,
        destinations: Sequence[Destination],
        is_leading_asked: bool,
        workers: int | None = None,
        source: Path = ROOT,
    ) -> None:
        """``source`` is the checkout whose service runs."""
        self._directory = directory
        self._source = source
        self.data_directory = directory / "data"
        self.data_directory.mkdir(parents=True)
        self.port, self.http_port = free_ports(2)
        tree = (ROOT / "ldif/quickstart.ldif").read_text()
        for seed_port, port in ((11112, self.port), (11113, leading.port)):
            tree = tree.replace(f"dicomPort: {seed_port}\n", f"dicomPort: {port}\n")
        tree_file, changes_file = directory / "tree.ldif", directory / "changes.ldif"
        tree_file.write_text(tree)
        changes = [records.pdu_lengths(_DEVICE), *(records.system(d.ae_title, d.port) for d in destinations)]
        if is_leading_asked:
            changes.append(records.large_cache(_DEVICE))
            changes.append(records.rule(_DEVICE, "Leading objects", "C_STORE_RQ", "SCP"))
            changes.append(records.rule(_DEVICE, "Leading answers", "C_FIND_RSP", "SCU"))
        changes_file.write_text("\n\n".join(["version: 1", *changes]) + "\n")
        self._trees = (tree_file, changes_file)
        self._workers = workers
        self._server: Server

    @property
    def pid(self) -> int:
        return self._server.pid

    def start(self) -> None:
        command = serve_command(self._trees, self.data_directory, http_port=self.http_port, workers=self._workers)
        self._serve((sys.executable, "-m", "dcm4py_leading", *command))

    def start_counted(self, port: int) -> None:
        """Start it as one process whose calls of functions are counted (`scripts.benchmark.counted`)."""
        command = serve_command(self._trees, self.data_directory, http_port=self.http_port, workers=1)
        self._serve((sys.executable, str(ROOT / "scripts/benchmark/counted.py"), str(port), *command))

    def _serve(self, command: Sequence[str]) -> None:
        log = self._directory / "service.log"
        self._server = Server(command, log=log, serves=lambda: answers(self.port, self.ae_title), cwd=self._source)

    def stop(self) -> None:
        self._server.stop(grace_seconds=30)

    def take(self, other: Ours) -> None:
        """Have what the other one has; neither of them may run."""
        shutil.rmtree(self.data_directory)
        shutil.copytree(other.data_directory, self.data_directory)


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A further AE title of a running archive, such as a storage area of dcmqrscp."""

    ae_title: str
    port: int
    pid: int


class DcmQrScp:
    """DCMTK's archive. It reads through the index of a storage area in each request, so there are two of them."""

    ae_title = "DCMQRSCP"
    _other_ae_title = "DCMQRSCP_B"

    def __init__(self, directory: Path, *, destinations: Sequence[Destination]) -> None:
        self.port = free_port()
        areas = {title: directory / title for title in (self.ae_title, self._other_ae_title)}
        for storage in areas.values():
            storage.mkdir(parents=True)
        self._log = directory / "dcmqrscp.log"
        table = "".join(f"{t} {storage} RW ({DCMQRSCP_STUDIES}, 4096mb) ANY\n" for t, storage in areas.items())
        hosts = "".join(f"host{n} = ({d.ae_title}, 127.0.0.1, {d.port})\n" for n, d in enumerate(destinations))
        configuration = directory / "dcmqrscp.cfg"
        configuration.write_text(
            f"NetworkTCPPort = {self.port}\nMaxPDUSize = {MAX_PDU_LENGTH}\nMaxAssociations = 32\n"
            f"HostTable BEGIN\n{hosts}HostTable END\nVendorTable BEGIN\nVendorTable END\n"
            f"AETable BEGIN\n{table}AETable END\n"
        )
        self._command = (program("dcmqrscp", "dcmtk"), "-c", str(configuration))
        self._server: Server

    @property
    def pid(self) -> int:
        return self._server.pid

    @property
    def other(self) -> Area:
        """The second storage area."""
        return Area(ae_title=self._other_ae_title, port=self.port, pid=self.pid)

    def start(self) -> None:
        self._server = Server(self._command, log=self._log, serves=lambda: answers(self.port, self.ae_title))

    def stop(self) -> None:
        self._server.stop()


class Orthanc:
    """Orthanc; it writes each object durably by default, as this service does."""

    dicomweb_root = "/dicom-web"

    def __init__(
        self,
        directory: Path,
        *,
        destinations: Sequence[Destination] = (),
        ae_title: str = "ORTHANC",
        has_dicomweb: bool = False,
    ) -> None:
        """Without plug-ins, unless it is to have DICOMweb."""
        directory.mkdir(parents=True)
        self.ae_title = ae_title
        self.port, self.http_port = free_ports(2)
        self._log = directory / "orthanc.log"
        configuration = directory / "orthanc.json"
        settings: dict[str, object] = {
            "Name": ae_title,
            "StorageDirectory": str(directory / "storage"),
            "IndexDirectory": str(directory / "storage"),
            "Plugins": [str(dicomweb_plug_in())] if has_dicomweb else [],
            "HttpPort": self.http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAet": ae_title,
            "DicomPort": self.port,
            "MaximumPduLength": MAX_PDU_LENGTH,
            "DicomAlwaysAllowEcho": True,
            "DicomAlwaysAllowStore": True,
            "DicomAlwaysAllowFind": True,
            "DicomAlwaysAllowGet": True,
            "DicomAlwaysAllowMove": True,
            "DicomModalities": {d.ae_title: [d.ae_title, "127.0.0.1", d.port] for d in destinations},
        }
        configuration.write_text(json.dumps(settings, indent=1))
        self._command = (program("Orthanc", "orthanc"), str(configuration))
        self._server: Server

    @property
    def pid(self) -> int:
        return self._server.pid

    def start(self) -> None:
        self._server = Server(self._command, log=self._log, serves=lambda: answers(self.port, self.ae_title))

    def stop(self) -> None:
        # It takes seconds to end by itself; its database is kept by SQLite.
        self._server.stop()


class Sink:
    """DCMTK's storescp: takes everything and keeps it in ``keep``, or nothing of it."""

    def __init__(self, destination: Destination, *, log: Path, keep: Path | None = None, is_as_shipped: bool) -> None:
        self.ae_title, self.port = destination.ae_title, destination.port
        self._log, self._nodelay = log, not is_as_shipped
        length = () if is_as_shipped else ("-pdu", str(MAX_PDU_LENGTH))
        kept = ("--ignore",) if keep is None else ("-od", str(keep), "+uf")
        command = (program("storescp", "dcmtk"), *length, *kept, "+B", "-aet", self.ae_title, str(self.port))
        self._command = command
        self._server: Server

    @property
    def pid(self) -> int:
        return self._server.pid

    def start(self) -> None:
        self._server = Server(
            self._command,
            log=self._log,
            serves=lambda: answers(self.port, self.ae_title),
            nodelay=self._nodelay,
        )

    def stop(self) -> None:
        self._server.stop()


class FastSink:
    """A sink of our own (`scripts.benchmark.raw.sink`), so cheap that the archives are what is measured."""

    def __init__(self, destination: Destination, *, log: Path) -> None:
        self.ae_title, self.port = destination.ae_title, destination.port
        self._log = log
        self._command = (sys.executable, "-m", "scripts.benchmark.raw.sink", str(self.port))
        self._server: Server

    @property
    def pid(self) -> int:
        return self._server.pid

    def start(self) -> None:
        self._server = Server(self._command, log=self._log, serves=lambda: answers(self.port, self.ae_title), cwd=ROOT)

    def stop(self) -> None:
        self._server.stop()


def dicomweb_plug_in() -> Path:
    """Orthanc's plug-in for DICOMweb. Raises BenchmarkError."""
    if not DICOMWEB_PLUG_IN.exists():
        raise BenchmarkError("Orthanc's plug-in for DICOMweb is not installed (Debian package orthanc-dicomweb)")
    return DICOMWEB_PLUG_IN


def checked_out(revision: str, directory: Path) -> Path:
    """The project as it was at a Git revision, below ``directory``. Raises BenchmarkError."""
    directory.mkdir()
    archive = directory.with_suffix(".tar")
    for command in (
        ("git", "-C", str(ROOT), "archive", "--output", str(archive), revision),
        ("tar", "-C", str(directory), "-xf", str(archive)),
    ):
        run(command)
    return directory


def serve_command(
    trees: Sequence[Path], data_directory: Path, *, http_port: int, workers: int | None
) -> tuple[str, ...]:
    """The arguments of ``dcm4py-leading`` that serve these LDIF files."""
    return (
        "serve",
        *(argument for tree in trees for argument in ("--ldif", str(tree))),
        *("--data-dir", str(data_directory), "--http", f"127.0.0.1:{http_port}", "--drain", "5"),
        *(() if workers is None else ("--workers", str(workers))),
    )


def answers(port: int, ae_title: str) -> bool:
    """True if a C-ECHO succeeds. Raises BenchmarkError when the peer answers, and not as it should."""
    try:
        echo(port, ae_title)
    except OSError:
        return False
    except WireError as err:
        raise BenchmarkError(f"C-ECHO of {ae_title}: {err}") from err
    return True
