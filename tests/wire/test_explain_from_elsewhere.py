"""`explain` of a study that another archive has, which is asked by C-FIND."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dcm4py_leading.errors import ArchiveUnavailable
from dcm4py_leading.service.explain import StudyNotStored
from tests.fixtures.pacs import ScriptedPacs, has
from tests.fixtures.proxy import remote_device, stand_in_front_of
from tests.fixtures.scu import identifier
from tests.fixtures.service import DEVICE, Seed

STUDY = "1.2.826.0.1.3680043.8.498.94"
ROW = identifier("STUDY", StudyInstanceUID=STUDY, PatientName="Old^Name", PatientID="OLD")
OTHER = identifier("STUDY", StudyInstanceUID=f"{STUDY}.1", PatientName="Other^Name", PatientID="OTHER")
SENT = {"to": "STORESCP"}
ANSWERED = {"dimse": "C_FIND_RSP", "role": "SCU"}
StartPacs = Callable[..., ScriptedPacs]


def only_retrieve(seed: Seed, *titles: str, ports: dict[str, int], **settings: str) -> None:
    """Objects come from these archives; queries are answered without them."""
    for title in titles:
        seed.change(remote_device(title, ports[title]))
    seed.set(DEVICE, dcmFallbackCMoveSCP="\\".join(titles), **settings)
    seed.start()


def explained(seed: Seed, parameters: dict[str, str]) -> Any:
    return seed.service.explain(STUDY, parameters, is_asking=False).as_json


@pytest.mark.ldap("dcmFallbackCMoveSCP")
@pytest.mark.ldap("dcmFallbackCMoveSCPCallingAET")
def test_a_pacs_that_only_retrieves_ask_is_asked_too(seed: Seed, scripted_pacs: StartPacs) -> None:
    pacs = scripted_pacs(seed.archive_port, find=has(ROW))
    only_retrieve(seed, "PACS", ports={"PACS": pacs.port}, dcmFallbackCMoveSCPCallingAET="WORKSTATION")
    told = explained(seed, SENT)
    assert told["notes"][0].startswith("the study is not here: explained is what PACS says of it by C-FIND")
    assert pacs.caller == "WORKSTATION"
    assert pacs.moves == pacs.gets == []


def test_archive_that_answers_with_another_study_does_not_have_it(seed: Seed, scripted_pacs: StartPacs) -> None:
    pacs = scripted_pacs(seed.archive_port, find=has(OTHER))
    only_retrieve(seed, "PACS", ports={"PACS": pacs.port})
    with pytest.raises(StudyNotStored, match="neither here nor at PACS"):
        explained(seed, SENT)


def test_attributes_of_retrieves_only_are_not_answered_to_queries(seed: Seed, scripted_pacs: StartPacs) -> None:
    pacs = scripted_pacs(seed.archive_port, find=has(ROW))
    only_retrieve(seed, "PACS", ports={"PACS": pacs.port})
    with pytest.raises(StudyNotStored, match="not stored here"):
        explained(seed, ANSWERED)
    assert pacs.finds == []


def test_archive_without_queries_is_logged_and_the_next_is_asked(seed: Seed, scripted_pacs: StartPacs) -> None:
    silent = scripted_pacs(seed.archive_port)
    second = scripted_pacs(seed.archive_port, ae_title="SECOND", find=has(ROW))
    only_retrieve(seed, "PACS", "SECOND", ports={"PACS": silent.port, "SECOND": second.port})
    notes = explained(seed, SENT)["notes"]
    assert "what SECOND says" in notes[0]
    assert notes[1].startswith("PACS could not be asked: PACS accepts no query")


def test_where_nobody_can_be_asked_that_is_told(seed: Seed, scripted_pacs: StartPacs) -> None:
    pacs = scripted_pacs(seed.archive_port)
    only_retrieve(seed, "PACS", ports={"PACS": pacs.port})
    with pytest.raises(ArchiveUnavailable, match="PACS accepts no query"):
        explained(seed, SENT)


def test_pacs_is_asked_once(seed: Seed, scripted_pacs: StartPacs) -> None:
    pacs = scripted_pacs(seed.archive_port, find=has(ROW))
    stand_in_front_of(seed, pacs.port)
    seed.start()
    assert "what PACS says" in explained(seed, SENT)["notes"][0]
    assert len(pacs.finds) == 1
