"""Guard of the hot paths: the calls of functions that one object, one match and one association cost the service.

A redesign may not lose unnoticed what earlier ones gained, and no measured time can be asserted. Each limit is a tenth
above what there is, a fifth where the network decides on the number of reads: where a test fails, look at what was
added for each object. `scripts/bench --only calls --profile FILE` tells which functions they are.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from scripts.benchmark import records, wire
from scripts.benchmark.data import Study, make_study
from scripts.benchmark.raw import sink
from scripts.benchmark.raw.stream import Stream, WireError
from tests.fixtures.calls import Calls, counted, logging_as_served
from tests.fixtures.pacs import Received, ScriptedPacs
from tests.fixtures.proxy import stand_in_front_of
from tests.fixtures.scripted import LeadingScp, knows
from tests.fixtures.scu import store
from tests.fixtures.service import DEVICE, Seed

FEW, MANY = 5, 25
LARGE, SMALL = 512, 78
"""Pixels in height and width: objects of 526 kB and of 14 kB."""
# A tenth above what is counted; of large objects more, since on a busy machine they pass in more pieces, and an object
# is stored once only.
MOST_CALLS = {
    "get large": 420,
    "get small": 265,
    "move large": 420,
    "move small": 245,
    "forward small": 525,
    "store large": 810,
    "store small": 425,
    "find": 100,
    "echo": 910,
}
LEAST_CALLS = 10
"""Under this nothing was counted."""


class Scene:
    """The archive with a leading one, and a sink; all in this process."""

    def __init__(self, seed: Seed, calls: Calls, leading_scp: Callable[..., LeadingScp], folder: Path) -> None:
        self.seed, self.calls, self._leading_scp, self._folder = seed, calls, leading_scp, folder

    def studies_of(self, side: int) -> tuple[Study, Study]:
        """Two studies, of few and of many objects of one series."""
        few, many = (
            make_study(self._folder / f"{side}-{count}", "G", side + count, objects=count, series=1, side=side)
            for count in (FEW, MANY)
        )
        return few, many

    def start(self, *studies: Study) -> None:
        """Start the archive; the leading one knows these studies."""
        self.seed.change(
            records.large_cache(DEVICE),
            records.rule(DEVICE, "Leading objects", "C_STORE_RQ", "SCP"),
            records.rule(DEVICE, "Leading answers", "C_FIND_RSP", "SCU"),
        )
        self._leading_scp(self.seed.leading_port, knows(*map(_leading, studies)))
        # As the limits were counted: what the first association costs depends on what is listed.
        self.seed.list_all_classes()
        self.seed.start()

    def store(self, study: Study) -> None:
        assert store(self.seed.archive_port, study.files) == [0] * study.objects

    def get(self, study: Study) -> None:
        assert wire.get(self.seed.archive_port, "DCM4CHEE", study.study_uid) == study.objects

    def move(self, study: Study) -> None:
        assert wire.move(self.seed.archive_port, "DCM4CHEE", study.study_uid, "STORESCP") == study.objects

    def per_object(self, do: Callable[[Study], None], few: Study, many: Study) -> float:
        """Calls for one object more: what a request costs without objects is not among them."""
        made = [self.calls.of(partial(do, study)) for study in (few, many)]
        return (made[1] - made[0]) / (many.objects - few.objects)


def _leading(study: Study) -> Dataset:
    ds = Dataset()
    ds.StudyInstanceUID = study.study_uid
    for keyword, value in study.leading.items():
        setattr(ds, keyword, value)
    return ds


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[Calls]:
    """With the log as the service has it: its lines are part of what an object costs."""
    with logging_as_served(monkeypatch), counted() as calls:
        yield calls


@pytest.fixture
def scene(seed: Seed, calls: Calls, leading_scp: Callable[..., LeadingScp], tmp_path: Path) -> Scene:
    return Scene(seed, calls, leading_scp, tmp_path)


@pytest.fixture
def taking(seed: Seed) -> Iterator[None]:
    """A sink of objects, one association at a time."""
    with socket.create_server(("127.0.0.1", seed.viewer_port)) as listening:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection, suppress(WireError):
                        sink.take(Stream(connection))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()


def within(what: str, calls: float) -> None:
    assert LEAST_CALLS < calls <= MOST_CALLS[what], (
        f"{what}: {calls:.0f} calls, at most {MOST_CALLS[what]} are expected"
    )


@pytest.mark.parametrize(("size", "side"), [("large", LARGE), ("small", SMALL)])
def test_calls_for_a_stored_and_a_delivered_object(scene: Scene, taking: None, size: str, side: int) -> None:
    few, many = scene.studies_of(side)
    scene.start(few, many)
    stored = [scene.calls.once(partial(scene.store, study)) for study in (few, many)]
    within(f"store {size}", (stored[1] - stored[0]) / (MANY - FEW))
    within(f"get {size}", scene.per_object(scene.get, few, many))
    within(f"move {size}", scene.per_object(scene.move, few, many))


def test_calls_for_a_forwarded_object(scene: Scene, taking: None, scripted_pacs: Callable[..., ScriptedPacs]) -> None:
    few, many = scene.studies_of(SMALL)
    objects = {study.study_uid: [dcmread(path) for path in study.files] for study in (few, many)}

    def give(received: Received) -> None:
        wanted = objects[str(received.identifier.StudyInstanceUID)]
        for ds in wanted:
            received.store(ds)
        received.respond(0x0000, completed=len(wanted), failed=0, warning=0)

    def find(received: Received) -> None:
        wanted = received.identifier.StudyInstanceUID
        for uid in [wanted] if isinstance(wanted, str) else wanted:
            ds = Dataset()
            ds.StudyInstanceUID, ds.SOPClassesInStudy = uid, [objects[str(uid)][0].SOPClassUID]
            received.respond(0xFF00, ds)
        received.respond(0x0000)

    pacs = scripted_pacs(scene.seed.archive_port, get=give, find=find)
    stand_in_front_of(scene.seed, pacs.port)
    scene.start(few, many)
    within("forward small", scene.per_object(scene.move, few, many))


def test_calls_for_an_association(scene: Scene) -> None:
    scene.start()
    port = scene.seed.archive_port
    some = 10

    def echo() -> None:
        for _ in range(some):
            wire.echo(port, "DCM4CHEE")

    made = scene.calls.of(echo)
    within("echo", made / some)


def test_calls_for_a_match(scene: Scene, tmp_path: Path) -> None:
    studies = [
        make_study(tmp_path / "C", "M" if number <= FEW else "N", number, objects=1, series=1, side=4)
        for number in range(1, FEW + MANY + 1)
    ]
    scene.start(*studies)
    for study in studies:
        scene.store(study)

    def matches(label: str) -> list[bytes]:
        keys = {0x00100010: ("PN", ""), 0x00100020: ("LO", f"{label}-*"), 0x0020000D: ("UI", "")}
        return wire.find(scene.seed.archive_port, "DCM4CHEE", "STUDY", keys)

    assert (len(matches("M")), len(matches("N"))) == (FEW, MANY)
    made = [scene.calls.of(partial(matches, label)) for label in "MN"]
    within("find", (made[1] - made[0]) / (MANY - FEW))
