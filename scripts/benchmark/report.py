"""A run as tables: of what was reached and measured, of memory, calls and checks; as text or as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

from scripts.benchmark.pages import DEVICES, LIMIT_SECONDS, PAGES, SETTING
from scripts.benchmark.results import Results, Sample
from scripts.benchmark.scene import BEFORE, CONTENDERS, DCMQRSCP, ORTHANC, OURS, UNCOERCED
from scripts.benchmark.targets import MEMORY_LIMIT, anonymous_peak, of, outcomes
from scripts.benchmark.window import ONE_AT_A_TIME, OPERATION

BEGIN, END = "<!-- figures: written by scripts/bench -->", "<!-- end of figures -->"

_NAMES = {
    OURS: "ours",
    BEFORE: "ours, before",
    UNCOERCED: "ours, no rule",
    ONE_AT_A_TIME: "ours, one at a time",
    DCMQRSCP: "dcmqrscp",
    ORTHANC: "Orthanc",
}
_OPERATIONS = {
    "move_A": "C-MOVE A",
    "move_B": "C-MOVE B",
    "move_L": "C-MOVE large object",
    "get_A": "C-GET A",
    "get_B": "C-GET B",
    "get_L": "C-GET large object",
    "fast_move_A": "C-MOVE A, fast client",
    "fast_move_B": "C-MOVE B, fast client",
    "fast_get_A": "C-GET A, fast client",
    "fast_get_B": "C-GET B, fast client",
    "get_A_by_2": "C-GET A, two clients",
    "get_B_by_2": "C-GET B, two clients",
    "get_A_by_4": "C-GET A, four clients",
    "get_B_by_4": "C-GET B, four clients",
    "proxy_dcmqrscp_A": "C-MOVE A of dcmqrscp, proxy or direct",
    "proxy_dcmqrscp_B": "C-MOVE B of dcmqrscp, proxy or direct",
    "proxy_orthanc_A": "C-MOVE A of Orthanc, proxy or direct",
    "proxy_orthanc_B": "C-MOVE B of Orthanc, proxy or direct",
    "nagle_A": "C-MOVE A, sink with Nagle on",
    OPERATION: "C-MOVE, a long line",
    "store_A": "C-STORE A",
    "store_B": "C-STORE B",
    "store_L": "C-STORE large object",
    "get_1": "C-GET, one object",
    "move_1": "C-MOVE, one object",
    "find_1": "C-FIND, one study",
    "find_many": "C-FIND, all studies C",
    "echo": "C-ECHO",
    "web_studies": "QIDO-RS, all studies C",
    "web_wado_A": "WADO-RS A",
    "web_wado_B": "WADO-RS B",
    "web_wado_L": "WADO-RS large object",
    "web_frame_L": "last frame of the large object",
    "web_metadata_A": "metadata of A",
    "web_frame": "first frame of an object of A",
    "page_devices": "list of devices",
    "page_device": "page of a device",
    "page_search": "search over a device",
    "page_rules": "coercion rules",
    "page_rule": "page of a rule",
    "page_control": "control",
}
_BUSY = " (BUSY MACHINE: not to be compared)"
_QUERIES = ("get_1", "move_1", "find_1", "find_many", "echo", "web_studies", "web_metadata_A", "web_frame")
_PAGES = tuple(PAGES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of text under a title."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def tables(results: Results) -> Iterator[Table]:
    """Every table that has rows."""
    every = (
        _targets(results),
        _against(results),
        _transfers(results),
        _queries(results),
        _pages(results),
        _memory(results),
        _calls(results),
    )
    for table in every:
        if table.rows:
            yield replace(table, title=f"{table.title}{_BUSY}") if results.is_busy else table


def as_text(results: Results) -> str:
    """For a terminal."""
    parts = [_lines((*results.machine.items(), *results.settings.items()))]
    for table in tables(results):
        cells = (table.header, *table.rows)
        widths = [max(len(row[column]) for row in cells) for column in range(len(table.header))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
        lines.insert(1, "  ".join("-" * width for width in widths))
        parts.append("\n".join([table.title, "", *(line.rstrip() for line in lines)]))
    parts.append(_verdict(results))
    return "\n\n".join(parts) + "\n"


def as_markdown(results: Results) -> str:
    """For docs/performance.md."""
    parts = ["\n".join(f"- {name}: {value}" for name, value in (*results.machine.items(), *results.settings.items()))]
    for table in tables(results):
        cells = (table.header, ["---"] * len(table.header), *table.rows)
        parts.append("\n".join([f"### {table.title}", "", *(f"| {' | '.join(row)} |" for row in cells)]))
    parts.append(_verdict(results))
    return "\n\n".join(parts) + "\n"


def put_into(document: str, figures: str) -> str:
    """The document with the figures between its two marks. Raises ValueError where it has none."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"expected the lines {BEGIN} and {END}")
    return f"{before}{begin}\n\n{figures}\n{end}{after}"


def _targets(results: Results) -> Table:
    rows = []
    for outcome in outcomes(results):
        target = outcome.target
        rows.append(
            (
                target.name,
                "time" if target.is_time else "objects/s",
                _NAMES[outcome.contender],
                f"{_number(outcome.ratio)} x",
                f"{_number(outcome.least)} to {_number(outcome.greatest)}",
                "" if target.limit is None else f"{'at most' if target.is_time else 'at least'} {target.limit:g} x",
                "" if target.limit is None else _reached(outcome.is_reached),
            )
        )
    peak = anonymous_peak(results)
    if peak is not None:
        limit = f"under {_mebibytes(MEMORY_LIMIT)}"
        rows.append(
            (
                "Peak RssAnon of a worker while sending",
                "MiB",
                "-",
                _mebibytes(peak),
                "",
                limit,
                _reached(peak < MEMORY_LIMIT),
            )
        )
    return Table(
        title="Targets: ours, every object coerced, against the faster peer, or against ours without a rule",
        header=("what", "of", "against", "reached", "in the rounds", "target", ""),
        rows=rows,
    )


def _against(results: Results) -> Table:
    """Ours beside ours of another revision: medians of the ratios of the rounds."""
    rows = []
    for operation in _OPERATIONS:
        ours, before = (
            sorted(of(results.samples, operation, contender), key=lambda sample: sample.round)
            for contender in (OURS, BEFORE)
        )
        if ours and before:
            row = [_OPERATIONS[operation], f"{len(ours)}"]
            for value in (attrgetter("cpu_seconds"), attrgetter("seconds")):
                now, then = ([value(sample) for sample in samples] for samples in (ours, before))
                rounds = sorted(one / other for one, other in zip(now, then, strict=False) if other)
                row += (
                    [f"{statistics.median(rounds):.2f}", f"{rounds[0]:.2f} to {rounds[-1]:.2f}"]
                    if rounds
                    else ["too short", ""]
                )
            rows.append(row)
    return Table(
        title="Ours against ours of the other revision; below 1 is better now",
        header=("operation", "rounds", "CPU time", "in the rounds", "wall time", "in the rounds"),
        rows=rows,
    )


def _transfers(results: Results) -> Table:
    rows = []
    for operation, contender, samples in _measured(results):
        if operation in (*_QUERIES, *_PAGES):
            continue
        objects = [sample.objects_per_second for sample in samples]
        megabytes = statistics.median(sample.bytes / sample.seconds / 1e6 for sample in samples)
        rows.append(
            (
                _OPERATIONS[operation],
                _NAMES[contender],
                f"{samples[0].objects}",
                f"{len(samples)}",
                f"{statistics.median(objects):,.0f}",
                f"{min(objects):,.0f} to {max(objects):,.0f}",
                f"{megabytes:,.0f}",
                f"{statistics.median(sample.seconds for sample in samples):.3f}",
                *_microseconds(samples),
            )
        )
    return Table(
        title="Transfers: medians of the rounds; wall time of the client; CPU time of the archive for an object",
        header=(
            *("operation", "archive", "objects", "rounds", "objects/s", "in the rounds", "MB/s", "s"),
            *("user µs", "system µs"),
        ),
        rows=rows,
    )


def _microseconds(samples: Sequence[Sample]) -> tuple[str, str]:
    """User and system time of an object."""
    user = statistics.median((sample.cpu_seconds - sample.system_seconds) / sample.objects for sample in samples)
    system = statistics.median(sample.system_seconds / sample.objects for sample in samples)
    return _number(max(0.0, user) * 1e6), _number(system * 1e6)


def _queries(results: Results) -> Table:
    rows = []
    for operation, contender, samples in _measured(results):
        if operation not in _QUERIES:
            continue
        taken = [sample.seconds * 1000 for sample in samples]
        rows.append(
            (
                _OPERATIONS[operation],
                _NAMES[contender],
                f"{samples[0].objects}",
                f"{len(samples)}",
                _number(statistics.median(taken)),
                f"{_number(min(taken))} to {_number(max(taken))}",
                _number(statistics.median(sample.cpu_seconds for sample in samples) * 1000),
                _number(statistics.median(sample.system_seconds for sample in samples) * 1000),
            )
        )
    return Table(
        title="Queries and small retrieves: medians of the rounds, each on a connection of its own, its end included",
        header=("operation", "archive", "answers", "rounds", "ms", "in the rounds", "CPU ms", "of it system"),
        rows=rows,
    )


def _pages(results: Results) -> Table:
    rows = []
    for operation, _, samples in _measured(results):
        if operation in _PAGES:
            taken = [sample.seconds * 1000 for sample in samples]
            cpu = statistics.median(sample.cpu_seconds for sample in samples)
            rows.append(
                (
                    _OPERATIONS[operation],
                    f"{samples[0].bytes / 1000:,.0f}",
                    f"{len(samples)}",
                    _number(statistics.median(taken)),
                    f"{_number(min(taken))} to {_number(max(taken))}",
                    _number(cpu * 1000),
                    _reached(cpu <= LIMIT_SECONDS),
                )
            )
    devices = results.settings.get(SETTING, f"{DEVICES:,}")
    return Table(
        title=f"Pages with {devices} devices in a slapd: medians of the rounds; CPU time of the service,"
        f" wanted: at most {LIMIT_SECONDS * 1000:.0f} ms",
        header=("page", "kB", "rounds", "ms", "in the rounds", "CPU ms", ""),
        rows=rows,
    )


def _memory(results: Results) -> Table:
    rows = [
        (
            _OPERATIONS[peak.operation],
            _NAMES[peak.contender],
            _mebibytes(peak.anonymous),
            _mebibytes(peak.file),
            _mebibytes(peak.high_water),
        )
        for peak in results.memory
    ]
    return Table(
        title="Peak memory of the largest process, in a pass of its own",
        header=("operation", "archive", "RssAnon", "RssFile", "VmHWM since its start"),
        rows=rows,
    )


def _calls(results: Results) -> Table:
    rows = [
        (_OPERATIONS[calls.operation], _NAMES[calls.contender], f"{calls.objects}", f"{calls.calls:,.0f}")
        for calls in results.calls
    ]
    return Table(
        title="Calls of functions in ours for one object, or one query, in a pass of its own",
        header=("operation", "archive", "objects", "calls"),
        rows=rows,
    )


def profile(results: Results) -> str:
    """The functions of ours that take most CPU time, operation by operation."""
    parts = [_lines(results.machine.items())]
    for calls in results.calls:
        lines = [f"{_OPERATIONS[calls.operation]}, {_NAMES[calls.contender]}: {calls.calls:,.0f} calls for each of"]
        lines[0] += f" {calls.objects}; calls, µs in the function itself, function"
        lines += [f"{number:10.2f} {spent:10.2f}  {name}" for number, spent, name in calls.functions]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _measured(results: Results) -> Iterator[tuple[str, str, list[Sample]]]:
    for operation in _OPERATIONS:
        for contender in (*CONTENDERS, BEFORE, ONE_AT_A_TIME):
            if samples := of(results.samples, operation, contender):
                yield operation, contender, samples


def _verdict(results: Results) -> str:
    failed = [check for check in results.checks if not check.passed]
    if not results.checks:
        return "FAILED: nothing was checked."
    if failed:
        return "\n".join(["FAILED:", "", *(f"- {check.name}: {check.detail}" for check in failed)])
    return f"All {len(results.checks)} checks good: everything delivered, unchanged or coerced as it must be."


def _lines(pairs: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in pairs)


def _reached(is_reached: bool) -> str:
    return "reached" if is_reached else "below target"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"
