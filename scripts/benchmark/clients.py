"""Clients of our own in processes of their own, one or several at once: `scripts.benchmark.raw.client`."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from typing import IO

from scripts.benchmark.archives import ROOT, Destination, Peer
from scripts.benchmark.data import Study
from scripts.benchmark.process import BenchmarkError


def get(archive: Peer, study: Study, number: int = 1) -> float:
    """C-GET of a study by ``number`` clients at once: seconds from the first one's begin to the last one's end.

    Begin is before connecting, end after the release. Raises BenchmarkError.
    """
    return _run(archive, study, number)


def move(archive: Peer, study: Study, destination: Destination) -> float:
    """C-MOVE of a study: seconds. Raises BenchmarkError."""
    return _run(archive, study, 1, destination.ae_title)


def _run(archive: Peer, study: Study, number: int, *destination: str) -> float:
    command = (
        *(sys.executable, "-m", "scripts.benchmark.raw.client"),
        *(str(archive.port), archive.ae_title, study.study_uid, *destination),
    )
    with ExitStack() as running:
        processes = []
        for _ in range(number):
            process = running.enter_context(
                subprocess.Popen(
                    command,
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            running.callback(process.kill)
            processes.append(process)
        for process in processes:
            _line(process, process.stdout)
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        told = [_line(process, process.stdout).split() for process in processes]
    for _, _, count in told:
        if int(count) != study.objects:
            raise BenchmarkError(f"{archive.ae_title} delivered {count} of {study.objects} objects")
    return max(float(end) for _, end, _ in told) - min(float(begin) for begin, _, _ in told)


def _line(process: subprocess.Popen[str], output: IO[str] | None) -> str:
    """The next line that a client prints; its waits are bounded by its own time-outs."""
    assert output is not None and process.stderr is not None
    line = output.readline()
    if not line:
        raise BenchmarkError(f"the client ended: {process.stderr.read().strip()}")
    return line
