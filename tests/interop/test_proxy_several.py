"""In front of two real PACSes at once: each is asked for what it has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest

from tests.fixtures.datasets import make_study
from tests.fixtures.dcmtk import DcmQrScp, Outcome, StoreScp, findscu, getscu, movescu
from tests.fixtures.orthanc import Orthanc
from tests.fixtures.processes import Peer
from tests.fixtures.proxy import await_rest, stand_in_front_of_several
from tests.fixtures.service import Seed

ROOT = "1.2.826.0.1.3680043.8.498.72"
pytestmark = [pytest.mark.peers, pytest.mark.ldap("dcmSpanningCFindSCP", "dcmFallbackCMoveSCP")]


class Scene:
    """Ours in front of an Orthanc and a dcmqrscp; study 1 is in both, 2 in the first and 3 in the second only."""

    def __init__(self, seed: Seed, first: Orthanc | DcmQrScp, second: Orthanc | DcmQrScp, directory: Path) -> None:
        self.seed, self.first, self.second = seed, first, second
        self._directory = directory
        self.files: dict[int, list[Path]] = {}
        for number in (1, 2, 3):
            self.files[number] = make_study(
                directory / str(number), patient_id="P1", patient_name="A^B", study_uid=f"{ROOT}.{number}", series=2
            )
        for pacs, numbers in ((first, (1, 2)), (second, (1, 3))):
            pacs.store([file for number in numbers for file in self.files[number]])

    def uids(self, *numbers: int) -> list[str]:
        """SOP Instance UIDs of these studies."""
        return sorted(pydicom.dcmread(file).SOPInstanceUID for number in numbers for file in self.files[number])

    def find(self, level: str, model: Any = "STUDY", **keys: str) -> Outcome:
        return findscu(self.seed.archive_port, called_ae_title="DCM4CHEE", level=level, model=model, keys=keys)

    def move(self, level: str, model: Any = "STUDY", **keys: str) -> Outcome:
        outcome = movescu(
            self.seed.archive_port,
            called_ae_title="DCM4CHEE",
            destination="STORESCP",
            level=level,
            model=model,
            keys=keys,
        )
        await_rest(self.seed)
        return outcome


@pytest.fixture(params=["orthanc first", "dcmqrscp first"])
def scene(
    request: pytest.FixtureRequest,
    seed: Seed,
    orthanc: Callable[..., Orthanc],
    dcmqrscp: Callable[..., DcmQrScp],
    tmp_path: Path,
) -> Scene:
    us = Peer(ae_title="DCM4CHEE", port=seed.archive_port)
    both: list[Orthanc | DcmQrScp] = [
        orthanc(ae_title="PACS_O", destinations=[us]),
        dcmqrscp(ae_title="PACS_D", destinations=[us]),
    ]
    if request.param == "dcmqrscp first":
        both.reverse()
    stand_in_front_of_several(seed, {pacs.ae_title: pacs.port for pacs in both})
    seed.start()
    first, second = both
    return Scene(seed, first, second, tmp_path)


def test_queries_at_every_level_add_up_what_both_have(scene: Scene) -> None:
    studies = scene.find("STUDY", StudyInstanceUID="", PatientID="P1")
    assert studies.status == 0x0000
    assert sorted(m.StudyInstanceUID for m in studies.matches) == [f"{ROOT}.{number}" for number in (1, 2, 3)]
    assert len(scene.find("PATIENT", "PATIENT", PatientID="P1", PatientName="").matches) == 1
    for number in (1, 2, 3):
        series = scene.find("SERIES", StudyInstanceUID=f"{ROOT}.{number}", SeriesInstanceUID="")
        assert (series.status, len(series.matches)) == (0x0000, 2)
        keys = {"StudyInstanceUID": f"{ROOT}.{number}", "SeriesInstanceUID": series.matches[0].SeriesInstanceUID}
        assert len(scene.find("IMAGE", SOPInstanceUID="", **keys).matches) == 3


def test_each_study_comes_from_its_archive_and_a_patient_from_both(
    scene: Scene, storescp: Callable[..., StoreScp], tmp_path: Path
) -> None:
    viewer = storescp(port=scene.seed.viewer_port)
    for level, model, keys, numbers in (
        ("STUDY", "STUDY", {"StudyInstanceUID": f"{ROOT}.2"}, (2,)),
        ("STUDY", "STUDY", {"StudyInstanceUID": f"{ROOT}.3"}, (3,)),
        ("STUDY", "PATIENT", {"PatientID": "P1", "StudyInstanceUID": f"{ROOT}.1"}, (1,)),
        ("PATIENT", "PATIENT", {"PatientID": "P1"}, (1, 2, 3)),
    ):
        before = len(viewer.store_requests())
        outcome = scene.move(level, model, **keys)
        assert outcome.status == 0x0000, (level, model, keys, outcome.output)
        sent = [request.sop_instance_uid for request in viewer.store_requests()[before:]]
        assert sorted(sent) == scene.uids(*numbers)
    got = getscu(
        scene.seed.archive_port,
        tmp_path / "got",
        called_ae_title="DCM4CHEE",
        level="STUDY",
        keys={"StudyInstanceUID": f"{ROOT}.3"},
    )
    assert (got.status, len(got.files)) == (0x0000, 6)
    assert scene.move("STUDY", StudyInstanceUID=f"{ROOT}.4").final.completed in (None, 0)


def test_other_archive_serves_while_one_is_down(scene: Scene, storescp: Callable[..., StoreScp]) -> None:
    viewer = storescp(port=scene.seed.viewer_port)
    scene.first.stop()
    studies = scene.find("STUDY", StudyInstanceUID="", PatientID="P1")
    assert sorted(m.StudyInstanceUID for m in studies.matches) == [f"{ROOT}.1", f"{ROOT}.3"]
    assert studies.status == 0xC000
    assert f"{scene.first.ae_title} at localhost" in studies.output
    assert scene.move("STUDY", StudyInstanceUID=f"{ROOT}.1").status == 0x0000
    assert sorted(request.sop_instance_uid for request in viewer.store_requests()) == scene.uids(1)
    gone = scene.move("STUDY", StudyInstanceUID=f"{ROOT}.2")
    assert gone.status == 0xC000
    assert f"{scene.first.ae_title} at localhost" in gone.output
