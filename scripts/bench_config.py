"""Time that a configuration takes to load out of a large directory: ``python -m scripts.bench_config``.

A slapd of its own holds the quickstart with our leading rule, and besides as many devices and AEs as are asked for.
What is timed is what a start and a reload do, read and check, and the first look-up of a remote AE. Exit code 1 when
a load takes longer than it should, or the memory grows.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from dcm4py_leading.composition.check import check
from dcm4py_leading.composition.site import Site
from dcm4py_leading.config.ldap.source import LdapSource
from dcm4py_leading.config.remote import RemoteAEResolver
from tests.fixtures.directory import BASE_DN
from tests.fixtures.slapd import OUR_LDIF, Slapd

DEVICES, AES, RELOADS, LOOKUPS = 2_000, 5_000, 50, 200
MAX_SECONDS = 3.0
MAX_GROWTH_MB = 5.0

_CONFIGURATION = f"cn=DICOM Configuration,{BASE_DN}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Times in seconds, memory in MB of the whole process."""

    devices: int
    aes: int
    entries: int
    first_load: float
    reload_median: float
    reload_worst: float
    searches_per_load: float
    entries_per_load: float
    lookup_median: float
    lookup_worst: float
    memory_growth: float

    @property
    def is_good(self) -> bool:
        """True if it keeps what is promised."""
        return max(self.first_load, self.reload_worst) < MAX_SECONDS and self.memory_growth < MAX_GROWTH_MB


def ae_title(number: int) -> str:
    """AE number ``number``, counted from 0."""
    return f"MOD{number:05}"


def devices_ldif(devices: int, aes: int) -> Iterator[str]:
    """Content records of so many devices of modalities with so many AEs among them, as dcm4chee's tools write them:
    registry, device, connection, AEs and what each can transfer."""
    for number in range(devices):
        dn = f"dicomDeviceName=modality{number:05},cn=Devices,{_CONFIGURATION}"
        yield (
            f"dn: {dn}\nobjectClass: dicomDevice\nobjectClass: dcmDevice\ndicomDeviceName: modality{number:05}\n"
            f"dicomInstalled: TRUE\ndicomManufacturer: Maker\n\n"
            f"dn: cn=dicom,{dn}\nobjectClass: dicomNetworkConnection\nobjectClass: dcmNetworkConnection\ncn: dicom\n"
            f"dicomHostname: modality{number:05}.example\ndicomPort: 104\n\n"
        )
        for title in map(ae_title, range(number, aes, devices)):
            yield (
                f"dn: dicomAETitle={title},cn=Unique AE Titles Registry,{_CONFIGURATION}\n"
                f"objectClass: dicomUniqueAETitle\ndicomAETitle: {title}\n\n"
                f"dn: dicomAETitle={title},{dn}\nobjectClass: dicomNetworkAE\nobjectClass: dcmNetworkAE\n"
                f"dicomAETitle: {title}\ndicomNetworkConnectionReference: cn=dicom,{dn}\n"
                "dicomAssociationInitiator: TRUE\ndicomAssociationAcceptor: FALSE\n\n"
            )
            for sop_class in ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.7"):
                yield (
                    f"dn: cn={sop_class} SCU,dicomAETitle={title},{dn}\nobjectClass: dicomTransferCapability\n"
                    f"cn: {sop_class} SCU\ndicomSOPClass: {sop_class}\ndicomTransferRole: SCU\n"
                    "dicomTransferSyntax: 1.2.840.10008.1.2\n\n"
                )


def large_tree(devices: int, aes: int) -> tuple[Path | str, ...]:
    """The quickstart and so many more devices and AEs."""
    return OUR_LDIF / "quickstart.ldif", "".join(devices_ldif(devices, aes))


def site_of(slapd: Slapd, data_dir: Path) -> Site:
    """The quickstart's device out of that server."""
    source = LdapSource([f"{slapd.url}/{BASE_DN}"], bind_dn=slapd.bind_dn, password=slapd.password)
    return Site(source=source, device_name="dcm4chee-arc", properties={}, data_dir=data_dir)


def measure(devices: int, aes: int, directory: Path, *, reloads: int = RELOADS) -> Result:
    """Load the tree into a slapd, and the configuration out of it."""
    with Slapd(directory, content=large_tree(devices, aes)) as slapd:
        slapd.ldapmodify(OUR_LDIF / "leading-cfind-scp.ldif")
        site = site_of(slapd, directory / "data")
        first = _seconds(lambda: check(site))
        memory = _resident_mb()
        before = slapd.served()
        times = [_seconds(lambda: check(site)) for _ in range(reloads)]
        after = slapd.served()
        # What the two questions themselves cost.
        served = (after - before) - (slapd.served() - after)
        growth = _resident_mb() - memory
        resolver = RemoteAEResolver(site.source, None)
        titles = map(ae_title, range(0, aes, max(1, aes // LOOKUPS)))
        lookups = [_seconds(partial(resolver.resolve, title)) for title in titles]
        return Result(
            devices=devices,
            aes=aes,
            entries=len(slapd.ldapsearch("1.1")),
            first_load=first,
            reload_median=statistics.median(times),
            reload_worst=max(times),
            searches_per_load=served.searches / reloads,
            entries_per_load=served.entries / reloads,
            lookup_median=statistics.median(lookups),
            lookup_worst=max(lookups),
            memory_growth=growth,
        )


def _seconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> int:
    """Measure once, and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=DEVICES)
    parser.add_argument("--aes", type=int, default=AES)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        result = measure(arguments.devices, arguments.aes, Path(directory))
    print(json.dumps(asdict(result), indent=2))
    return 0 if result.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
