"""Admission, reload under way, and what the log tells."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from dcm4py_leading.dicom.upper.pdu import AssociateReject
from dcm4py_leading.errors import ConfigInvalid
from tests.fixtures.datasets import make_study
from tests.fixtures.links import IMPLICIT, associate
from tests.fixtures.ports import free_port
from tests.fixtures.scripted import LeadingScp, Viewer, knows
from tests.fixtures.scu import STUDY_FIND, STUDY_MOVE, VERIFICATION, associated, find, get, identifier, move, store
from tests.fixtures.service import AE, CONNECTION, DEVICE, Seed

STUDY = "1.2.826.0.1.3680043.8.498.41"


def rejection(seed: Seed, **settings: Any) -> tuple[int, int, int]:
    assoc, answer = associate(seed.archive_port, [(VERIFICATION, [IMPLICIT])], **settings)
    assoc.link.close()
    assert isinstance(answer, AssociateReject)
    return (answer.result, answer.source, answer.reason)


def echoes(port: int, **settings: Any) -> bool:
    with associated(port, [VERIFICATION], **settings) as assoc:
        return bool(assoc.is_established and assoc.send_c_echo().Status == 0x0000)


def test_the_archive_answers_a_c_echo(seed: Seed) -> None:
    seed.start()
    assert echoes(seed.archive_port)


def test_an_unknown_called_ae_title_is_rejected(seed: Seed) -> None:
    seed.start()
    assert rejection(seed, called="NOBODY") == (1, 1, 7)


@pytest.mark.ldap("dcmAcceptedCallingAETitle")
def test_a_forbidden_calling_ae_title_is_rejected(seed: Seed) -> None:
    seed.set(AE, dcmAcceptedCallingAETitle="FRIEND")
    seed.start()
    assert rejection(seed, calling="STRANGER") == (1, 1, 3)
    assert echoes(seed.archive_port, calling="FRIEND")


@pytest.mark.ldap("dcmLimitOpenAssociations")
def test_more_associations_than_allowed_are_rejected(seed: Seed) -> None:
    seed.set(DEVICE, dcmLimitOpenAssociations="1")
    seed.start()
    with associated(seed.archive_port, [VERIFICATION]) as first:
        assert first.is_established
        assert rejection(seed) == (2, 3, 2)


@pytest.mark.ldap("dicomTransferCapability")
def test_sop_classes_without_a_capability_are_not_negotiated(seed: Seed) -> None:
    seed.start()
    worklist = "1.2.840.10008.5.1.4.31"
    with associated(seed.archive_port, [VERIFICATION, worklist]) as assoc:
        assert [str(context.abstract_syntax) for context in assoc.accepted_contexts] == [str(VERIFICATION)]


# Reload.


def test_an_association_keeps_the_configuration_of_its_beginning(seed: Seed, tmp_path: Path) -> None:
    service = seed.start()
    files = make_study(tmp_path / "s", patient_id="P", patient_name="A^B", study_uid=STUDY, instances=1)
    store(seed.archive_port, files)
    query = identifier("STUDY", StudyInstanceUID="")
    with associated(seed.archive_port, [STUDY_FIND]) as old:
        seed.set(DEVICE, dcmReturnRetrieveAET="NEW")
        service.reload()
        (match,) = [ds for _, ds in old.send_c_find(query, STUDY_FIND) if ds is not None]
        assert match.RetrieveAETitle == "DCM4CHEE"
        assert find(seed.archive_port, query)[1][0].RetrieveAETitle == "NEW"


def test_retrieve_keeps_its_configuration_during_a_reload(
    seed: Seed, tmp_path: Path, leading_scp: Callable[..., LeadingScp], viewer: Callable[..., Viewer]
) -> None:
    seed.lead()
    service = seed.start()
    store(
        seed.archive_port,
        make_study(tmp_path / "s", patient_id="P", patient_name="Stale^Name", study_uid=STUDY, instances=4),
    )
    study = Dataset()
    study.StudyInstanceUID, study.PatientName = STUDY, "Right^Name"
    leading_scp(seed.leading_port, knows(study))
    reloaded = threading.Event()

    def wait_for_the_reload(_: Any) -> int:
        reloaded.wait(60)
        return 0x0000

    station = viewer(seed.viewer_port, script=wait_for_the_reload)
    with associated(seed.archive_port, [STUDY_MOVE]) as assoc:
        responses = assoc.send_c_move(identifier("STUDY", StudyInstanceUID=STUDY), "STORESCP", STUDY_MOVE)
        seed.change(f"dn: cn=Leading DCMQRSCP,{DEVICE}\nchangetype: delete")
        while not station.requests:
            threading.Event().wait(0.01)
        service.reload()
        reloaded.set()
        assert list(responses)[-1][0].NumberOfCompletedSuboperations == 4
    assert {str(ds.PatientName) for ds in station.received} == {"Right^Name"}
    station.received.clear()
    move(seed.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))
    assert {str(ds.PatientName) for ds in station.received} == {"Stale^Name"}


@pytest.mark.ldap("dicomPort")
def test_a_changed_port_is_served_and_the_old_one_closed(seed: Seed) -> None:
    service = seed.start()
    new_port = free_port()
    with associated(seed.archive_port, [VERIFICATION]) as old:
        seed.set(CONNECTION, dicomPort=str(new_port))
        service.reload()
        assert echoes(new_port)
        assert old.send_c_echo().Status == 0x0000
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", seed.archive_port))


@pytest.mark.ldap("dicomPort")
def test_a_port_that_is_taken_fails_the_reload_as_a_whole(seed: Seed) -> None:
    service = seed.start()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        seed.set(CONNECTION, dicomPort=str(port))
        seed.set(DEVICE, dcmReturnRetrieveAET="NEW")
        with pytest.raises(ConfigInvalid) as refused:
            service.reload()
    (problem,) = [p for p in refused.value.problems if p.attribute == "dicomPort"]
    assert problem.dn == CONNECTION and problem.value == str(port)
    assert echoes(seed.archive_port)


def test_bad_tree_keeps_old_configuration_and_reports_all_problems(seed: Seed) -> None:
    service = seed.start()
    seed.set(DEVICE, dcmOverwritePolicy="SOMETIMES", dcmLeadingCFindSCPQueryCacheStaleTimeout="5 minutes")
    seed.set(CONNECTION, dcmIdleTimeout="soon")
    seed.lead(dcmProperty="NoSuchKeyword=1")
    with pytest.raises(ConfigInvalid) as refused:
        service.reload()
    attributes = {problem.attribute for problem in refused.value.problems}
    assert attributes >= {"dcmOverwritePolicy", "dcmIdleTimeout", "dcmProperty"}
    assert echoes(seed.archive_port)
    assert service.state()["lastFailedReload"] is not None


@pytest.mark.ldap("dcmProperty")
def test_a_rule_that_cannot_be_compiled_is_refused_with_its_dn(seed: Seed) -> None:
    service = seed.start()
    seed.lead(dcmProperty="NoSuchKeyword=1")
    with pytest.raises(ConfigInvalid) as refused:
        service.reload()
    (problem,) = refused.value.problems
    assert problem.dn.startswith("cn=Leading DCMQRSCP,")
    assert (problem.attribute, problem.value) == ("dcmProperty", "NoSuchKeyword=1")


# The log.


def test_no_patient_data_at_info_or_above(
    seed: Seed,
    tmp_path: Path,
    leading_scp: Callable[..., LeadingScp],
    viewer: Callable[..., Viewer],
    caplog: pytest.LogCaptureFixture,
) -> None:
    secrets = {"name": "SECRET^NAME", "id": "SECRET-ID", "new": "SECRET^NEWNAME"}
    seed.lead()
    caplog.set_level(logging.INFO)
    service = seed.start()
    files = make_study(tmp_path / "s", patient_id=secrets["id"], patient_name=secrets["name"], study_uid=STUDY)
    store(seed.archive_port, files)
    find(seed.archive_port, identifier("STUDY", StudyInstanceUID=STUDY, PatientName="SECRET*", PatientID=secrets["id"]))
    find(seed.archive_port, identifier("SERIES", PatientName="SECRET*"))
    study = Dataset()
    study.StudyInstanceUID, study.PatientName, study.PatientID = STUDY, secrets["new"], "SECRET-NEWID"
    leading = leading_scp(seed.leading_port, knows(study))
    station = viewer(seed.viewer_port, script=lambda e: 0xA700 if e.request.MessageID % 2 else 0x0000)
    move(seed.archive_port, identifier("STUDY", StudyInstanceUID=STUDY, PatientName=secrets["name"]))
    get(seed.archive_port, identifier("STUDY", StudyInstanceUID=STUDY), calling="STORESCP")
    leading.stop()
    service.reload()
    move(seed.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))
    (seed.objects[0]).write_bytes(b"SECRET^NAME is not DICOM")
    move(seed.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))
    assert any(str(ds.PatientName) == secrets["new"] for ds in station.received)

    ours = [record for record in caplog.records if record.levelno >= logging.INFO]
    text = "\n".join(logging.Formatter().format(record) for record in ours)
    assert "C-MOVE from=TESTSCU to=DCM4CHEE" in text
    assert "SECRET" not in text
    assert STUDY not in text


def test_each_request_is_one_line(seed: Seed, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    seed.start()
    echoes(seed.archive_port)
    find(seed.archive_port, identifier("STUDY", StudyInstanceUID=""))
    lines = [message for message in caplog.messages if message.startswith("C-")]
    assert len(lines) == 2
    assert lines[0].startswith("C-ECHO from=TESTSCU to=DCM4CHEE status=0x0000")
    assert lines[1].startswith("C-FIND from=TESTSCU to=DCM4CHEE status=0x0000 matches=0 leading=- ms=")
