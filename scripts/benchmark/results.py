"""Results of a run: raw samples, memory, calls and checks, and the same as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FORMAT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One operation of one contender in one round.

    ``seconds`` is the wall time of the client, or the median of a round's queries; ``cpu_seconds`` is the archive's,
    for one query likewise, and ``system_seconds`` the kernel's part of it. ``objects`` are those transferred, or the
    rows of an answer.
    """

    operation: str
    contender: str
    round: int
    seconds: float
    cpu_seconds: float
    system_seconds: float
    objects: int
    bytes: int = 0

    @property
    def objects_per_second(self) -> float:
        return self.objects / self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakMemory:
    """The highest memory in bytes of the archive's largest process while it did one thing.

    ``high_water`` is that of the process since its start.
    """

    operation: str
    contender: str
    anonymous: int
    file: int
    high_water: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """Calls of functions of ours for one object, or one query, and the functions that take most CPU time.

    Of each of these: calls, microseconds in the function itself, its name; all for one object.
    """

    operation: str
    contender: str
    objects: int
    calls: float
    functions: Sequence[tuple[float, float, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Something that must be true, or the figures mean nothing."""

    name: str
    passed: bool
    detail: str = ""


@dataclass(slots=True, kw_only=True)
class Results:
    """Everything of one run."""

    machine: Mapping[str, str]
    settings: Mapping[str, str]
    samples: list[Sample] = field(default_factory=list)
    memory: list[PeakMemory] = field(default_factory=list)
    calls: list[Calls] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    is_busy: bool = False
    """The machine had other work when the run began: its figures are not to be compared."""

    @property
    def passed(self) -> bool:
        """True if everything that was checked is true, and something was."""
        return bool(self.checks) and all(check.passed for check in self.checks)


def to_json(results: Results) -> str:
    return json.dumps({"format": FORMAT, **asdict(results)}, indent=1) + "\n"


def from_json(text: str) -> Results:
    """Read what to_json wrote. Raises ValueError."""
    document: dict[str, Any] = json.loads(text)
    if document.get("format") != FORMAT:
        raise ValueError(f"expected results of format {FORMAT}, not {document.get('format')!r}")
    return Results(
        machine=document["machine"],
        settings=document["settings"],
        samples=[Sample(**sample) for sample in document["samples"]],
        memory=[PeakMemory(**peak) for peak in document["memory"]],
        calls=[
            Calls(**{**calls, "functions": [tuple(function) for function in calls["functions"]]})
            for calls in document["calls"]
        ],
        checks=[Check(**check) for check in document["checks"]],
        is_busy=document["is_busy"],
    )


def read(path: Path) -> Results:
    """The results in a file. Raises OSError, ValueError."""
    return from_json(path.read_text("utf-8"))
