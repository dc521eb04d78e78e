"""What a stop of the service does to retrieves and queries through the proxy, whatever viewer and archive do."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from dcm4py_leading.dicom.message import find_request, get_request, move_request
from dcm4py_leading.dicom.upper.association import Association
from dcm4py_leading.dicom.upper.command import Command
from dcm4py_leading.service.retrieve.encode import encoded
from tests.fixtures.datasets import make_study
from tests.fixtures.links import CT, IMPLICIT, associate
from tests.fixtures.pacs import Received, Script, ScriptedPacs, has, make_object, sends
from tests.fixtures.proxy import stand_in_front_of
from tests.fixtures.scripted import Viewer, silent_listener
from tests.fixtures.scu import STUDY_FIND, STUDY_GET, STUDY_MOVE, identifier, store
from tests.fixtures.service import CONNECTION, DEVICE, Seed

STUDY = "1.2.826.0.1.3680043.8.498.91"
OBJECTS = [make_object(STUDY, number) for number in range(1, 6)]
KEYS = identifier("STUDY", StudyInstanceUID=STUDY)
StartPacs = Callable[..., ScriptedPacs]
StartViewer = Callable[..., Viewer]


class Hanging:
    """The service in front of an archive, either of which hangs when it is told to, until the test is over."""

    def __init__(self, seed: Seed, running: ExitStack) -> None:
        self.seed = seed
        self.is_let_go = threading.Event()
        self.hangs = threading.Semaphore(0)
        """Released by whoever begins to hang."""
        self.cancelled: SimpleQueue[bool] = SimpleQueue()
        """Whether the archive that hung was sent a C-CANCEL, or only lost the association."""
        self._running = running
        running.callback(self.is_let_go.set)
        self._before = set(threading.enumerate())

    def hang(self, *_: Any) -> int:
        """Script of a viewer that does not answer."""
        self.hangs.release()
        self.is_let_go.wait(60)
        return 0x0000

    def ask(self, sop_class_uid: str, command: Command) -> Association:
        """Send a request, of which no response is read."""
        assoc, _ = associate(self.seed.archive_port, [(sop_class_uid, [IMPLICIT]), (CT, [IMPLICIT])], roles=[CT])
        self._running.callback(assoc.link.close)
        assoc.send([(1, command, encoded(KEYS, IMPLICIT))])
        return assoc

    def stop(self, *, after: int) -> None:
        """Stop without any patience, after so many hang; nothing of any request is left then."""
        for _ in range(after):
            assert self.hangs.acquire(timeout=60)
        stopping = threading.Thread(target=self.seed.service.stop, args=(0,))
        stopping.start()
        stopping.join(20)
        assert not stopping.is_alive()
        names = ("association from", "responses of", "C-STORE association")
        left = [t.name for t in threading.enumerate() if t not in self._before and t.name.startswith(names)]
        left += [t.name for t in threading.enumerate() if "responses of" in t.name]
        assert left == []
        assert not self.seed.service._process._forwards.are_running


@pytest.fixture
def hanging(seed: Seed, scripted_pacs: StartPacs, viewer: StartViewer) -> Iterator[Hanging]:
    """Let go before archive and viewer are stopped, which wait for their threads."""
    with ExitStack() as running:
        hanging = Hanging(seed, running)
        # As long as the test may take: nothing ends because it has waited long enough.
        times = ("dcmResponseTimeout", "dcmRetrieveTimeout", "dcmStoreTimeout", "dcmSendTimeout", "dcmAAACTimeout")
        seed.set(CONNECTION, **dict.fromkeys(times, "600000"))
        yield hanging


def sends_and_hangs(hanging: Hanging, count: int) -> Script:
    """The script of an archive that sends so many objects and then nothing more, not even a response."""

    def script(received: Received) -> None:
        with ExitStack() as open_until_let_go:
            if count:
                storing = received.pacs.storing(received)
                open_until_let_go.callback(storing.abort)
                for ds in OBJECTS[:count]:
                    storing.store(ds)
            hanging.hangs.release()
            hanging.cancelled.put(received.await_cancel())

    return script


def start(
    hanging: Hanging,
    scripted_pacs: StartPacs,
    *,
    move: Script | None = None,
    find: Script | None = None,
    get: Script | None = None,
    **settings: str,
) -> None:
    """The service in front of an archive with these scripts."""
    pacs = scripted_pacs(hanging.seed.archive_port, move=move, find=find, get=get)
    stand_in_front_of(hanging.seed, pacs.port, **settings)
    hanging.seed.start()


MOVE = (STUDY_MOVE, move_request(STUDY_MOVE, 1, "STORESCP"))
GET = (STUDY_GET, get_request(STUDY_GET, 1))
FIND = (STUDY_FIND, find_request(STUDY_FIND, 1))


@pytest.mark.parametrize("count", [0, 2])
def test_a_stop_does_not_wait_for_an_archive_that_hangs(
    hanging: Hanging, scripted_pacs: StartPacs, viewer: StartViewer, count: int
) -> None:
    viewer(hanging.seed.viewer_port)
    start(hanging, scripted_pacs, move=sends_and_hangs(hanging, count))
    hanging.ask(*MOVE)
    hanging.stop(after=1)
    assert hanging.cancelled.get(timeout=60)


@pytest.mark.parametrize("count", [0, 2])
def test_a_stop_does_not_wait_for_an_archive_that_hangs_in_a_get(
    hanging: Hanging, scripted_pacs: StartPacs, viewer: StartViewer, count: int
) -> None:
    def script(received: Received) -> None:
        for ds in OBJECTS[:count]:
            received.store(ds)
        hanging.hangs.release()
        hanging.cancelled.put(received.await_cancel())

    viewer(hanging.seed.viewer_port)
    start(hanging, scripted_pacs, find=has(identifier("STUDY", SOPClassesInStudy=[CT])), get=script)
    hanging.ask(*MOVE)
    hanging.stop(after=1)
    assert hanging.cancelled.get(timeout=60)


@pytest.mark.parametrize("request_", [MOVE, GET], ids=["C-MOVE", "C-GET"])
def test_a_stop_does_not_wait_for_a_viewer_and_an_archive_that_hang(
    hanging: Hanging, scripted_pacs: StartPacs, viewer: StartViewer, request_: tuple[str, Command]
) -> None:
    viewer(hanging.seed.viewer_port, script=hanging.hang)
    start(hanging, scripted_pacs, move=sends_and_hangs(hanging, 5))
    hanging.ask(*request_)
    hanging.stop(after=2 if request_ is MOVE else 1)
    assert hanging.cancelled.get(timeout=60)


def test_a_stop_does_not_wait_for_a_viewer_that_hangs_while_the_archive_waits_for_room(
    hanging: Hanging, scripted_pacs: StartPacs, viewer: StartViewer
) -> None:
    viewer(hanging.seed.viewer_port, script=hanging.hang)
    start(hanging, scripted_pacs, move=sends([make_object(STUDY, number) for number in range(1, 41)]))
    hanging.ask(*MOVE)
    hanging.stop(after=1)


def test_a_stop_does_not_wait_for_a_viewer_that_hangs_before_the_association(
    hanging: Hanging, scripted_pacs: StartPacs
) -> None:
    with silent_listener(hanging.seed.viewer_port):
        start(hanging, scripted_pacs, move=sends_and_hangs(hanging, 1))
        hanging.ask(*MOVE)
        hanging.stop(after=1)
    assert hanging.cancelled.get(timeout=60)


@pytest.mark.parametrize("request_", [MOVE, FIND], ids=["C-MOVE", "C-FIND"])
def test_a_stop_does_not_wait_for_an_archive_that_hangs_before_the_association(
    hanging: Hanging, request_: tuple[str, Command]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        stand_in_front_of(hanging.seed, listening.getsockname()[1])
        hanging.seed.start()
        hanging.ask(*request_)
        connection, _ = listening.accept()
        with connection:
            hanging.hangs.release()
            hanging.stop(after=1)


@pytest.mark.parametrize("request_", [MOVE, FIND], ids=["C-MOVE", "C-FIND"])
def test_a_stop_does_not_wait_for_an_archive_that_does_not_answer_a_query(
    hanging: Hanging, scripted_pacs: StartPacs, request_: tuple[str, Command]
) -> None:
    """Before a retrieve, it is asked what there is."""
    start(hanging, scripted_pacs, find=sends_and_hangs(hanging, 0))
    hanging.ask(*request_)
    hanging.stop(after=1)


def test_stop_does_not_wait_for_a_retry_of_an_archive(
    hanging: Hanging, scripted_pacs: StartPacs, viewer: StartViewer
) -> None:
    def script(received: Received) -> None:
        received.respond(0xC001, completed=0, failed=5)
        hanging.hangs.release()

    viewer(hanging.seed.viewer_port)
    start(hanging, scripted_pacs, move=script, dcmFallbackCMoveSCPRetries="-1")
    hanging.ask(*MOVE)
    hanging.stop(after=1)


@pytest.mark.parametrize("associations", [1, 3])
def test_a_stop_of_an_archive_does_not_wait_for_a_viewer_that_hangs(
    hanging: Hanging, viewer: StartViewer, tmp_path: Path, associations: int
) -> None:
    seed = hanging.seed
    viewer(seed.viewer_port, script=hanging.hang)
    seed.set(DEVICE, dcmMultipleStoreAssociations=f"STORESCP:{associations}")
    seed.start()
    store(seed.archive_port, make_study(tmp_path / "s", patient_id="P", patient_name="A^B", study_uid=STUDY))
    hanging.ask(*MOVE)
    hanging.stop(after=associations)
