"""Retrieves that another archive fulfils: what belongs to which, what is counted, and how they end."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from dcm4py_leading.errors import ArchiveUnavailable
from dcm4py_leading.model.values import AETitle
from dcm4py_leading.service.proxy import forwarded_retrieve as module
from dcm4py_leading.service.proxy.forwarded_retrieve import ArrivedObject, ForwardedRetrieve, UnsentObject
from dcm4py_leading.service.proxy.forwarded_retrieves import ForwardedRetrieves
from dcm4py_leading.service.proxy.spool import Spool

PACS, US = AETitle("PACS"), AETitle("DCM4CHEE")
STUDY, OTHER = "1.2.1", "1.2.2"
FAILURE = ArchiveUnavailable("PACS: it is full", status=0xA701)


def make_forward(message_id: int = 1, *, patience: float = 20, asked: str | None = STUDY) -> ForwardedRetrieve:
    return ForwardedRetrieve(
        scp=PACS, originator=US, message_id=message_id, studies=frozenset({STUDY}), patience=patience, asked=asked
    )


def arrived(number: int, study: str = STUDY) -> ArrivedObject:
    return ArrivedObject(
        sop_class_uid="1.2.3",
        sop_instance_uid=f"{study}.{number}",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        data=b"",
        study_instance_uid=study,
    )


def uids(forward: ForwardedRetrieve) -> list[str]:
    """What comes out of it; missing objects in brackets."""
    return [f"[{one.sop_instance_uid}]" if isinstance(one, UnsentObject) else one.sop_instance_uid for one in forward]


@pytest.fixture
def forwards(tmp_path: Path) -> ForwardedRetrieves:
    return ForwardedRetrieves(spool=Spool(tmp_path))


def test_objects_come_in_their_order_each_once() -> None:
    forward = make_forward()
    assert all(forward.offer(arrived(number)) for number in (1, 2, 1, 3, 2))
    forward.end(total=5)
    assert uids(forward) == ["1.2.1.1", "1.2.1.2", "1.2.1.3"]
    assert forward.remaining(3) == 0


def test_who_offers_waits_until_there_is_room() -> None:
    forward = make_forward()
    for number in range(1, 5):
        forward.offer(arrived(number))
    results: list[bool] = []
    thread = threading.Thread(target=lambda: results.append(forward.offer(arrived(5))))
    thread.start()
    coming = iter(forward)
    assert results == []
    assert [next(coming).sop_instance_uid for _ in range(5)] == [f"1.2.1.{number}" for number in range(1, 6)]
    thread.join()
    assert results == [True]


def test_thread_waiting_for_room_is_released_after_a_cancel() -> None:
    forward = make_forward()
    for number in range(1, 5):
        forward.offer(arrived(number))
    results: list[bool] = []
    thread = threading.Thread(target=lambda: results.append(forward.offer(arrived(5))))
    thread.start()
    forward.close()
    thread.join()
    assert results == [False]
    assert not forward.offer(arrived(6))
    assert uids(forward) == []


def test_object_named_as_failed_is_missing_unless_it_came() -> None:
    forward = make_forward()
    forward.offer(arrived(1))
    forward.end(failed=["1.2.1.1", "1.2.1.2"], total=3)
    assert uids(forward) == ["1.2.1.1", "[1.2.1.2]", "[]"]


def test_without_counts_at_the_end_those_of_the_last_pending_response_hold() -> None:
    forward = make_forward()
    forward.tell(4, 0)
    assert forward.remaining(0) == 4
    forward.offer(arrived(1))
    forward.end()
    assert uids(forward) == ["1.2.1.1", "[]", "[]", "[]"]


def test_a_failure_before_the_first_object_is_raised() -> None:
    forward = make_forward()
    forward.tell(4, 0)
    forward.end(failure=FAILURE)
    with pytest.raises(ArchiveUnavailable, match="full"):
        uids(forward)


def test_retrieve_with_a_failure_never_has_all() -> None:
    forward = make_forward()
    forward.offer(arrived(1))
    forward.end(failure=FAILURE)
    assert uids(forward) == ["1.2.1.1", "[]"]
    assert [one.reason for one in forward if isinstance(one, UnsentObject)] == [str(FAILURE)]
    assert not forward.has_all


def test_without_any_sign_it_is_given_up() -> None:
    with pytest.raises(ArchiveUnavailable, match="PACS: nothing came in time"):
        uids(make_forward(patience=0))


class Clock:
    """Time that passes when somebody looks at it."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += self.seconds
        return self.now


def test_signs_without_progress_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "time", Clock(1.0))
    monkeypatch.setattr(module, "_LOOK", 0.001)
    forward = make_forward(patience=50)
    looks: list[None] = []

    def goes_on_pending() -> bool:
        looks.append(None)
        forward.tell(4, 0)
        forward.refuse(f"1.2.9.{len(looks)}", "it is broken")
        return len(looks) > 1000

    forward.watch(goes_on_pending)
    assert uids(forward)[0] == "[1.2.9.1]"
    assert len(looks) < 100


@pytest.mark.parametrize("progress", ["counts", "a part of an object"])
def test_progress_is_waited_for(progress: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "time", Clock(1.0))
    monkeypatch.setattr(module, "_LOOK", 0.001)
    forward = make_forward(patience=50)
    looks: list[None] = []

    def goes_on() -> bool:
        looks.append(None)
        if progress == "counts":
            forward.tell(1000, len(looks))
        else:
            forward.restart_timeout()
        return len(looks) == 500

    forward.watch(goes_on)
    assert uids(forward) == []
    assert len(looks) == 500


def test_more_than_can_be_refused_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REFUSED_OBJECTS", 3)
    forward = make_forward()
    for number in range(4):
        assert not forward.has_ended
        forward.refuse_unrequested(f"1.2.9.{number}")
    assert forward.has_ended
    with pytest.raises(ArchiveUnavailable, match="more than 3 objects that are refused"):
        uids(forward)


def test_waiting_for_matches_checks_for_a_cancel() -> None:
    forward = make_forward(patience=3600)
    looks: list[int] = []

    def is_over() -> bool:
        looks.append(len(looks))
        return len(looks) == 2

    forward.watch(is_over)
    assert uids(forward) == []
    assert len(looks) == 2


def test_an_object_finds_the_retrieve_that_it_names(forwards: ForwardedRetrieves) -> None:
    one, other = make_forward(1), make_forward(2)
    forwards.add(one)
    forwards.add(other)
    assert forwards.take(US, 2, PACS, arrived(1)) is True
    other.end()
    assert uids(other) == ["1.2.1.1"]
    assert one.remaining(0) == 0


@pytest.mark.parametrize(("originator", "message_id", "study"), [(US, 2, STUDY), ("ELSE", 1, STUDY), (US, 1, OTHER)])
def test_object_of_unknown_retrieve_is_refused_with_reason(
    forwards: ForwardedRetrieves, originator: str, message_id: int, study: str
) -> None:
    forwards.add(make_forward(1))
    told = forwards.take(originator, message_id, PACS, arrived(1, study))
    assert told == f"{originator} has no retrieve {message_id} of that study under way"


def test_a_retrieve_that_is_over_is_not_found(forwards: ForwardedRetrieves) -> None:
    forward = make_forward(1)
    forwards.add(forward)
    forwards.remove(forward)
    assert isinstance(forwards.take(US, 1, PACS, arrived(1)), str)
    assert not forwards.are_running


def test_object_that_names_no_retrieve_goes_once_to_each_of_the_same_keys(forwards: ForwardedRetrieves) -> None:
    both = [make_forward(number) for number in (1, 2)]
    for forward in both:
        forwards.add(forward)
    for number in (1, 1, 2, 2, 1):
        assert forwards.take("", None, PACS, arrived(number)) is True
    for forward in both:
        forward.end()
        assert uids(forward) == ["1.2.1.1", "1.2.1.2"]


@pytest.mark.parametrize(("scp", "study"), [(PACS, OTHER), ("ELSE", STUDY)])
def test_object_without_retrieve_of_its_study_or_archive_is_unrequested(
    forwards: ForwardedRetrieves, scp: str, study: str
) -> None:
    forwards.add(make_forward(1))
    assert forwards.take("", None, scp, arrived(1, study)) is None


def test_unusable_received_object_fails_whatever_the_archive_counts(
    forwards: ForwardedRetrieves,
) -> None:
    forward = make_forward(1)
    forwards.add(forward)
    assert forwards.take(US, 1, PACS, arrived(1)) is True
    forwards.refuse(US, 1, PACS, "1.2.1.2", "it is cut")
    forwards.refuse("", None, PACS, "1.2.1.3", "it is empty")  # the only one that waits for that archive
    forwards.refuse(US, 2, PACS, "1.2.1.4", "it is cut")  # no such retrieve
    forward.end(total=3)
    assert uids(forward) == ["1.2.1.1", "[1.2.1.2]", "[1.2.1.3]"]
    assert not forward.has_all


def test_object_taken_at_the_second_attempt_has_not_failed() -> None:
    forward = make_forward()
    forward.refuse("1.2.1.1", "it is cut")
    forward.again()
    assert forward.offer(arrived(1))
    forward.end(total=1)
    assert uids(forward) == ["1.2.1.1"]


@pytest.mark.parametrize(("total", "failed"), [(0, 1), (1, 0), (2, 1)])
def test_an_object_of_another_study_counts_where_the_archive_counts_it_or_counts_nothing(
    forwards: ForwardedRetrieves, total: int, failed: int
) -> None:
    forward = make_forward(1)
    forwards.add(forward)
    assert forwards.take(US, 1, PACS, arrived(1)) is True
    assert forwards.take(US, 1, PACS, arrived(1, OTHER)) == f"{US} has no retrieve 1 of that study under way"
    forward.end(total=total)
    assert uids(forward) == ["1.2.1.1", *["[]"] * failed]


@pytest.mark.parametrize("is_answered", [True, False])
def test_late_objects_of_an_unended_retrieve_are_not_unasked(tmp_path: Path, is_answered: bool) -> None:
    now = 1000.0
    forwards = ForwardedRetrieves(spool=Spool(tmp_path), clock=lambda: now)
    forward = make_forward(1)
    forwards.add(forward)
    forward.end(failure=ArchiveUnavailable("PACS: aborted"), is_answer=is_answered)
    forwards.remove(forward)
    told = None if is_answered else f"it names no retrieve, and that of its study from {PACS} was given up"
    assert forwards.take("", None, PACS, arrived(1)) == told
    assert forwards.take("", None, PACS, arrived(1, OTHER)) is None
    assert forwards.are_expected is not is_answered
    now += 600
    assert not forwards.are_expected
    assert forwards.take("", None, PACS, arrived(1)) is None


def test_c_get_retrieve_expects_no_incoming_objects(tmp_path: Path) -> None:
    forwards = ForwardedRetrieves(spool=Spool(tmp_path))
    forward = make_forward(1)
    forward.end(failure=ArchiveUnavailable("PACS: aborted"))
    forwards.remove(forward)  # by C-GET; it was never added
    assert not forwards.are_expected
    assert forwards.take("", None, PACS, arrived(1)) is None


def test_object_that_names_no_retrieve_goes_to_none_when_their_keys_differ(forwards: ForwardedRetrieves) -> None:
    forwards.add(make_forward(1, asked="the study"))
    forwards.add(make_forward(2, asked="one series of it"))
    told = forwards.take("", None, PACS, arrived(1))
    assert told == "it names no retrieve, and 2 wait for that study from PACS"


def test_message_ids_of_what_runs_are_not_given_again(tmp_path: Path) -> None:
    forwards = ForwardedRetrieves(slot=2, start=999, spool=Spool(tmp_path))
    first = forwards.next_message_id()
    assert first == 2001
    forwards.add(make_forward(2002))
    assert forwards.next_message_id() == 2003
