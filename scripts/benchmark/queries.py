"""Queries and retrieves of one object: each on an association of its own, from connecting to the release."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.benchmark import wire
from scripts.benchmark.checks import find_many, find_study
from scripts.benchmark.operations import Effort, Operation, repeated
from scripts.benchmark.process import BenchmarkError
from scripts.benchmark.scene import DCMQRSCP, Scene


def echoes(scene: Scene, effort: Effort) -> Iterator[Operation]:
    """C-ECHO."""
    yield repeated("echo", scene, effort.echoes, _echo, objects=lambda _: 0)


def finds(scene: Scene, effort: Effort) -> Iterator[Operation]:
    """C-FIND of one study, and of many of them."""
    yield repeated("find_1", scene, effort.finds, _find_one, objects=lambda _: 1)
    yield repeated(
        "find_many",
        scene,
        effort.listings,
        lambda scene, contender, _: find_many(scene.archives[contender]),
        objects=lambda contender: len(scene.many_of(contender)),
    )


def small_retrieves(scene: Scene, effort: Effort) -> Iterator[Operation]:
    """C-GET and C-MOVE of a study of one object; it is sent to the sink of our own."""
    yield repeated("get_1", scene, effort.finds, _get_one, objects=lambda _: 1)
    yield repeated("move_1", scene, effort.finds, _move_one, objects=lambda _: 1)


def _echo(scene: Scene, contender: str, number: int) -> None:
    archive = scene.archives[contender]
    wire.echo(archive.port, archive.ae_title)


def _find_one(scene: Scene, contender: str, number: int) -> None:
    find_study(scene.archives[contender], _study_uid(scene, number))


def _get_one(scene: Scene, contender: str, number: int) -> None:
    archive = scene.archives[contender]
    _expect_one(wire.get(archive.port, archive.ae_title, _study_uid(scene, number)))


def _move_one(scene: Scene, contender: str, number: int) -> None:
    archive, sink = scene.archives[contender], scene.fast_sink
    _expect_one(wire.move(archive.port, archive.ae_title, _study_uid(scene, number), sink.ae_title))


def _study_uid(scene: Scene, number: int) -> str:
    """One of the studies that everybody has."""
    many = scene.many_of(DCMQRSCP)
    return many[number % len(many)].study_uid


def _expect_one(objects: int) -> None:
    if objects != 1:
        raise BenchmarkError(f"a study of one object came with {objects} of them")
