"""The peers of the other tests work among themselves: what fails here is the machine's or a fixture's fault."""

from __future__ import annotations

import pydicom
import pytest

from tests.fixtures import datasets
from tests.fixtures.dcmtk import DcmQrScp, Rejection, StoreScp, dcmsend, echoscu, findscu, getscu, movescu, storescu
from tests.fixtures.directories import SERVERS, start_directory
from tests.fixtures.orthanc import Orthanc
from tests.fixtures.outside import nothing_outside_changes
from tests.fixtures.ports import free_port
from tests.fixtures.slapd import OUR_CONFIG_SCHEMA, OUR_LDIF, Slapd, require_slapd

pytestmark = pytest.mark.peers

STUDY = "2.25.163215421"
IN_STUDY = {"StudyInstanceUID": STUDY}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return datasets.make_study(
        tmp_path_factory.mktemp("study"), patient_id="P1", patient_name="PEER^TEST", study_uid=STUDY, instances=2
    )


def uids(files):
    return sorted(pydicom.dcmread(path).SOPInstanceUID for path in files)


@pytest.fixture
def viewer(storescp):
    return storescp(ae_title="STORESCP")


@pytest.fixture(params=["dcmqrscp", "orthanc"])
def archive(request, viewer, study):
    archive = request.getfixturevalue(request.param)(destinations=[viewer.peer])
    archive.store(study)
    return archive


def test_archive_finds_the_stored_study(archive):
    found = findscu(
        archive.port,
        called_ae_title=archive.ae_title,
        level="STUDY",
        keys={**IN_STUDY, "PatientName": "", "PatientID": ""},
    )

    assert found.status == 0x0000
    assert [(match.PatientName, match.PatientID) for match in found.matches] == [("PEER^TEST", "P1")]


def test_archive_finds_nothing_for_another_patient(archive):
    found = findscu(
        archive.port, called_ae_title=archive.ae_title, model="PATIENT", level="PATIENT", keys={"PatientID": "P2"}
    )

    assert found.status == 0x0000
    assert found.matches == ()


def test_archive_moves_the_study_to_the_viewer(archive, viewer, study):
    moved = movescu(
        archive.port,
        called_ae_title=archive.ae_title,
        calling_ae_title="WORKSTATION",
        destination="STORESCP",
        level="STUDY",
        keys=IN_STUDY,
    )

    assert (moved.status, moved.final.completed, moved.final.failed) == (0x0000, 2, 0)
    assert uids(viewer.received()) == uids(study)
    assert viewer.association_count() >= 1
    assert {(r.calling_ae_title, r.move_originator_ae_title) for r in viewer.store_requests()} == {
        (archive.ae_title, "WORKSTATION")
    }


def test_archive_refuses_an_unknown_destination(archive, viewer):
    moved = movescu(archive.port, called_ae_title=archive.ae_title, destination="NOBODY", level="STUDY", keys=IN_STUDY)

    assert moved.returncode != 0
    assert moved.status not in (None, 0x0000)
    assert viewer.received() == []


def test_archive_gives_the_study_by_cget(archive, study, tmp_path):
    got = getscu(archive.port, tmp_path / "got", called_ae_title=archive.ae_title, level="STUDY", keys=IN_STUDY)

    assert (got.status, got.final.completed) == (0x0000, 2)
    assert len(got.pending) == 2
    assert uids(got.files) == uids(study)


def test_archive_takes_a_store_of_dcmtk(archive, study):
    stored = storescu(archive.port, study, called_ae_title=archive.ae_title)

    assert [response.status for response in stored.responses] == [0x0000, 0x0000]


def test_archive_keeps_its_objects_over_a_restart(archive):
    archive.stop()
    assert echoscu(archive.port, called_ae_title=archive.ae_title).returncode != 0
    archive.start()

    found = findscu(archive.port, called_ae_title=archive.ae_title, level="STUDY", keys=IN_STUDY)

    assert len(found.matches) == 1


def test_archive_rejects_another_called_ae_title(archive):
    echo = echoscu(archive.port, called_ae_title="OTHER")

    assert echo.status is None
    assert echo.rejection == Rejection(
        result="Rejected Permanent", source="Service User", reason="Called AE Title Not Recognized"
    )


def test_suspended_archive_takes_the_connection_and_is_silent(archive):
    archive.process.suspend()
    silent = echoscu(archive.port, called_ae_title=archive.ae_title, options=("-ta", "1"))
    archive.process.resume()

    assert silent.returncode != 0
    assert silent.responses == ()
    assert silent.rejection is None


def test_dcmqrscp_counts_its_queries(dcmqrscp):
    archive = dcmqrscp()
    for _ in range(3):
        findscu(archive.port, called_ae_title=archive.ae_title, level="STUDY", keys=IN_STUDY)

    assert archive.requests("C-FIND RQ") == 3
    assert archive.requests("C-MOVE RQ") == 0


def test_dcmqrscp_with_callers_rejects_others(dcmqrscp, viewer):
    archive = dcmqrscp(destinations=[viewer.peer], callers=["STORESCP"])

    assert echoscu(archive.port, called_ae_title="QRSCP", calling_ae_title="STORESCP").status == 0x0000
    assert echoscu(archive.port, called_ae_title="QRSCP", calling_ae_title="STRANGER").rejection is not None


def test_orthanc_learns_a_destination_while_running(orthanc, viewer, study):
    archive = orthanc()
    archive.store(study)
    archive.add_destination(viewer.peer)

    moved = movescu(
        archive.port, called_ae_title=archive.ae_title, destination="STORESCP", level="STUDY", keys=IN_STUDY
    )

    assert moved.status == 0x0000
    assert len(viewer.datasets()) == archive.instance_count() == 2


@pytest.mark.parametrize(
    "name", sorted({*datasets.UNCOMPRESSED, *datasets.COMPRESSED, *datasets.MULTI_FRAME, *datasets.RADIOTHERAPY})
)
def test_viewer_takes_objects_of_every_transfer_syntax(viewer, tmp_path, name):
    path = datasets.make_instance(tmp_path / "object.dcm", source=name, study_uid=STUDY)

    sent = dcmsend(viewer.port, [path], called_ae_title="STORESCP")

    assert sent.status == 0x0000
    assert [ds.StudyInstanceUID for ds in viewer.datasets()] == [STUDY]


def test_refused_connection_has_no_status():
    echo = echoscu(free_port(), called_ae_title="NOBODY")

    assert (echo.status, echo.rejection) == (None, None)
    assert echo.returncode != 0


# -- what they leave alone -------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("peer")  # short, since the path of a Unix socket is


@pytest.mark.parametrize("server", SERVERS)
def test_a_directory_changes_nothing_outside_its_folder(server, request, folder):
    with nothing_outside_changes(), start_directory(server, "ours", request, folder) as directory:
        assert directory.ldapsearch(scope="base")
        directory.stop()
        directory.start()


def test_a_slapd_on_slapd_d_changes_nothing_outside_its_folder(folder):
    require_slapd()
    content = [OUR_LDIF / "quickstart.ldif"]
    with (
        nothing_outside_changes(),
        Slapd(folder, config_schema=OUR_CONFIG_SCHEMA, content=content) as directory,
    ):
        assert directory.ldapsearch(scope="base")


@pytest.mark.parametrize("kind", [DcmQrScp, Orthanc])
def test_an_archive_changes_nothing_outside_its_folder(kind, study, folder):
    with nothing_outside_changes(), kind(folder) as archive:
        archive.store(study)
        found = findscu(archive.port, called_ae_title=archive.ae_title, level="STUDY", keys=IN_STUDY)
        assert len(found.matches) == 1


def test_a_viewer_changes_nothing_outside_its_folder(study, folder):
    with nothing_outside_changes(), StoreScp(folder) as viewer:
        assert dcmsend(viewer.port, study, called_ae_title="STORESCP").status == 0x0000
        assert len(viewer.received()) == 2
