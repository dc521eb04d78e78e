"""Delivery of a retrieve's objects: what follows what, what a failure means, and that the numbers add up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcm4py_leading.errors import DestinationUnavailable, StatusError, StorageUnavailable, SubOperationFailed
from dcm4py_leading.service.retrieve.encode import PreparedObject
from dcm4py_leading.service.retrieve.sub_operations import Delivery, Destination, Ending, deliver
from dcm4py_leading.service.retrieve.tally import SubOperationTally

SYNTAX = "1.2.840.10008.1.2.1"


@dataclass
class Events:
    """What happened, in order."""

    told: list[str] = field(default_factory=list)

    def __call__(self, event: str) -> None:
        self.told.append(event)


@dataclass
class Instance:
    """An object that can be prepared, or not."""

    sop_instance_uid: str
    event: Callable[[str], None] = lambda _: None
    problem: StatusError | None = None
    is_transcoded: bool = False
    sop_class_uid: str = "1.2.840.10008.5.1.4.1.1.2"
    transfer_syntax_uid: str = SYNTAX

    def prepare(self, accepted: Collection[str]) -> PreparedObject:
        self.event(f"prepare {self.sop_instance_uid}")
        if self.problem is not None:
            raise self.problem
        return PreparedObject(
            sop_class_uid=self.sop_class_uid,
            sop_instance_uid=self.sop_instance_uid,
            transfer_syntax_uid=SYNTAX,
            length=0,
            source=iter(()),
            is_transcoded=self.is_transcoded,
        )


@dataclass
class Peer:
    """An association that answers by script: a status or None for each object, or an error when it begins.

    It answers to the last one first, where several may be under way.
    """

    event: Callable[[str], None] = lambda _: None
    answers: dict[str, int | StatusError | None] = field(default_factory=dict)
    gone_after: int | None = None
    message_ids: list[int] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    window: int = 1
    under_way: dict[int, str] = field(default_factory=dict)
    most_under_way: int = 0

    def accepted_transfer_syntaxes(self, sop_class_uid: str, transfer_syntax_uid: str) -> tuple[str, ...]:
        return (SYNTAX,)

    def begin_store(self, obj: PreparedObject, message_id: int) -> None:
        assert len(self.under_way) < self.window and message_id not in self.under_way
        uid = obj.sop_instance_uid
        self.event(f"begin {uid}")
        obj.close()
        if self.gone_after is not None and len(self.taken) >= self.gone_after:
            raise DestinationUnavailable("the association is gone")
        answer = self.answers.get(uid)
        if isinstance(answer, StatusError):
            raise answer
        self.under_way[message_id] = uid
        self.most_under_way = max(self.most_under_way, len(self.under_way))
        self.message_ids.append(message_id)

    def end_store(self) -> Ending:
        message_id, uid = self.under_way.popitem()
        self.event(f"end {uid}")
        self.taken.append(uid)
        answer = self.answers.get(uid, 0x0000)
        assert not isinstance(answer, StatusError)
        return message_id, answer


def delivered(
    objects: Sequence[Instance],
    *to: Destination,
    is_cancelled: Callable[[], bool] = lambda: False,
    progress: list[SubOperationTally] | None = None,
) -> Delivery:
    told = [] if progress is None else progress
    return deliver(iter(objects), len(objects), to, is_cancelled=is_cancelled, on_progress=told.append)


def counts(delivery: Delivery) -> tuple[int, int, int, int]:
    tally = delivery.tally
    return tally.remaining, tally.completed, tally.failed, tally.warning


def test_the_next_object_is_prepared_while_the_last_one_is_under_way() -> None:
    events = Events()
    delivered([Instance(uid, events) for uid in "123"], Peer(events))
    assert events.told == [
        *("prepare 1", "begin 1", "prepare 2", "end 1", "begin 2", "prepare 3", "end 2", "begin 3", "end 3")
    ]


def test_as_many_objects_are_under_way_as_the_window_has() -> None:
    peer = Peer(window=3)
    delivery = delivered([Instance(uid) for uid in "12345"], peer)
    assert peer.most_under_way == 3
    assert peer.taken == ["3", "4", "5", "2", "1"]
    assert counts(delivery) == (0, 5, 0, 0)


def test_of_several_under_way_the_one_that_fails_is_counted_as_failed() -> None:
    delivery = delivered([Instance(uid) for uid in "12345"], Peer(window=5, answers={"2": 0xA700, "4": 0xB000}))
    assert counts(delivery) == (0, 3, 1, 1)
    assert delivery.tally.failed_sop_instance_uids == ("2",)


def test_a_cancel_awaits_all_that_are_under_way() -> None:
    peer = Peer(window=4)
    delivery = delivered([Instance(str(n)) for n in range(9)], peer, is_cancelled=lambda: len(peer.message_ids) == 6)
    assert not peer.under_way
    assert counts(delivery) == (3, 6, 0, 0)


def test_a_message_id_is_not_used_again_while_its_object_is_under_way() -> None:
    peer = Peer(window=2)  # answers to the first one last
    delivered([Instance("1")] * 65537, peer)
    assert peer.message_ids == [*range(1, 65536), 2, 3]


@pytest.mark.parametrize("problem", [SubOperationFailed("odd object"), StorageUnavailable("no such file")])
def test_an_object_that_cannot_be_prepared_is_failed_and_the_others_follow(problem: StatusError) -> None:
    peer = Peer()
    delivery = delivered([Instance("1"), Instance("2", problem=problem), Instance("3")], peer)
    assert peer.taken == ["1", "3"]
    assert counts(delivery) == (0, 2, 1, 0)
    assert delivery.tally.failed_sop_instance_uids == ("2",)
    assert delivery.problem == str(problem)


def test_an_object_that_cannot_be_sent_is_failed_and_the_others_follow() -> None:
    peer = Peer(answers={"1": SubOperationFailed("no presentation context")})
    delivery = delivered([Instance(uid) for uid in "123"], peer)
    assert peer.taken == ["2", "3"]
    assert (counts(delivery), delivery.problem) == ((0, 2, 1, 0), "no presentation context")


@pytest.mark.parametrize(("status", "problem"), [(None, "no response"), (0xA700, "status 0xA700")])
def test_no_response_and_a_failure_status_are_failures(status: int | None, problem: str) -> None:
    delivery = delivered([Instance("1"), Instance("2")], Peer(answers={"1": status}))
    assert counts(delivery) == (0, 1, 1, 0)
    assert delivery.problem is not None and problem in delivery.problem


def test_lost_destination_fails_remaining_objects_and_is_logged() -> None:
    delivery = delivered([Instance(uid) for uid in "1234"], Peer(gone_after=1))
    assert counts(delivery) == (0, 1, 3, 0)
    assert sorted(delivery.tally.failed_sop_instance_uids) == ["2", "3", "4"]
    assert delivery.problem == "the association is gone"


def test_each_object_that_is_not_sent_is_told_with_the_reason() -> None:
    told: list[tuple[str, str]] = []
    objects = [Instance("1", problem=SubOperationFailed("odd object")), *(Instance(uid) for uid in "2345")]
    deliver(
        iter(objects),
        len(objects),
        [Peer(answers={"2": 0xA700}, gone_after=1)],
        is_cancelled=lambda: False,
        on_progress=lambda _: None,
        on_failure=lambda obj, reason: told.append((obj.sop_instance_uid, reason)),
    )
    assert dict(told) == {
        "1": "odd object",
        "2": "the destination gave status 0xA700",
        "3": "the association is gone",
        "4": "the association is gone",
        "5": "the association is gone",
    }


def test_one_association_of_three_that_goes_costs_no_object() -> None:
    peers = [Peer(gone_after=0), Peer(), Peer()]
    delivery = delivered([Instance(str(number)) for number in range(50)], *peers)
    assert counts(delivery) == (0, 50, 0, 0)
    assert sorted(uid for peer in peers for uid in peer.taken) == sorted(map(str, range(50)))


def test_an_object_given_back_last_of_all_is_taken_by_an_association_that_had_nothing_left() -> None:
    has_begun, others_are_done = threading.Event(), threading.Event()

    class Late(Peer):
        def begin_store(self, obj: PreparedObject, message_id: int) -> None:
            has_begun.set()
            assert others_are_done.wait(60)
            raise DestinationUnavailable("the association is gone")

    class Quick(Peer):
        def begin_store(self, obj: PreparedObject, message_id: int) -> None:
            assert has_begun.wait(60)
            super().begin_store(obj, message_id)

        def end_store(self) -> Ending:
            others_are_done.set()
            return super().end_store()

    delivery = delivered([Instance("1"), Instance("2")], Quick(), Late())
    assert counts(delivery) == (0, 2, 0, 0)


def test_all_associations_gone_fail_every_object() -> None:
    delivery = delivered([Instance(str(number)) for number in range(9)], *(Peer(gone_after=0) for _ in range(3)))
    assert counts(delivery) == (0, 0, 9, 0)
    assert delivery.problem == "the association is gone"


@pytest.mark.parametrize("associations", [1, 3])
def test_unexpected_error_reaches_the_caller(associations: int) -> None:
    class Broken(Instance):
        def prepare(self, accepted: Collection[str]) -> PreparedObject:
            raise LookupError("a bug")

    with pytest.raises(LookupError):
        delivered([Instance("1"), Broken("2"), Instance("3")], *(Peer() for _ in range(associations)))


def test_cancel_counts_outstanding_objects_and_sends_no_more() -> None:
    peer = Peer()
    delivery = delivered([Instance(uid) for uid in "12345"], peer, is_cancelled=lambda: bool(peer.taken))
    assert delivery.cancelled
    assert not peer.under_way
    assert counts(delivery) == (5 - len(peer.taken), len(peer.taken), 0, 0)


def test_transcoded_objects_are_counted() -> None:
    objects = [Instance("1", is_transcoded=True), Instance("2"), Instance("3", is_transcoded=True)]
    assert delivered(objects, Peer()).transcoded == 2


def test_message_ids_go_from_1_to_65535_and_again_from_1() -> None:
    peer = Peer()
    delivered([Instance("1")] * 65537, peer)
    assert peer.message_ids == [*range(1, 65536), 1, 2]


ANSWERS = st.sampled_from(["prepare", "begin", "gone", None, 0x0000, 0xB000, 0xA700])


@given(st.lists(ANSWERS, max_size=12), st.integers(1, 3), st.integers(1, 5))
def test_the_numbers_add_up_whatever_happens(script: list[str | int | None], associations: int, window: int) -> None:
    answers: dict[str, int | StatusError | None] = {}
    objects = []
    for number, answer in enumerate(script):
        uid = str(number)
        objects.append(Instance(uid, problem=SubOperationFailed("odd") if answer == "prepare" else None))
        if answer == "gone":
            answers[uid] = DestinationUnavailable("gone")
        elif answer == "begin":
            answers[uid] = SubOperationFailed("refused")
        elif not isinstance(answer, str):
            answers[uid] = answer
    progress: list[SubOperationTally] = []
    delivery = delivered(
        objects, *(Peer(answers=answers, window=window) for _ in range(associations)), progress=progress
    )
    remaining, completed, failed, warning = counts(delivery)
    assert remaining == 0
    assert completed + failed + warning == len(script)
    assert len(set(delivery.tally.failed_sop_instance_uids)) == failed
    assert [tally.remaining for tally in progress] == list(reversed(range(len(script))))
    assert completed <= script.count(0x0000) and warning <= script.count(0xB000)
