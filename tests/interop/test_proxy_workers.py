"""In front of a PACS with several workers: an object may arrive at another one than the retrieve waits at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.fixtures.datasets import make_study
from tests.fixtures.dcmtk import StoreScp, movescu, storescu
from tests.fixtures.orthanc import Orthanc
from tests.fixtures.ports import free_port
from tests.fixtures.processes import Peer
from tests.fixtures.proxy import stand_in_front_of
from tests.fixtures.service import Seed
from tests.fixtures.workers import Serve

STUDY = "1.2.826.0.1.3680043.8.498.72"
RETRIEVES = 8


def test_objects_find_their_retrieve_at_whichever_worker_they_arrive(
    seed: Seed,
    serve: Serve,
    orthanc: Callable[..., Orthanc],
    storescp: Callable[..., StoreScp],
    tmp_path: Path,
) -> None:
    port = free_port()
    stand_in_front_of(seed, port)
    pacs = orthanc(
        ae_title="PACS",
        destinations=[Peer(ae_title="DCM4CHEE", port=seed.archive_port)],
        settings={"DicomPort": port},
    )
    for number in range(RETRIEVES):
        files = make_study(
            tmp_path / str(number), patient_id="OLD", patient_name="Old^Name", study_uid=f"{STUDY}.{number}"
        )
        pacs.store(files)
    served = serve(3)
    viewer = storescp(port=seed.viewer_port, options=("+xa", "+B", "+uf"))

    for number in range(RETRIEVES):
        outcome = movescu(
            seed.archive_port,
            called_ae_title="DCM4CHEE",
            destination="STORESCP",
            level="STUDY",
            keys={"StudyInstanceUID": f"{STUDY}.{number}"},
        )
        assert outcome.status == 0x0000 and outcome.final is not None
        assert outcome.final.completed == 3
    assert len(viewer.datasets()) == 3 * RETRIEVES
    assert "Traceback" not in served.told()
    assert seed.objects == []


def test_modalities_store_into_the_pacs_through_whichever_worker(
    seed: Seed, serve: Serve, orthanc: Callable[..., Orthanc], tmp_path: Path
) -> None:
    port = free_port()
    stand_in_front_of(seed, port)
    pacs = orthanc(ae_title="PACS", settings={"DicomPort": port})
    served = serve(3)
    for number in range(6):
        files = make_study(
            tmp_path / str(number), patient_id="OLD", patient_name="Old^Name", study_uid=f"{STUDY}.{number}"
        )
        assert storescu(seed.archive_port, files, called_ae_title="DCM4CHEE").returncode == 0
    assert pacs.instance_count() == 18
    assert "Traceback" not in served.told()
    assert seed.objects == []
