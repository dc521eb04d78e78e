"""Retrieves in front of an archive that misbehaves, and for viewers that do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from pydicom import Dataset

from dcm4py_leading.dicom.message import move_request
from dcm4py_leading.dicom.upper.dimse_message import MoveOriginator
from dcm4py_leading.service.retrieve.encode import encoded
from tests.fixtures.cutting import CuttingRelay
from tests.fixtures.links import IMPLICIT, associate
from tests.fixtures.pacs import Received, Script, ScriptedPacs, Storing, make_object, sends, uids_of
from tests.fixtures.ports import free_port
from tests.fixtures.proxy import await_rest, remote_device, stand_in_front_of
from tests.fixtures.scripted import Viewer
from tests.fixtures.scu import STUDY_MOVE, associated, get, identifier, move
from tests.fixtures.service import CONNECTION, Seed

STUDY, OTHER = "1.2.826.0.1.3680043.8.498.81", "1.2.826.0.1.3680043.8.498.82"
OBJECTS = [make_object(STUDY, number) for number in range(1, 6)]
KEYS = identifier("STUDY", StudyInstanceUID=STUDY)
StartPacs = Callable[..., ScriptedPacs]
StartViewer = Callable[..., Viewer]


class Scene:
    """Ours in front of a scripted archive, and a viewer; nothing is coerced."""

    def __init__(self, seed: Seed, start_pacs: StartPacs, start_viewer: StartViewer) -> None:
        self.seed = seed
        self._start_pacs, self._start_viewer = start_pacs, start_viewer
        self.way_to_us = 0
        """Port to which the archive sends, if it is not ours."""

    def start(self, script: Script, viewer: Callable[[Any], int] | None = lambda _: 0x0000, **settings: Any) -> None:
        """Start everything; ``settings`` are attributes of the device."""
        self.pacs = self._start_pacs(self.way_to_us or self.seed.archive_port, move=script)
        if viewer is not None:
            self.viewer = self._start_viewer(self.seed.viewer_port, script=viewer)
        stand_in_front_of(self.seed, self.pacs.port, **settings)
        self.seed.start()

    def move(self, keys: Dataset = KEYS, **settings: Any) -> tuple[Dataset, list[str]]:
        """C-MOVE to the viewer: the final response, and the SOP Instance UIDs that it names as failed."""
        final, failed = move(self.seed.archive_port, keys, **settings)[-1]
        await_rest(self.seed)
        listed = [] if failed is None else failed.get("FailedSOPInstanceUIDList", [])
        return final, [listed] if isinstance(listed, str) else [str(uid) for uid in listed]

    @property
    def received(self) -> list[str]:
        return uids_of(self.viewer.received)


@pytest.fixture
def scene(seed: Seed, scripted_pacs: StartPacs, viewer: StartViewer) -> Scene:
    return Scene(seed, scripted_pacs, viewer)


def counts(final: Dataset) -> tuple[int, int, int, int]:
    """Status, completed, failed and warning."""
    return (
        final.Status,
        final.get("NumberOfCompletedSuboperations", -1),
        final.get("NumberOfFailedSuboperations", -1),
        final.get("NumberOfWarningSuboperations", -1),
    )


# -- what the archive says -------------------------------------------------------------------------------------------


def test_archive_sends_to_us_and_viewer_sees_the_move_originator(scene: Scene) -> None:
    scene.start(sends(OBJECTS))
    final, _ = scene.move(calling="WORKSTATION")
    assert counts(final) == (0x0000, 5, 0, 0)
    assert scene.received == uids_of(OBJECTS)
    assert scene.pacs.destinations == ["DCM4CHEE"]
    assert {request.MoveOriginatorApplicationEntityTitle for request in scene.viewer.requests} == {"WORKSTATION"}


@pytest.mark.parametrize("status", [0xA701, 0xA702, 0xA801, 0xA900, 0xC123])
def test_a_failure_before_the_first_object_is_passed_on_with_its_comment(scene: Scene, status: int) -> None:
    scene.start(lambda received: received.respond(status, comment="no such study"))
    final, _ = scene.move()
    assert final.Status == status
    assert final.ErrorComment == f"PACS: C-MOVE ended with status 0x{status:04X}: no such study"
    assert scene.received == []


def test_object_it_cannot_send_is_failed_and_named(scene: Scene) -> None:
    def script(received: Received) -> None:
        storing = received.pacs.storing(received)
        storing.store(OBJECTS[0])
        storing.release()
        received.respond(0xB000, received.failed_list("1.2.3", "1.2.4"), completed=1, failed=3, warning=0)

    scene.start(script)
    final, failed = scene.move()
    assert counts(final) == (0xB000, 1, 3, 0)
    assert failed == ["1.2.3", "1.2.4"]


def test_where_nothing_can_be_sent_all_are_named(scene: Scene) -> None:
    scene.start(
        lambda received: received.respond(0xA702, received.failed_list("1.2.3", "1.2.4"), completed=0, failed=2)
    )
    final, failed = scene.move()
    assert counts(final) == (0xA702, 0, 2, 0)
    assert failed == ["1.2.3", "1.2.4"]
    assert final.ErrorComment == "PACS: C-MOVE ended with status 0xA702"


def test_objects_that_it_counts_as_sent_and_that_never_came_are_failed(scene: Scene) -> None:
    def script(received: Received) -> None:
        storing = received.pacs.storing(received)
        storing.store(OBJECTS[0])
        storing.release()
        received.respond(0x0000, completed=4, failed=0, warning=0)

    scene.start(script)
    final, _ = scene.move()
    assert counts(final) == (0xB000, 1, 3, 0)


def test_a_final_response_without_counts_is_believed(scene: Scene) -> None:
    def script(received: Received) -> None:
        storing = received.pacs.storing(received)
        for ds in OBJECTS:
            storing.store(ds)
        storing.release()
        received.respond(0x0000)

    scene.start(script)
    assert counts(scene.move()[0]) == (0x0000, 5, 0, 0)


def test_an_archive_that_aborts_after_two_objects_costs_the_others_and_no_more(scene: Scene) -> None:
    def script(received: Received) -> None:
        storing = received.pacs.storing(received)
        for number, ds in enumerate(OBJECTS[:2], 1):
            storing.store(ds)
            received.respond(0xFF00, remaining=5 - number, completed=number, failed=0, warning=0)
        storing.abort()
        received.abort()

    scene.start(script)
    final, _ = scene.move()
    assert counts(final) == (0xB000, 2, 3, 0)
    assert scene.received == uids_of(OBJECTS[:2])
    assert final.ErrorComment.startswith("PACS:")


def test_an_archive_that_aborts_at_once_is_a_failure_that_names_it(scene: Scene) -> None:
    scene.start(lambda received: received.abort())
    final, _ = scene.move()
    assert final.Status == 0xC000
    assert final.ErrorComment.startswith("PACS:")


def test_an_archive_that_is_silent_is_given_up(scene: Scene) -> None:
    scene.seed.set(CONNECTION, dcmRetrieveTimeout="300")

    def silent(received: Received) -> None:
        if received.await_cancel():
            received.respond(0xFE00)

    scene.start(silent)
    final, _ = scene.move()
    assert final.Status == 0xC000
    assert final.ErrorComment == "PACS: nothing came in time"


# -- what the archive sends ------------------------------------------------------------------------------------------


def test_an_object_that_comes_twice_is_sent_once(scene: Scene) -> None:
    scene.start(sends([*OBJECTS, *OBJECTS]))
    final, _ = scene.move()
    assert counts(final) == (0x0000, 5, 0, 0)
    assert scene.received == uids_of(OBJECTS)


def test_an_object_of_another_study_is_refused_and_the_log_says_so(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = make_object(OTHER, 1)
    scene.start(sends([OBJECTS[0], stranger]))
    final, failed = scene.move()
    assert counts(final) == (0xB000, 1, 1, 0)
    assert failed == [stranger.SOPInstanceUID]
    assert scene.received == [OBJECTS[0].SOPInstanceUID]
    assert "of that study under way" in caplog.text
    assert OTHER not in caplog.text
    assert scene.seed.objects == []


def test_an_object_of_a_retrieve_that_has_ended_is_refused_not_stored(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    statuses: list[int | None] = []
    late: list[Received] = []

    def script(received: Received) -> None:
        late.append(received)
        received.respond(0x0000, completed=0, failed=0, warning=0)

    scene.start(script)
    assert counts(scene.move()[0]) == (0x0000, 0, 0, 0)
    storing = scene.pacs.storing(late[0])
    statuses.append(storing.store(OBJECTS[0]))
    storing.release()
    assert statuses == [0xC000]
    assert scene.seed.objects == []
    assert "under way" in caplog.text


def test_late_objects_of_a_retrieve_given_up_are_refused_though_they_name_none(scene: Scene) -> None:
    storing: list[Storing] = []

    def script(received: Received) -> None:
        storing.append(received.pacs.storing(received))
        storing[0].store(OBJECTS[0], is_named=False)
        received.abort()

    scene.start(script)
    assert counts(scene.move()[0]) == (0xB000, 1, 1, 0)
    assert storing[0].store(OBJECTS[1], is_named=False) == 0xC000
    storing[0].release()
    assert scene.seed.objects == []


def test_an_object_that_somebody_else_lets_come_is_stored(scene: Scene) -> None:
    statuses: list[int | None] = []

    def script(received: Received) -> None:
        storing = received.pacs.storing(received)
        statuses.append(storing.store(make_object(OTHER, 1), originator=MoveOriginator("WORKSTATION", 7)))
        statuses.append(storing.store(OBJECTS[0]))
        storing.release()
        received.respond(0x0000, completed=1, failed=0, warning=0)

    scene.start(script)
    assert counts(scene.move()[0]) == (0x0000, 1, 0, 0)
    assert statuses == [0x0000, 0x0000]
    assert scene.received == [OBJECTS[0].SOPInstanceUID]
    assert len(scene.seed.objects) == 1


def test_objects_that_name_no_retrieve_are_known_by_caller_and_study(scene: Scene) -> None:
    def script(received: Received) -> None:
        storing = received.pacs.storing(received)
        for ds in (*OBJECTS, make_object(OTHER, 1)):
            assert storing.store(ds, is_named=False) == 0x0000
        storing.release()
        received.respond(0x0000, completed=5, failed=0, warning=0)

    scene.start(script)
    assert counts(scene.move()[0]) == (0x0000, 5, 0, 0)
    assert scene.received == uids_of(OBJECTS)
    assert len(scene.seed.objects) == 1  # that of the other study: nobody asked for it


@pytest.mark.ldap("dcmCStoreSCUOfCMoveSCP")
def test_an_archive_may_send_under_another_ae_title(scene: Scene) -> None:
    def script(received: Received) -> None:
        storing = received.pacs.storing(received, calling="PACSSTORE")
        for ds in OBJECTS:
            storing.store(ds, is_named=False)
        storing.release()
        received.respond(0x0000, completed=5, failed=0, warning=0)

    scene.start(script, dcmCStoreSCUOfCMoveSCP="PACSSTORE=PACS")
    assert counts(scene.move()[0]) == (0x0000, 5, 0, 0)
    assert scene.received == uids_of(OBJECTS)
    assert scene.seed.objects == []


def test_an_object_too_large_for_the_memory_goes_through_as_it_is(scene: Scene) -> None:
    large = make_object(STUDY, 1, size=17 << 20)
    scene.start(sends([large]))
    assert counts(scene.move()[0]) == (0x0000, 1, 0, 0)
    (received,) = scene.viewer.received
    assert received == large


# -- what the viewer does --------------------------------------------------------------------------------------------


def test_a_failure_and_a_warning_of_the_viewer_are_counted(scene: Scene) -> None:
    answers = {OBJECTS[1].SOPInstanceUID: 0xA700, OBJECTS[2].SOPInstanceUID: 0xB000}
    scene.start(sends(OBJECTS), viewer=lambda event: answers.get(event.request.AffectedSOPInstanceUID, 0x0000))
    final, failed = scene.move()
    assert counts(final) == (0xB000, 3, 1, 1)
    assert failed == [OBJECTS[1].SOPInstanceUID]


def test_a_slow_viewer_slows_the_archive_down(scene: Scene) -> None:
    """While the first object is being stored, no more come in than there is room for."""
    many = [make_object(STUDY, number) for number in range(1, 41)]
    sent: list[int | None] = []
    blocked = threading.Event()

    def script(received: Received) -> None:
        storing = received.pacs.storing(received)
        for ds in many:
            sent.append(storing.store(ds))
        storing.release()
        received.respond(0x0000, completed=len(many), failed=0, warning=0)

    most: list[int] = []

    def store(event: Any) -> int:
        if not blocked.is_set():
            blocked.set()
            (forward,) = scene.seed.service._process._forwards._running
            forward._changed.acquire()
            try:
                forward._changed.wait_for(lambda: len(forward._waiting) == 4, 20)
            finally:
                forward._changed.release()
            most.append(len(sent))
        return 0x0000

    scene.start(script, viewer=store)
    assert counts(scene.move()[0]) == (0x0000, 40, 0, 0)
    assert scene.received == uids_of(many)
    assert most[0] <= 6  # four that wait, one under way, one prepared


def test_unreachable_viewer_fails_all_objects_and_the_archive_is_cancelled(scene: Scene) -> None:
    cancelled: list[bool] = []

    def script(received: Received) -> None:
        storing = received.pacs.storing(received)
        storing.store(OBJECTS[0])
        received.respond(0xFF00, remaining=4, completed=1, failed=0, warning=0)
        cancelled.append(received.await_cancel())
        storing.release()
        received.respond(0xFE00, remaining=4, completed=1, failed=0, warning=0)

    scene.start(script, viewer=None)
    final, failed = scene.move()
    assert (final.Status, final.NumberOfCompletedSuboperations) == (0xA702, 0)
    assert final.NumberOfFailedSuboperations in (1, 5)  # it may have told how many there are, or not yet
    assert failed == [OBJECTS[0].SOPInstanceUID]
    assert final.ErrorComment.startswith("move destination STORESCP")
    assert cancelled == [True]


def test_a_cancelled_move_is_cancelled_there_and_its_counts_add_up(scene: Scene) -> None:
    cancelled: list[bool] = []
    second = threading.Event()

    def script(received: Received) -> None:
        storing = received.pacs.storing(received)
        for number, ds in enumerate(OBJECTS[:2], 1):
            storing.store(ds)
            received.respond(0xFF00, remaining=5 - number, completed=number, failed=0, warning=0)
        second.set()
        cancelled.append(received.await_cancel())
        storing.release()
        received.respond(0xFE00, remaining=3, completed=2, failed=0, warning=0)

    scene.start(script, dcmSendPendingCMoveInterval="PT0.01S")
    with associated(scene.seed.archive_port, [STUDY_MOVE]) as assoc:
        is_cancelled = False
        for status, _ in assoc.send_c_move(KEYS, "STORESCP", STUDY_MOVE):
            if status.Status != 0xFF00:
                final = status
            elif status.get("NumberOfCompletedSuboperations") == 2 and not is_cancelled:
                assoc.send_c_cancel(1, None, STUDY_MOVE)
                is_cancelled = True
    await_rest(scene.seed)
    assert cancelled == [True]
    assert counts(final) == (0xFE00, 2, 0, 0)
    assert final.NumberOfRemainingSuboperations == 3


def test_a_client_that_goes_in_the_middle_ends_the_retrieve_there(scene: Scene) -> None:
    cancelled: list[bool] = []
    asked = threading.Event()
    over = threading.Event()

    def script(received: Received) -> None:
        storing = received.pacs.storing(received)
        storing.store(OBJECTS[0])
        asked.set()
        cancelled.append(received.await_cancel())
        storing.release()
        received.respond(0xFE00, remaining=4, completed=1, failed=0, warning=0)
        over.set()

    scene.start(script)
    assoc, _ = associate(scene.seed.archive_port, [(STUDY_MOVE, [IMPLICIT])])
    assoc.send([(1, move_request(STUDY_MOVE, 1, "STORESCP"), encoded(KEYS, IMPLICIT))])
    assert asked.wait(60)
    assoc.abort()
    assoc.link.close()
    assert over.wait(60)
    await_rest(scene.seed)
    assert cancelled == [True]


def test_two_viewers_of_the_same_study_get_each_object_once(scene: Scene, viewer: StartViewer) -> None:
    both = threading.Barrier(2, timeout=60)

    def script(received: Received) -> None:
        both.wait()
        sends(OBJECTS)(received)

    two_viewers(scene, viewer, script)


def test_two_viewers_of_the_same_study_get_each_object_once_also_where_objects_name_no_retrieve(
    scene: Scene, viewer: StartViewer
) -> None:
    both = threading.Barrier(2, timeout=60)

    def script(received: Received) -> None:
        storing = received.pacs.storing(received)
        for ds in OBJECTS:
            both.wait()
            assert storing.store(ds, is_named=False) == 0x0000
        both.wait()
        storing.release()
        received.respond(0x0000, completed=5, failed=0, warning=0)

    two_viewers(scene, viewer, script)


def test_object_that_fits_two_different_retrieves_is_refused_and_nothing_is_lost(scene: Scene) -> None:
    """The archive still has it, and it comes by name in the end."""
    both = threading.Barrier(2, timeout=60)
    statuses: list[int | None] = []

    def script(received: Received) -> None:
        storing = received.pacs.storing(received)
        both.wait()
        statuses.append(storing.store(OBJECTS[0], is_named=False))
        both.wait()
        storing.release()
        sends(OBJECTS)(received)

    scene.start(script)
    series = identifier("SERIES", StudyInstanceUID=STUDY, SeriesInstanceUID=f"{STUDY}.1")
    finals: list[Dataset] = []
    threads = [
        threading.Thread(target=lambda keys: finals.append(move(scene.seed.archive_port, keys)[-1][0]), args=(keys,))
        for keys in (KEYS, series)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    await_rest(scene.seed)
    assert statuses == [0xC000] * 2
    assert [counts(final) for final in finals] == [(0x0000, 5, 0, 0)] * 2
    assert scene.seed.objects == []


def two_viewers(scene: Scene, viewer: StartViewer, script: Script) -> None:
    port = free_port()
    second = viewer(port)
    scene.seed.change(remote_device("SECOND", port))
    scene.start(script)
    finals: list[Dataset] = []

    def ask(destination: str) -> None:
        finals.append(move(scene.seed.archive_port, KEYS, destination)[-1][0])

    threads = [threading.Thread(target=ask, args=(title,)) for title in ("STORESCP", "SECOND")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    await_rest(scene.seed)
    assert [counts(final) for final in finals] == [(0x0000, 5, 0, 0)] * 2
    assert sorted(scene.received) == sorted(uids_of(second.received)) == uids_of(OBJECTS)


def test_a_c_get_passes_on_what_comes(scene: Scene) -> None:
    scene.start(sends(OBJECTS))
    responses, received = get(scene.seed.archive_port, KEYS)
    await_rest(scene.seed)
    assert counts(responses[-1][0]) == (0x0000, 5, 0, 0)
    assert uids_of(received) == uids_of(OBJECTS)
    # How many remain is known when the archive has told it, and that may come after the first object.
    assert all(status.NumberOfRemainingSuboperations < 5 for status, _ in responses[:-1])


@pytest.mark.parametrize("cuts", [[5_000], [20_000], [40_000], [30_000, 30_000], [500, 500, 500]])
def test_cut_connection_neither_repeats_nor_invents_objects(
    scene: Scene, viewer: StartViewer, cutting_relay: Callable[..., CuttingRelay], cuts: list[int]
) -> None:
    many = [make_object(STUDY, number, size=4000) for number in range(1, 21)]
    port = free_port()
    scene.viewer = viewer(port)
    cutting_relay(scene.seed.viewer_port, port, cuts)
    scene.start(sends(many), viewer=None)
    final, failed = scene.move()
    assert len(scene.received) == len(set(scene.received))
    named = set(uids_of(many)) - set(failed)
    assert final.NumberOfCompletedSuboperations <= len(named & set(scene.received))
    assert final.Status in (0xB000, 0xA702)
    assert final.NumberOfFailedSuboperations >= 1


@pytest.mark.parametrize("cut", [1_000, 5_000, 20_000, 60_000])
def test_cut_wire_delivers_whole_objects_and_names_the_rest(
    scene: Scene, cutting_relay: Callable[..., CuttingRelay], cut: int
) -> None:
    many = [make_object(STUDY, number, size=4000) for number in range(1, 21)]
    scene.way_to_us = free_port()
    cutting_relay(scene.way_to_us, scene.seed.archive_port, [cut])
    scene.start(sends(many))
    final, failed = scene.move()
    received = scene.received
    assert len(received) == len(set(received)) == final.NumberOfCompletedSuboperations < 20
    assert final.NumberOfCompletedSuboperations + final.NumberOfFailedSuboperations == 20
    assert set(failed) == set(uids_of(many)) - set(received)


def test_objects_for_an_earlier_process_are_refused(scene: Scene) -> None:
    begun, restarted = threading.Event(), threading.Event()
    late: list[int | None] = []

    def script(received: Received) -> None:
        storing = received.pacs.storing(received)
        storing.store(OBJECTS[0])
        begun.set()
        assert restarted.wait(60)
        storing.abort()
        again = received.pacs.storing(received)
        late.append(again.store(OBJECTS[1]))
        again.release()
        sent.set()

    sent = threading.Event()
    scene.start(script)
    assoc, _ = associate(scene.seed.archive_port, [(STUDY_MOVE, [IMPLICIT])])
    assoc.send([(1, move_request(STUDY_MOVE, 1, "STORESCP"), encoded(KEYS, IMPLICIT))])
    assert begun.wait(60)
    scene.seed.service.stop(0)
    await_rest(scene.seed)
    assoc.link.close()
    scene.seed.start()
    restarted.set()
    assert sent.wait(60)
    assert late == [0xC000]
    assert scene.seed.objects == []
