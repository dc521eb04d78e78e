"""kill -9 while objects come in: what was answered with success is there, and nothing else."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator, Mapping

import pytest

from dcm4py_leading.app import Checked, Site, build_runtime, check, open_storages
from dcm4py_leading.archive.index import Index
from dcm4py_leading.archive.query import parse_retrieve
from dcm4py_leading.archive.storage import Storage
from dcm4py_leading.coercion.select import Peer
from dcm4py_leading.leading.last_known import FILE_NAME, LastKnown
from dcm4py_leading.model.values import InformationModel
from dcm4py_leading.service.counts import CoercionCounts
from dcm4py_leading.service.store import ReceivedObject, store
from tests.fixtures.archive import make_identifier
from tests.fixtures.datasets import sample_path
from tests.fixtures.service import Seed

ROUNDS = 100
THREADS = 3
CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
STUDY = "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"
SOP = "1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322"
CHUNK = 16_384


def sop_instance_uid(number: int) -> str:
    return f"{SOP[:-7]}{number:07}"


def data_set(number: int) -> bytes:
    file = sample_path("CT_small.dcm").read_bytes()
    data = file[144 + int.from_bytes(file[140:144], "little") :]
    return data.replace(SOP.encode(), sop_instance_uid(number).encode())


def chunks(data: bytes) -> Iterator[memoryview]:
    """As the network gives them: in one buffer that is used again."""
    buffer = bytearray(CHUNK)
    for at in range(0, len(data), CHUNK):
        part = data[at : at + CHUNK]
        buffer[: len(part)] = part
        yield memoryview(buffer)[: len(part)]


def received(number: int) -> ReceivedObject:
    return ReceivedObject(
        sop_class_uid=CT,
        sop_instance_uid=sop_instance_uid(number),
        transfer_syntax_uid=EXPLICIT,
        sending=Peer(host="modality", ae_title="MODALITY"),
        receiving=Peer(host="archive", ae_title="DCM4CHEE"),
        data=chunks(data_set(number)),
    )


def serve(site: Site, checked: Checked, first: int, answers: int) -> None:
    """Store objects until killed, and write the number of each that was answered with success."""
    index = open_index(site)
    device = checked.snapshot.device
    last_known = LastKnown(site.data_dir / FILE_NAME, max_rows=1, now=time.time)
    storages = open_storages(device, {}, index)
    runtime = build_runtime(checked, site, index, storages, last_known, CoercionCounts())
    (ae,) = [ae for ae in device.application_entities if ae.ae_title == "DCM4CHEE"]

    def one_association(number: int) -> None:
        while True:
            store(runtime, ae, received(number))
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


def open_index(site: Site) -> Index:
    return Index.open(f"sqlite:///{site.data_dir / 'index.sqlite'}")


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


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_what_was_answered_with_success_survives_and_nothing_else_is_left(seed: Seed) -> None:
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
    assert left_in_flight > ROUNDS
