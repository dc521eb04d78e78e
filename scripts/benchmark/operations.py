"""Measurements: rounds over the contenders in turn, so that what disturbs the machine disturbs all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from scripts.benchmark.archives import Peer
from scripts.benchmark.data import Study
from scripts.benchmark.proc import cpu_time
from scripts.benchmark.process import BenchmarkError
from scripts.benchmark.results import Check, Results, Sample
from scripts.benchmark.scene import UNCOERCED, Scene
from scripts.benchmark.wire import WireError


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Something that several contenders do; ``measure`` does it once, the round of its sample is not filled in."""

    name: str
    contenders: Sequence[str]
    measure: Callable[[str], Sample]
    has_warm_up: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """Amount of repetition. ``echoes``, ``finds`` and ``listings`` are queries in one round."""

    rounds: int
    echoes: int
    finds: int
    listings: int
    is_quick: bool = False


def measure(
    some: Sequence[Operation], results: Results, *, rounds: int, until: float | None, say: Callable[[str], None]
) -> None:
    """Do the rounds, as many of them as fit before ``until`` (time.monotonic), and at least one.

    The first round of an operation with a warm-up is thrown away.
    """
    lasted = 0.0
    for number in range(rounds + 1):
        began = time.monotonic()
        if until is not None and number > 1 and began + lasted > until:
            say(f"no time left for rounds {number} to {rounds}")
            return
        for operation in some:
            if number == 0 and not operation.has_warm_up:
                continue
            # Nobody is always the one that comes after the same other.
            start = number % len(operation.contenders)
            for contender in (*operation.contenders[start:], *operation.contenders[:start]):
                try:
                    sample = operation.measure(contender)
                except (BenchmarkError, WireError, OSError) as err:
                    say(f"{operation.name} of {contender} failed")
                    name = f"{operation.name}, {contender}, round {number}"
                    results.checks.append(Check(name=name, passed=False, detail=str(err)))
                else:
                    if number:
                        results.samples.append(replace(sample, round=number))
        lasted = time.monotonic() - began


def timed(name: str, contender: str, archive: Peer, study: Study, do: Callable[[Peer], float]) -> Sample:
    """A transfer of a study, which took as long as ``do`` says."""
    before = cpu_time(archive.pid)
    seconds = do(archive)
    cpu = cpu_time(archive.pid) - before
    return Sample(
        operation=name,
        contender=contender,
        round=0,
        seconds=seconds,
        cpu_seconds=cpu.total,
        system_seconds=cpu.system,
        objects=study.objects,
        bytes=study.total_bytes,
    )


def repeated(
    name: str,
    scene: Scene,
    repetitions: int,
    do: Callable[[Scene, str, int], object],
    *,
    objects: Callable[[str], int],
    contenders: Sequence[str] | None = None,
) -> Operation:
    """Something short, done several times: the median. ``objects`` are rows or objects of one time.

    ``contenders`` are all of the scene unless they are named.
    """

    def measured(contender: str) -> Sample:
        pid = scene.archives[contender].pid
        before = cpu_time(pid)
        taken = []
        for number in range(repetitions):
            began = time.perf_counter()
            do(scene, contender, number)
            taken.append(time.perf_counter() - began)
        cpu = (cpu_time(pid) - before) / repetitions
        return Sample(
            operation=name,
            contender=contender,
            round=0,
            seconds=statistics.median(taken),
            cpu_seconds=cpu.total,
            system_seconds=cpu.system,
            objects=objects(contender),
        )

    return Operation(name=name, contenders=contenders or scene.contenders, measure=measured)


def all_but_uncoerced(scene: Scene) -> Sequence[str]:
    return [contender for contender in scene.contenders if contender != UNCOERCED]
