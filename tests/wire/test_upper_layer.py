"""The upper layer of the service itself: peers that leave at every point, many of them, and what they may propose."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pynetdicom.pdu_primitives import AsynchronousOperationsWindowNegotiation

from dcm4py_leading.app import Service
from dcm4py_leading.dicom.scp.waiting import IDLE
from dcm4py_leading.dicom.upper import command as dimse
from dcm4py_leading.dicom.upper.association import Association
from dcm4py_leading.dicom.upper.link import LinkEnded, PeerAborted
from dcm4py_leading.dicom.upper.pdu import AssociateAccept, AssociateReject, numbered
from dcm4py_leading.dicom.upper.pdu_codec import encode
from tests.fixtures import dcmtk_scu
from tests.fixtures.datasets import make_study, read_sample
from tests.fixtures.links import CT, IMPLICIT, REQUEST, VERIFICATION, ask, associate, prepared, store_object
from tests.fixtures.scripted import Viewer
from tests.fixtures.scu import STUDY_FIND, STUDY_GET, STUDY_MOVE, associated, find, identifier, store
from tests.fixtures.service import DEVICE, Seed
from tests.fixtures.workers import until

STUDY = "1.2.826.0.1.3680043.8.498.71"
EXPLICIT = "1.2.840.10008.1.2.1"
FIND, MOVE, GET = str(STUDY_FIND), str(STUDY_MOVE), str(STUDY_GET)


def encoded(ds: Dataset) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = True, True
    write_dataset(buffer, ds)
    return bytes(buffer.getvalue())


def request(sop_class: str, field: int, **more: Any) -> dict[int, int | str]:
    return {
        dimse.AFFECTED_SOP_CLASS_UID: sop_class,
        dimse.COMMAND_FIELD: field,
        dimse.MESSAGE_ID: 1,
        dimse.PRIORITY: 0,
        **({dimse.MOVE_DESTINATION: more["destination"]} if more else {}),
    }


def echo(assoc: Association) -> int | None:
    assoc.send([(1, request(VERIFICATION, dimse.C_ECHO_RQ), None)])
    return assoc.receive(20).number(dimse.STATUS)


def echoes(port: int) -> bool:
    assoc, _ = associate(port, [(VERIFICATION, [IMPLICIT])])
    status = echo(assoc)
    assoc.release(20)
    return status == 0


# -- peers that leave ------------------------------------------------------------------------------------------------


def by_abort(assoc: Association) -> None:
    assoc.abort()
    assoc.link.close()


def by_closing(assoc: Association) -> None:
    assoc.link.close()


def by_release(assoc: Association) -> None:
    assoc.release(20)


@contextmanager
def between_requests(seed: Seed) -> Iterator[Association]:
    assoc, _ = associate(seed.archive_port, [(VERIFICATION, [IMPLICIT])])
    assert echo(assoc) == 0
    yield assoc


@contextmanager
def before_the_first_request(seed: Seed) -> Iterator[Association]:
    assoc, _ = associate(seed.archive_port, [(VERIFICATION, [IMPLICIT])])
    yield assoc


@contextmanager
def within_a_data_set(seed: Seed) -> Iterator[Association]:
    assoc, _ = associate(seed.archive_port, [(CT, [IMPLICIT])])
    data = encoded(read_sample("CT_small.dcm"))[:10_000]
    assoc.begin_store(prepared(data, missing=1000), 1, None)
    yield assoc


@contextmanager
def within_a_command(seed: Seed) -> Iterator[Association]:
    assoc, _ = associate(seed.archive_port, [(VERIFICATION, [IMPLICIT])], maximum_length=20)
    command = assoc._fragmenter.command(1, dimse.encode(request(VERIFICATION, dimse.C_ECHO_RQ)))
    assoc.link.send_data(command[:-1])
    yield assoc


@contextmanager
def between_c_find_responses(seed: Seed) -> Iterator[Association]:
    assoc, _ = associate(seed.archive_port, [(FIND, [IMPLICIT])])
    query = encoded(identifier("SERIES", StudyInstanceUID=STUDY, SeriesInstanceUID=""))
    assoc.send([(1, request(FIND, dimse.C_FIND_RQ), query)])
    assert assoc.receive(20).number(dimse.STATUS) == 0xFF00
    yield assoc


@contextmanager
def before_the_first_c_find_response(seed: Seed) -> Iterator[Association]:
    assoc, _ = associate(seed.archive_port, [(FIND, [IMPLICIT])])
    query = encoded(identifier("STUDY", StudyInstanceUID=""))
    assoc.send([(1, request(FIND, dimse.C_FIND_RQ), query)])
    yield assoc


class _Releasing:
    """An association on which a release is answered when the request has ended, for which something has to happen."""

    def __init__(self, assoc: Association, happen: threading.Event) -> None:
        self.link = assoc.link
        self.abort = assoc.abort
        self._assoc = assoc
        self._happen = happen

    def release(self, timeout: float) -> None:
        self._happen.set()
        self._assoc.release(timeout)


@contextmanager
def during_a_c_move(seed: Seed) -> Iterator[Association]:
    left = threading.Event()

    def wait(_: Any) -> int:
        left.wait(60)
        return 0x0000

    station = Viewer(seed.viewer_port, script=wait)
    try:
        assoc, _ = associate(seed.archive_port, [(MOVE, [IMPLICIT])])
        query = encoded(identifier("STUDY", StudyInstanceUID=STUDY))
        assoc.send([(1, request(MOVE, dimse.C_MOVE_RQ, destination="STORESCP"), query)])
        assert station.asked.wait(60)
        yield _Releasing(assoc, left)  # type: ignore[misc]
    finally:
        left.set()
        station.stop()


@contextmanager
def while_a_c_get_waits_for_a_c_store_response(seed: Seed) -> Iterator[Association]:
    assoc, _ = associate(seed.archive_port, [(GET, [IMPLICIT]), (CT, [EXPLICIT])], roles=[CT])
    assoc.send([(1, request(GET, dimse.C_GET_RQ), encoded(identifier("STUDY", StudyInstanceUID=STUDY)))])
    assert assoc.receive(20).number(dimse.COMMAND_FIELD) == dimse.C_STORE_RQ
    yield assoc


POINTS = [
    *(before_the_first_request, between_requests, within_a_command, within_a_data_set),
    *(before_the_first_c_find_response, between_c_find_responses, during_a_c_move),
    while_a_c_get_waits_for_a_c_store_response,
]


@pytest.fixture
def service(seed: Seed, tmp_path: Path) -> Service:
    """The service, with a study of three series of one instance each."""
    service = seed.start()
    files = make_study(tmp_path / "s", patient_id="P", patient_name="A^B", study_uid=STUDY, series=3, instances=1)
    assert store(seed.archive_port, files) == [0x0000] * 3
    return service


def everybody_has_left(service: Service) -> bool:
    """Whether no association is served any more, once the threads have had the time to find out."""
    ends_at = time.monotonic() + 20
    while time.monotonic() < ends_at:
        serving = [thread for thread in threading.enumerate() if thread.name.startswith(("association", "pending"))]
        if not serving and service._process._listeners.open_associations() == 0:
            return True
        time.sleep(0.02)  # between two looks
    return False


def busy_threads() -> set[threading.Thread]:
    """All threads but those that wait for connections."""
    return {thread for thread in threading.enumerate() if thread.name != IDLE}


@pytest.mark.parametrize("point", POINTS)
def test_a_peer_that_leaves_is_let_go_and_others_are_served(
    service: Service, seed: Seed, point: Callable[[Seed], Any]
) -> None:
    assert everybody_has_left(service)
    before = busy_threads()
    for leave in (by_abort, by_closing, by_release):
        with point(seed) as assoc:
            leave(assoc)
        assert everybody_has_left(service), leave
        # The threads of the sink, which is pynetdicom's, end when they look the next time.
        until(lambda: busy_threads() <= before)
        assert echoes(seed.archive_port), leave
        assert len(seed.objects) == 3, leave
        assert everybody_has_left(service)


@pytest.mark.parametrize("sent", [b"", encode(REQUEST)[:3], encode(REQUEST)[:50], b"GET / HTTP/1.1\r\n\r\n"])
def test_a_peer_that_leaves_while_it_asks_for_an_association_is_let_go(
    service: Service, seed: Seed, sent: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", seed.archive_port)) as sock:
        sock.sendall(sent)
    assert everybody_has_left(service)
    assert echoes(seed.archive_port)


@pytest.mark.parametrize("is_abort", [True, False])
def test_a_peer_that_leaves_before_it_has_read_the_answer_is_let_go(
    service: Service, seed: Seed, is_abort: bool
) -> None:
    link, _ = ask(seed.archive_port, [(VERIFICATION, [IMPLICIT])])
    if is_abort:
        link.abort()
    link.close()
    assert everybody_has_left(service)
    assert echoes(seed.archive_port)


def test_a_pynetdicom_scu_that_aborts_is_let_go(service: Service, seed: Seed) -> None:
    query = identifier("SERIES", StudyInstanceUID=STUDY, SeriesInstanceUID="")
    with associated(seed.archive_port, [STUDY_FIND]) as assoc:
        responses = assoc.send_c_find(query, STUDY_FIND)
        assert next(responses)[0].Status == 0xFF00
        assoc.abort()
    assert everybody_has_left(service)
    assert find(seed.archive_port, query)[0] == 0x0000


def test_an_echoscu_that_aborts_is_let_go(service: Service, seed: Seed) -> None:
    outcome = dcmtk_scu.echoscu(seed.archive_port, called_ae_title="DCM4CHEE", options=["--abort"])
    assert outcome.responses and outcome.returncode == 0
    assert everybody_has_left(service)


def test_a_peer_that_stops_within_a_data_set_is_aborted(seed: Seed) -> None:
    seed.set(f"cn=dicom,{DEVICE}", dcmSendTimeout="50")
    service = seed.start()
    with within_a_data_set(seed) as assoc:
        with pytest.raises(PeerAborted):
            while True:
                assoc.link.receive(20)
        assoc.link.close()
    assert everybody_has_left(service)


# -- many of them ----------------------------------------------------------------------------------------------------


def test_200_associations_at_once_are_all_served(seed: Seed) -> None:
    service = seed.start()
    links = [ask(seed.archive_port, [(VERIFICATION, [IMPLICIT])])[0] for _ in range(200)]
    answers = [link.receive(60) for link in links]
    assert all(isinstance(answer, AssociateAccept) for answer in answers)
    assert service._process._listeners.open_associations() == 200
    context = associate(seed.archive_port, [(VERIFICATION, [IMPLICIT])])
    context[0].release(20)
    associations = [Association(link, context[0].contexts.values(), 0) for link in links]
    for assoc in associations:
        assoc.send([(1, request(VERIFICATION, dimse.C_ECHO_RQ), None)])
    assert [assoc.receive(20).number(dimse.STATUS) for assoc in associations] == [0] * 200
    for assoc in associations:
        assoc.release(20)
    assert everybody_has_left(service)


@pytest.mark.ldap("dcmLimitOpenAssociations")
def test_the_limit_of_associations_holds_and_whoever_leaves_makes_room(seed: Seed) -> None:
    seed.set(DEVICE, dcmLimitOpenAssociations="20")
    service = seed.start()
    accepted = [associate(seed.archive_port, [(VERIFICATION, [IMPLICIT])])[0] for _ in range(20)]
    for _ in range(10):
        refused, answer = associate(seed.archive_port, [(VERIFICATION, [IMPLICIT])])
        assert answer == AssociateReject(2, 3, 2)
        refused.link.close()
    assert [echo(assoc) for assoc in accepted] == [0] * 20
    for assoc in accepted:
        assoc.release(20)
    assert everybody_has_left(service)
    assert echoes(seed.archive_port)


# -- what may be proposed --------------------------------------------------------------------------------------------


def test_window_of_five_is_reduced_to_one_operation(seed: Seed) -> None:
    seed.start()
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = 5
    window.maximum_number_operations_performed = 5
    with associated(seed.archive_port, [VERIFICATION], ext_neg=[window]) as assoc:
        assert assoc.is_established
        assert assoc.acceptor.asynchronous_operations == (1, 1)


def test_128_presentation_contexts_are_answered_one_by_one(seed: Seed) -> None:
    seed.start()
    proposals = [(VERIFICATION, [IMPLICIT]) if number % 2 else (f"1.2.{number}", [IMPLICIT]) for number in range(128)]
    assoc, answer = associate(seed.archive_port, proposals)
    assert isinstance(answer, AssociateAccept)
    assert [result.context_id for result in answer.contexts] == [c.context_id for c in numbered(proposals)]
    assert [result.result for result in answer.contexts] == [3, 0] * 64
    assoc.send([(255, request(VERIFICATION, dimse.C_ECHO_RQ), None)])
    assert assoc.receive(20).number(dimse.STATUS) == 0
    assoc.release(20)


def test_nothing_known_is_an_association_without_contexts_that_can_be_released(seed: Seed) -> None:
    service = seed.start()
    assoc, answer = associate(seed.archive_port, [("1.2.3", [IMPLICIT]), (VERIFICATION, ["1.2.4"])])
    assert isinstance(answer, AssociateAccept)
    assert [result.result for result in answer.contexts] == [3, 4]
    assoc.release(20)
    assert everybody_has_left(service)


# -- lengths of PDUs -------------------------------------------------------------------------------------------------


def test_a_data_set_in_tiny_fragments_is_stored_whole(seed: Seed) -> None:
    seed.start()
    ds = read_sample("CT_small.dcm")
    data = encoded(ds)
    assoc, _ = associate(seed.archive_port, [(CT, [IMPLICIT])], maximum_length=20)
    obj = prepared(data, uid=ds.SOPInstanceUID)
    assert store_object(assoc, obj, 1, None, 20) == 0x0000
    assoc.release(20)
    (file,) = seed.objects
    assert file.read_bytes().endswith(data)


@pytest.mark.parametrize("longest", ["4096", "131072"])
def test_dcmtk_of_any_pdu_length_is_served(seed: Seed, tmp_path: Path, viewer: Any, longest: str) -> None:
    seed.start()
    station = viewer(seed.viewer_port)
    files = make_study(tmp_path / "s", patient_id="P", patient_name="A^B", study_uid=STUDY)
    options = ["--max-pdu", longest]
    common: dict[str, Any] = {"called_ae_title": "DCM4CHEE", "options": options}
    port, keys = seed.archive_port, {"StudyInstanceUID": STUDY}
    assert dcmtk_scu.echoscu(port, **common).status == 0
    stored = dcmtk_scu.storescu(port, files, **common)
    assert [response.status for response in stored.responses] == [0] * 3
    found = dcmtk_scu.findscu(port, level="STUDY", keys=keys, **common)
    assert (found.status, len(found.matches)) == (0, 1)
    moved = dcmtk_scu.movescu(port, level="STUDY", keys=keys, destination="STORESCP", **common)
    assert (moved.status, moved.final.completed, len(station.received)) == (0, 3, 3)
    got = dcmtk_scu.getscu(port, tmp_path / "got", level="STUDY", keys=keys, **{**common, "options": ["+B", *options]})
    assert (got.status, len(got.files)) == (0, 3)


def test_input_after_an_abort_is_not_read(service: Service, seed: Seed) -> None:
    assoc, _ = associate(seed.archive_port, [(VERIFICATION, [IMPLICIT])])
    assoc.send([(7, request(VERIFICATION, dimse.C_ECHO_RQ), None)] * 50)
    with pytest.raises(LinkEnded):
        assoc.link.receive(20)
    assert everybody_has_left(service)
