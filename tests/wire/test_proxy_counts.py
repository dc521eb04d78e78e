"""What the viewer is told of a retrieve from another archive: each object counts once, also those that nobody gets."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from pydicom import Dataset

from tests.fixtures.links import CT
from tests.fixtures.pacs import Received, Script, ScriptedPacs, make_object, uids_of
from tests.fixtures.pacs_content import finds
from tests.fixtures.proxy import await_rest, stand_in_front_of, stand_in_front_of_several
from tests.fixtures.scripted import Viewer
from tests.fixtures.scu import identifier, move
from tests.fixtures.service import Seed

STUDY = "1.2.826.0.1.3680043.8.498.211"
OBJECTS = [make_object(STUDY, number, SOPClassesInStudy=[CT]) for number in range(1, 7)]
KEYS = identifier("STUDY", StudyInstanceUID=STUDY)
OF_SERIES = identifier("SERIES", StudyInstanceUID=STUDY, SeriesInstanceUID=f"{STUDY}.1")
OF_IMAGES = identifier(
    "IMAGE", StudyInstanceUID=STUDY, SeriesInstanceUID=f"{STUDY}.1", SOPInstanceUID=uids_of(OBJECTS[:5])
)


def sends(objects: Sequence[Dataset], *, total: int, tells: bool = True) -> Script:
    """By C-MOVE, where ``total`` is the number of sub-operations; with pending responses if it ``tells``."""

    def script(received: Received) -> None:
        storing = received.pacs.storing(received)
        for number, ds in enumerate(objects, 1):
            if received.is_cancelled:
                break
            storing.store(ds)
            if tells:
                done = min(number, total)
                received.respond(0xFF00, remaining=total - done, completed=done, failed=0, warning=0)
        storing.release()
        received.respond(0xFE00 if received.is_cancelled else 0x0000, completed=total, failed=0, warning=0)

    return script


def gives(objects: Sequence[Dataset], *, total: int, tells: bool = True) -> Script:
    """The same by C-GET."""

    def script(received: Received) -> None:
        for number, ds in enumerate(objects, 1):
            if received.is_cancelled:
                break
            received.store(ds)
            if tells:
                done = min(number, total)
                received.respond(0xFF00, remaining=total - done, completed=done, failed=0, warning=0)
        received.respond(0xFE00 if received.is_cancelled else 0x0000, completed=total, failed=0, warning=0)

    return script


def counted(seed: Seed, keys: Dataset = KEYS) -> tuple[int, int, int]:
    """C-MOVE to the viewer: status, completed and failed."""
    final, _ = move(seed.archive_port, keys)[-1]
    await_rest(seed)
    return final.Status, final.NumberOfCompletedSuboperations, final.NumberOfFailedSuboperations


WAYS = pytest.mark.parametrize("way", ["C-GET", "C-MOVE"])


@WAYS
@pytest.mark.parametrize("order", ["one after the other", "all, and all once more"])
@pytest.mark.parametrize("total", [6, 12])
@pytest.mark.parametrize("tells", [True, False])
def test_objects_that_come_twice_count_once(
    seed: Seed,
    scripted_pacs: Callable[..., ScriptedPacs],
    viewer: Callable[..., Viewer],
    way: str,
    order: str,
    total: int,
    tells: bool,
) -> None:
    objects = [ds for ds in OBJECTS for _ in range(2)] if order == "one after the other" else OBJECTS * 2
    ways = {"move": sends(objects, total=total, tells=tells)}
    if way == "C-GET":
        ways["get"] = gives(objects, total=total, tells=tells)
    pacs = scripted_pacs(seed.archive_port, find=finds(OBJECTS), **ways)
    station = viewer(seed.viewer_port)
    stand_in_front_of(seed, pacs.port)
    seed.start()
    assert counted(seed) == (0x0000, 6, 0)
    assert uids_of(station.received) == uids_of(OBJECTS)


@WAYS
@pytest.mark.parametrize("tells", [True, False])
@pytest.mark.parametrize(("keys", "count"), [(KEYS, 6), (OF_SERIES, 6), (OF_IMAGES, 5)])
def test_every_object_fails_when_the_viewer_is_down(
    seed: Seed, scripted_pacs: Callable[..., ScriptedPacs], way: str, tells: bool, keys: Dataset, count: int
) -> None:
    objects = OBJECTS[:count]
    ways = {"move": sends(objects, total=count, tells=tells)}
    if way == "C-GET":
        ways["get"] = gives(objects, total=count, tells=tells)
    pacs = scripted_pacs(seed.archive_port, find=finds(OBJECTS), **ways)
    stand_in_front_of(seed, pacs.port)
    seed.start()
    assert counted(seed, keys) == (0xA702, 0, count)


def test_objects_of_other_archives_fail_too_when_the_viewer_is_down(
    seed: Seed, scripted_pacs: Callable[..., ScriptedPacs]
) -> None:
    other = [make_object(f"{STUDY}.2", number) for number in range(1, 4)]
    one = scripted_pacs(seed.archive_port, ae_title="PACS_A", find=finds(OBJECTS), move=sends(OBJECTS, total=6))
    two = scripted_pacs(seed.archive_port, ae_title="PACS_B", find=finds(other), move=sends(other, total=3))
    stand_in_front_of_several(seed, {"PACS_A": one.port, "PACS_B": two.port})
    seed.start()
    assert counted(seed, identifier("STUDY", StudyInstanceUID=[STUDY, f"{STUDY}.2"])) == (0xA702, 0, 9)
    assert two.moves == []
