"""In front of several archives: who is asked for what, and what it costs when one of them fails."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from dcm4py_leading.model.options import parse_options
from tests.fixtures.cutting import CuttingRelay
from tests.fixtures.datasets import make_study
from tests.fixtures.pacs import Received, Script, ScriptedPacs, make_object, uids_of
from tests.fixtures.pacs_content import LEVELS, UNIQUE, finds, moves
from tests.fixtures.ports import free_port
from tests.fixtures.proxy import QUERY_RULE, await_rest, stand_in_front_of_several
from tests.fixtures.scripted import LeadingScp, Viewer, matches_keys
from tests.fixtures.scu import (
    PATIENT_FIND,
    PATIENT_MOVE,
    STUDY_FIND,
    STUDY_MOVE,
    associated,
    get,
    identifier,
    move,
    store,
)
from tests.fixtures.service import Seed

ROOT = "1.2.826.0.1.3680043.8.498.61"
StartPacs = Callable[..., ScriptedPacs]
StartViewer = Callable[..., Viewer]


def study(number: int, count: int = 3, **attributes: Any) -> list[Dataset]:
    """The objects of a study."""
    return [make_object(f"{ROOT}.{number}", one, **attributes) for one in range(1, count + 1)]


def of(number: int) -> Dataset:
    """The keys of a study."""
    return identifier("STUDY", StudyInstanceUID=f"{ROOT}.{number}")


class Scene:
    """Ours in front of PACS_A and PACS_B, and a viewer; nothing is coerced."""

    def __init__(self, seed: Seed, start_pacs: StartPacs, start_viewer: StartViewer, directory: Path) -> None:
        self.seed = seed
        self._start_pacs, self._start_viewer = start_pacs, start_viewer
        self._directory = directory
        self._ports: dict[str, int] = {}
        self.pacs: dict[str, ScriptedPacs] = {}
        self.ways_to_us: dict[str, int] = {}
        """Ports to which the archives send, if not to ours."""

    def has(self, title: str, objects: Sequence[Dataset], **scripts: Script) -> None:
        """Start an archive of these objects; ``scripts`` do what it does differently."""
        own: dict[str, Script] = {"find": finds(objects), "move": moves(objects), **scripts}
        self.pacs[title] = self._start_pacs(self.ways_to_us.get(title, self.seed.archive_port), ae_title=title, **own)
        self._ports[title] = self.pacs[title].port

    def is_down(self, title: str) -> None:
        """An archive that cannot be reached."""
        self._ports[title] = free_port()

    def start(self, **settings: Any) -> None:
        """Start ours; ``settings`` are attributes of the device."""
        self.viewer = self._start_viewer(self.seed.viewer_port)
        stand_in_front_of_several(self.seed, self._ports, **settings)
        self.seed.start()

    def store_here(self, number: int) -> None:
        """A study of this archive itself, which the first of the others has sent unasked."""
        files = make_study(
            self._directory / str(number),
            patient_id="OLD",
            patient_name="A^B",
            study_uid=f"{ROOT}.{number}",
            instances=1,
            attributes={"StudyDescription": "here"},
        )
        assert store(self.seed.archive_port, files, calling=next(iter(self._ports))) == [0x0000]

    def find(self, level: str = "STUDY", model: Any = STUDY_FIND, **keys: Any) -> tuple[Dataset, list[tuple[str, str]]]:
        """C-FIND: the final response; of each match the end of its UID or the Patient ID, and who answered."""
        unique = UNIQUE[LEVELS.index(level)]
        query = identifier(level, **{unique: "", "StudyDescription": "", **keys})
        with associated(self.seed.archive_port, [model]) as assoc:
            responses = list(assoc.send_c_find(query, model))
        matches = [(ds[unique].value.removeprefix(f"{ROOT}."), ds.StudyDescription) for _, ds in responses[:-1]]
        return responses[-1][0], matches

    def move(self, keys: Dataset, model: Any = STUDY_MOVE) -> Dataset:
        """C-MOVE to the viewer: the final response."""
        final, failed = move(self.seed.archive_port, keys, model=model)[-1]
        await_rest(self.seed)
        listed = [] if failed is None else failed.get("FailedSOPInstanceUIDList", [])
        self.failed = [listed] if isinstance(listed, str) else [str(uid) for uid in listed]
        return final

    def asked(self, title: str) -> tuple[int, int]:
        """How often an archive was asked what it has, and to send something."""
        finds = [keys for keys in self.pacs[title].finds if not {"SOPClassesInStudy", "Modality"} & set(keys.dir())]
        return len(finds), len(self.pacs[title].moves)

    @property
    def received(self) -> list[str]:
        return uids_of(self.viewer.received)


@pytest.fixture
def scene(seed: Seed, scripted_pacs: StartPacs, viewer: StartViewer, tmp_path: Path) -> Scene:
    return Scene(seed, scripted_pacs, viewer, tmp_path)


def counts(final: Dataset) -> tuple[int, int, int]:
    """Status, completed and failed."""
    return (
        final.Status,
        final.get("NumberOfCompletedSuboperations", -1),
        final.get("NumberOfFailedSuboperations", -1),
    )


# -- queries ---------------------------------------------------------------------------------------------------------


@pytest.mark.ldap("dcmSpanningCFindSCP")
@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("REPLACE", [("1", "PACS_B"), ("2", "PACS_B"), ("3", "PACS_A")]),
        ("MERGE", [("1", "PACS_B"), ("2", "PACS_B"), ("3", "PACS_A"), ("4", "here")]),
        ("SUPPLEMENT", [("2", "here"), ("4", "here"), ("1", "PACS_B"), ("3", "PACS_A")]),
    ],
)
def test_matches_of_all_are_answered_in_the_order_of_the_value_each_once(
    scene: Scene, policy: str, expected: list[tuple[str, str]]
) -> None:
    scene.has("PACS_B", [*study(1), *study(2)])
    scene.has("PACS_A", [*study(2), *study(3)])
    scene.start(dcmSpanningCFindSCPPolicy=policy)
    if policy != "REPLACE":
        for number in (2, 4):
            scene.store_here(number)
    final, matches = scene.find(PatientID="OLD")
    assert final.Status == 0x0000
    here = [match for match in matches if match[1] == "here"]
    start = 0 if policy == "SUPPLEMENT" else len(matches) - len(here)
    matches[start : start + len(here)] = sorted(here)
    assert matches == expected
    for pacs in scene.pacs.values():
        assert [keys.PatientID for keys in pacs.finds] == ["OLD"]


@pytest.mark.ldap("dcmSpanningCFindSCP")
def test_below_a_study_and_of_patients_all_are_asked(scene: Scene) -> None:
    scene.has("PACS_A", [*study(1, 2), *study(2, PatientID="A")])
    scene.has("PACS_B", [*study(1, 3), *study(3, PatientID="B")])
    scene.start()
    image_keys = {"StudyInstanceUID": f"{ROOT}.1", "SeriesInstanceUID": f"{ROOT}.1.1"}
    assert scene.find("IMAGE", **image_keys)[1] == [("1.1.1", "PACS_A"), ("1.1.2", "PACS_A"), ("1.1.3", "PACS_B")]
    assert scene.find("SERIES", StudyInstanceUID=f"{ROOT}.1")[1] == [("1.1", "PACS_A")]
    patients = scene.find("PATIENT", PATIENT_FIND)[1]
    assert patients == [("OLD", "PACS_A"), ("A", "PACS_A"), ("B", "PACS_B")]


@pytest.mark.ldap("dcmSpanningCFindSCP")
@pytest.mark.parametrize("down", ["PACS_A", "PACS_B"])
def test_when_one_is_down_the_matches_of_the_other_are_answered_and_then_the_failure(scene: Scene, down: str) -> None:
    for title in ("PACS_A", "PACS_B"):
        if title == down:
            scene.is_down(title)
        else:
            scene.has(title, study(1))
            up = title
    scene.start()
    final, matches = scene.find()
    assert matches == [("1", up)]
    assert final.Status == 0xC000
    assert final.ErrorComment.startswith(f"{down} at localhost")


@pytest.mark.ldap("dcmSpanningCFindSCP")
def test_failure_of_first_archive_is_raised_after_matches_of_second(scene: Scene) -> None:
    def script(received: Received) -> None:
        received.respond(0xFF00, identifier("STUDY", StudyInstanceUID=f"{ROOT}.1", StudyDescription="PACS_A"))
        received.respond(0xA700, comment="disk full")

    scene.has("PACS_A", [], find=script)
    scene.has("PACS_B", [*study(1), *study(2)])
    scene.start()
    final, matches = scene.find()
    assert matches == [("1", "PACS_A"), ("2", "PACS_B")]
    assert final.Status == 0xA700
    assert final.ErrorComment == "PACS_A: C-FIND ended with status 0xA700: disk full"


@pytest.mark.ldap("dcmSpanningCFindSCP")
def test_when_all_are_down_the_first_is_named(scene: Scene) -> None:
    scene.is_down("PACS_A")
    scene.is_down("PACS_B")
    scene.start()
    final, matches = scene.find()
    assert (final.Status, matches) == (0xC000, [])
    assert final.ErrorComment.startswith("PACS_A at localhost")


# -- retrieves -------------------------------------------------------------------------------------------------------


@pytest.mark.ldap("dcmFallbackCMoveSCP")
def test_a_study_comes_from_the_first_that_has_it(scene: Scene) -> None:
    scene.has("PACS_A", study(1))
    scene.has("PACS_B", [*study(1), *study(2)])
    scene.start()
    assert counts(scene.move(of(1))) == (0x0000, 3, 0)
    assert (scene.asked("PACS_A"), scene.asked("PACS_B")) == ((1, 1), (0, 0))
    assert counts(scene.move(of(2))) == (0x0000, 3, 0)
    assert (scene.asked("PACS_A"), scene.asked("PACS_B")) == ((2, 1), (1, 1))
    assert scene.received == uids_of([*study(1), *study(2)])


@pytest.mark.ldap("dcmFallbackCMoveSCP")
def test_study_that_no_archive_has_is_fetched_from_none(scene: Scene) -> None:
    scene.has("PACS_A", study(1))
    scene.has("PACS_B", study(1))
    scene.start()
    assert counts(scene.move(of(2))) == (0x0000, 0, 0)
    assert (scene.asked("PACS_A"), scene.asked("PACS_B")) == ((1, 0), (1, 0))


@pytest.mark.ldap("dcmFallbackCMoveSCP")
def test_one_that_is_down_is_passed_over_with_a_warning(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.is_down("PACS_A")
    scene.has("PACS_B", study(1))
    scene.start()
    assert counts(scene.move(of(1))) == (0x0000, 3, 0)
    (warning,) = [record.getMessage() for record in caplog.records if "passed over" in record.getMessage()]
    assert warning.startswith("passed over: PACS_A at localhost")


@pytest.mark.ldap("dcmFallbackCMoveSCP")
@pytest.mark.parametrize("down", ["PACS_A", "PACS_B"])
def test_study_that_only_a_down_archive_can_have_fails_and_names_it(scene: Scene, down: str) -> None:
    for title in ("PACS_A", "PACS_B"):
        if title == down:
            scene.is_down(title)
        else:
            scene.has(title, study(1))
    scene.start()
    final = scene.move(of(2))
    assert final.Status == 0xC000
    assert final.ErrorComment.startswith(f"{down} at localhost")


@pytest.mark.ldap("dcmFallbackCMoveSCP")
def test_archive_that_cannot_be_queried_is_skipped(scene: Scene) -> None:
    scene.has("PACS_A", study(1), find=lambda received: received.respond(0xA700, comment="disk full"))
    scene.has("PACS_B", study(2))
    scene.start()
    assert counts(scene.move(of(2))) == (0x0000, 3, 0)
    final = scene.move(of(1))
    assert (final.Status, final.ErrorComment) == (0xA700, "PACS_A: C-FIND ended with status 0xA700: disk full")


@pytest.mark.ldap("dcmFallbackCMoveSCP")
def test_next_archive_is_asked_if_the_first_refuses(scene: Scene) -> None:
    scene.has("PACS_A", [*study(1), *study(2)], move=lambda received: received.respond(0xA701, comment="busy"))
    scene.has("PACS_B", study(1))
    scene.start()
    assert counts(scene.move(of(1))) == (0x0000, 3, 0)
    assert scene.received == uids_of(study(1))
    final = scene.move(of(2))
    assert (final.Status, final.ErrorComment) == (0xA701, "PACS_A: C-MOVE ended with status 0xA701: busy")


@pytest.mark.ldap("dcmFallbackCMoveSCP")
def test_next_archive_is_asked_if_the_first_cannot_send(scene: Scene) -> None:
    def script(received: Received) -> None:
        failed = [uid for uid in uids_of(both) if uid.startswith(received.identifier.StudyInstanceUID)]
        received.respond(0xA702, received.failed_list(*failed), completed=0, failed=3, warning=0)

    both = [*study(1), *study(2)]
    scene.has("PACS_A", both, move=script)
    scene.has("PACS_B", study(1))
    scene.start()
    assert counts(scene.move(of(1))) == (0x0000, 3, 0)
    assert scene.received == uids_of(study(1))
    assert counts(scene.move(of(2))) == (0xA702, 0, 3)
    assert scene.failed == uids_of(study(2))


@pytest.mark.ldap("dcmFallbackCMoveSCP")
def test_no_other_archive_is_asked_after_the_first_object(scene: Scene) -> None:
    def script(received: Received) -> None:
        storing = received.pacs.storing(received)
        storing.store(study(1)[0])
        received.respond(0xFF00, remaining=2, completed=1, failed=0, warning=0)
        storing.abort()
        received.abort()

    scene.has("PACS_A", study(1), move=script)
    scene.has("PACS_B", study(1))
    scene.start()
    final = scene.move(of(1))
    assert counts(final) == (0xB000, 1, 2)
    assert final.ErrorComment.startswith("PACS_A:")
    assert scene.received == uids_of(study(1)[:1])
    assert scene.asked("PACS_B") == (0, 0)


@pytest.mark.ldap("dcmFallbackCMoveSCP")
def test_studies_of_a_patient_come_from_each_in_turn_and_each_object_once(scene: Scene) -> None:
    scene.has("PACS_A", [*study(1), *study(2)])
    scene.has("PACS_B", [*study(2), *study(3), *study(4, PatientID="OTHER")])
    scene.start(dcmSendPendingCMoveInterval="PT0.01S")
    final = scene.move(identifier("PATIENT", PatientID="OLD"), PATIENT_MOVE)
    assert counts(final) == (0x0000, 9, 0)
    assert scene.received == uids_of([*study(1), *study(2), *study(3)])
    assert [keys.StudyInstanceUID for keys in scene.pacs["PACS_B"].moves] == [f"{ROOT}.3"]


@pytest.mark.ldap("dcmFallbackCMoveSCP")
@pytest.mark.parametrize("down", ["PACS_A", "PACS_B"])
def test_archive_that_is_down_may_have_more_studies_of_a_patient(scene: Scene, down: str) -> None:
    for title in ("PACS_A", "PACS_B"):
        if title == down:
            scene.is_down(title)
        else:
            scene.has(title, study(1))
    scene.start()
    final = scene.move(identifier("PATIENT", PatientID="OLD"), PATIENT_MOVE)
    assert counts(final) == (0xB000, 3, 1)
    assert final.ErrorComment.startswith(f"{down} at localhost")
    final = scene.move(identifier("PATIENT", PatientID="NOBODY"), PATIENT_MOVE)
    assert final.Status == 0xC000


@pytest.mark.ldap("dcmFallbackCMoveSCP")
def test_retrieve_of_unknown_patient_sends_nothing(scene: Scene) -> None:
    scene.has("PACS_A", study(1))
    scene.has("PACS_B", study(2))
    scene.start()
    assert counts(scene.move(identifier("PATIENT", PatientID="NOBODY"), PATIENT_MOVE)) == (0x0000, 0, 0)


@pytest.mark.ldap("dcmFallbackCMoveSCP")
def test_each_of_several_studies_comes_from_its_archive(scene: Scene) -> None:
    scene.has("PACS_A", study(2))
    scene.has("PACS_B", [*study(1), *study(2), *study(3)])
    scene.start()
    uids = [f"{ROOT}.{number}" for number in (1, 2, 3)]
    assert counts(scene.move(identifier("STUDY", StudyInstanceUID=uids))) == (0x0000, 9, 0)
    assert scene.received == uids_of([*study(2), *study(1), *study(3)])
    assert list(scene.pacs["PACS_B"].finds[0].StudyInstanceUID) == [uids[0], uids[2]]


@pytest.mark.ldap("dcmFallbackCMoveSCP")
def test_objects_that_no_other_archive_has_are_named_when_one_is_down(scene: Scene) -> None:
    scene.has("PACS_A", study(1, 2))
    scene.is_down("PACS_B")
    scene.start()
    uids = uids_of(study(1, 4))
    keys = identifier("IMAGE", StudyInstanceUID=f"{ROOT}.1", SeriesInstanceUID=f"{ROOT}.1.1", SOPInstanceUID=uids)
    assert counts(scene.move(keys)) == (0xB000, 2, 2)
    assert scene.failed == uids[2:]
    keys.QueryRetrieveLevel = "SERIES"
    del keys.SOPInstanceUID
    assert counts(scene.move(keys)) == (0x0000, 2, 0)


@pytest.mark.ldap("dcmFallbackCMoveSCP")
def test_objects_that_name_no_retrieve_are_known_by_who_sends_them(scene: Scene) -> None:
    def unnamed(objects: Sequence[Dataset]) -> Script:
        def script(received: Received) -> None:
            storing = received.pacs.storing(received)
            assert [storing.store(ds, is_named=False) for ds in objects] == [0x0000] * len(objects)
            storing.release()
            received.respond(0x0000, completed=len(objects), failed=0, warning=0)

        return script

    scene.has("PACS_A", study(1), move=unnamed(study(1)))
    scene.has("PACS_B", study(2), move=unnamed(study(2)))
    scene.start()
    final = scene.move(identifier("PATIENT", PatientID="OLD"), PATIENT_MOVE)
    assert counts(final) == (0x0000, 6, 0)
    assert scene.received == uids_of([*study(1), *study(2)])
    assert scene.seed.objects == []


@pytest.mark.ldap("dcmFallbackCMoveSCP")
def test_a_c_get_passes_on_what_comes_from_each(scene: Scene) -> None:
    scene.has("PACS_A", study(1))
    scene.has("PACS_B", study(2))
    scene.start()
    keys = identifier("STUDY", StudyInstanceUID=[f"{ROOT}.1", f"{ROOT}.2"])
    responses, received = get(scene.seed.archive_port, keys)
    await_rest(scene.seed)
    assert counts(responses[-1][0]) == (0x0000, 6, 0)
    assert uids_of(received) == uids_of([*study(1), *study(2)])


@pytest.mark.ldap("dcmFallbackCMoveSCP")
def test_no_archive_is_asked_after_a_cancel(scene: Scene) -> None:
    cancelled: list[bool] = []

    def script(received: Received) -> None:
        storing = received.pacs.storing(received)
        storing.store(study(1)[0])
        received.respond(0xFF00, remaining=2, completed=1, failed=0, warning=0)
        cancelled.append(received.await_cancel())
        storing.release()
        received.respond(0xFE00, remaining=2, completed=1, failed=0, warning=0)

    scene.has("PACS_A", study(1), move=script)
    scene.has("PACS_B", study(2))
    scene.start(dcmSendPendingCMoveInterval="PT0.01S")
    keys = identifier("STUDY", StudyInstanceUID=[f"{ROOT}.1", f"{ROOT}.2"])
    with associated(scene.seed.archive_port, [STUDY_MOVE]) as assoc:
        for status, _ in assoc.send_c_move(keys, "STORESCP", STUDY_MOVE):
            final = status
            if status.Status == 0xFF00 and status.NumberOfCompletedSuboperations == 1 and not cancelled:
                assoc.send_c_cancel(1, None, STUDY_MOVE)
    await_rest(scene.seed)
    assert cancelled == [True]
    assert final.Status == 0xFE00
    assert scene.received == uids_of(study(1)[:1])
    assert scene.asked("PACS_B") == (0, 0)


@pytest.mark.ldap("dcmFallbackCMoveSCPStudyOlderThan")
def test_local_study_unknown_to_other_archives_is_sent_from_here(scene: Scene) -> None:
    scene.has("PACS_A", study(1))
    scene.has("PACS_B", study(2))
    scene.start(dcmFallbackCMoveSCPStudyOlderThan="29991231", dcmSpanningCFindSCPPolicy="SUPPLEMENT")
    scene.store_here(3)
    assert counts(scene.move(of(3))) == (0x0000, 1, 0)
    assert (scene.asked("PACS_A"), scene.asked("PACS_B")) == ((1, 0), (1, 0))


@pytest.mark.ldap("dcmFallbackCMoveSCP")
@pytest.mark.parametrize("cut_title", ["PACS_A", "PACS_B"])
@pytest.mark.parametrize("cut", [1_000, 5_000, 20_000])
def test_where_the_wire_from_one_is_cut_nothing_comes_twice_and_the_rest_is_named(
    scene: Scene, cutting_relay: Callable[..., CuttingRelay], cut_title: str, cut: int
) -> None:
    both = [study(number, 10, size=4000) for number in (1, 2)]
    scene.ways_to_us[cut_title] = free_port()
    cutting_relay(scene.ways_to_us[cut_title], scene.seed.archive_port, [cut])
    scene.has("PACS_A", both[0])
    scene.has("PACS_B", [*both[0], *both[1]])
    scene.start()
    final = scene.move(identifier("PATIENT", PatientID="OLD"), PATIENT_MOVE)
    received = scene.received
    assert len(received) == len(set(received)) == final.NumberOfCompletedSuboperations
    assert len(received) >= 10
    assert set(scene.failed) == {*uids_of(both[0]), *uids_of(both[1])} - set(received)
    assert counts(final) == (0xB000 if scene.failed else 0x0000, len(received), 20 - len(received))


# -- leading-first ---------------------------------------------------------------------------------------------------


@pytest.mark.ldap("dcmSpanningCFindSCP", "dcmFallbackCMoveSCP")
def test_new_patient_id_finds_and_retrieves_studies_of_several_archives_with_old_ids(
    scene: Scene, leading_scp: Callable[..., LeadingScp], caplog: pytest.LogCaptureFixture
) -> None:
    seed = scene.seed
    new = [
        identifier("STUDY", StudyInstanceUID=f"{ROOT}.{number}", PatientID="NEW", PatientName="New^Name")
        for number in (1, 2)
    ]
    leading_scp(seed.leading_port, matches_keys(*new))
    seed.lead()
    seed.change(QUERY_RULE)
    seed.options = parse_options(["leading-first=true"])
    # PACS_B has a copy of study 1 that has been corrected already.
    scene.has("PACS_A", [*study(1), *study(3)])
    scene.has("PACS_B", [*study(1, PatientID="NEW"), *study(2, PatientID="ELSE")])
    scene.start()

    def studies(patient_id: str) -> list[str]:
        final, matches = scene.find(model=PATIENT_FIND, PatientID=patient_id)
        assert final.Status == 0x0000
        return sorted(number for number, _ in matches)

    assert (studies("NEW"), studies("OLD"), studies("ELSE")) == (["1", "2"], ["3"], [])
    final = scene.move(identifier("PATIENT", PatientID="NEW"), PATIENT_MOVE)
    assert counts(final) == (0x0000, 6, 0)
    assert scene.received == uids_of([*study(1), *study(2)])
    assert {(ds.PatientID, str(ds.PatientName)) for ds in scene.viewer.received} == {("NEW", "New^Name")}
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.ldap("dcmSpanningCFindSCP")
def test_studies_of_the_leading_archive_are_answered_by_the_archive_that_is_up(
    scene: Scene, leading_scp: Callable[..., LeadingScp]
) -> None:
    seed = scene.seed
    new = identifier("STUDY", StudyInstanceUID=f"{ROOT}.1", PatientID="NEW", PatientName="New^Name")
    leading_scp(seed.leading_port, matches_keys(new))
    seed.lead()
    seed.change(QUERY_RULE)
    seed.options = parse_options(["leading-first=true"])
    scene.is_down("PACS_A")
    scene.has("PACS_B", study(1))
    scene.start()
    final, matches = scene.find(model=PATIENT_FIND, PatientID="NEW")
    assert matches == [("1", "PACS_B")]
    assert final.Status == 0xC000
