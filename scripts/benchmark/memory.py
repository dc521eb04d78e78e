"""Peaks of memory while studies are sent and stored, in a pass of its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from scripts.benchmark import dicomweb, tools
from scripts.benchmark.proc import PeakMemory as Looking
from scripts.benchmark.results import PeakMemory, Results
from scripts.benchmark.scene import OURS, Scene


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
    look("web_wado_L", OURS, lambda: dicomweb.get_objects(scene, OURS, large))
    look("web_frame_L", OURS, lambda: dicomweb.get_last_frame(scene, OURS, large))
