"""In front of an archive that does C-GET: it is asked so, and by C-MOVE for what does not come so."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dcm4py_leading.dicom.message import move_request
from dcm4py_leading.dicom.negotiation import accepted_storage
from dcm4py_leading.dicom.upstream import remote_retrieve as upstream_exchange
from dcm4py_leading.service.retrieve.encode import encoded
from tests.fixtures.links import CT, IMPLICIT, associate
from tests.fixtures.pacs import Received, Script, ScriptedPacs, has, make_object, sends, uids_of
from tests.fixtures.proxy import await_rest, stand_in_front_of
from tests.fixtures.scripted import Viewer
from tests.fixtures.scu import STUDY_MOVE, associated, get, identifier, move
from tests.fixtures.service import CONNECTION, Seed

STUDY, OTHER = "1.2.826.0.1.3680043.8.498.91", "1.2.826.0.1.3680043.8.498.92"
OBJECTS = [make_object(STUDY, number) for number in range(1, 6)]
KEYS = identifier("STUDY", StudyInstanceUID=STUDY)


def row(**values: object) -> Dataset:
    """A match of the study."""
    ds = Dataset()
    ds.StudyInstanceUID = STUDY
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


TELLS_CLASSES = has(row(SOPClassesInStudy=[CT]))


def gives(objects: Sequence[Dataset], *, failed: Sequence[Dataset] = ()) -> Script:
    """The script of an archive that sends ``objects`` by C-GET, and cannot send those that ``failed``."""

    def script(received: Received) -> None:
        for ds in objects:
            received.store(ds)
        received.respond(
            0xB000 if failed else 0x0000,
            received.failed_list(*uids_of(failed)) if failed else None,
            completed=len(objects),
            failed=len(failed),
            warning=0,
        )

    return script


class Scene:
    """Ours in front of a scripted archive, and a viewer; nothing is coerced."""

    def __init__(
        self, seed: Seed, start_pacs: Callable[..., ScriptedPacs], start_viewer: Callable[..., Viewer]
    ) -> None:
        self.seed, self._start_pacs, self._start_viewer = seed, start_pacs, start_viewer

    def start(
        self,
        *,
        viewer: Callable[[Any], int] = lambda _: 0x0000,
        settings: dict[str, str] | None = None,
        **scripts: Any,
    ) -> None:
        """Start everything; ``settings`` are attributes of the device."""
        scripts = {"find": TELLS_CLASSES, "move": sends(OBJECTS), **scripts}
        self.pacs = self._start_pacs(self.seed.archive_port, **scripts)
        self.viewer = self._start_viewer(self.seed.viewer_port, script=viewer)
        stand_in_front_of(self.seed, self.pacs.port, **(settings or {}))
        self.seed.start()

    def move(self) -> tuple[int, int, int]:
        """C-MOVE to the viewer: status, completed and failed."""
        self.final, self.named = move(self.seed.archive_port, KEYS)[-1]
        await_rest(self.seed)
        counts = (self.final.get(f"NumberOf{name}Suboperations", -1) for name in ("Completed", "Failed"))
        return self.final.Status, *counts

    @property
    def asked(self) -> tuple[int, int]:
        """How often by C-GET and by C-MOVE."""
        return len(self.pacs.gets), len(self.pacs.moves)

    @property
    def received(self) -> list[str]:
        return uids_of(self.viewer.received)


@pytest.fixture
def scene(seed: Seed, scripted_pacs: Callable[..., ScriptedPacs], viewer: Callable[..., Viewer]) -> Scene:
    return Scene(seed, scripted_pacs, viewer)


# -- which way -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "find", [TELLS_CLASSES, has(row(Modality="CT"))], ids=["it tells its SOP classes", "it tells its modalities"]
)
def test_it_is_asked_by_get(scene: Scene, find: Script) -> None:
    scene.start(find=find, get=gives(OBJECTS))
    assert scene.move() == (0x0000, 5, 0)
    assert scene.received == uids_of(OBJECTS)
    assert scene.asked == (1, 0)
    assert scene.pacs.gets[0].StudyInstanceUID == STUDY


def test_each_transfer_syntax_that_our_ae_takes_is_proposed_for_itself(scene: Scene) -> None:
    scene.start(get=gives(OBJECTS))
    scene.move()
    contexts = [c for c in scene.pacs.proposals[-1].contexts if c.abstract_syntax == CT]
    (ours,) = [
        ae for ae in scene.seed.service._process.snapshot.device.application_entities if ae.ae_title == "DCM4CHEE"
    ]
    taken = accepted_storage(ours)[CT]
    assert len(taken) > 3
    proposed = [c.transfer_syntaxes for c in contexts]
    assert sorted(proposed) == sorted((syntax,) for syntax in taken)
    # The first is what an archive sends in that does not choose.
    assert (proposed[0], proposed[-1]) == ((ExplicitVRLittleEndian,), (ImplicitVRLittleEndian,))


@pytest.mark.parametrize(
    "pacs",
    [
        {"get": None},
        {"grants_roles": False},
        {"most_contexts": 3},
        {"find": has()},
        {"find": has(row(Modality="ODD"))},
        {"find": has(row(SOPClassesInStudy=["1.2.3.4"]))},
        {"find": None},
    ],
    ids=["no C-GET", "no role", "few contexts", "nothing known", "odd modality", "SOP class not ours", "no C-FIND"],
)
def test_c_move_is_used_where_c_get_is_not_possible(scene: Scene, pacs: dict[str, Any]) -> None:
    scene.start(**{"get": gives(OBJECTS), **pacs})
    assert scene.move() == (0x0000, 5, 0)
    assert scene.asked == (0, 1)


def test_archive_without_c_get_is_remembered(scene: Scene) -> None:
    scene.start()
    assert scene.move() == (0x0000, 5, 0)
    asked = len(scene.pacs.finds)
    assert asked > 0
    assert scene.move() == (0x0000, 5, 0)
    assert len(scene.pacs.finds) == asked


# -- what does not come by C-GET -------------------------------------------------------------------------------------


def test_objects_missing_after_get_come_by_move_and_none_twice(scene: Scene) -> None:
    scene.start(get=gives(OBJECTS[:2], failed=OBJECTS[2:]))
    assert scene.move() == (0x0000, 5, 0)
    assert scene.received == uids_of(OBJECTS)
    assert scene.asked == (1, 1)


@pytest.mark.parametrize("status", [0xA702, 0xC000, 0xA900])
def test_a_get_that_is_refused_is_followed_by_a_move(scene: Scene, status: int) -> None:
    scene.start(get=lambda received: received.respond(status, comment="no"))
    assert scene.move() == (0x0000, 5, 0)
    assert scene.asked == (1, 1)


def test_object_that_never_comes_is_failed_and_named(scene: Scene) -> None:
    lacking = gives(OBJECTS[:2], failed=OBJECTS[2:])

    def by_move(received: Received) -> None:
        storing = received.pacs.storing(received)
        for ds in OBJECTS[:3]:
            storing.store(ds)
        storing.release()
        received.respond(0xB000, received.failed_list(*uids_of(OBJECTS[3:])), completed=3, failed=2, warning=0)

    scene.start(get=lacking, move=by_move)
    assert scene.move() == (0xB000, 3, 2)
    assert scene.received == uids_of(OBJECTS[:3])
    assert scene.named is not None and scene.named.FailedSOPInstanceUIDList == uids_of(OBJECTS[3:])


def test_an_object_of_another_study_is_refused_and_the_log_says_so(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    answers: list[int | None] = []

    def script(received: Received) -> None:
        answers.extend(received.store(ds) for ds in (OBJECTS[0], make_object(OTHER, 1), OBJECTS[1]))
        received.respond(0x0000, completed=2, failed=0, warning=0)

    scene.start(get=script)
    assert scene.move() == (0x0000, 2, 0)
    assert scene.received == uids_of(OBJECTS[:2])
    assert answers == [0x0000, 0xC000, 0x0000]
    assert "is refused: nobody asked for it" in caplog.text
    assert OTHER not in caplog.text


def test_an_object_that_comes_twice_is_sent_once(scene: Scene) -> None:
    scene.start(get=gives([OBJECTS[0], OBJECTS[0], OBJECTS[1]]))
    assert scene.move() == (0x0000, 2, 0)
    assert scene.received == uids_of(OBJECTS[:2])


def test_an_archive_that_aborts_after_two_objects_costs_the_others_and_no_more(scene: Scene) -> None:
    def script(received: Received) -> None:
        for ds in OBJECTS[:2]:
            received.store(ds)
            received.respond(0xFF00, remaining=3, completed=2, failed=0, warning=0)
        received.abort()

    scene.start(get=script)
    status, completed, failed = scene.move()
    assert (status, completed) == (0xB000, 2)
    assert failed in (3, 1)  # the pending response may be lost with the association
    assert scene.received == uids_of(OBJECTS[:2])


def test_an_archive_that_is_silent_is_given_up(scene: Scene) -> None:
    over = threading.Event()

    def script(received: Received) -> None:
        received.store(OBJECTS[0])
        over.wait(60)

    scene.seed.set(CONNECTION, dcmRetrieveTimeout="300")
    scene.start(get=script)
    assert scene.move() == (0xB000, 1, 1)
    over.set()
    assert "nothing came in time" in scene.final.ErrorComment


@pytest.mark.ldap("dcmFallbackCMoveSCPRetries")
@pytest.mark.parametrize(("retries", "outcome"), [("0", (0xB000, 2, 3)), ("1", (0x0000, 5, 0))])
def test_missing_objects_are_asked_for_by_get_where_a_move_is_refused(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, retries: str, outcome: tuple[int, int, int]
) -> None:
    monkeypatch.setattr(upstream_exchange, "_FIRST_PAUSE", 0.01)
    counts = iter((2, 5))

    def by_get(received: Received) -> None:
        count = next(counts)
        gives(OBJECTS[:count], failed=OBJECTS[count:])(received)

    scene.start(
        get=by_get,
        move=lambda received: received.respond(0xA801),
        settings={"dcmFallbackCMoveSCPRetries": retries},
    )
    assert scene.move() == outcome
    assert scene.received == uids_of(OBJECTS[: outcome[1]])
    assert scene.asked == (1 + int(retries), 1)


# -- the viewer ------------------------------------------------------------------------------------------------------


def test_a_slow_viewer_slows_the_archive_down(scene: Scene) -> None:
    """While an object is being stored, the next one is not even received."""
    many = [make_object(STUDY, number) for number in range(1, 21)]
    answered: list[int] = []
    most: list[int] = []

    def script(received: Received) -> None:
        for number, ds in enumerate(many, 1):
            received.store(ds)
            answered.append(number)
        received.respond(0x0000, completed=len(many), failed=0, warning=0)

    def store(event: Any) -> int:
        most.append(len(answered) - len(most))
        return 0x0000

    scene.start(get=script, viewer=store)
    assert scene.move() == (0x0000, 20, 0)
    assert max(most) <= 2


def test_a_viewer_that_refuses_all_gets_every_uid_named(scene: Scene) -> None:
    scene.start(get=gives(OBJECTS), viewer=lambda _: 0xA700)
    assert scene.move() == (0xA702, 0, 5)
    assert scene.named is not None and scene.named.FailedSOPInstanceUIDList == uids_of(OBJECTS)


def test_a_cancelled_move_is_cancelled_there_and_its_counts_add_up(scene: Scene) -> None:
    cancelled: list[bool] = []

    def script(received: Received) -> None:
        for number, ds in enumerate(OBJECTS[:2], 1):
            received.store(ds)
            received.respond(0xFF00, remaining=5 - number, completed=number, failed=0, warning=0)
        cancelled.append(received.await_cancel())
        received.respond(0xFE00, remaining=3, completed=2, failed=0, warning=0)

    scene.start(get=script, settings={"dcmSendPendingCMoveInterval": "PT0.01S"})
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
    assert (final.Status, final.NumberOfCompletedSuboperations) == (0xFE00, 2)
    assert final.NumberOfRemainingSuboperations == 3


def test_a_client_that_goes_in_the_middle_ends_the_retrieve_there(scene: Scene) -> None:
    cancelled: list[bool] = []
    asked, over = threading.Event(), threading.Event()

    def script(received: Received) -> None:
        received.store(OBJECTS[0])
        asked.set()
        cancelled.append(received.await_cancel())
        received.respond(0xFE00, remaining=4, completed=1, failed=0, warning=0)
        over.set()

    scene.start(get=script)
    assoc, _ = associate(scene.seed.archive_port, [(STUDY_MOVE, [IMPLICIT])])
    assoc.send([(1, move_request(STUDY_MOVE, 1, "STORESCP"), encoded(KEYS, IMPLICIT))])
    assert asked.wait(60)
    assoc.abort()
    assoc.link.close()
    assert over.wait(60)
    await_rest(scene.seed)
    assert cancelled == [True]


def test_a_c_get_of_the_viewer_passes_on_what_comes(scene: Scene) -> None:
    scene.start(get=gives(OBJECTS))
    responses, received = get(scene.seed.archive_port, KEYS)
    await_rest(scene.seed)
    assert responses[-1][0].Status == 0x0000
    assert uids_of(received) == uids_of(OBJECTS)


def test_two_viewers_of_the_same_study_get_each_object_once(scene: Scene, viewer: Callable[..., Viewer]) -> None:
    both = threading.Barrier(2, timeout=60)

    def script(received: Received) -> None:
        both.wait()
        gives(OBJECTS)(received)

    scene.start(get=script)
    results: list[tuple[int, int, int]] = []
    threads = [threading.Thread(target=lambda: results.append(scene.move())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [(0x0000, 5, 0)] * 2
    assert sorted(scene.received) == sorted(2 * uids_of(OBJECTS))
