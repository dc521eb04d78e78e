"""What a bug of ours costs, and what a stop does to requests under way."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dcm4py_leading.dicom.scp import find as scp_find
from dcm4py_leading.dicom.scp import listener
from dcm4py_leading.dicom.upper.pdu import AssociateReject
from tests.fixtures.datasets import make_study
from tests.fixtures.links import IMPLICIT, associate
from tests.fixtures.scripted import Viewer
from tests.fixtures.scu import STUDY_MOVE, VERIFICATION, associated, find, identifier, store
from tests.fixtures.service import Seed

SECRET = "SECRET^NAME"
STUDY = "1.2.826.0.1.3680043.8.498.61"


def breaks(*_: Any) -> Any:
    raise RuntimeError(f"{SECRET} is not what was expected")


def test_bug_ends_one_request_and_logs_place_without_values(
    seed: Seed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    seed.start()
    query = identifier("STUDY", StudyInstanceUID="")
    with monkeypatch.context() as patch:
        patch.setattr(scp_find, "find", breaks)
        assert find(seed.archive_port, query) == (0xC000, [])
    (error,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "RuntimeError" in error.getMessage() and "scp/find.py" in error.getMessage()
    assert SECRET not in caplog.text
    assert find(seed.archive_port, query) == (0x0000, [])


def test_a_bug_in_a_c_echo_is_0110(seed: Seed, monkeypatch: pytest.MonkeyPatch) -> None:
    seed.start()
    monkeypatch.setitem(dict_of(listener.HANDLERS), "C-ECHO", breaks)
    with associated(seed.archive_port, [VERIFICATION]) as assoc:
        assert assoc.send_c_echo().Status == 0x0110


def dict_of(mapping: Any) -> dict[str, Any]:
    assert isinstance(mapping, dict)
    return mapping


def test_a_bug_in_the_admission_rejects(seed: Seed, monkeypatch: pytest.MonkeyPatch) -> None:
    from dcm4py_leading.dicom.scp import acceptor

    seed.start()
    monkeypatch.setattr(acceptor, "admit", breaks)
    association, answer = associate(seed.archive_port, [(str(VERIFICATION), [IMPLICIT])])
    association.link.close()
    assert answer == AssociateReject(2, 2, 1)


def test_an_index_that_cannot_be_read_is_a700(seed: Seed) -> None:
    service = seed.start()
    service._process._index.close()
    (seed.data_dir / "index.sqlite").write_bytes(b"this is no database" * 1000)
    assert find(seed.archive_port, identifier("STUDY", StudyInstanceUID=""))[0] == 0xA700


def test_a_stop_lets_a_retrieve_end_and_drops_idle_associations(
    seed: Seed, tmp_path: Path, viewer: Callable[..., Viewer]
) -> None:
    service = seed.start()
    store(seed.archive_port, make_study(tmp_path / "s", patient_id="P", patient_name="A^B", study_uid=STUDY))
    stopping = threading.Event()

    def wait_for_the_stop(_: Any) -> int:
        stopping.wait(60)
        return 0x0000

    station = viewer(seed.viewer_port, script=wait_for_the_stop)
    with (
        associated(seed.archive_port, [VERIFICATION]) as idle,
        associated(seed.archive_port, [STUDY_MOVE]) as assoc,
    ):
        responses = assoc.send_c_move(identifier("STUDY", StudyInstanceUID=STUDY), "STORESCP", STUDY_MOVE)
        assert station.asked.wait(60)
        stopper = threading.Thread(target=service.stop, args=(20,))
        stopper.start()
        idle.join(10)
        assert idle.is_aborted
        stopping.set()
        assert list(responses)[-1][0].NumberOfCompletedSuboperations == 3
        stopper.join(20)
        assert not stopper.is_alive()
