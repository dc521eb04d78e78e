"""One look after the other, under a clock of our own: what a change has to do until it counts."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.following.watch import Attempt, Follower, Pace
from dcm4py_leading.config.sources.recorded import record
from dcm4py_leading.config.sources.recording import Recording
from dcm4py_leading.errors import ConfigInvalid, ConfigUnavailable, Problem
from tests.fixtures import trees
from tests.fixtures.trees import EntrySource

PACE = Pace(interval_seconds=5, quiet_seconds=2, restless_seconds=60, looks_until_thorough=4)
TREE = (trees.device(), trees.connection(), trees.ae(), trees.rule(dcmLeadingCFindSCP="QRSCP"))


class Source(EntrySource):
    """Entries at hand; may be down, or broken, and tells a mark if it has one."""

    def __init__(self) -> None:
        super().__init__([*TREE, *trees.remote("QRSCP")])
        self.device_reads = 0
        self.marking: str | None = None

    def read_device(self, device_name: str) -> tuple[Entry, ...]:
        self.device_reads += 1
        if self.down is not None:
            raise self.down
        return super().read_device(device_name)

    def mark(self, device_names: object, ae_titles: object) -> str | None:
        if isinstance(self.down, ConfigUnavailable):
            raise self.down
        return self.marking


class Adopter:
    """Takes what it is given, or refuses it."""

    def __init__(self, source: Source) -> None:
        like = Recording(devices={"dcm4chee-arc": ()}, aes={"QRSCP": ()})
        self.attempt = Attempt.of(record(source, like=like, device_name="dcm4chee-arc"), is_good=True)
        self.adopted: list[Recording] = []
        self.refusal: Exception | None = None

    def adopt(self, seen: Recording) -> None:
        self.adopted.append(seen)
        self.attempt = Attempt.of(seen, is_good=self.refusal is None)
        if self.refusal is not None:
            raise self.refusal


class Scene:
    def __init__(self) -> None:
        self.source = Source()
        self.adopter = Adopter(self.source)
        self.now = 100.0
        self.follower = Follower(
            self.source, "dcm4chee-arc", self.adopter, PACE, marks=self.source, clock=lambda: self.now
        )

    def look(self, times: int = 1) -> float:
        """So many looks, each when the one before wants it."""
        for _ in range(times):
            pause = self.follower.step()
            self.now += pause
        return pause

    def change(self, **attributes: str) -> None:
        self.source.entries[0] = trees.device(**attributes)

    @property
    def adoptions(self) -> int:
        return len(self.adopter.adopted)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_nothing_is_adopted_while_nothing_changes(scene: Scene) -> None:
    assert scene.look(9) == PACE.interval_seconds
    assert scene.adoptions == 0


def test_change_is_adopted_when_two_looks_a_quiet_time_apart_see_the_same(scene: Scene) -> None:
    scene.change(dicomDescription="new")
    assert scene.look() == PACE.quiet_seconds
    assert scene.adoptions == 0
    scene.look()
    assert [seen.digest() for seen in scene.adopter.adopted] == [scene.adopter.attempt.digest]
    scene.look(9)
    assert scene.adoptions == 1


def test_look_too_early_after_a_change_does_not_count_as_quiet(scene: Scene) -> None:
    scene.change(dicomDescription="new")
    scene.look()
    scene.now -= 1.5  # woken
    assert scene.follower.step() == 1.5
    assert scene.adoptions == 0


def test_many_records_one_after_the_other_are_one_adoption(scene: Scene) -> None:
    for number in range(20):
        scene.source.entries.append(trees.rule(f"rule {number}"))
        scene.look()
    assert scene.adoptions == 0
    scene.look()
    assert scene.adoptions == 1
    assert len(scene.adopter.adopted[0].devices["dcm4chee-arc"]) == len(TREE) + 20


def test_change_that_is_taken_back_before_it_rests_is_none(scene: Scene) -> None:
    scene.change(dicomDescription="new")
    scene.look()
    scene.change()
    scene.look(9)
    assert scene.adoptions == 0


def test_tree_that_keeps_changing_is_reported_once_until_it_rests(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(200):
        scene.change(dicomDescription=str(number))
        scene.look()
    assert [record.getMessage() for record in caplog.records] == [
        "the directory has been changing for 60 s: nothing of it counts until it rests"
    ]
    assert scene.follower.followed.is_restless and scene.adoptions == 0
    scene.look()
    assert not scene.follower.followed.is_restless and scene.adoptions == 1


def test_ae_that_a_rule_names_counts_too(scene: Scene) -> None:
    scene.source.entries[-3:] = trees.remote("QRSCP", port="11199")
    scene.look(2)
    assert scene.adoptions == 1


def test_unavailable_directory_is_told_once_counted_each_time_and_changes_nothing(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    scene.source.down = ConfigUnavailable("no route")
    assert scene.look(7) == PACE.interval_seconds
    followed = scene.follower.followed
    assert (followed.is_reachable, followed.failed_reads, scene.adoptions) == (False, 7, 0)
    scene.source.down = None
    scene.look(3)
    assert [record.getMessage() for record in caplog.records] == [
        "the directory cannot be read, the configuration in force stays: no route",
        "the directory can be read again",
    ]
    assert scene.follower.followed == replace(followed, is_reachable=True)
    assert scene.adoptions == 0


def test_directory_that_fails_between_two_looks_has_not_been_quiet(scene: Scene) -> None:
    scene.change(dicomDescription="new")
    scene.look()
    scene.source.down = ConfigUnavailable("no route")
    scene.look()
    scene.source.down = None
    scene.look()
    assert scene.adoptions == 0
    scene.look()
    assert scene.adoptions == 1


def test_tree_that_cannot_be_read_is_a_change_like_another(scene: Scene) -> None:
    scene.source.down = ConfigInvalid([Problem(dn="cn=x", reason="broken")])
    scene.adopter.refusal = scene.source.down
    scene.look(2)
    assert [seen.refusal for seen in scene.adopter.adopted] == [str(scene.source.down)]
    scene.adopter.refusal = scene.source.down = None
    scene.look(2)
    assert scene.adoptions == 2 and scene.adopter.adopted[1].refusal is None


def test_refused_tree_is_tried_again_at_a_thorough_look_only(scene: Scene) -> None:
    scene.change(dicomDescription="new")
    scene.adopter.refusal = ConfigInvalid([Problem(dn="cn=x", reason="port taken")])
    scene.look(2)
    assert scene.adoptions == 1
    scene.look(PACE.looks_until_thorough)
    assert scene.adoptions == 2
    scene.adopter.refusal = None
    scene.look(PACE.looks_until_thorough)
    assert scene.adoptions == 3
    scene.look(2 * PACE.looks_until_thorough)
    assert scene.adoptions == 3


def test_reload_by_another_hand_is_no_change(scene: Scene) -> None:
    scene.change(dicomDescription="new")
    scene.look()
    by_hand = record(scene.source, like=scene.adopter.attempt.recording, device_name="dcm4chee-arc")
    scene.adopter.attempt = Attempt.of(by_hand, is_good=True)
    scene.look(9)
    assert scene.adoptions == 0


def test_equal_mark_spares_the_read_until_a_thorough_look(scene: Scene) -> None:
    scene.source.marking = "1"
    scene.look()
    before = scene.source.device_reads
    scene.look(PACE.looks_until_thorough - 1)
    assert scene.source.device_reads == before
    scene.look()
    assert scene.source.device_reads == before + 1


def test_other_mark_is_no_change_unless_the_read_says_so(scene: Scene) -> None:
    scene.source.marking = "1"
    scene.look()
    scene.source.marking = "2"
    before = scene.source.device_reads
    scene.look(2)
    assert (scene.source.device_reads, scene.adoptions) == (before + 1, 0)
    scene.source.marking = "3"
    scene.change(dicomDescription="new")
    scene.look(2)
    assert scene.adoptions == 1


def test_change_that_the_mark_does_not_show_is_found_by_a_thorough_look(scene: Scene) -> None:
    scene.source.marking = "1"
    scene.look()
    scene.change(dicomDescription="new")
    scene.look(PACE.looks_until_thorough + 1)
    assert scene.adoptions == 1


def test_pace_goes_with_the_interval() -> None:
    assert Pace.every(5) == Pace()
    assert (Pace.every(0.5).quiet_seconds, Pace.every(0.5).restless_seconds) == (0.5, 60)
    assert (Pace.every(60).quiet_seconds, Pace.every(60).restless_seconds) == (2, 720)


def test_digest_does_not_depend_on_how_a_server_spells_a_tree() -> None:
    entry = trees.ae(dcmOtherAETitle=["A", "B"])
    other = Entry.of(
        entry.dn.replace("dicomAETitle=", "DICOMAETITLE = ").replace(",", ", "),
        {
            name.upper(): [*reversed(values), *(["top"] if name == "objectclass" else [])]
            for name, values in reversed([*entry.attributes.items()])
        },
    )
    one, another = (Recording(devices={"x": (trees.device(), found)}) for found in (entry, other))
    assert one.digest() == another.digest()
    assert one.digest() != Recording(devices={"x": (trees.device(), trees.ae())}).digest()


def test_digest_keeps_the_order_of_values_where_it_means_something() -> None:
    values = ["PatientID=A", "PatientName=B"]
    one, another = (trees.rule(dcmMergeAttribute=ordered) for ordered in (values, values[::-1]))
    assert Recording(devices={"x": (one,)}).digest() != Recording(devices={"x": (another,)}).digest()
