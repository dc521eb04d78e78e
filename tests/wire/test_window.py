"""Several C-STOREs under way on one association (PS3.7 D.3.3.3): what is negotiated, used, counted and survived."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from pydicom import Dataset

from dcm4py_leading.model.bounds import DESTINATION_TIMEOUTS, OPERATIONS_AT_ONCE
from tests.fixtures.datasets import make_study
from tests.fixtures.scu import STUDY_MOVE, associated, identifier, move, store
from tests.fixtures.service import CONNECTION, Seed
from tests.fixtures.windowed_sink import Script, Talk, WindowedSink

STUDY = "1.2.826.0.1.3680043.8.498.41"
SINK = "cn=dicom,dicomDeviceName=storescp,cn=Devices,cn=DICOM Configuration,dc=dcm4che,dc=org"
OBJECTS = 8
StartSink = Callable[[int, Script, tuple[int, int] | None], WindowedSink]


@pytest.fixture
def archive(seed: Seed) -> Iterator[Seed]:
    """One study; four objects may be under way."""
    seed.set(CONNECTION, dcmMaxOpsInvoked="4")
    seed.start()
    files = make_study(seed.directory / "s", patient_id="P1", patient_name="A^B", study_uid=STUDY, instances=OBJECTS)
    assert store(seed.archive_port, files) == [0x0000] * OBJECTS
    yield seed


def retrieved(archive: Seed) -> Dataset:
    """The final response to a C-MOVE of the study."""
    return move(archive.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))[-1][0]


def numbers(final: Dataset) -> tuple[int, int, int, int]:
    return (
        final.Status,
        final.NumberOfCompletedSuboperations,
        final.NumberOfFailedSuboperations,
        final.NumberOfWarningSuboperations,
    )


def several_at_once(window: int, statuses: dict[int, int] | None = None) -> Script:
    """Take as many as the window has before any is answered, then answer the last one first."""

    def script(talk: Talk) -> None:
        left = OBJECTS
        while left:
            taken = talk.take(min(window, left))
            left -= len(taken)
            for message_id in reversed(taken):
                talk.answer(message_id, (statuses or {}).get(message_id, 0x0000))
        talk.take()

    return script


@pytest.mark.ldap("dcmMaxOpsInvoked")
@pytest.mark.parametrize(("grants", "used"), [((4, 1), 4), ((2, 1), 2), ((9, 9), 4), (None, 1), ((0, 0), 4)])
def test_as_many_objects_are_under_way_as_the_destination_grants(
    archive: Seed, windowed_sink: StartSink, grants: tuple[int, int] | None, used: int
) -> None:
    sink = windowed_sink(archive.viewer_port, several_at_once(used), grants)
    assert numbers(retrieved(archive)) == (0x0000, OBJECTS, 0, 0)
    (talk,) = sink.talks
    assert talk.request.user.asynchronous_operations == (4, 1)
    assert talk.most_under_way == used


@pytest.mark.ldap("dcmMaxOpsPerformed")
@pytest.mark.parametrize(
    ("invoked", "performed", "proposed"),
    [
        ("4", "2", (2, 1)),
        ("4", "0", (4, 1)),
        ("0", "3", (3, 1)),
        ("0", "0", (0, 1)),
        ("4", "1", None),
        ("1", "0", None),
    ],
)
def test_proposed_window_is_that_of_both_connections(
    archive: Seed, windowed_sink: StartSink, invoked: str, performed: str, proposed: tuple[int, int] | None
) -> None:
    archive.set(CONNECTION, dcmMaxOpsInvoked=invoked)
    archive.set(SINK, objectClass=["dicomNetworkConnection", "dcmNetworkConnection"], dcmMaxOpsPerformed=performed)
    archive.service.reload()
    sink = windowed_sink(archive.viewer_port, several_at_once(1), (1, 1))
    assert numbers(retrieved(archive)) == (0x0000, OBJECTS, 0, 0)
    assert sink.talks[0].request.user.asynchronous_operations == proposed


def test_any_number_is_bounded(archive: Seed, windowed_sink: StartSink) -> None:
    archive.set(CONNECTION, dcmMaxOpsInvoked="0")
    archive.service.reload()
    sink = windowed_sink(archive.viewer_port, several_at_once(OBJECTS), (0, 0))
    assert numbers(retrieved(archive)) == (0x0000, OBJECTS, 0, 0)
    assert sink.talks[0].most_under_way == OBJECTS < OPERATIONS_AT_ONCE


def test_an_object_is_counted_by_its_own_response(archive: Seed, windowed_sink: StartSink) -> None:
    sink = windowed_sink(archive.viewer_port, several_at_once(4, {2: 0xA700, 3: 0xB000, 7: 0xC001}), (4, 1))
    uids: dict[int, str] = {}
    answer = Talk.answer

    def noting(talk: Talk, message_id: int, status: int = 0) -> None:
        uids[message_id] = talk.under_way[message_id]
        answer(talk, message_id, status)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Talk, "answer", noting)
        final, failed = move(archive.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))[-1]
    assert numbers(final) == (0xB000, 5, 2, 1)
    assert failed is not None
    assert set(failed.FailedSOPInstanceUIDList) == {uids[2], uids[7]}
    assert len(sink.talks) == 1


def test_lost_association_fails_outstanding_objects_and_a_new_one_sends_the_rest(
    archive: Seed, windowed_sink: StartSink
) -> None:
    def script(talk: Talk) -> None:
        if len(sink.talks) == 1:
            taken = talk.take(4)
            talk.answer(taken[2])
            talk.close()
        else:
            for _ in range(4):
                talk.answer(*talk.take())
            talk.take()

    sink = windowed_sink(archive.viewer_port, script, (4, 1))
    status, completed, failed, warning = numbers(retrieved(archive))
    assert (status, warning, completed + failed) == (0xB000, 0, OBJECTS)
    # The one whose request the lost connection still took is lost, too, if it was sent before the loss was seen.
    assert failed in (3, 4)
    assert len(sink.talks) == 2


def test_objects_answered_before_a_lost_association_count(archive: Seed, windowed_sink: StartSink) -> None:
    def script(talk: Talk) -> None:
        if len(sink.talks) == 1:
            for message_id in talk.take(4):
                talk.answer(message_id)
            talk.close()
        else:
            while True:
                talk.answer(*talk.take())

    sink = windowed_sink(archive.viewer_port, script, (4, 1))
    _, completed, failed, _ = numbers(retrieved(archive))
    assert completed + failed == OBJECTS
    assert failed <= 4  # those that were sent after the last of the four was answered
    assert completed >= 4


def test_a_destination_that_gives_no_response_is_given_up(
    archive: Seed, windowed_sink: StartSink, caplog: pytest.LogCaptureFixture
) -> None:
    archive.set(CONNECTION, dcmMaxOpsInvoked="2", dcmResponseTimeout="200")
    archive.service.reload()

    def script(talk: Talk) -> None:
        talk.take(OBJECTS)

    sink = windowed_sink(archive.viewer_port, script, (2, 1))
    assert numbers(retrieved(archive)) == (0xA702, 0, OBJECTS, 0)
    assert [talk.most_under_way for talk in sink.talks] == [2] * DESTINATION_TIMEOUTS
    assert "no response in time, 3 times in a row" in caplog.text


def test_a_response_to_nothing_that_is_under_way_ends_the_association(archive: Seed, windowed_sink: StartSink) -> None:
    def script(talk: Talk) -> None:
        if len(sink.talks) == 1:
            first, *_ = talk.take(4)
            talk.under_way[99], talk._classes[99] = talk.under_way[first], talk._classes[first]
            talk.answer(99)
            talk.take(OBJECTS)
        while True:
            talk.answer(*talk.take())

    sink = windowed_sink(archive.viewer_port, script, (4, 1))
    assert numbers(retrieved(archive)) == (0xB000, 4, 4, 0)
    assert len(sink.talks) == 2


def test_a_cancel_awaits_what_is_under_way(archive: Seed, windowed_sink: StartSink) -> None:
    four_are_there, go_on = threading.Event(), threading.Event()

    def script(talk: Talk) -> None:
        taken = talk.take(4)
        four_are_there.set()
        go_on.wait(60)
        for message_id in taken:
            talk.answer(message_id)
        talk.take()

    sink = windowed_sink(archive.viewer_port, script, (4, 1))
    with associated(archive.archive_port, [STUDY_MOVE]) as assoc:
        responses = assoc.send_c_move(identifier("STUDY", StudyInstanceUID=STUDY), "STORESCP", STUDY_MOVE, msg_id=5)

        def cancel() -> None:
            four_are_there.wait(60)
            assoc.send_c_cancel(5, 1)
            threading.Timer(0.3, go_on.set).start()  # the cancel is on its way

        threading.Thread(target=cancel).start()
        final = list(responses)[-1][0]
    assert numbers(final) == (0xFE00, 4, 0, 0)
    assert final.NumberOfRemainingSuboperations == OBJECTS - 4
    assert sink.talks[0].most_under_way == 4
