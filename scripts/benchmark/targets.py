"""Targets, as ratios in one run, and what a run reached of them."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scripts.benchmark.results import Results, Sample
from scripts.benchmark.scene import DCMQRSCP, ORTHANC, OURS, UNCOERCED
from scripts.benchmark.window import ONE_AT_A_TIME, OPERATION

MEMORY_LIMIT = 110 * 2**20
"""Anonymous memory of a worker of ours, in bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Ours against the best of ``against``: objects/s at least, or time at most, ``limit`` times theirs.

    Without a limit the ratio is told, and nothing is wanted.
    """

    name: str
    operation: str
    against: Sequence[str]
    limit: float | None
    is_time: bool = False

    def is_met_by(self, ratio: float) -> bool:
        if self.limit is None:
            return True
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


def _rate(name: str, operation: str, limit: float | None, *against: str) -> Target:
    return Target(name=name, operation=operation, against=against or _PEERS, limit=limit)


def _time(name: str, operation: str, limit: float, *against: str) -> Target:
    return Target(name=name, operation=operation, against=against or (ORTHANC,), limit=limit, is_time=True)


TARGETS = (
    _rate("C-MOVE, A", "move_A", 1.9),
    _rate("C-MOVE, B", "move_B", 1.6),
    _rate("C-GET, A", "get_A", 1.9),
    _rate("C-GET, B", "get_B", 1.7),
    _rate("C-MOVE, A, fast client", "fast_move_A", 1.8),
    _rate("C-MOVE, B, fast client", "fast_move_B", 2.0),
    _rate("C-GET, A, fast client", "fast_get_A", 1.8),
    _rate("C-GET, B, fast client", "fast_get_B", 2.0),
    _rate("C-GET, A, two clients", "get_A_by_2", 1.5),
    _rate("C-GET, B, two clients", "get_B_by_2", 1.5),
    _rate("C-GET, A, four clients", "get_A_by_4", 1.5),
    _rate("C-GET, B, four clients", "get_B_by_4", 1.5),
    _time("C-GET, one object", "get_1", 1.2),
    _time("C-MOVE, one object", "move_1", 1.2),
    _rate("C-MOVE, A, sink with Nagle on", "nagle_A", 90),
    _rate("C-MOVE, A, coerced / uncoerced", "move_A", 0.95, UNCOERCED),
    _rate("C-MOVE, B, coerced / uncoerced", "move_B", 0.95, UNCOERCED),
    _rate("C-GET, A, coerced / uncoerced", "get_A", 0.95, UNCOERCED),
    _rate("C-GET, B, coerced / uncoerced", "get_B", 0.95, UNCOERCED),
    _rate("C-MOVE, A of dcmqrscp, proxy / direct", "proxy_dcmqrscp_A", 0.9, DCMQRSCP),
    _rate("C-MOVE, B of dcmqrscp, proxy / direct", "proxy_dcmqrscp_B", 0.9, DCMQRSCP),
    _rate("C-MOVE, A of Orthanc, proxy / direct", "proxy_orthanc_A", 0.9, ORTHANC),
    _rate("C-MOVE, B of Orthanc, proxy / direct", "proxy_orthanc_B", 0.9, ORTHANC),
    _rate("C-MOVE, a long line, window / one at a time", OPERATION, 8, ONE_AT_A_TIME),
    _rate("C-STORE, A", "store_A", 1.8, ORTHANC),
    _rate("C-STORE, A, beside dcmqrscp: no sync, no digest", "store_A", None, DCMQRSCP),
    _rate("C-STORE, B", "store_B", 1.5, ORTHANC),
    _time("C-FIND, one study", "find_1", 0.6),
    _time("C-FIND, all studies C", "find_many", 0.15),
    _time("C-ECHO", "echo", 1.6),
    _time("QIDO-RS, all studies C", "web_studies", 0.5),
    _rate("WADO-RS, A", "web_wado_A", 1.5, ORTHANC),
    _rate("WADO-RS, B", "web_wado_B", None, ORTHANC),
    _time("metadata of A", "web_metadata_A", 0.5),
    _time("first frame of an object of A", "web_frame", 0.5),
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
