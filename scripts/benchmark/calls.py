"""Calls of functions that ours needs for one object or query, and those that take most time: in a pass of its own.

A service of its own runs as one process that counts them (`scripts.benchmark.counted`); nothing is timed meanwhile.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from scripts.benchmark import tools, wire
from scripts.benchmark.archives import Archive, answers
from scripts.benchmark.checks import find_many, find_study
from scripts.benchmark.results import Calls, Results
from scripts.benchmark.scene import COERCED, Scene
from tests.fixtures.ports import free_port

TOP = 15
"""Functions that are told of each operation."""
_REPETITIONS = 20

Counts = Mapping[str, tuple[int, int]]
"""Calls and nanoseconds by function."""
Pass = tuple[str, int, Callable[[], object]]
"""An operation, the objects or queries of it, and how it is done."""


def measure_calls(scene: Scene, results: Results) -> None:
    """Count in ours, and in ours of the other revision. Raises BenchmarkError, WireError, OSError."""
    port = free_port()
    for contender in scene.contenders:
        if contender in COERCED:
            with scene.fresh(contender, counted_port=port) as archive:
                tools.store(archive, [path for study in scene.data.many for path in study.files])
                for study in (scene.data.a, scene.data.b):
                    storing = partial(tools.store, archive, study.files)
                    results.calls.append(_counted(f"store_{study.label}", contender, study.objects, storing, port))
                for operation, objects, do in _passes(scene, archive):
                    # What is done once for all is not what one object needs.
                    do()
                    results.calls.append(_counted(operation, contender, objects, do, port))


def _passes(scene: Scene, archive: Archive) -> Iterator[Pass]:
    address = (archive.port, archive.ae_title)
    sink, some = scene.fast_sink.ae_title, scene.data.many[:_REPETITIONS]
    for study in (scene.data.a, scene.data.b):
        yield f"move_{study.label}", study.objects, partial(wire.move, *address, study.study_uid, sink)
        yield f"get_{study.label}", study.objects, partial(wire.get, *address, study.study_uid)
    yield "move_1", len(some), lambda: [wire.move(*address, study.study_uid, sink) for study in some]
    yield "get_1", len(some), lambda: [wire.get(*address, study.study_uid) for study in some]
    yield "find_1", len(some), lambda: [find_study(archive, study.study_uid) for study in some]
    yield "find_many", len(scene.data.many), lambda: find_many(archive)
    yield "echo", _REPETITIONS, lambda: [answers(*address) for _ in range(_REPETITIONS)]


def _counted(operation: str, contender: str, objects: int, do: Callable[[], object], port: int) -> Calls:
    before = _read(port)
    do()
    made = [(name, *_since(before.get(name, (0, 0)), now)) for name, now in _read(port).items()]
    return Calls(
        operation=operation,
        contender=contender,
        objects=objects,
        calls=sum(calls for _, calls, _ in made) / objects,
        functions=_top(made, objects),
    )


def _since(before: tuple[int, int], now: tuple[int, int]) -> tuple[int, int]:
    return now[0] - before[0], now[1] - before[1]


def _top(made: Sequence[tuple[str, int, int]], objects: int) -> list[tuple[float, float, str]]:
    slowest = sorted(made, key=lambda one: one[2], reverse=True)[:TOP]
    return [(round(calls / objects, 2), round(spent / 1000 / objects, 2), name) for name, calls, spent in slowest]


def _read(port: int) -> Counts:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=wire.SECONDS) as connection,
        connection.makefile() as told,
    ):
        return {name: (calls, spent) for name, (calls, spent) in json.load(told).items()}
