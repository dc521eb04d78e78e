"""Groups of measurements, in the order in which they are made."""

from __future__ import annotations

from collections.abc import Iterator

from dcm4py_leading.workers.number import default_workers
from scripts.benchmark import dicomweb, queries, retrieves, stores
from scripts.benchmark.checks import find_many, find_study
from scripts.benchmark.operations import Effort, Operation
from scripts.benchmark.results import Results
from scripts.benchmark.scene import COERCED, Scene

SHARES = {
    "echo": 1,
    "find": 2,
    "move": 4,
    "get": 4,
    "fast": 6,
    "several": 8,
    "small": 2,
    "proxy": 4,
    "nagle": 4,
    "memory": 3,
    "store": 8,
    "web": 6,
    "calls": 2,
}
"""Shares of the time that is left, where it is limited."""
APART = ("pages", "window")
"""Groups that need neither studies nor the other archives."""
GROUPS = (*SHARES, *APART)
NOT_AGAINST = ("proxy", *APART)
"""Groups that are not measured against another revision."""
NOT_QUICK = ("proxy", "calls", "web", *APART)
"""Groups that ``--quick`` leaves out unless they are named."""


def operations(group: str, scene: Scene, effort: Effort, results: Results) -> Iterator[Operation]:
    """The timed operations of a group; "memory" and "calls" have none."""
    match group:
        case "echo":
            yield from queries.echoes(scene, effort)
        case "find":
            yield from queries.finds(scene, effort)
        case "move":
            yield from retrieves.moves(scene)
        case "get":
            yield from retrieves.gets(scene)
        case "fast":
            yield from retrieves.fast(scene, effort)
        case "several":
            yield from retrieves.several(scene, effort)
        case "small":
            yield from queries.small_retrieves(scene, effort)
        case "proxy":
            yield from retrieves.proxied(scene, effort)
        case "nagle":
            yield retrieves.as_shipped(scene)
        case "store":
            yield from stores.stores(scene, effort, results)
        case "web":
            yield from dicomweb.operations(scene, effort)


def warm(scene: Scene) -> None:
    """Let every worker of ours ask the leading archive for every study, as far as chance allows."""
    workers = scene.workers or default_workers()
    for contender in set(COERCED).intersection(scene.contenders):
        archive = scene.archives[contender]
        for _ in range(4 * workers):
            find_many(archive)
            for study in (scene.data.a, scene.data.b):
                find_study(archive, study.study_uid)
