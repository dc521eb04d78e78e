"""Rules whose conditions cannot be judged in time: what they may be about is not sent, all else is."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset

from dcm4py_leading.coercion import conditions
from dcm4py_leading.service import coerce
from tests.fixtures.datasets import make_study
from tests.fixtures.pacs import ScriptedPacs, make_object, sends, uids_of
from tests.fixtures.proxy import await_rest, stand_in_front_of
from tests.fixtures.scripted import LeadingScp, Viewer, knows
from tests.fixtures.scu import find, identifier, move, store
from tests.fixtures.service import DEVICE, Seed

STUDY = "1.2.826.0.1.3680043.8.498.93"
EVIL = "a" * 60
KEYS = identifier("STUDY", StudyInstanceUID=STUDY)
CONDITION = "SeriesDescription=((a|aa)+b|fine)"
StartViewer = Callable[..., Viewer]
StartLeading = Callable[..., LeadingScp]


@pytest.fixture(autouse=True)
def little_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conditions, "CONDITION_MATCH_SECONDS", 0.05)


def add_rule(seed: Seed, dimse: str, role: str) -> None:
    seed.change(
        f"dn: cn=slow,{DEVICE}\nchangetype: add\nobjectClass: dcmArchiveAttributeCoercion\ncn: slow\n"
        f"dcmDIMSE: {dimse}\ndicomTransferRole: {role}\n"
        f"dcmProperty: {CONDITION}\ndcmLeadingCFindSCP: QRSCP\n"
    )


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """A study of two series, in each two objects; whether the rule is about the first cannot be told."""
    files = make_study(
        tmp_path, patient_id="STALE-ID", patient_name="Stale^Name", study_uid=STUDY, series=2, instances=2
    )
    for number, file in enumerate(files):
        ds = pydicom.dcmread(file)
        ds.SeriesDescription = EVIL if number < 2 else "fine"
        ds.save_as(file)
    return files


def leading_study() -> Dataset:
    ds = Dataset()
    ds.StudyInstanceUID, ds.PatientName, ds.PatientID = STUDY, "Right^Name", "RIGHT-ID"
    return ds


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_retrieve_fails_these_objects_and_delivers_the_others(
    seed: Seed, files: list[Path], viewer: StartViewer, leading_scp: StartLeading, caplog: pytest.LogCaptureFixture
) -> None:
    add_rule(seed, "C_STORE_RQ", "SCP")
    seed.start()
    store(seed.archive_port, files)
    leading_scp(seed.leading_port, knows(leading_study()))
    stored = viewer(seed.viewer_port)
    final, failed = move(seed.archive_port, KEYS)[-1]
    assert (final.Status, final.NumberOfCompletedSuboperations, final.NumberOfFailedSuboperations) == (0xB000, 2, 2)
    assert failed is not None
    assert len(failed.FailedSOPInstanceUIDList) == 2
    assert "rule slow" in final.ErrorComment
    assert {str(ds.PatientName) for ds in stored.received} == {"Right^Name"}
    assert {str(ds.SeriesDescription) for ds in stored.received} == {"fine"}
    told = [line for line in warned(caplog) if "rule slow: a condition takes more than" in line]
    assert len(told) == 2


def test_no_rule_is_judged_in_a_request_after_too_many_failures(
    seed: Seed, files: list[Path], viewer: StartViewer, leading_scp: StartLeading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coerce, "CONDITION_TIMEOUTS", 1)
    add_rule(seed, "C_STORE_RQ", "SCP")
    seed.start()
    store(seed.archive_port, files)
    leading_scp(seed.leading_port, knows(leading_study()))
    stored = viewer(seed.viewer_port)
    final, _ = move(seed.archive_port, KEYS)[-1]
    assert final.NumberOfFailedSuboperations == 4
    assert stored.received == []
    harmless = identifier(
        "SERIES", StudyInstanceUID=STUDY, SeriesInstanceUID=pydicom.dcmread(files[2]).SeriesInstanceUID
    )
    final, _ = move(seed.archive_port, harmless)[-1]
    assert (final.Status, final.NumberOfCompletedSuboperations) == (0x0000, 2)


def test_a_retrieve_from_another_archive_fails_these_objects_and_delivers_the_others(
    seed: Seed, scripted_pacs: Callable[..., ScriptedPacs], viewer: StartViewer, leading_scp: StartLeading
) -> None:
    objects = [make_object(STUDY, n, SeriesDescription=EVIL if n == 2 else "fine") for n in range(1, 4)]
    add_rule(seed, "C_STORE_RQ", "SCP")
    stand_in_front_of(seed, scripted_pacs(seed.archive_port, move=sends(objects)).port)
    seed.start()
    leading_scp(seed.leading_port, knows(leading_study()))
    stored = viewer(seed.viewer_port)
    final, failed = move(seed.archive_port, KEYS)[-1]
    await_rest(seed)
    assert (final.Status, final.NumberOfCompletedSuboperations, final.NumberOfFailedSuboperations) == (0xB000, 2, 1)
    assert failed is not None
    assert failed.FailedSOPInstanceUIDList == objects[1].SOPInstanceUID
    assert uids_of(stored.received) == uids_of([objects[0], objects[2]])
    assert {str(ds.PatientName) for ds in stored.received} == {"Right^Name"}


def test_a_query_ends_with_0110_and_answers_with_no_stale_identity(
    seed: Seed, files: list[Path], leading_scp: StartLeading, caplog: pytest.LogCaptureFixture
) -> None:
    add_rule(seed, "C_FIND_RSP", "SCU")
    seed.start()
    store(seed.archive_port, files)
    leading_scp(seed.leading_port, knows(leading_study()))
    status, matches = find(seed.archive_port, identifier("SERIES", StudyInstanceUID=STUDY, PatientName=""))
    assert status == 0x0110
    assert "Stale^Name" not in {str(ds.PatientName) for ds in matches}
    assert any("rule slow: a condition takes more than" in line for line in warned(caplog))
