"""C-STORE of the studies A and B into an archive that was started for it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from scripts.benchmark import tools
from scripts.benchmark.checks import check_stored
from scripts.benchmark.data import Study
from scripts.benchmark.operations import Effort, Operation, all_but_uncoerced, timed
from scripts.benchmark.results import Results, Sample
from scripts.benchmark.scene import DCMQRSCP, Scene


def stores(scene: Scene, effort: Effort, results: Results) -> Iterator[Operation]:
    """C-STORE by storescu; after each, the objects are looked for."""
    storing = all_but_uncoerced(scene)
    yield _store(scene, scene.data.a, storing, results)
    # dcmqrscp needs many seconds for this, and there is no target against it.
    yield _store(scene, scene.data.b, [c for c in storing if c != DCMQRSCP or not effort.is_quick], results)


def _store(scene: Scene, study: Study, contenders: Sequence[str], results: Results) -> Operation:
    def measured(contender: str) -> Sample:
        with scene.fresh(contender) as archive:
            # The first object of a process is its warm-up; the archive has no other.
            tools.store(archive, scene.data.many[0].files)
            # What others have written without fsync must not be written while this one waits for its own.
            os.sync()
            sample = timed(f"store_{study.label}", contender, archive, study, lambda a: tools.store(a, study.files))
            found = tools.count_instances(archive, study.study_uid, study.series_uids)
        results.checks.append(check_stored(scene, contender, study, found))
        return sample

    return Operation(name=f"store_{study.label}", contenders=contenders, measure=measured, has_warm_up=False)
