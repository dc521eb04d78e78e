"""Retrieves of the studies A and B: by DCMTK's tools, by a client and a sink of our own, by several clients at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from scripts.benchmark import clients, tools
from scripts.benchmark.archives import Peer
from scripts.benchmark.data import Study
from scripts.benchmark.operations import Effort, Operation, all_but_uncoerced, timed
from scripts.benchmark.results import Sample
from scripts.benchmark.scene import COERCED, OURS, PACS, Scene

SEVERAL = (2, 4)
"""Clients at once."""


def moves(scene: Scene) -> Iterator[Operation]:
    """C-MOVE by movescu to storescp."""
    for study in _studies(scene):
        yield _retrieve(f"move_{study.label}", scene, study, _move)


def gets(scene: Scene) -> Iterator[Operation]:
    """C-GET by getscu."""
    for study in _studies(scene):
        yield _retrieve(f"get_{study.label}", scene, study, _get)


def fast(scene: Scene, effort: Effort) -> Iterator[Operation]:
    """C-MOVE and C-GET by a client and a sink that take so little time that the archive is what is measured."""
    for study in _studies(scene):
        for name, do in (("move", _fast_move), ("get", _fast_get)):
            yield _retrieve(f"fast_{name}_{study.label}", scene, study, do, has_warm_up=not effort.is_quick)


def several(scene: Scene, effort: Effort) -> Iterator[Operation]:
    """C-GET of the same study by several clients at the same time: what all of them got."""
    for number in SEVERAL:
        for study in _studies(scene):
            yield _at_once(scene, study, number, effort)


def proxied(scene: Scene, effort: Effort) -> Iterator[Operation]:
    """The same study of the same PACS to the same sink: from ours before it, and from itself."""
    for pacs in PACS:
        for study in _studies(scene):
            yield _proxied(scene, pacs, study, effort)


def as_shipped(scene: Scene) -> Operation:
    """C-MOVE to a sink with Nagle's algorithm on.

    Ours sends the study, the others its first series: at 40 ms an object that is long enough.
    """
    study, sink = scene.data.a, scene.sink_as_shipped

    def measured(contender: str) -> Sample:
        archive = scene.archives[contender]
        if contender in COERCED:
            keys = tools.study_keys(study.study_uid)
            return timed("nagle_A", contender, archive, study, lambda a: tools.move(a, sink, keys))
        keys = tools.series_keys(study.study_uid, study.series_uids[0])
        sample = timed("nagle_A", contender, archive, study, lambda a: tools.move(a, sink, keys))
        part = study.objects_of_first_series
        return replace(sample, objects=part, bytes=study.total_bytes * part // study.objects)

    return Operation(name="nagle_A", contenders=all_but_uncoerced(scene), measure=measured, has_warm_up=False)


def _studies(scene: Scene) -> tuple[Study, Study]:
    return scene.data.a, scene.data.b


def _retrieve(
    name: str,
    scene: Scene,
    study: Study,
    do: Callable[[Scene, Peer, Study], float],
    *,
    has_warm_up: bool = True,
) -> Operation:
    def measured(contender: str) -> Sample:
        return timed(name, contender, scene.peer(contender, study), study, lambda a: do(scene, a, study))

    return Operation(name=name, contenders=scene.contenders, measure=measured, has_warm_up=has_warm_up)


def _at_once(scene: Scene, study: Study, number: int, effort: Effort) -> Operation:
    name = f"get_{study.label}_by_{number}"

    def measured(contender: str) -> Sample:
        archive = scene.peer(contender, study)
        sample = timed(name, contender, archive, study, lambda a: clients.get(a, study, number))
        return replace(sample, objects=number * sample.objects, bytes=number * sample.bytes)

    return Operation(name=name, contenders=scene.contenders, measure=measured, has_warm_up=not effort.is_quick)


def _proxied(scene: Scene, pacs: str, study: Study, effort: Effort) -> Operation:
    name = f"proxy_{pacs}_{study.label}"

    def measured(contender: str) -> Sample:
        archive = scene.in_front(pacs, study) if contender == OURS else scene.peer(pacs, study)
        return timed(name, contender, archive, study, lambda a: _move(scene, a, study))

    # Where time is short, the checks are the warm-up: they have moved the same.
    return Operation(name=name, contenders=(OURS, pacs), measure=measured, has_warm_up=not effort.is_quick)


def _move(scene: Scene, archive: Peer, study: Study) -> float:
    return tools.move(archive, scene.sink, tools.study_keys(study.study_uid))


def _get(scene: Scene, archive: Peer, study: Study) -> float:
    return tools.get(archive, tools.study_keys(study.study_uid))


def _fast_move(scene: Scene, archive: Peer, study: Study) -> float:
    return clients.move(archive, study, scene.fast_sink)


def _fast_get(scene: Scene, archive: Peer, study: Study) -> float:
    return clients.get(archive, study)
