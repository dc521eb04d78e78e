"""The lookup over real associations with a leading archive that misbehaves, goes away and comes back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pynetdicom import evt

from dcm4py_leading.coercion.question import LeadingQuestion
from dcm4py_leading.dicom.scu.leading import FindSCU
from dcm4py_leading.errors import LeadingUnavailable
from dcm4py_leading.leading.last_known import LastKnown
from dcm4py_leading.leading.lookup import LeadingLookup
from dcm4py_leading.leading.outcome import LookupResult
from dcm4py_leading.leading.settings import LeadingSettings
from dcm4py_leading.model.archive import ArchiveSettings, AttributeSet, AttributeSetType
from dcm4py_leading.model.device import ApplicationEntity, Connection, RemoteAE
from dcm4py_leading.model.values import UID, AETitle, Tag
from tests.fixtures.ports import free_port
from tests.fixtures.rules import LEADING, data_set, device
from tests.fixtures.scripted import LeadingScp, knows, silent_listener

UIDS = [UID(f"1.2.826.0.1.3680043.8.498.{n}") for n in range(1, 1001)]
A, B = UIDS[:2]
OTHER = "1.2.826.0.1.3680043.8.499.1"
STUDIES = [data_set(StudyInstanceUID=uid, PatientName=f"Right^{n}") for n, uid in enumerate(UIDS)]
AE = ApplicationEntity(
    dn="dicomAETitle=DCM4CHEE",
    ae_title=AETitle("DCM4CHEE"),
    association_initiator=True,
    association_acceptor=True,
    settings=ArchiveSettings(),
    connections=(Connection(dn="cn=dicom", hostname="127.0.0.1"),),
)
KEYS = AttributeSet(
    dn="set", attribute_set_type=AttributeSetType.LEADING_CFIND_SCP, attribute_set_id="*", tags=(Tag(0x00100010),)
)
Script = Callable[[Any], Iterator[tuple[int, Dataset | None]]]


class Scene:
    """A lookup on a pooled FindSCU, with its own fake clock; a leading archive where one was started."""

    def __init__(self, directory: Path, running: ExitStack) -> None:
        self.port = free_port()
        self.seconds = 0.0
        self.scp: LeadingScp | None = None
        self.associations = 0
        self.never = threading.Event()
        """Not set before the end of the test."""
        self.background: list[Callable[[], None]] = []
        self._last_known = LastKnown(directory / "known.sqlite", max_rows=5000, now=lambda: self.seconds)
        self._running = running
        running.callback(self._last_known.close)
        running.callback(self.never.set)
        self.look(deadline=timedelta(seconds=60))

    def look(self, **settings: Any) -> None:
        """Start over with these settings and an empty cache; the last known answers stay."""
        chosen = LeadingSettings(**settings)
        self.scu = FindSCU(self._resolve, settings=chosen)
        self._running.callback(self.scu.close)
        self.lookup = LeadingLookup(
            device(cache_size=2000, attribute_sets=(KEYS,)),
            self.scu,
            clock=lambda: self.seconds,
            settings=chosen,
            last_known=self._last_known,
            in_background=self.background.append,
        )

    def _resolve(self, title: AETitle) -> RemoteAE:
        connection = Connection(dn="cn=dicom", hostname="127.0.0.1", port=self.port)
        return RemoteAE(dn="ae", ae_title=title, device_name="qrscp", connections=(connection,))

    def serve(self, script: Script | None = None) -> LeadingScp:
        """Start the leading archive; it has all STUDIES unless a script says otherwise."""
        self.script = script or knows(*STUDIES)
        self.scp = LeadingScp(self.port, lambda event: self.script(event))
        self._running.callback(self.scp.stop)
        self.scp.server.bind(evt.EVT_ESTABLISHED, self._count)
        return self.scp

    def _count(self, event: Any) -> None:
        self.associations += 1

    def behave(self) -> None:
        """Let the leading archive be a good one from now on."""
        assert self.scp is not None
        self.scp.server.ae.require_calling_aet = []
        self.script = knows(*STUDIES)

    @property
    def queries(self) -> int:
        return 0 if self.scp is None else len(self.scp.queries)

    def ask(self, *uids: UID) -> list[LookupResult]:
        return list(self.lookup.look_up([LeadingQuestion(LEADING, uid) for uid in uids], AE).values())

    def outcome(self, uid: UID) -> str:
        return self.ask(uid)[0].outcome.value


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with ExitStack() as running:
        yield Scene(tmp_path, running)


def outcomes(looked: list[LookupResult]) -> set[str]:
    return {one.outcome.value for one in looked}


def test_thousand_studies_cost_eleven_queries_cold_none_warm_and_one_association(scene: Scene) -> None:
    leading = scene.serve()
    looked = [one for page in scene.lookup.settings.pages(UIDS) for one in scene.ask(*page)]
    assert outcomes(looked) == {"miss"}
    assert [str(one.answer.PatientName) for one in looked if isinstance(one.answer, Dataset)] == [
        f"Right^{n}" for n in range(1000)
    ]
    assert len(leading.queries) == 11
    assert outcomes(scene.ask(*UIDS)) == {"hit"}
    assert len(leading.queries) == 11
    assert scene.associations == 1


# One fault after the other. Each costs one question its answer, and the next is answered well.


def aborts_after_two_answers(scene: Scene, event: Any) -> Iterator[tuple[int, Dataset | None]]:
    yield 0xFF00, data_set(StudyInstanceUID=A)
    yield 0xFF00, data_set(StudyInstanceUID=B)
    event.assoc.abort()


def aborts_at_once(scene: Scene, event: Any) -> Iterator[tuple[int, Dataset | None]]:
    event.assoc.abort()
    yield 0x0000, None


def answers_another_study(scene: Scene, event: Any) -> Iterator[tuple[int, Dataset | None]]:
    yield 0xFF00, data_set(StudyInstanceUID=OTHER)


def answers_twice(scene: Scene, event: Any) -> Iterator[tuple[int, Dataset | None]]:
    yield 0xFF00, data_set(StudyInstanceUID=A, PatientName="One^Name")
    yield 0xFF00, data_set(StudyInstanceUID=A, PatientName="Other^Name")


def answers_without_end(scene: Scene, event: Any) -> Iterator[tuple[int, Dataset | None]]:
    for number in range(1000):
        yield 0xFF00, data_set(StudyInstanceUID=f"{OTHER}.{number}")


def ends_with_a700(scene: Scene, event: Any) -> Iterator[tuple[int, Dataset | None]]:
    yield 0xFF00, data_set(StudyInstanceUID=A)
    yield 0xA700, None


def stays_silent(scene: Scene, event: Any) -> Iterator[tuple[int, Dataset | None]]:
    scene.never.wait(60)
    yield 0x0000, None


def answers_slowly(scene: Scene, event: Any) -> Iterator[tuple[int, Dataset | None]]:
    for _ in range(3):
        yield 0xFF00, data_set(StudyInstanceUID=A)
        scene.never.wait(60)


FAULTS = [
    (aborts_after_two_answers, "failed", "the peer ended the association"),
    (aborts_at_once, "failed", "the peer ended the association"),
    (answers_another_study, "mismatch", "a study that was not asked for"),
    (answers_twice, "mismatch", "the same study twice"),
    (answers_without_end, "mismatch", "more studies than it was asked for"),
    (ends_with_a700, "failed", "C-FIND ended with status 0xA700"),
    (stays_silent, "failed", "no response in time"),
    (answers_slowly, "failed", "no response in time"),
]


@pytest.mark.parametrize(("fault", "outcome", "reason"), FAULTS, ids=lambda value: getattr(value, "__name__", ""))
def test_fault_costs_one_query_and_the_next_is_answered(
    scene: Scene, fault: Callable[[Scene, Any], Any], outcome: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    scene.look(deadline=timedelta(seconds=0.3 if fault in (stays_silent, answers_slowly) else 60))
    scene.serve(lambda event: fault(scene, event))
    with caplog.at_level(logging.WARNING, logger="dcm4py_leading"):
        (looked,) = scene.ask(A)
    assert looked.outcome.value == outcome
    assert isinstance(looked.answer, LeadingUnavailable)
    assert reason in str(looked.answer) and "QRSCP" in str(looked.answer)
    assert scene.queries == 1
    assert len([record for record in caplog.records if record.name.startswith("dcm4py_leading")]) == 1
    scene.behave()
    scene.look(deadline=timedelta(seconds=60))
    (looked,) = scene.ask(A)
    assert looked.outcome.value == "miss"
    assert isinstance(looked.answer, Dataset) and looked.answer.PatientName == "Right^0"
    assert scene.queries == 2


@pytest.mark.parametrize("fault", [ends_with_a700, aborts_at_once, aborts_after_two_answers])
def test_last_known_answer_is_served_through_a_fault(scene: Scene, fault: Callable[[Scene, Any], Any]) -> None:
    scene.serve()
    scene.ask(A)
    scene.script = lambda event: fault(scene, event)
    scene.look(deadline=timedelta(seconds=60))
    (looked,) = scene.ask(A)
    assert looked.outcome.value == "stale-served"
    assert isinstance(looked.answer, Dataset) and looked.answer.PatientName == "Right^0"


def test_archive_that_rejects_fails_without_a_query(scene: Scene) -> None:
    leading = scene.serve()
    leading.server.ae.require_calling_aet = ["SOMEBODY"]
    (looked,) = scene.ask(A)
    assert looked.outcome.value == "failed"
    assert "association rejected" in str(looked.answer)
    scene.behave()
    assert scene.outcome(A) == "miss"
    assert scene.queries == 1


def test_archive_that_takes_connections_and_says_nothing_is_given_up_at_the_deadline(scene: Scene) -> None:
    scene.look(deadline=timedelta(seconds=0.3))
    with silent_listener(scene.port):
        (looked,) = scene.ask(A)
    assert looked.outcome.value == "failed"
    assert "no answer to the association request in time" in str(looked.answer)


def test_archive_that_is_down_is_refused_by_the_breaker_and_its_recovery_noticed_at_the_first_probe(
    scene: Scene,
) -> None:
    scene.look(deadline=timedelta(seconds=60), breaker_pause=timedelta(milliseconds=1))
    assert [scene.outcome(uid) for uid in UIDS[:5]] == ["failed"] * 3 + ["refused-by-breaker"] * 2
    (probing,) = scene.background
    scene.serve()
    assert scene.outcome(A) == "refused-by-breaker"
    probing()
    assert outcomes(scene.ask(*UIDS[:50])) == {"miss"}
    assert scene.queries == 1
    assert scene.associations == 1  # that of the probe


def test_archive_that_restarts_costs_no_question_its_answer(scene: Scene) -> None:
    leading = scene.serve()
    assert scene.outcome(A) == "miss"
    for association in leading.server.active_associations:
        association.abort()
    leading.stop()
    scene.serve()
    assert scene.outcome(B) == "miss"
    assert scene.associations == 2


def test_association_that_ends_under_the_question_is_opened_again_once(scene: Scene) -> None:
    """As when the archive's own idle timeout ends it at the moment in which we use it."""
    leading = scene.serve()
    scene.ask(A)
    ends = iter([True])

    def script(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        if next(ends, False):
            event.assoc.abort()
            return
        yield from knows(*STUDIES)(event)

    scene.script = script
    assert scene.outcome(B) == "miss"
    assert len(leading.queries) == 3
    assert scene.associations == 2


def test_association_that_the_archive_releases_is_let_go(scene: Scene) -> None:
    leading = scene.serve()
    scene.ask(A)
    released = threading.Event()
    (theirs,) = leading.server.active_associations
    theirs.bind(evt.EVT_RELEASED, lambda event: released.set())
    theirs.release()
    assert released.wait(60)
    assert scene.outcome(B) == "miss"
    assert scene.associations == 2


def only_the_first(event: Any) -> Iterator[tuple[int, Dataset | None]]:
    wanted = event.identifier.StudyInstanceUID
    first = wanted if isinstance(wanted, str) else wanted[0]
    yield 0xFF00, next(study for study in STUDIES if study.StudyInstanceUID == first)


def refuses_lists(event: Any) -> Iterator[tuple[int, Dataset | None]]:
    if isinstance(event.identifier.StudyInstanceUID, str):
        yield from knows(*STUDIES)(event)
    else:
        yield 0xA900, None


def ignores_lists(event: Any) -> Iterator[tuple[int, Dataset | None]]:
    if isinstance(event.identifier.StudyInstanceUID, str):
        yield from knows(*STUDIES)(event)
    else:
        for study in STUDIES:
            yield 0xFF00, study


@pytest.mark.parametrize("script", [only_the_first, refuses_lists, ignores_lists])
def test_archive_that_mishandles_uid_lists_is_asked_one_by_one(
    scene: Scene, script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    leading = scene.serve(script)
    with caplog.at_level(logging.WARNING, logger="dcm4py_leading"):
        assert outcomes(scene.ask(*UIDS[:10])) == {"miss"}
        assert outcomes(scene.ask(*UIDS[10:20])) == {"miss"}
    singly = [isinstance(query.StudyInstanceUID, str) for query in leading.queries]
    assert singly.count(False) == 1
    assert 20 <= len(singly) <= 21
    told = [record for record in caplog.records if record.name.startswith("dcm4py_leading")]
    assert len(told) == 1
    assert "QRSCP mishandles UID lists" in told[0].getMessage()
