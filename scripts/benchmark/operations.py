"""Measurements: rounds over the contenders in turn, so that what disturbs the machine disturbs all of them."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from dcm4py_leading.workers.number import default_workers
from scripts.benchmark import tools
from scripts.benchmark.archives import Peer
from scripts.benchmark.checks import check_stored, find_many, find_study
from scripts.benchmark.data import Study
from scripts.benchmark.proc import PeakMemory as Looking
from scripts.benchmark.proc import cpu_seconds
from scripts.benchmark.process import BenchmarkError
from scripts.benchmark.results import Check, PeakMemory, Results, Sample
from scripts.benchmark.scene import COERCED, DCMQRSCP, OURS, PACS, UNCOERCED, Scene
from scripts.benchmark.wire import WireError, echo, get

GROUPS = ("echo", "find", "move", "get", "proxy", "nagle", "memory", "store", "web")
APART = ("web",)
"""Groups that need neither studies nor the other archives."""
NOT_AGAINST = ("proxy", "web")
"""Groups that are not measured against another revision."""
NOT_QUICK = ("proxy", "web")
"""Groups that ``--quick`` leaves out unless they are named."""
SHARES = {"echo": 1, "find": 2, "move": 4, "get": 4, "proxy": 4, "nagle": 4, "memory": 3, "store": 8}
"""Shares of the time that is left, where it is limited."""


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


def operations(group: str, scene: Scene, effort: Effort, results: Results) -> Iterator[Operation]:
    """The timed operations of a group, all but "memory"."""
    a, b = scene.data.a, scene.data.b
    match group:
        case "echo":
            yield _repeated("echo", scene, effort.echoes, 0, _echo)
        case "find":
            yield _repeated("find_1", scene, effort.finds, 1, _find_one)
            rows = len(scene.data.many)
            yield _repeated("find_many", scene, effort.listings, rows, lambda s, c, _: len(find_many(s, c)))
        case "move":
            yield from (_retrieve(f"move_{study.label}", scene, study, _move) for study in (a, b))
        case "get":
            yield from (_retrieve(f"get_{study.label}", scene, study, _get) for study in (a, b))
            yield _at_once(scene, b)
            yield _repeated("get_1", scene, effort.finds, 1, _get_one)
        case "proxy":
            yield from (_proxied(scene, pacs, study, effort) for pacs in PACS for study in (a, b))
        case "nagle":
            yield Operation(
                name="nagle_A",
                contenders=_all_but_uncoerced(scene),
                measure=lambda c: _move_as_shipped(scene, c),
                has_warm_up=False,
            )
        case "store":
            storing = _all_but_uncoerced(scene)
            yield _store(scene, a, storing, results)
            # dcmqrscp needs many seconds for this, and there is no target against it.
            yield _store(scene, b, [c for c in storing if c != DCMQRSCP or not effort.is_quick], results)


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


def _all_but_uncoerced(scene: Scene) -> Sequence[str]:
    return [contender for contender in scene.contenders if contender != UNCOERCED]


def warm(scene: Scene) -> None:
    """Let every worker of ours ask the leading archive for every study, as far as chance allows."""
    for contender in set(COERCED).intersection(scene.contenders):
        for _ in range(4 * (scene.workers or default_workers())):
            find_many(scene, contender)
            for study in (scene.data.a, scene.data.b):
                find_study(scene, contender, study.study_uid)


def measure_memory(scene: Scene, results: Results) -> None:
    """Peaks while sending, and of ours while it stores and sends the large object."""
    large = scene.data.large
    ours = scene.archives[OURS]

    def look(operation: str, contender: str, do: Callable[[], object]) -> None:
        pid = scene.archives[contender].pid
        with Looking(pid) as looking:
            do()
        results.memory.append(
            PeakMemory(
                operation=operation,
                contender=contender,
                anonymous=looking.peak.anonymous,
                file=looking.peak.file,
                high_water=looking.peak.high_water,
            )
        )

    for contender in scene.contenders:
        for study in (scene.data.a, scene.data.b):
            archive = scene.peer(contender, study)
            keys = tools.study_keys(study.study_uid)
            look(f"move_{study.label}", contender, partial(tools.move, archive, scene.sink, keys))
            look(f"get_{study.label}", contender, partial(tools.get, archive, keys))
    look("store_L", OURS, lambda: tools.store(ours, large.files))
    look("move_L", OURS, lambda: tools.move(ours, scene.sink, tools.study_keys(large.study_uid)))
    look("get_L", OURS, lambda: tools.get(ours, tools.study_keys(large.study_uid)))


def _repeated(
    name: str, scene: Scene, repetitions: int, rows: int, do: Callable[[Scene, str, int], object]
) -> Operation:
    def measured(contender: str) -> Sample:
        pid = scene.archives[contender].pid
        before = cpu_seconds(pid)
        taken = []
        for number in range(repetitions):
            began = time.perf_counter()
            do(scene, contender, number)
            taken.append(time.perf_counter() - began)
        return Sample(
            operation=name,
            contender=contender,
            round=0,
            seconds=statistics.median(taken),
            cpu_seconds=(cpu_seconds(pid) - before) / repetitions,
            objects=len(scene.many_of(contender)) if name == "find_many" else rows,
        )

    return Operation(name=name, contenders=scene.contenders, measure=measured)


def _echo(scene: Scene, contender: str, number: int) -> None:
    archive = scene.archives[contender]
    echo(archive.port, archive.ae_title)


def _find_one(scene: Scene, contender: str, number: int) -> None:
    many = scene.many_of(DCMQRSCP)
    find_study(scene, contender, many[number % len(many)].study_uid)


def _retrieve(name: str, scene: Scene, study: Study, do: Callable[[Scene, Peer, Study], float]) -> Operation:
    def measured(contender: str) -> Sample:
        return _timed(name, contender, scene.peer(contender, study), study, lambda a: do(scene, a, study))

    return Operation(name=name, contenders=scene.contenders, measure=measured)


def _proxied(scene: Scene, pacs: str, study: Study, effort: Effort) -> Operation:
    """The same study of the same PACS to the same sink: from ours before it, and from itself."""
    name = f"proxy_{pacs}_{study.label}"

    def measured(contender: str) -> Sample:
        archive = scene.in_front(pacs, study) if contender == OURS else scene.peer(pacs, study)
        return _timed(name, contender, archive, study, lambda a: _move(scene, a, study))

    # Where time is short, the checks are the warm-up: they have moved the same.
    return Operation(name=name, contenders=(OURS, pacs), measure=measured, has_warm_up=not effort.is_quick)


def _move(scene: Scene, archive: Peer, study: Study) -> float:
    return tools.move(archive, scene.sink, tools.study_keys(study.study_uid))


def _get(scene: Scene, archive: Peer, study: Study) -> float:
    return tools.get(archive, tools.study_keys(study.study_uid))


def _get_one(scene: Scene, contender: str, number: int) -> None:
    archive, many = scene.archives[contender], scene.many_of(DCMQRSCP)
    if get(archive.port, archive.ae_title, many[number % len(many)].study_uid) != 1:
        raise BenchmarkError("a study of one object came with another number of them")


def _at_once(scene: Scene, study: Study) -> Operation:
    """The same study to two clients at the same time: what both of them got."""

    def both(archive: Peer) -> float:
        began = time.perf_counter()
        with ThreadPoolExecutor(2) as clients:
            list(clients.map(lambda _: _get(scene, archive, study), range(2)))
        return time.perf_counter() - began

    def measured(contender: str) -> Sample:
        name = f"get_two_{study.label}"
        sample = _timed(name, contender, scene.peer(contender, study), study, both)
        return replace(sample, objects=2 * sample.objects, bytes=2 * sample.bytes)

    return Operation(name=f"get_two_{study.label}", contenders=scene.contenders, measure=measured)


def _move_as_shipped(scene: Scene, contender: str) -> Sample:
    """Ours sends the study, the others its first series: at 40 ms an object that is long enough."""
    study, archive, sink = scene.data.a, scene.archives[contender], scene.sink_as_shipped
    if contender in COERCED:
        keys = tools.study_keys(study.study_uid)
        return _timed("nagle_A", contender, archive, study, lambda a: tools.move(a, sink, keys))
    keys = tools.series_keys(study.study_uid, study.series_uids[0])
    sample = _timed("nagle_A", contender, archive, study, lambda a: tools.move(a, sink, keys))
    part = study.objects_of_first_series
    return replace(sample, objects=part, bytes=study.total_bytes * part // study.objects)


def _store(scene: Scene, study: Study, contenders: Sequence[str], results: Results) -> Operation:
    def measured(contender: str) -> Sample:
        with scene.fresh(contender) as archive:
            # The first object of a process is its warm-up; the archive has no other.
            tools.store(archive, scene.data.many[0].files)
            # What others have written without fsync must not be written while this one waits for its own.
            os.sync()
            sample = _timed(f"store_{study.label}", contender, archive, study, lambda a: tools.store(a, study.files))
            found = tools.count_instances(archive, study.study_uid, study.series_uids)
        results.checks.append(check_stored(scene, contender, study, found))
        return sample

    return Operation(name=f"store_{study.label}", contenders=contenders, measure=measured, has_warm_up=False)


def _timed(name: str, contender: str, archive: Peer, study: Study, do: Callable[[Peer], float]) -> Sample:
    before = cpu_seconds(archive.pid)
    seconds = do(archive)
    return Sample(
        operation=name,
        contender=contender,
        round=0,
        seconds=seconds,
        cpu_seconds=cpu_seconds(archive.pid) - before,
        objects=study.objects,
        bytes=study.total_bytes,
    )
