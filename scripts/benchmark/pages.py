"""The pages of the service on a directory with many devices: how long one takes. Nobody is compared."""

from __future__ import annotations

import statistics
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from scripts.benchmark.archives import ROOT
from scripts.benchmark.operations import Effort
from scripts.benchmark.proc import cpu_time
from scripts.benchmark.process import Server, program
from scripts.benchmark.results import Check, Results, Sample
from scripts.benchmark.scene import OURS
from tests.fixtures.ports import free_ports
from tests.fixtures.slapd import OUR_LDIF, Slapd

DEVICES = 2000
SETTING = "devices of the pages"
"""Their number, by this name among the settings of a run."""
PAGES: Mapping[str, str] = {
    "page_devices": "/ui/devices",
    "page_device": "/ui/devices/dcm4chee-arc",
    "page_search": "/ui/devices/dcm4chee-arc?q=timeout",
    "page_rules": "/ui/devices/dcm4chee-arc/coercions",
    "page_rule": "/ui/devices/dcm4chee-arc/entry?at=cn%3DLeading%20DCMQRSCP",
    "page_control": "/ui/control",
}
"""Operations and what they ask for."""
LIMIT_SECONDS = 0.1
"""CPU time of the service for one page, directory not included."""

_BASE = "cn=Devices,cn=DICOM Configuration,dc=dcm4che,dc=org"


def measure_pages(
    directory: Path, found: Results, *, effort: Effort, say: Callable[[str], None], devices: int = DEVICES
) -> None:
    """The pages one after the other, one warm-up and then the rounds; a sample is the median of a round.

    Raises BenchmarkError when slapd is missing, or the service does not start.
    """
    program("slapd", "slapd")
    program("ldapmodify", "ldap-utils")
    found.settings = {**found.settings, SETTING: f"{devices:,}"}
    say(f"web: a directory with {devices} devices")
    with _served(directory / "web", devices) as (address, pid):
        for number in range(effort.rounds + 1):
            for operation, path in PAGES.items():
                sample, status = _measured(operation, f"{address}{path}", pid, number, effort.listings)
                if number:
                    found.samples.append(sample)
                else:
                    found.checks.append(Check(name=f"page {path}", passed=status == 200, detail=f"status {status}"))


def _measured(operation: str, address: str, pid: int, number: int, requests: int) -> tuple[Sample, int]:
    before, taken, statuses, size = cpu_time(pid), [], set(), 0
    for _ in range(requests):
        began = time.perf_counter()
        status, size = _get(address)
        taken.append(time.perf_counter() - began)
        statuses.add(status)
    cpu = (cpu_time(pid) - before) / requests
    sample = Sample(
        operation=operation,
        contender=OURS,
        round=number,
        seconds=statistics.median(taken),
        cpu_seconds=cpu.total,
        system_seconds=cpu.system,
        objects=1,
        bytes=size,
    )
    return sample, max(statuses)


def _get(address: str) -> tuple[int, int]:
    """Status and length of what is there."""
    try:
        with urllib.request.urlopen(address, timeout=60) as answer:
            return answer.status, len(answer.read())
    except urllib.error.HTTPError as err:
        return err.code, 0


@contextmanager
def _served(directory: Path, devices: int) -> Iterator[tuple[str, int]]:
    """Where the pages are, and the process that serves them."""
    (directory / "slapd").mkdir(parents=True)
    dicom_port, http_port = free_ports(2)
    tree = (OUR_LDIF / "quickstart.ldif").read_text().replace("dicomPort: 11112\n", f"dicomPort: {dicom_port}\n")
    with Slapd(directory / "slapd", content=[tree + _devices(devices)]) as slapd:
        slapd.ldapmodify(OUR_LDIF / "leading-cfind-scp.ldif")
        command = (
            *(sys.executable, "-m", "dcm4py_leading", "serve", "--ldap-url", f"{slapd.url}/{slapd.base_dn}"),
            *("--bind-dn", slapd.bind_dn, "--bind-password-file", str(slapd.password_file)),
            *("--data-dir", str(directory / "data"), "--http", f"127.0.0.1:{http_port}", "--drain", "5"),
        )
        address = f"http://127.0.0.1:{http_port}"
        server = Server(command, log=directory / "service.log", serves=lambda: _answers(address), cwd=ROOT)
        try:
            yield address, server.pid
        finally:
            server.stop(grace_seconds=30)


def _answers(address: str) -> bool:
    try:
        return _get(f"{address}/health/ready")[0] == 200
    except OSError:
        return False


def _devices(count: int) -> str:
    return "".join(_device(f"MODALITY{number:04}") for number in range(count))


def _device(title: str) -> str:
    dn = f"dicomDeviceName={title.lower()},{_BASE}"
    return f"""
dn: {dn}
objectClass: dicomDevice
dicomDeviceName: {title.lower()}
dicomInstalled: TRUE
dicomDescription: One of many

dn: cn=dicom,{dn}
objectClass: dicomNetworkConnection
cn: dicom
dicomHostname: {title.lower()}.example.org
dicomPort: 104

dn: dicomAETitle={title},{dn}
objectClass: dicomNetworkAE
dicomAETitle: {title}
dicomAssociationInitiator: TRUE
dicomAssociationAcceptor: TRUE
dicomNetworkConnectionReference: cn=dicom,{dn}
"""
