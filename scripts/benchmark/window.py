"""C-MOVE over a long line: a window of objects under way (PS3.7 D.3.3.3), beside one at a time.

Two destinations lead to the same sink; nobody else is compared.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmark.archives import ROOT
from scripts.benchmark.operations import Effort
from scripts.benchmark.proc import cpu_time
from scripts.benchmark.process import BenchmarkError, Server
from scripts.benchmark.records import system
from scripts.benchmark.results import Check, Results, Sample
from scripts.benchmark.scene import OURS
from scripts.benchmark.wire import WireError, echo
from tests.fixtures.datasets import make_study
from tests.fixtures.ports import free_ports
from tests.fixtures.scu import identifier, move, store
from tests.fixtures.slapd import OUR_LDIF
from tests.fixtures.windowed_sink import Talk, WindowedSink

OPERATION = "window_move"
ONE_AT_A_TIME = "one"
"""Ours again, as a contender of its own."""
WINDOW = 16
DELAY_MILLISECONDS = 10
"""Each way."""
OBJECTS = 320

_TITLES = {OURS: "WINDOWED", ONE_AT_A_TIME: "ONE"}
"""AE titles under which the sink is called."""

_STUDY = "1.2.826.0.1.3680043.8.498.90"
_DEVICE = "dicomDeviceName=dcm4chee-arc,cn=Devices,cn=DICOM Configuration,dc=dcm4che,dc=org"
_ONE = "cn=dicom,dicomDeviceName=bench-one,cn=Devices,cn=DICOM Configuration,dc=dcm4che,dc=org"


def measure_window(
    directory: Path, found: Results, *, effort: Effort, say: Callable[[str], None], objects: int = OBJECTS
) -> None:
    """One C-MOVE of the study to either destination in each round, after a warm-up.

    Raises BenchmarkError where something was not delivered as it must be.
    """
    say(f"window: {objects} objects over {DELAY_MILLISECONDS} ms each way, {WINDOW} under way, or one at a time")
    with _served(directory / "window", objects) as served:
        for number in range(effort.rounds + 1):
            for contender in _TITLES:
                sample = served.moved(contender, number)
                if number:
                    found.samples.append(sample)
        found.checks.append(Check(name="window: every C-MOVE on one association, nothing missing", passed=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Served:
    """The service with the study, and the sink."""

    port: int
    pid: int
    sink: WindowedSink
    objects: int
    total_bytes: int

    def moved(self, contender: str, number: int) -> Sample:
        """One C-MOVE of the study, in the round of that number."""
        self.sink.talks.clear()
        title = _TITLES[contender]
        before, began = cpu_time(self.pid), time.perf_counter()
        final = move(self.port, identifier("STUDY", StudyInstanceUID=_STUDY), title)[-1][0]
        seconds, cpu = time.perf_counter() - began, cpu_time(self.pid) - before
        if final.get("NumberOfCompletedSuboperations") != self.objects or len(self.sink.talks) != 1:
            raise BenchmarkError(
                f"C-MOVE to {title} ended with {final.Status:#06x} after {len(self.sink.talks)} associations"
            )
        return Sample(
            operation=OPERATION,
            contender=contender,
            round=number,
            seconds=seconds,
            cpu_seconds=cpu.total,
            system_seconds=cpu.system,
            objects=self.objects,
            bytes=self.total_bytes,
        )


def _take(talk: Talk) -> None:
    """Answer every object when it has come."""
    while True:
        talk.answer(*talk.take())


@contextmanager
def _served(directory: Path, objects: int) -> Iterator[_Served]:
    """One of ours with the study, and a sink behind a relay, as two AEs of the directory."""
    archive_port, relay_port, sink_port = free_ports(3)
    tree = (OUR_LDIF / "quickstart.ldif").read_text().replace("dicomPort: 11112\n", f"dicomPort: {archive_port}\n")
    (directory / "data").mkdir(parents=True)
    (directory / "tree.ldif").write_text(tree)
    records = [
        *(system(title, relay_port) for title in _TITLES.values()),
        f"dn: cn=dicom,{_DEVICE}\nchangetype: modify\nreplace: dcmMaxOpsInvoked\ndcmMaxOpsInvoked: {WINDOW}\n-",
        f"dn: {_ONE}\nchangetype: modify\nadd: objectClass\nobjectClass: dcmNetworkConnection\n-\n"
        "replace: dcmMaxOpsPerformed\ndcmMaxOpsPerformed: 1\n-",
    ]
    (directory / "changes.ldif").write_text("version: 1\n\n" + "\n\n".join(records) + "\n")
    serve = (
        *(sys.executable, "-m", "dcm4py_leading", "serve", "--workers", "1"),
        *("--ldif", str(directory / "tree.ldif"), "--ldif", str(directory / "changes.ldif")),
        *("--data-dir", str(directory / "data"), "--drain", "5"),
    )
    relay = (*(sys.executable, "-m", "scripts.benchmark.relay"), *map(str, (relay_port, sink_port, DELAY_MILLISECONDS)))
    with ExitStack() as running:
        sink = WindowedSink(sink_port, _take, (WINDOW, 1))
        running.callback(sink.stop)
        for command, name, serves in (
            (relay, "relay", lambda: _listens(relay_port)),
            (serve, "service", lambda: _answers(archive_port)),
        ):
            server = Server(command, log=directory / f"{name}.log", serves=serves, cwd=ROOT)
            running.callback(server.stop, grace_seconds=30)
        files = make_study(directory / "s", patient_id="P", patient_name="A^B", study_uid=_STUDY, instances=objects)
        if set(store(archive_port, files)) != {0x0000}:
            raise BenchmarkError("the study could not be stored")
        yield _Served(
            port=archive_port,
            pid=server.pid,  # of the service, which is the last one
            sink=sink,
            objects=objects,
            total_bytes=sum(path.stat().st_size for path in files),
        )


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _answers(port: int) -> bool:
    try:
        echo(port, "DCM4CHEE")
    except (WireError, OSError):
        return False
    return True
