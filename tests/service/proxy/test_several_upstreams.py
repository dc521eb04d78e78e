"""Several archives behind one AE: who is asked for what, what is counted, and when it is over."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from dcm4py_leading.archive.index.querying.query import RetrieveKeys
from dcm4py_leading.errors import ArchiveUnavailable
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import AETitle, Level
from dcm4py_leading.service.proxy.forwarded_retrieve import ArrivedObject, ForwardedRetrieve, UnsentObject
from dcm4py_leading.service.proxy.several_upstreams import SeveralUpstreams
from dcm4py_leading.service.proxy.upstream import ObjectStream
from tests.fixtures.rules import application_entity

LOCAL = application_entity()
DOWN = ArchiveUnavailable("it is down", status=0xA700)


class Archive:
    """Has these UIDs, and sends one object of each; what it does besides is told by ``failure``."""

    def __init__(
        self,
        title: str,
        *uids: str,
        is_down: bool = False,
        failure: ArchiveUnavailable | None = None,
        failed: Sequence[str] = (),
    ) -> None:
        self._title = AETitle(title)
        self._uids = uids
        self._is_down = is_down
        self._failure = failure
        self._failed = failed
        self.held_for: list[RetrieveKeys] = []
        self.fetched: list[RetrieveKeys] = []
        self.forwards: list[ForwardedRetrieve] = []

    def held(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> Sequence[str]:
        self.held_for.append(keys)
        if self._is_down:
            raise DOWN
        return self._uids

    def fetch(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> ForwardedRetrieve:
        self.fetched.append(keys)
        forward = ForwardedRetrieve(
            scp=self._title,
            originator=AETitle("US"),
            message_id=1,
            studies=frozenset(keys.study_instance_uids),
            patience=20,
        )
        self.forwards.append(forward)
        if self._failure is None and not self._failed:
            for uid in keys.sop_instance_uids or keys.series_instance_uids or keys.study_instance_uids:
                forward.offer(arrived(f"{self._title}:{uid}"))
        forward.end(failure=self._failure, failed=self._failed)
        return forward

    def count(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> int | None:
        return len(self._uids)

    def instances_of(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> int | None:
        return len(self._uids)


def arrived(uid: str) -> ArrivedObject:
    return ArrivedObject(
        sop_class_uid="1.2",
        sop_instance_uid=uid,
        transfer_syntax_uid="1.2.840.10008.1.2",
        data=b"",
        study_instance_uid="1.2.3",
    )


def studies(*uids: str) -> RetrieveKeys:
    return RetrieveKeys(level=Level.STUDY, study_instance_uids=uids)


PATIENT = RetrieveKeys(level=Level.PATIENT, patient_id="P1")


def fetch(keys: RetrieveKeys, *archives: Archive) -> ObjectStream:
    arriving = SeveralUpstreams(archives).fetch(LOCAL, keys)
    assert arriving is not None
    return arriving


def told(arriving: ObjectStream) -> list[str]:
    """What comes; missing objects in brackets, with the reason where they have no name."""
    return [
        f"[{one.sop_instance_uid or one.reason}]" if isinstance(one, UnsentObject) else one.sop_instance_uid
        for one in arriving
    ]


def test_each_archive_is_asked_only_for_objects_missing_so_far() -> None:
    first, second, third = Archive("A", "1"), Archive("B", "1", "2", "9"), Archive("C", "3")
    assert told(fetch(studies("3", "2", "1"), first, second, third)) == ["A:1", "B:2", "C:3"]
    assert [keys.study_instance_uids for one in (first, second, third) for keys in one.held_for] == [
        ("3", "2", "1"),
        ("3", "2"),
        ("3",),
    ]


def test_when_all_is_found_no_other_is_asked() -> None:
    first, second = Archive("A", "1"), Archive("B", "1")
    assert told(fetch(studies("1"), first, second)) == ["A:1"]
    assert second.held_for == []


@pytest.mark.parametrize(
    ("keys", "narrowed"),
    [
        (
            RetrieveKeys(level=Level.SERIES, study_instance_uids=("1",), series_instance_uids=("2", "3")),
            RetrieveKeys(level=Level.SERIES, study_instance_uids=("1",), series_instance_uids=("3",)),
        ),
        (
            RetrieveKeys(
                level=Level.IMAGE,
                study_instance_uids=("1",),
                series_instance_uids=("2",),
                sop_instance_uids=("2", "3", "4"),
            ),
            RetrieveKeys(
                level=Level.IMAGE, study_instance_uids=("1",), series_instance_uids=("2",), sop_instance_uids=("3", "4")
            ),
        ),
        (PATIENT, studies("3")),
    ],
)
def test_the_keys_of_each_level_are_narrowed(keys: RetrieveKeys, narrowed: RetrieveKeys) -> None:
    held = ["3"] if keys.level is Level.PATIENT else ["3", "4"]
    first, second = Archive("A", "2"), Archive("B", *held)
    told(fetch(keys, first, second))
    assert second.fetched == [narrowed]


def test_the_studies_of_a_patient_are_known_before_the_first_object() -> None:
    arriving = fetch(PATIENT, Archive("A", "1", "2"), Archive("B", "2", "3"))
    assert arriving.studies == {"1", "2", "3"}
    assert told(arriving) == ["A:1", "A:2", "B:3"]


def test_retrieve_of_unknown_objects_brings_nothing() -> None:
    assert SeveralUpstreams([Archive("A", "1"), Archive("B", "2")]).fetch(LOCAL, studies("3")) is None
    assert SeveralUpstreams([Archive("A"), Archive("B")]).fetch(LOCAL, PATIENT) is None


@pytest.mark.parametrize("keys", [studies("2"), PATIENT])
def test_study_is_not_called_unknown_while_one_archive_is_down(keys: RetrieveKeys) -> None:
    with pytest.raises(ArchiveUnavailable, match="it is down") as failure:
        SeveralUpstreams([Archive("A", is_down=True), Archive("B")]).fetch(LOCAL, keys)
    assert failure.value.status == 0xA700


def test_objects_of_an_archive_that_is_down_are_missing_last() -> None:
    down = Archive("A", "1", is_down=True)
    assert told(fetch(studies("1", "2"), down, Archive("B", "2"))) == ["B:2", "[it is down]"]
    assert told(fetch(studies("2"), down, Archive("B", "2"))) == ["B:2"]
    assert told(fetch(PATIENT, down, Archive("B", "2"))) == ["B:2", "[it is down]"]


def test_one_that_refuses_before_its_first_object_leaves_it_to_the_next_that_has_it() -> None:
    refusing, second = Archive("A", "1", "2", failure=DOWN), Archive("B", "2")
    assert told(fetch(studies("1", "2"), refusing, second)) == ["B:2", "[it is down]"]
    with pytest.raises(ArchiveUnavailable, match="it is down"):
        told(fetch(studies("1"), refusing, second))
    assert all(forward.is_closed for forward in refusing.forwards)


def test_archive_that_sends_nothing_leaves_objects_to_the_next() -> None:
    without = Archive("A", "1", failed=["1.1", "1.2"])
    assert told(fetch(studies("1"), without, Archive("B", "1"))) == ["B:1"]
    assert told(fetch(studies("1", "2"), without, Archive("B", "2"))) == ["B:2", "[1.1]", "[1.2]"]
    assert told(fetch(studies("1"), without)) == ["[1.1]", "[1.2]"]
    both = Archive("A", "1", "2", failed=["1.1", "2.1"])
    assert told(fetch(studies("1", "2"), both, Archive("B", "2"))) == ["B:2", "[A did not send it]"]


def test_objects_left_are_counted_as_far_as_known() -> None:
    arriving = fetch(studies("1", "2", "3"), Archive("A", "1"), Archive("B", "2", "3"))
    counts = [arriving.remaining(0)]
    for ended, _ in enumerate(arriving, 1):
        counts.append(arriving.remaining(ended))
    assert counts == [3, 2, 1, 0]


def test_it_has_ended_when_the_last_has() -> None:
    arriving = fetch(studies("1", "2"), Archive("A", "1"), Archive("B", "2"))
    assert not arriving.has_ended and not arriving.is_ready
    told(arriving)
    assert arriving.has_ended and arriving.is_ready


@pytest.mark.parametrize("end", [lambda arriving: arriving.close(), lambda arriving: arriving.watch(lambda: True)])
def test_next_archive_is_not_asked_after_a_cancel(end: Callable[[ObjectStream], None]) -> None:
    first, second = Archive("A", "1"), Archive("B", "2")
    arriving = fetch(studies("1", "2"), first, second)
    coming = iter(arriving)
    assert next(coming)
    end(arriving)
    assert list(coming) == []
    assert second.held_for == []


def test_total_of_all_is_told() -> None:
    both = SeveralUpstreams([Archive("A", "1", "2"), Archive("B", "2", "3")])
    assert both.held(LOCAL, studies("1", "2", "3")) == ["1", "2", "3"]
    assert both.instances_of(LOCAL, studies("1")) == 2
