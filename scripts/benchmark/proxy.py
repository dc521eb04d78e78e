"""This service in front of the archives that it is compared with: it stores nothing, and coerces what it passes on."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.benchmark import records
from scripts.benchmark.archives import ROOT, Area, Destination, Peer, answers, serve_command
from scripts.benchmark.process import Server
from tests.fixtures.ports import free_port

_DEVICE = f"dicomDeviceName=dcm4py-leading,{records.DEVICES}"
_TITLE = "LEADING"


def proxy_titles(port: int, count: int) -> tuple[Destination, ...]:
    """The AEs that a proxy on this port has, one in front of each PACS; these must know them as move destinations."""
    return tuple(Destination(ae_title=f"{_TITLE}_{number}", port=port) for number in range(count))


class Proxy:
    """``dcm4py-leading serve`` on ldif/proxy.ldif, with one AE in front of each of several PACSes."""

    ae_title = _TITLE

    def __init__(
        self,
        directory: Path,
        *,
        in_front: Mapping[Destination, Peer],
        leading: Destination,
        destinations: Sequence[Destination],
        workers: int | None = None,
    ) -> None:
        """``in_front``: the PACS behind each AE of ours; all of them have the same port."""
        (self.port,) = {ours.port for ours in in_front}
        self._title_before = {pacs.ae_title: ours.ae_title for ours, pacs in in_front.items()}
        data_directory = directory / "data"
        data_directory.mkdir(parents=True)
        quickstart, proxy, changes = (directory / f"{name}.ldif" for name in ("quickstart", "proxy", "changes"))
        for path, seed_port, port in ((quickstart, 11113, leading.port), (proxy, 11114, self.port)):
            tree = (ROOT / "ldif" / path.name).read_text()
            path.write_text(tree.replace(f"dicomPort: {seed_port}\n", f"dicomPort: {port}\n"))
        systems: list[Destination | Peer] = [*destinations, *in_front.values()]
        changed = [
            "version: 1",
            records.pdu_lengths(_DEVICE),
            records.large_cache(_DEVICE),
            *(records.system(one.ae_title, one.port) for one in systems),
            *(records.in_front_of(_DEVICE, _TITLE, ours.ae_title, pacs.ae_title) for ours, pacs in in_front.items()),
        ]
        changes.write_text("\n\n".join(changed) + "\n")
        command = serve_command((quickstart, proxy, changes), data_directory, http_port=free_port(), workers=workers)
        self._command = (sys.executable, "-m", "dcm4py_leading", *command, "--device", "dcm4py-leading")
        self._log = directory / "service.log"
        self._server: Server

    @property
    def pid(self) -> int:
        return self._server.pid

    def before(self, pacs: Peer) -> Area:
        """The AE of ours in front of a PACS."""
        return Area(ae_title=self._title_before[pacs.ae_title], port=self.port, pid=self.pid)

    def start(self) -> None:
        self._server = Server(self._command, log=self._log, serves=lambda: answers(self.port, self.ae_title), cwd=ROOT)

    def stop(self) -> None:
        self._server.stop(grace_seconds=30)
