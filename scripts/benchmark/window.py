"""C-MOVE over a long line: a window of objects under way (PS3.7 D.3.3.3), beside one at a time.

``python -m scripts.benchmark.window`` measures this alone, in less than a minute.
"""

from __future__ import annotations

import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from scripts.benchmark.archives import ROOT
from scripts.benchmark.process import BenchmarkError, Server
from scripts.benchmark.records import system
from scripts.benchmark.wire import WireError, echo
from tests.fixtures.datasets import make_study
from tests.fixtures.ports import free_ports
from tests.fixtures.scu import identifier, move, store
from tests.fixtures.slapd import OUR_LDIF
from tests.fixtures.windowed_sink import Talk, WindowedSink

WINDOWED, ONE_AT_A_TIME = "WINDOWED", "ONE"
"""AE titles under which the sink is called."""
WINDOW = 16
DELAY_MILLISECONDS = 10
"""Each way."""
OBJECTS = 320
LIMIT = 8
"""Times as fast with the window, at least."""

_STUDY = "1.2.826.0.1.3680043.8.498.90"
_DEVICE = "dicomDeviceName=dcm4chee-arc,cn=Devices,cn=DICOM Configuration,dc=dcm4che,dc=org"
_ONE = "cn=dicom,dicomDeviceName=bench-one,cn=Devices,cn=DICOM Configuration,dc=dcm4che,dc=org"


def measure_window(
    directory: Path, *, rounds: int, say: Callable[[str], None], objects: int = OBJECTS
) -> Mapping[str, list[float]]:
    """Seconds of each C-MOVE of the study, by AE title, one round after the other.

    Raises BenchmarkError where something was not delivered as it must be.
    """
    say(f"window: {objects} objects over {DELAY_MILLISECONDS} ms each way, {WINDOW} under way, or one at a time")
    taken: dict[str, list[float]] = {WINDOWED: [], ONE_AT_A_TIME: []}
    with _served(directory, objects) as (port, sink):
        for _ in range(rounds):
            for title in taken:
                sink.talks.clear()
                began = time.perf_counter()
                final = move(port, identifier("STUDY", StudyInstanceUID=_STUDY), title)[-1][0]
                taken[title].append(time.perf_counter() - began)
                if final.get("NumberOfCompletedSuboperations") != objects or len(sink.talks) != 1:
                    raise BenchmarkError(
                        f"C-MOVE to {title} ended with {final.Status:#06x} after {len(sink.talks)} associations"
                    )
    return taken


def _take(talk: Talk) -> None:
    """Answer every object when it has come."""
    while True:
        talk.answer(*talk.take())


@contextmanager
def _served(directory: Path, objects: int) -> Iterator[tuple[int, WindowedSink]]:
    """One of ours with the study, and a sink behind a relay, as two AEs of the directory."""
    archive_port, relay_port, sink_port = free_ports(3)
    tree = (OUR_LDIF / "quickstart.ldif").read_text().replace("dicomPort: 11112\n", f"dicomPort: {archive_port}\n")
    (directory / "tree.ldif").write_text(tree)
    records = [
        *(system(title, relay_port) for title in (WINDOWED, ONE_AT_A_TIME)),
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
    (directory / "data").mkdir()
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
        yield archive_port, sink


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


def main() -> int:
    """Measure, and print; exit code 1 where the window gains too little."""
    with tempfile.TemporaryDirectory(prefix="dcm4py-bench-window-", dir="/var/tmp") as directory:
        taken = measure_window(Path(directory), rounds=3, say=print)
    seconds = {title: statistics.median(times) for title, times in taken.items()}
    ratio = seconds[ONE_AT_A_TIME] / seconds[WINDOWED]
    for title, times in taken.items():
        print(f"{title}: {seconds[title]:.2f} s ({', '.join(f'{one:.2f}' for one in times)})")
    print(f"{ratio:.1f} x, wanted {LIMIT}")
    return 0 if ratio >= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
