"""kill -9 while objects come in: what was answered with success is there, and nothing else."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Mapping

import pytest

from dcm4py_leading.archive.index.index import Index
from dcm4py_leading.archive.index.querying.query import parse_retrieve
from dcm4py_leading.archive.storage.storage import Storage
from dcm4py_leading.composition.check import Checked, check
from dcm4py_leading.composition.data import open_storages
from dcm4py_leading.composition.site import Site
from dcm4py_leading.model.values import InformationModel
from tests.fixtures.archive import make_identifier
from tests.fixtures.ingest import STUDY, Ingest, data_set, open_index, received, sop_instance_uid
from tests.fixtures.service import Seed

ROUNDS = 40
THREADS = 3


def serve(site: Site, checked: Checked, first: int, answers: int) -> None:
    """Store objects until killed, and write the number of each that was answered with success."""
    ingest = Ingest.of(site, checked)

    def one_association(number: int) -> None:
        while True:
            ingest.store(received(number))
            os.write(answers, number.to_bytes(4, "little"))
            number += THREADS

    for number in range(1, THREADS):
        threading.Thread(target=one_association, args=(first + number,), daemon=True).start()
    one_association(first)


def answered_before_it_was_killed(site: Site, checked: Checked, first: int, enough: int) -> list[int]:
    """Start a process that stores, and kill it when it has answered often enough; the numbers that it answered."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            serve(site, checked, first, writing)
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answers = pipe.read(4 * enough)
        os.kill(child, signal.SIGKILL)
        answers += pipe.read()
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    return [int.from_bytes(answers[at : at + 4], "little") for at in range(0, len(answers), 4)]


def indexed(index: Index, storages: Mapping[str, Storage]) -> dict[str, str]:
    """The path of each instance, all of them read and compared with what was sent."""
    keys = parse_retrieve(
        make_identifier("STUDY", StudyInstanceUID=STUDY), InformationModel.STUDY_ROOT, relational=False
    )
    paths = {}
    for instance in index.instances(keys):
        with storages["fs1"].open(instance.location) as file:
            content = file.read()
        assert len(content) == instance.location.size
        assert content.endswith(data_set(int(instance.sop_instance_uid[-7:])))
        paths[str(instance.sop_instance_uid)] = instance.location.path
    return paths


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.timeout(600)  # dozens of processes; most of it is work, which a busy machine makes long
def test_acknowledged_objects_survive_and_nothing_else_is_left(seed: Seed) -> None:
    site = seed.site
    checked = check(site)
    moments = random.Random(4)
    root = seed.data_dir / "storage" / "fs1"
    stored: dict[str, str] = {}
    left_in_flight = 0
    for number in range(ROUNDS):
        answered = answered_before_it_was_killed(site, checked, number * 10_000, moments.randrange(12))
        left_in_flight += len(list((root / ".incoming").iterdir()))
        index = open_index(site)
        storages = open_storages(checked.snapshot.device, {}, index)  # what a restart does
        found = indexed(index, storages)
        assert {sop_instance_uid(each) for each in answered} <= found.keys()
        assert stored.items() <= found.items()
        files = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
        assert files == set(found.values())
        index.close()
        stored = found
    assert left_in_flight > ROUNDS // 5
