"""``/dcm4chee-arc/monitor/associations`` with real peers: who is there, what was asked, and an abort."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from pynetdicom import build_context, build_role, evt
from pynetdicom.sop_class import CTImageStorage  # type: ignore[attr-defined]

from dcm4py_leading import log
from dcm4py_leading.web.app import create_app
from tests.fixtures.datasets import make_study
from tests.fixtures.http import served
from tests.fixtures.raw_echo import ACCEPTED, DATA, ECHO, RELEASE, RELEASED, RawAssociation
from tests.fixtures.scripted import LeadingScp, Viewer, knows
from tests.fixtures.scu import STUDY_FIND, STUDY_GET, STUDY_MOVE, associated, identifier, store
from tests.fixtures.service import Seed

pytestmark = pytest.mark.peers

STUDY = "1.2.826.0.1.3680043.8.498.1402"
MONITOR = "/dcm4chee-arc/monitor/associations"
ABORT = 0x07


@pytest.fixture
def http(seed: Seed) -> Iterator[httpx.Client]:
    with served(app=create_app(seed.start())) as client:
        yield client


def told(http: httpx.Client) -> list[dict[str, Any]]:
    associations: list[dict[str, Any]] = http.get(MONITOR).json()
    return associations


def stored(seed: Seed, tmp_path: Path) -> None:
    store(seed.archive_port, make_study(tmp_path / "s", patient_id="PID", patient_name="A^B", study_uid=STUDY))


def test_an_association_is_listed_with_what_was_asked_on_it(seed: Seed, http: httpx.Client) -> None:
    before = datetime.now(UTC)
    with closing(RawAssociation(seed.archive_port)) as peer:
        assert peer.receive()[0] == ACCEPTED
        for _ in range(3):
            peer.socket.sendall(ECHO)
            assert peer.receive()[0] == DATA
        (association,) = told(http)
        assert association["performedOps"] == {"C-ECHO": {"RQ": 3, "RSP": 3}}
        assert association["invokedOps"] == {}
        assert association["initiated"] is False
        assert (association["localAETitle"], association["remoteAETitle"]) == ("DCM4CHEE", "RAWSCU")
        assert association["remoteHost"] == "127.0.0.1"
        connected = datetime.fromisoformat(association["connectTime"])
        assert before.replace(microsecond=0) <= connected <= datetime.now(UTC)


def test_one_that_was_released_is_gone(seed: Seed, http: httpx.Client) -> None:
    with closing(RawAssociation(seed.archive_port)) as peer:
        assert peer.receive()[0] == ACCEPTED
        assert len(told(http)) == 1
        peer.socket.sendall(RELEASE)
        assert peer.receive()[0] == RELEASED
        assert told(http) == []


def test_an_abort_reaches_the_peer_and_no_other(seed: Seed, http: httpx.Client) -> None:
    with closing(RawAssociation(seed.archive_port)) as one:
        assert one.receive()[0] == ACCEPTED
        with closing(RawAssociation(seed.archive_port)) as other:
            assert other.receive()[0] == ACCEPTED
            first, second = told(http)
            assert first["serialNo"] < second["serialNo"]
            assert http.delete(f"{MONITOR}/{first['serialNo']}").status_code == 204
            assert one.receive()[0] == ABORT
            assert http.delete(f"{MONITOR}/{first['serialNo']}").status_code == 404
            other.socket.sendall(ECHO)
            assert other.receive()[0] == DATA
            assert [association["serialNo"] for association in told(http)] == [second["serialNo"]]


def test_pending_responses_count_and_nothing_of_the_patient_is_told(
    seed: Seed, http: httpx.Client, tmp_path: Path
) -> None:
    stored(seed, tmp_path)
    with associated(seed.archive_port, [STUDY_FIND]) as assoc:
        list(assoc.send_c_find(identifier("SERIES", StudyInstanceUID=STUDY, SeriesInstanceUID=""), STUDY_FIND))
        answer = http.get(MONITOR)
        (association,) = answer.json()
        assert association["performedOps"] == {"C-FIND": {"RQ": 1, "RSP": 2}}
        assert "PID" not in answer.text
        assert STUDY not in answer.text


def test_running_retrieve_is_listed_with_both_associations_and_can_be_aborted(
    seed: Seed, http: httpx.Client, tmp_path: Path, viewer: Callable[..., Viewer], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    stored(seed, tmp_path)
    going_on = threading.Event()

    def wait(_: Any) -> int:
        going_on.wait(60)
        return 0x0000

    station = viewer(seed.viewer_port, script=wait)
    with associated(seed.archive_port, [STUDY_MOVE]) as assoc:
        responses = assoc.send_c_move(identifier("STUDY", StudyInstanceUID=STUDY), "STORESCP", STUDY_MOVE)
        assert station.asked.wait(60)
        asking, ours = told(http)
        assert (asking["initiated"], asking["busy"], asking["study"]) == (False, True, log.ref(STUDY))
        assert asking["performedOps"]["C-MOVE"]["RQ"] == 1
        assert (ours["initiated"], ours["localAETitle"], ours["remoteAETitle"]) == (True, "DCM4CHEE", "STORESCP")
        assert ours["remoteHost"].endswith(f":{seed.viewer_port}")
        assert ours["invokedOps"]["C-STORE"] == {"RQ": 1, "RSP": 0}
        assert http.delete(f"{MONITOR}/{ours['serialNo']}").status_code == 204
        going_on.set()
        final = list(responses)[-1][0]
        assert final.NumberOfFailedSuboperations >= 1
        (left,) = [association for association in told(http) if not association["initiated"]]
        assert left["busy"] is False


def test_aborted_request_is_logged_as_aborted(
    seed: Seed, http: httpx.Client, tmp_path: Path, viewer: Callable[..., Viewer], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    stored(seed, tmp_path)
    going_on = threading.Event()

    def wait(_: Any) -> int:
        going_on.wait(60)
        return 0x0000

    station = viewer(seed.viewer_port, script=wait)
    with associated(seed.archive_port, [STUDY_MOVE]) as assoc:
        responses = assoc.send_c_move(identifier("STUDY", StudyInstanceUID=STUDY), "STORESCP", STUDY_MOVE)
        assert station.asked.wait(60)
        number = told(http)[0]["serialNo"]
        assert http.delete(f"{MONITOR}/{number}").status_code == 204
        list(responses)
        assoc.join(60)
        assert assoc.is_aborted
    going_on.set()
    seed.service.stop(60)
    (line,) = [record.getMessage() for record in caplog.records if record.getMessage().startswith("C-MOVE from=")]
    assert 'ended="aborted by an administrator"' in line


def test_sub_operations_of_a_c_get_are_ours_on_the_association_of_the_peer(
    seed: Seed, http: httpx.Client, tmp_path: Path
) -> None:
    stored(seed, tmp_path)
    with associated(
        seed.archive_port,
        [STUDY_GET, build_context(CTImageStorage)],
        ext_neg=[build_role(CTImageStorage, scp_role=True)],
        handlers=[(evt.EVT_C_STORE, lambda _: 0x0000)],
    ) as assoc:
        list(assoc.send_c_get(identifier("STUDY", StudyInstanceUID=STUDY), STUDY_GET))
        (association,) = told(http)
        assert association["performedOps"]["C-GET"]["RQ"] == 1
        assert association["invokedOps"] == {"C-STORE": {"RQ": 3, "RSP": 3}}
        assert association["study"] == log.ref(STUDY)


def test_an_association_to_the_leading_archive_is_listed_until_it_is_given_up(
    seed: Seed, tmp_path: Path, leading_scp: Callable[..., LeadingScp], viewer: Callable[..., Viewer]
) -> None:
    seed.lead()
    with served(app=create_app(seed.start())) as http:
        stored(seed, tmp_path)
        leading_scp(seed.leading_port, knows())
        viewer(seed.viewer_port)
        with associated(seed.archive_port, [STUDY_MOVE]) as assoc:
            list(assoc.send_c_move(identifier("STUDY", StudyInstanceUID=STUDY), "STORESCP", STUDY_MOVE))
            leading = [one for one in told(http) if one["remoteAETitle"] == "QRSCP"]
            assert [one["invokedOps"]["C-FIND"] for one in leading] == [{"RQ": 1, "RSP": 1}]
