"""The worklist SCU against a scripted Modality Worklist SCP."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from pydicom import Dataset
from pynetdicom import AE, build_context, evt

from dcm4py_leading.coercion.question import WorklistQuestion
from dcm4py_leading.dicom.scu.worklist import WorklistSCU, worklist_identifier
from dcm4py_leading.errors import ConfigUnavailable, WorklistUnavailable
from dcm4py_leading.model.archive import ArchiveSettings
from dcm4py_leading.model.bounds import WORKLIST_ITEMS
from dcm4py_leading.model.device import ApplicationEntity, Connection, RemoteAE
from dcm4py_leading.model.values import AETitle
from tests.fixtures.ports import free_port
from tests.fixtures.rules import application_entity, data_set
from tests.fixtures.scripted import Connections, listening, silent_listener

WORKLIST = AETitle("WORKLIST")
FIND = "1.2.840.10008.5.1.4.31"
QUESTION = WorklistQuestion(WORKLIST, ((0x00080050, "A1"), (0x00400009, "S1")))

CONFIGURED_TIMEOUT = 20
"""Seconds that the local connection gives its peers."""

Script = Callable[[Any], Iterable[tuple[int, Dataset | None]]]


class Worklist:
    """A Modality Worklist SCP that answers as its script says."""

    def __init__(self, script: Script, sop_class: str) -> None:
        self.port = free_port()
        self.identifiers: list[Dataset] = []
        self.callers: list[str] = []
        self._script = script
        ae = AE(WORKLIST)
        ae.supported_contexts = [build_context(sop_class)]
        self._connections = Connections()
        handlers: Any = [(evt.EVT_C_FIND, self._find), (evt.EVT_CONN_OPEN, self._connections.opened)]
        self._server = listening(ae, self.port, handlers)

    def _find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        self.identifiers.append(event.identifier)
        self.callers.append(event.assoc.requestor.ae_title)
        yield from self._script(event)

    def stop(self) -> None:
        self._server.shutdown()
        self._connections.close()


@pytest.fixture
def worklist() -> Iterator[Callable[..., Worklist]]:
    with ExitStack() as running:

        def start(script: Script, sop_class: str = FIND) -> Worklist:
            scp = Worklist(script, sop_class)
            running.callback(scp.stop)
            return scp

        yield start


def local_ae(charset: str | None = None) -> ApplicationEntity:
    configured = timedelta(seconds=CONFIGURED_TIMEOUT)
    connection = Connection(dn="cn=dicom", hostname="127.0.0.1", aaac_timeout=configured, response_timeout=configured)
    settings = ArchiveSettings(default_character_set=charset)
    return replace(application_entity(), connections=(connection,), settings=settings)


def ask(port: int, question: WorklistQuestion = QUESTION, **how: Any) -> tuple[Dataset, ...]:
    remote = RemoteAE(
        dn="dicomAETitle=WORKLIST",
        ae_title=WORKLIST,
        device_name="worklist",
        connections=(Connection(dn="cn=dicom", hostname="127.0.0.1", port=port),),
    )
    timeout = how.pop("timeout", timedelta(seconds=CONFIGURED_TIMEOUT))
    clock = how.pop("clock", time.monotonic)
    return WorklistSCU(lambda _: remote, clock=clock).find_items(question, local_ae(**how), timeout=timeout)


def answering(*items: Dataset) -> Script:
    return lambda event: ((0xFF00, item) for item in items)


@pytest.mark.ldap("dcmMergeMWLSCP")
def test_all_matching_items_come_back(worklist: Callable[..., Worklist]) -> None:
    scp = worklist(answering(data_set(AccessionNumber="A1"), data_set(AccessionNumber="A2")))
    assert [item.AccessionNumber for item in ask(scp.port)] == ["A1", "A2"]
    assert scp.callers == ["DCM4CHEE"]


def test_keys_stand_where_the_worklist_matches_them(worklist: Callable[..., Worklist]) -> None:
    scp = worklist(answering())
    assert ask(scp.port) == ()
    (identifier,) = scp.identifiers
    assert identifier.AccessionNumber == "A1"
    (step,) = identifier.ScheduledProcedureStepSequence
    assert step.ScheduledProcedureStepID == "S1"
    assert "ScheduledProcedureStepID" not in identifier
    assert "QueryRetrieveLevel" not in identifier


def test_everything_a_style_sheet_may_want_is_asked_for() -> None:
    identifier = worklist_identifier(WorklistQuestion(WORKLIST, ((0x00100020, "P1"),)))
    assert identifier.PatientID == "P1"
    assert {"PatientName", "SpecificCharacterSet", "RequestedProcedureCodeSequence"} <= set(identifier.dir())
    (step,) = identifier.ScheduledProcedureStepSequence
    assert {"ScheduledProcedureStepStartDate", "ScheduledProcedureStepID", "Modality"} <= set(step.dir())


def test_a_key_that_is_not_ascii_names_its_character_set(worklist: Callable[..., Worklist]) -> None:
    scp = worklist(answering())
    ask(scp.port, WorklistQuestion(WORKLIST, ((0x00100020, "Ä1"),)))
    assert scp.identifiers[0].SpecificCharacterSet == "ISO_IR 192"
    assert scp.identifiers[0].PatientID == "Ä1"


@pytest.mark.ldap("dcmDefaultCharacterSet")
def test_an_item_without_character_set_is_read_in_the_default_one(worklist: Callable[..., Worklist]) -> None:
    item = Dataset()
    item.add_new(0x00100010, "PN", "Müller".encode("latin-1"))
    scp = worklist(answering(item))
    (found,) = ask(scp.port, charset="ISO_IR 100")
    assert str(found.PatientName) == "Müller"


@pytest.mark.parametrize("code", [0xA700, 0xA900, 0xC001, 0xFE00])
def test_an_error_after_an_item_is_no_answer(worklist: Callable[..., Worklist], code: int) -> None:
    scp = worklist(lambda event: [(0xFF00, data_set(AccessionNumber="A1")), (code, None)])
    with pytest.raises(WorklistUnavailable, match=f"WORKLIST: C-FIND ended with status 0x{code:04X}"):
        ask(scp.port)


def test_a_worklist_that_does_not_match_is_no_answer(worklist: Callable[..., Worklist]) -> None:
    scp = worklist(answering(*(data_set(AccessionNumber=str(number)) for number in range(WORKLIST_ITEMS + 1))))
    with pytest.raises(WorklistUnavailable, match=f"more than {WORKLIST_ITEMS} worklist items"):
        ask(scp.port)


def test_answer_with_the_largest_allowed_number_of_items_is_taken(worklist: Callable[..., Worklist]) -> None:
    scp = worklist(answering(*(data_set(AccessionNumber=str(number)) for number in range(WORKLIST_ITEMS))))
    assert len(ask(scp.port)) == WORKLIST_ITEMS


def test_a_peer_that_aborts_gives_no_answer(worklist: Callable[..., Worklist]) -> None:
    def abort(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        yield 0xFF00, data_set(AccessionNumber="A1")
        event.assoc.abort()

    scp = worklist(abort)
    with pytest.raises(WorklistUnavailable, match="WORKLIST: the peer ended the association"):
        ask(scp.port)


def test_a_peer_that_is_no_worklist_gives_no_answer(worklist: Callable[..., Worklist]) -> None:
    scp = worklist(answering(), "1.2.840.10008.5.1.4.1.2.2.1")
    with pytest.raises(WorklistUnavailable, match="WORKLIST"):
        ask(scp.port)


def test_nobody_there() -> None:
    with pytest.raises(WorklistUnavailable, match="WORKLIST"):
        ask(free_port())


def test_peer_that_does_not_accept_costs_only_the_timeout() -> None:
    port, start = free_port(), time.monotonic()
    with silent_listener(port), pytest.raises(WorklistUnavailable, match="WORKLIST"):
        ask(port, timeout=timedelta(milliseconds=200))
    assert time.monotonic() - start < CONFIGURED_TIMEOUT / 2


def test_peer_that_does_not_answer_a_query_costs_only_the_timeout(
    worklist: Callable[..., Worklist],
) -> None:
    goes_on = threading.Event()

    def wait(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        goes_on.wait(CONFIGURED_TIMEOUT)
        yield from ()

    scp, start = worklist(wait), time.monotonic()
    with pytest.raises(WorklistUnavailable, match="WORKLIST: no response in time"):
        ask(scp.port, timeout=timedelta(milliseconds=500))
    assert time.monotonic() - start < CONFIGURED_TIMEOUT / 2
    goes_on.set()


def test_all_items_together_have_the_timeout(worklist: Callable[..., Worklist]) -> None:
    scp = worklist(answering(*[data_set(AccessionNumber="A1")] * 50))
    seconds = count(0)
    with pytest.raises(WorklistUnavailable, match="not all responses came in time"):
        ask(scp.port, clock=lambda: float(next(seconds)), timeout=timedelta(seconds=20))


def test_an_unknown_worklist_is_named() -> None:
    with pytest.raises(WorklistUnavailable, match="WORKLIST is not in the directory"):
        WorklistSCU(lambda _: None).find_items(QUESTION, local_ae())


def test_a_directory_that_is_down_is_told() -> None:
    def resolve(_: AETitle) -> RemoteAE:
        raise ConfigUnavailable("no server")

    with pytest.raises(WorklistUnavailable, match="WORKLIST cannot be looked up: no server"):
        WorklistSCU(resolve).find_items(QUESTION, local_ae())
