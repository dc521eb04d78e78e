"""In front of a PACS that does not know us as move destination: it is asked by C-GET."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fixtures.datasets import make_study
from tests.fixtures.dcmtk import DcmQrScp, StoreScp, movescu
from tests.fixtures.orthanc import Orthanc
from tests.fixtures.ports import free_port
from tests.fixtures.proxy import await_rest, stand_in_front_of
from tests.fixtures.service import Seed

STUDY = "1.2.826.0.1.3680043.8.498.73"


@pytest.mark.parametrize("kind", ["orthanc", "dcmqrscp"])
def test_objects_come_by_get(
    seed: Seed,
    kind: str,
    orthanc: Callable[..., Orthanc],
    dcmqrscp: Callable[..., DcmQrScp],
    storescp: Callable[..., StoreScp],
    tmp_path: Path,
) -> None:
    port = free_port()
    pacs = (
        orthanc(ae_title="PACS", settings={"DicomPort": port})
        if kind == "orthanc"
        else dcmqrscp(ae_title="PACS", port=port)
    )
    stand_in_front_of(seed, port)
    seed.start()
    pacs.store(make_study(tmp_path, patient_id="OLD", patient_name="Old^Name", study_uid=STUDY, instances=5))
    viewer = storescp(port=seed.viewer_port, options=("+xa", "+B", "+uf"))

    outcome = movescu(
        seed.archive_port,
        called_ae_title="DCM4CHEE",
        destination="STORESCP",
        level="STUDY",
        keys={"StudyInstanceUID": STUDY},
    )
    assert outcome.status == 0x0000 and outcome.final is not None
    assert outcome.final.completed == 5
    assert sorted(ds.InstanceNumber for ds in viewer.datasets()) == [1, 2, 3, 4, 5]
    await_rest(seed)
