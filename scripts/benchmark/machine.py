"""Where figures come from: the machine and the versions of everything that takes part."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import dcm4py_leading
from scripts.benchmark.archives import ROOT
from scripts.benchmark.process import program


def describe(directory: Path) -> Mapping[str, str]:
    """For the report. Raises BenchmarkError when a peer is missing."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "machine": f"{os.cpu_count()} cores, {_processor()}, {_memory()}",
        "system": f"{platform.system()} {platform.release()}, TCP {_congestion_control()}",
        "storage": _file_system(directory),
        "load before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "ours": f"dcm4py-leading {dcm4py_leading.__version__}{_commit()}, Python {platform.python_version()}",
        "dcmqrscp": _first_line([program("dcmqrscp", "dcmtk"), "--version"]).strip("$ "),
        "Orthanc": _first_line([program("Orthanc", "orthanc"), "--version"]),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory() -> str:
    return f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB"


def _congestion_control() -> str:
    try:
        return Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    except OSError:
        return "unknown"


def _file_system(directory: Path) -> str:
    return _first_line(["stat", "--file-system", "--format=%T", str(directory)]) or "unknown"


def _commit() -> str:
    commit = _first_line(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"])
    return f" ({commit})" if commit else ""


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return next(iter((done.stdout or done.stderr).splitlines()), "")
