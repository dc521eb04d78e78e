"""Where figures come from: the machine, whether it has other work, and the versions of everything that takes part."""

from __future__ import annotations

import math
import os
import platform
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import dcm4py_leading
from scripts.benchmark.archives import ROOT
from scripts.benchmark.process import program

MOST_LOAD = 1.0
"""Average of the last minute, above which a run is refused or marked."""
_LOOK_SECONDS = 2.0


def is_busy() -> bool:
    """True if what is measured now is not to be compared."""
    return _load() > MOST_LOAD


def _load() -> float:
    return os.getloadavg()[0]


def describe(directory: Path) -> Mapping[str, str]:
    """For the report. Raises BenchmarkError when a peer is missing."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "machine": f"{os.cpu_count()} cores, {_processor()}, {_memory()}",
        "system": f"{platform.system()} {platform.release()}, TCP {_congestion_control()}",
        "storage": _file_system(directory),
        "load before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "ours": f"dcm4py-leading {dcm4py_leading.__version__}{_commit()}",
        "Python": f"{platform.python_version()} of {os.path.realpath(sys.executable)}, configured {_configured()}",
        "dcmqrscp": _first_line([program("dcmqrscp", "dcmtk"), "--version"]).strip("$ "),
        "Orthanc": _first_line([program("Orthanc", "orthanc"), "--version"]),
    }


class BusyError(Exception):
    """The machine has other work; the message says what can be done."""


def await_rest(seconds: float, say: Callable[[str], None], *, load: Callable[[], float] = _load) -> None:
    """Wait until the machine has nothing else to do, at most so long. Raises BusyError."""
    until = time.monotonic() + seconds
    said = False
    while (now := load()) > MOST_LOAD:
        left = until - time.monotonic()
        if left <= 0:
            raise BusyError(
                f"the load of this machine is {now:.2f}, and above {MOST_LOAD:g} no ratio can be believed."
                f" Once everything else has ended it takes some {_seconds_to_rest(now):.0f} s to fall: try --wait"
                f" {_seconds_to_rest(now) + 10:.0f}. --busy measures nevertheless, and marks every table"
            )
        if not said:
            say(f"the load is {now:.2f}: waiting up to {seconds:.0f} s until it is at most {MOST_LOAD:g}")
            said = True
        time.sleep(min(left, _LOOK_SECONDS))


def _seconds_to_rest(load: float) -> float:
    """Time that the load needs to fall to `MOST_LOAD` while nothing runs: it is an average over a minute."""
    return 60 * math.log(load / MOST_LOAD)


def _configured() -> str:
    """How the interpreter was configured, as far as it says so: Debian's rules may do more than it tells."""
    arguments = sysconfig.get_config_var("CONFIG_ARGS") or ""
    return ", ".join(
        f"{'with' if option in arguments else 'without'} {option}"
        for option in ("--enable-optimizations", "--with-lto")
    )


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
