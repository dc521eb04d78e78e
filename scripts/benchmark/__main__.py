"""The command line of the benchmark: ``scripts/bench``. Exit code 1 when something was not delivered as it must be."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from scripts.benchmark import machine, report, results, tools
from scripts.benchmark.archives import DCMQRSCP_STUDIES, checked_out
from scripts.benchmark.calls import measure_calls
from scripts.benchmark.checks import check_finds, check_large, check_proxied, check_retrieves
from scripts.benchmark.dicomweb import check_dicomweb
from scripts.benchmark.groups import APART, GROUPS, NOT_AGAINST, NOT_QUICK, SHARES, operations, warm
from scripts.benchmark.memory import measure_memory
from scripts.benchmark.operations import Effort, measure
from scripts.benchmark.pages import DEVICES, measure_pages
from scripts.benchmark.plot import svg
from scripts.benchmark.process import BenchmarkError
from scripts.benchmark.results import Results
from scripts.benchmark.scene import DCMQRSCP, Scene, prepared
from scripts.benchmark.targets import outcomes
from scripts.benchmark.window import OBJECTS, measure_window
from scripts.benchmark.wire import WireError

QUICK_SECONDS = 160.0
_FEWEST_OVER_A_LINE = 20
"""More than a window has, whatever the scale."""
_MOVING = {"move", "fast", "small"}
_GETTING = {"get", "fast", "several", "small"}
"""Groups of which C-MOVE and C-GET are checked."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    if options.results is not None:
        try:
            tell(results.read(options.results), options)
        except (OSError, ValueError) as err:
            print(f"scripts/bench: {err}", file=sys.stderr)
            return 2
        return 0
    # Whatever ends us, nothing that we started is left.
    signal.signal(signal.SIGTERM, _end)
    try:
        found = run(options)
    except machine.BusyError as err:
        print(f"scripts/bench: {err}", file=sys.stderr)
        return 2
    except (BenchmarkError, WireError, OSError) as err:
        print(f"scripts/bench: {err}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    tell(found, options)
    return 0 if found.passed else 1


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options; ends with a message where they are wrong."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description="The service beside dcmqrscp and Orthanc.")
    parser.add_argument("--quick", action="store_true", help="within three minutes: fewer rounds, a smaller object")
    parser.add_argument("--rounds", type=_positive, help="after one warm-up; default 5, with --quick up to 3")
    parser.add_argument("--scale", type=_fraction, default=1.0, help="this part of the objects, for everybody")
    parser.add_argument(
        "--only",
        type=_groups,
        metavar="GROUP,...",
        help=f"of {', '.join(GROUPS)}; default all, with --quick all but {', '.join(NOT_QUICK)}",
    )
    parser.add_argument("--large", type=_positive, metavar="MIB", help="the large object; default 2048, --quick 256")
    parser.add_argument("--workers", type=_positive, help="worker processes of ours; default as serve has it")
    parser.add_argument(
        "--against",
        metavar="REVISION",
        help=f"ours beside ours of that Git revision, instead of the others; without {', '.join(NOT_AGAINST)}",
    )
    parser.add_argument(
        "--wait",
        type=_seconds,
        default=60.0,
        metavar="SECONDS",
        help=f"for the load to fall to {machine.MOST_LOAD:g}; default 60",
    )
    parser.add_argument(
        "--busy", action="store_true", help="measure though the load is higher; the report is marked, and no comparison"
    )
    parser.add_argument("--dir", type=Path, default=Path("/var/tmp"), help="where the stores are made, and removed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample")
    parser.add_argument(
        "--profile", type=Path, metavar="FILE", help="write the functions of ours that take most time (group calls)"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write the targets as SVG")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write the tables; into their place where the file exists"
    )
    parser.add_argument("--from", dest="results", type=Path, metavar="JSON", help="measure nothing; tell of this run")
    options = parser.parse_args(arguments)
    left_out = (*(NOT_QUICK if options.quick else ()), *(NOT_AGAINST if options.against else ()))
    options.only = options.only or tuple(group for group in GROUPS if group not in left_out)
    if options.against and (others := set(options.only).intersection(NOT_AGAINST)):
        parser.error(f"--against does not measure {', '.join(sorted(others))}")
    return options


def run(options: argparse.Namespace) -> Results:
    """Everything but the telling. Raises BenchmarkError, WireError, OSError."""
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - began:6.1f} s] {text}", file=sys.stderr, flush=True)

    if not options.busy:
        machine.await_rest(options.wait, say)
    deadline = time.monotonic() + QUICK_SECONDS if options.quick else None
    large_bytes = (options.large or (256 if options.quick else 2048)) * 2**20
    rounds = options.rounds or (3 if options.quick else 5)
    effort = (
        Effort(rounds=rounds, echoes=50, finds=30, listings=3, is_quick=True)
        if options.quick
        else Effort(rounds=rounds, echoes=200, finds=100, listings=5)
    )
    with tools.temporary_directory(options.dir, "dcm4py-bench-") as directory:
        tools.spread(directory)
        found = Results(machine=machine.describe(directory), settings={}, is_busy=options.busy and machine.is_busy())
        groups = [group for group in options.only if group not in APART]
        if groups:
            with prepared(
                directory,
                scale=options.scale,
                large_bytes=large_bytes,
                workers=options.workers,
                has_proxy="proxy" in groups,
                has_dicomweb="web" in groups,
                before=None if options.against is None else checked_out(options.against, directory / "revision"),
                say=say,
            ) as scene:
                found.settings = _settings(scene, options, rounds)
                say("checking what is found and delivered")
                found.checks += check_finds(scene)
                found.checks += check_retrieves(
                    scene, move=bool(_MOVING.intersection(groups)), get=bool(_GETTING.intersection(groups))
                )
                if "proxy" in groups:
                    found.checks += check_proxied(scene)
                for check in found.checks:
                    if not check.passed:
                        say(f"FAILED: {check.name}: {check.detail}")
                warm(scene)
                measure_groups(scene, groups, effort, found, deadline, say)
        if "pages" in options.only:
            measure_pages(directory, found, effort=effort, say=say, devices=max(1, round(DEVICES * options.scale)))
        if "window" in options.only:
            objects = max(_FEWEST_OVER_A_LINE, round(OBJECTS * options.scale))
            measure_window(directory, found, effort=effort, say=say, objects=objects)
    return found


def measure_groups(
    scene: Scene,
    groups: Sequence[str],
    effort: Effort,
    found: Results,
    deadline: float | None,
    say: Callable[[str], None],
) -> None:
    """One group after the other, each with its share of the time that is left."""
    for position, group in enumerate(groups):
        say(group)
        now = time.monotonic()
        until = None
        if deadline is not None:
            share = SHARES[group] / sum(SHARES[other] for other in groups[position:])
            until = now + max(0.0, deadline - now) * share
        if group == "memory":
            measure_memory(scene, found)
            found.checks.append(check_large(scene))
        elif group == "calls":
            measure_calls(scene, found)
        else:
            if group == "web":
                # Not before: what it takes is no part of the memory of C-MOVE and C-GET.
                found.checks += check_dicomweb(scene)
            some = list(operations(group, scene, effort, found))
            measure(some, found, rounds=effort.rounds, until=until, say=say)


def tell(found: Results, options: argparse.Namespace) -> None:
    """Print the report, and write it where it is wanted."""
    print(report.as_text(found))
    if options.json is not None:
        options.json.write_text(results.to_json(found), "utf-8")
    if options.profile is not None:
        options.profile.write_text(report.profile(found), "utf-8")
    if options.plot is not None:
        options.plot.write_text(svg(list(outcomes(found))), "utf-8")
    if options.markdown is not None:
        figures = report.as_markdown(found)
        if options.markdown.exists():
            figures = report.put_into(options.markdown.read_text("utf-8"), figures)
        options.markdown.write_text(figures, "utf-8")


def _end(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _settings(scene: Scene, options: argparse.Namespace, rounds: int) -> Mapping[str, str]:
    a, b, many, large = scene.data.a, scene.data.b, scene.data.many, scene.data.large
    workers = "as serve has it" if options.workers is None else str(options.workers)
    return {
        "study A": f"{a.objects} objects of {a.total_bytes / a.objects / 1e3:.1f} kB",
        "study B": f"{b.objects} objects of {b.total_bytes / b.objects / 1e3:.1f} kB",
        "studies C": f"{len(many)} of one object of {many[0].total_bytes / 1e3:.1f} kB;"
        f" dcmqrscp, which keeps at most {DCMQRSCP_STUDIES}, has {len(scene.many_of(DCMQRSCP))} of them",
        "large object": f"{large.total_bytes / 2**20:,.0f} MiB",
        "rounds": f"{rounds} after a warm-up, contenders in turn{', fewer where --quick ran short' * options.quick}",
        "workers of ours": workers,
        **({} if options.against is None else {"before": options.against}),
    }


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("expected at least 1")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if number < 0:
        raise argparse.ArgumentTypeError("expected at least 0")
    return number


def _fraction(text: str) -> float:
    number = float(text)
    if not 0 < number <= 1:
        raise argparse.ArgumentTypeError("expected a number above 0 and at most 1")
    return number


def _groups(text: str) -> tuple[str, ...]:
    wanted = text.split(",")
    if unknown := [group for group in wanted if group not in GROUPS]:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}")
    return tuple(group for group in GROUPS if group in wanted)


if __name__ == "__main__":
    sys.exit(main())
