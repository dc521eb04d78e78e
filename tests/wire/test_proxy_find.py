"""Queries in front of an archive that misbehaves, beside what is here, and what they find when the archive leads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from dcm4py_leading.dicom.message import find_request
from dcm4py_leading.dicom.scu import find_exchange
from dcm4py_leading.dicom.upper.command import STATUS
from dcm4py_leading.model.options import parse_options
from dcm4py_leading.service.retrieve.encode import encoded
from tests.fixtures.datasets import make_study
from tests.fixtures.links import IMPLICIT, associate
from tests.fixtures.pacs import Received, Script, ScriptedPacs, has, make_object, sends, uids_of
from tests.fixtures.ports import free_port
from tests.fixtures.proxy import QUERY_RULE, await_rest, stand_in_front_of
from tests.fixtures.scripted import LeadingScp, Viewer, knows, matches_keys
from tests.fixtures.scu import PATIENT_FIND, PATIENT_MOVE, STUDY_FIND, associated, find, identifier, move, store
from tests.fixtures.service import AE, CONNECTION, Seed

STUDY = "1.2.826.0.1.3680043.8.498.91"
KEYS = identifier("STUDY", StudyInstanceUID="", PatientID="", StudyDescription="")
StartPacs = Callable[..., ScriptedPacs]


def row(number: int, description: str = "there", **attributes: Any) -> Dataset:
    """A match of the other archive."""
    return identifier(
        "STUDY", StudyInstanceUID=f"{STUDY}.{number}", PatientID="OLD", StudyDescription=description, **attributes
    )


ROWS = [row(number) for number in range(1, 6)]


class Scene:
    def __init__(self, seed: Seed, start_pacs: StartPacs, directory: Path) -> None:
        self.seed = seed
        self._start_pacs = start_pacs
        self._directory = directory

    def start(self, script: Script, **settings: Any) -> None:
        self.pacs = self._start_pacs(self.seed.archive_port, find=script)
        stand_in_front_of(self.seed, self.pacs.port, **settings)
        self.seed.start()

    def store_here(self, *numbers: int) -> None:
        """Studies of this archive itself, which the other one has sent unasked: so they stay with any policy."""
        for number in numbers:
            files = make_study(
                self._directory / str(number),
                patient_id="OLD",
                patient_name="A^B",
                study_uid=f"{STUDY}.{number}",
                instances=1,
                attributes={"StudyDescription": "here"},
            )
            assert store(self.seed.archive_port, files, calling="PACS") == [0x0000]

    def find(self, keys: Dataset = KEYS) -> tuple[Dataset, list[tuple[str, str]]]:
        """C-FIND: the final response; number and description of each study."""
        with associated(self.seed.archive_port, [STUDY_FIND]) as assoc:
            responses = list(assoc.send_c_find(keys, STUDY_FIND))
        matches = [ds for _, ds in responses[:-1]]
        return responses[-1][0], [(m.StudyInstanceUID.rpartition(".")[2], m.StudyDescription) for m in matches]


@pytest.fixture
def scene(seed: Seed, scripted_pacs: StartPacs, tmp_path: Path) -> Scene:
    return Scene(seed, scripted_pacs, tmp_path)


THERE = [(str(number), "there") for number in range(1, 6)]


def test_the_keys_go_there_and_the_answers_come_in_their_order(scene: Scene) -> None:
    scene.start(has(*ROWS))
    final, matches = scene.find(identifier("STUDY", StudyInstanceUID="", PatientID="OLD", StudyDescription=""))
    assert (final.Status, matches) == (0x0000, THERE)
    (asked,) = scene.pacs.finds
    assert (asked.QueryRetrieveLevel, asked.PatientID, asked.StudyDescription) == ("STUDY", "OLD", "")


@pytest.mark.parametrize("status", [0xA700, 0xA900, 0xC001])
def test_failure_is_passed_on_with_comment_after_the_matches(scene: Scene, status: int) -> None:
    def script(received: Received) -> None:
        for match in ROWS[:3]:
            received.respond(0xFF00, match)
        received.respond(status, comment="disk full")

    scene.start(script)
    final, matches = scene.find()
    assert final.Status == status
    assert final.ErrorComment == f"PACS: C-FIND ended with status 0x{status:04X}: disk full"
    assert matches == THERE[:3]


def test_aborting_archive_is_named_after_its_matches(scene: Scene) -> None:
    def script(received: Received) -> None:
        for match in ROWS[:3]:
            received.respond(0xFF00, match)
        received.abort()

    scene.start(script)
    final, matches = scene.find()
    assert final.Status == 0xC000
    assert final.ErrorComment.startswith("PACS:")
    assert matches == THERE[:3]


@pytest.mark.ldap("dcmResponseTimeout")
def test_an_archive_that_is_silent_is_given_up(scene: Scene) -> None:
    scene.seed.set(CONNECTION, dcmResponseTimeout="300")
    scene.start(Received.await_cancel)
    final, matches = scene.find()
    assert (final.Status, final.ErrorComment, matches) == (0xC000, "PACS: no response in time", [])


def test_a_cancel_is_passed_on_while_the_archive_is_silent(scene: Scene) -> None:
    cancelled: list[bool] = []
    begun = threading.Event()

    def script(received: Received) -> None:
        received.respond(0xFF00, ROWS[0])
        begun.set()
        cancelled.append(received.await_cancel())
        received.respond(0xFE00)

    scene.start(script)
    with associated(scene.seed.archive_port, [STUDY_FIND]) as assoc:
        thread = threading.Thread(target=lambda: begun.wait(60) and assoc.send_c_cancel(1, None, STUDY_FIND))
        thread.start()
        statuses = [status.Status for status, _ in assoc.send_c_find(KEYS, STUDY_FIND)]
        thread.join()
    assert statuses[-1] == 0xFE00
    assert cancelled == [True]


def test_a_client_that_goes_ends_the_query_there(scene: Scene) -> None:
    cancelled: list[bool] = []
    begun, over = threading.Event(), threading.Event()

    def script(received: Received) -> None:
        begun.set()
        cancelled.append(received.await_cancel())
        over.set()
        received.respond(0xFE00)

    scene.start(script)
    assoc, _ = associate(scene.seed.archive_port, [(STUDY_FIND, [IMPLICIT])])
    assoc.send([(1, find_request(STUDY_FIND, 1), encoded(KEYS, IMPLICIT))])
    assert begun.wait(60)
    assoc.abort()
    assoc.link.close()
    assert over.wait(60)
    assert cancelled == [True]


# -- two archives ----------------------------------------------------------------------------------------------------


@pytest.mark.ldap("dcmSpanningCFindSCPPolicy")
@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("SUPPLEMENT", {("1", "there"), ("2", "here"), ("3", "here")}),
        ("MERGE", {("1", "there"), ("2", "there"), ("3", "here")}),
        ("REPLACE", {("1", "there"), ("2", "there")}),
    ],
)
def test_policy_decides_values_of_a_study_in_both_archives(
    scene: Scene, policy: str, expected: set[tuple[str, str]]
) -> None:
    scene.start(has(*ROWS[:2]), dcmSpanningCFindSCPPolicy=policy)
    scene.store_here(2, 3)
    final, matches = scene.find()
    assert final.Status == 0x0000
    assert len(matches) == len(expected) and set(matches) == expected


@pytest.mark.ldap("dcmSpanningCFindSCPPolicy")
@pytest.mark.parametrize("policy", ["SUPPLEMENT", "MERGE", "REPLACE"])
def test_own_matches_are_answered_while_the_other_archive_is_down_and_then_the_failure(
    scene: Scene, policy: str
) -> None:
    stand_in_front_of(scene.seed, free_port(), dcmSpanningCFindSCPPolicy=policy)
    scene.seed.start()
    scene.store_here(2, 3)
    final, matches = scene.find()
    assert final.Status == 0xC000
    assert final.ErrorComment.startswith("PACS at localhost")
    assert sorted(matches) == ([] if policy == "REPLACE" else [("2", "here"), ("3", "here")])


@pytest.mark.ldap("dcmQueryMaxNumberOfResults")
def test_more_matches_than_the_limit_are_refused_and_the_query_there_is_cancelled(scene: Scene) -> None:
    cancelled: list[bool] = []

    def script(received: Received) -> None:
        for match in ROWS:
            received.respond(0xFF00, match)
        if len(scene.pacs.finds) == 1:
            received.respond(0x0000)
        else:
            cancelled.append(received.await_cancel())
            received.respond(0xFE00)

    scene.seed.set(AE, dcmQueryMaxNumberOfResults="5")
    scene.start(script)
    final, matches = scene.find()
    assert (final.Status, len(matches)) == (0x0000, 5)
    scene.seed.set(AE, dcmQueryMaxNumberOfResults="4")
    scene.seed.service.reload()
    final, _ = scene.find()
    assert final.Status == 0xA700
    assert cancelled == [True]


def test_stored_objects_are_retrieved_from_here(scene: Scene, viewer: Callable[..., Viewer]) -> None:
    scene.start(has(), dcmSpanningCFindSCPPolicy="SUPPLEMENT")
    station = viewer(scene.seed.viewer_port)
    scene.store_here(1)
    final = move(scene.seed.archive_port, identifier("STUDY", StudyInstanceUID=f"{STUDY}.1"))[-1][0]
    assert (final.Status, len(station.received)) == (0x0000, 1)
    assert scene.pacs.moves == []
    assert scene.find()[1] == [("1", "here")]


# -- slow answers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plain", "coerced", "leading-first", "beside what is here"])
def test_first_matches_are_answered_while_the_archive_goes_on_looking(
    scene: Scene, leading_scp: Callable[..., LeadingScp], kind: str
) -> None:
    go_on = threading.Event()

    def script(received: Received) -> None:
        for match in ROWS[:3]:
            received.respond(0xFF00, match)
        assert go_on.wait(60)
        has(*ROWS[3:])(received)

    seed = scene.seed
    leading = leading_scp(seed.leading_port, matches_keys(*ROWS))
    if kind in ("coerced", "leading-first"):
        seed.change(QUERY_RULE)
    if kind == "leading-first":
        seed.options = parse_options(["leading-first=true"])
    scene.start(script, **({"dcmSpanningCFindSCPPolicy": "SUPPLEMENT"} if kind == "beside what is here" else {}))
    keys = identifier("STUDY", StudyInstanceUID="", PatientID="OLD", StudyDescription="")
    seen: list[int | None] = []
    assoc, _ = associate(seed.archive_port, [(STUDY_FIND, [IMPLICIT])])
    assoc.send([(1, find_request(STUDY_FIND, 1), encoded(keys, IMPLICIT))])
    for number in range(6):
        if number == 3:
            go_on.set()
        seen.append(assoc.receive(20).number(STATUS))
    assoc.release(20)
    assert seen == [0xFF00] * 5 + [0x0000]
    assert len([query for query in leading.queries if query.get("StudyInstanceUID")]) == (
        2 if kind in ("coerced", "leading-first") else 0
    )


def test_fast_archive_is_asked_for_full_pages_only(
    scene: Scene, leading_scp: Callable[..., LeadingScp], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find_exchange, "_LOOK", 20.0)  # however slow this machine is
    monkeypatch.setattr(find_exchange, "_OLD", 20.0)
    rows = [row(number) for number in range(1, 1001)]
    leading = leading_scp(scene.seed.leading_port, knows(*rows))
    scene.seed.change(QUERY_RULE)
    scene.start(has(*rows))
    assert len(scene.find()[1]) == 1000
    assert len(leading.queries) == 11


def test_a_match_does_not_get_old_while_others_come_one_by_one(
    scene: Scene, leading_scp: Callable[..., LeadingScp], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find_exchange, "_LOOK", 20.0)  # there is no pause between them
    monkeypatch.setattr(find_exchange, "_OLD", 0.0)
    seen = threading.Semaphore(0)

    def script(received: Received) -> None:
        for number, match in enumerate(ROWS):
            if number > 1:
                assert seen.acquire(timeout=60)
            received.respond(0xFF00, match)
        received.respond(0x0000)

    scene.start(script)
    assoc, _ = associate(scene.seed.archive_port, [(STUDY_FIND, [IMPLICIT])])
    assoc.send([(1, find_request(STUDY_FIND, 1), encoded(KEYS, IMPLICIT))])
    for _ in ROWS:
        assert assoc.receive(20).number(STATUS) == 0xFF00
        seen.release()
    assert assoc.receive(20).number(STATUS) == 0x0000
    assoc.release(20)


# -- leading-first ---------------------------------------------------------------------------------------------------


def test_new_patient_id_finds_and_retrieves_study_stored_with_old_id(
    scene: Scene,
    scripted_pacs: StartPacs,
    viewer: Callable[..., Viewer],
    leading_scp: Callable[..., LeadingScp],
) -> None:
    seed = scene.seed
    objects = [make_object(f"{STUDY}.1", number) for number in range(1, 4)]

    def answer(received: Received) -> None:
        wanted = received.identifier.get("StudyInstanceUID") or []
        named = [wanted] if isinstance(wanted, str) else list(wanted)
        patient = received.identifier.get("PatientID")
        for match in (row(1, PatientName="Old^Name"), row(2, PatientName="Old^Name")):
            if patient in (None, "", "OLD") and (not named or match.StudyInstanceUID in named):
                received.respond(0xFF00, match)
        received.respond(0x0000)

    pacs = scripted_pacs(seed.archive_port, find=answer, move=sends(objects))
    station = viewer(seed.viewer_port)
    new = identifier("STUDY", StudyInstanceUID=f"{STUDY}.1", PatientID="NEW", PatientName="New^Name")
    leading_scp(seed.leading_port, matches_keys(new))
    seed.lead()
    seed.change(QUERY_RULE)
    stand_in_front_of(seed, pacs.port)
    seed.options = parse_options(["leading-first=true"])
    seed.start()

    def studies(patient_id: str) -> list[tuple[str, str, str]]:
        keys = identifier("STUDY", StudyInstanceUID="", PatientID=patient_id, PatientName="")
        status, matches = find(seed.archive_port, keys, PATIENT_FIND)
        assert status == 0x0000
        return [(m.StudyInstanceUID.rpartition(".")[2], m.PatientID, str(m.PatientName)) for m in matches]

    assert studies("NEW") == [("1", "NEW", "New^Name")]
    assert studies("OLD") == [("2", "OLD", "Old^Name")]
    final = move(seed.archive_port, identifier("PATIENT", PatientID="NEW"), model=PATIENT_MOVE)[-1][0]
    await_rest(seed)
    assert (final.Status, final.NumberOfCompletedSuboperations) == (0x0000, 3)
    assert uids_of(station.received) == uids_of(objects)
    assert {(ds.PatientID, str(ds.PatientName)) for ds in station.received} == {("NEW", "New^Name")}
