"""Stored objects whose files are gone, fetched back from a real archive that has them too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest

from tests.fixtures.datasets import make_study
from tests.fixtures.dcmtk import DcmQrScp, StoreScp, dcmsend, getscu, movescu
from tests.fixtures.orthanc import Orthanc
from tests.fixtures.processes import Peer
from tests.fixtures.proxy import await_rest, remote_device
from tests.fixtures.service import DEVICE, Seed

STUDY = "1.2.826.0.1.3680043.8.498.73"
pytestmark = [pytest.mark.peers, pytest.mark.ldap("dcmExternalRetrieveAET")]


@pytest.fixture(params=["orthanc", "dcmqrscp"])
def other(
    request: pytest.FixtureRequest, seed: Seed, orthanc: Callable[..., Orthanc], dcmqrscp: Callable[..., DcmQrScp]
) -> Orthanc | DcmQrScp:
    """The archive that has the objects of our storage, too."""
    start: Callable[..., Orthanc | DcmQrScp] = orthanc if request.param == "orthanc" else dcmqrscp
    other = start(ae_title="OTHER", destinations=[Peer(ae_title="DCM4CHEE", port=seed.archive_port)])
    seed.change(remote_device("OTHER", other.port))
    seed.set(f"dcmStorageID=fs1,{DEVICE}", dcmExternalRetrieveAET="OTHER")
    return other


def test_every_object_is_sent_once_wherever_it_is(
    seed: Seed, other: Orthanc | DcmQrScp, storescp: Callable[..., StoreScp], tmp_path: Path
) -> None:
    files = make_study(tmp_path / "study", patient_id="P1", patient_name="A^B", study_uid=STUDY, instances=20, series=2)
    sent = {ds.SOPInstanceUID: ds for ds in map(pydicom.dcmread, files)}
    other.store(files)
    seed.start()
    assert dcmsend(seed.archive_port, files, called_ae_title="DCM4CHEE").returncode == 0
    for path in seed.objects[::3]:
        path.unlink()
    left = len(seed.objects)
    viewer = storescp(port=seed.viewer_port)
    moved = movescu(
        seed.archive_port,
        called_ae_title="DCM4CHEE",
        destination="STORESCP",
        level="STUDY",
        keys={"StudyInstanceUID": STUDY},
    )
    await_rest(seed)
    assert (moved.status, moved.final.completed, moved.final.failed) == (0x0000, 40, 0), moved.output
    got = {ds.SOPInstanceUID: ds for ds in viewer.datasets()}
    assert len(viewer.store_requests()) == len(got) == 40
    assert all(ds.PixelData == sent[uid].PixelData for uid, ds in got.items())
    gotten = getscu(
        seed.archive_port,
        tmp_path / "got",
        called_ae_title="DCM4CHEE",
        level="STUDY",
        keys={"StudyInstanceUID": STUDY},
    )
    assert (gotten.status, len(gotten.files)) == (0x0000, 40)
    assert len(seed.objects) == left
