"""Targets, as ratios in one run, and what a run reached of them."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scripts.benchmark.results import Results, Sample
from scripts.benchmark.scene import DCMQRSCP, ORTHANC, OURS, UNCOERCED

MEMORY_LIMIT = 150 * 2**20
"""Anonymous memory of a worker of ours, in bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Ours against the best of ``against``: objects/s at least, or time at most, ``limit`` times theirs."""

    name: str
    operation: str
    against: Sequence[str]
    limit: float
    is_time: bool = False

    def is_met_by(self, ratio: float) -> bool:
        return ratio <= self.limit if self.is_time else ratio >= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The ratio of the medians, and the least and the greatest of the rounds'."""

    target: Target
    contender: str
    ratio: float
    least: float
    greatest: float
    rounds: int

    @property
    def is_reached(self) -> bool:
        return self.target.is_met_by(self.ratio)


_PEERS = (DCMQRSCP, ORTHANC)
TARGETS = (
    Target(name="C-MOVE, A", operation="move_A", against=_PEERS, limit=1.5),
    Target(name="C-MOVE, B", operation="move_B", against=_PEERS, limit=1.5),
    Target(name="C-GET, A", operation="get_A", against=_PEERS, limit=1.5),
    Target(name="C-GET, B", operation="get_B", against=_PEERS, limit=1.5),
    Target(name="C-MOVE, A, sink with Nagle on", operation="nagle_A", against=_PEERS, limit=50),
    Target(name="C-MOVE, A, coerced / uncoerced", operation="move_A", against=(UNCOERCED,), limit=0.9),
    Target(name="C-MOVE, B, coerced / uncoerced", operation="move_B", against=(UNCOERCED,), limit=0.9),
    Target(name="C-GET, A, coerced / uncoerced", operation="get_A", against=(UNCOERCED,), limit=0.9),
    Target(name="C-GET, B, coerced / uncoerced", operation="get_B", against=(UNCOERCED,), limit=0.9),
    Target(name="C-MOVE, A of dcmqrscp, proxy / direct", operation="proxy_dcmqrscp_A", against=(DCMQRSCP,), limit=0.8),
    Target(name="C-MOVE, B of dcmqrscp, proxy / direct", operation="proxy_dcmqrscp_B", against=(DCMQRSCP,), limit=0.8),
    Target(name="C-MOVE, A of Orthanc, proxy / direct", operation="proxy_orthanc_A", against=(ORTHANC,), limit=0.8),
    Target(name="C-MOVE, B of Orthanc, proxy / direct", operation="proxy_orthanc_B", against=(ORTHANC,), limit=0.8),
    Target(name="C-STORE, A", operation="store_A", against=(DCMQRSCP,), limit=1.0),
    Target(name="C-STORE, B", operation="store_B", against=(ORTHANC,), limit=1.5),
    Target(name="C-FIND, one study", operation="find_1", against=(ORTHANC,), limit=1.0, is_time=True),
    Target(name="C-FIND, all studies C", operation="find_many", against=(ORTHANC,), limit=1.0, is_time=True),
    Target(
        name="C-FIND, one study, coerced / uncoerced",
        operation="find_1",
        against=(UNCOERCED,),
        limit=1.3,
        is_time=True,
    ),
    Target(
        name="C-FIND, all studies C, coerced / uncoerced",
        operation="find_many",
        against=(UNCOERCED,),
        limit=1.3,
        is_time=True,
    ),
    Target(name="C-ECHO", operation="echo", against=(ORTHANC,), limit=2.0, is_time=True),
)


def outcomes(results: Results) -> Iterator[Outcome]:
    """Outcomes of each target that was measured, in the order of the targets."""
    for target in TARGETS:
        ours = of(results.samples, target.operation, OURS)
        rivals = {name: of(results.samples, target.operation, name) for name in target.against}
        rivals = {name: samples for name, samples in rivals.items() if samples}
        if not ours or not rivals:
            continue

        def median(samples: Sequence[Sample], target: Target = target) -> float:
            return statistics.median(_worth(sample, is_time=target.is_time) for sample in samples)

        best = (min if target.is_time else max)(rivals, key=lambda name: median(rivals[name]))
        rounds = {sample.round: sample for sample in rivals[best]}
        pairs = [
            _worth(sample, is_time=target.is_time) / _worth(rounds[sample.round], is_time=target.is_time)
            for sample in ours
            if sample.round in rounds
        ]
        ratio = median(ours) / median(rivals[best])
        yield Outcome(
            target=target,
            contender=best,
            ratio=ratio,
            least=min(pairs, default=ratio),
            greatest=max(pairs, default=ratio),
            rounds=len(pairs),
        )


def anonymous_peak(results: Results) -> int | None:
    """The highest anonymous memory of a process of ours while it sent, in bytes; None where it was not looked at."""
    sending = (peak for peak in results.memory if peak.contender == OURS and not peak.operation.startswith("store"))
    return max((peak.anonymous for peak in sending), default=None)


def of(samples: Sequence[Sample], operation: str, contender: str) -> list[Sample]:
    """The samples of one contender's operation."""
    return [sample for sample in samples if sample.operation == operation and sample.contender == contender]


def _worth(sample: Sample, *, is_time: bool) -> float:
    return sample.seconds if is_time else sample.objects_per_second
