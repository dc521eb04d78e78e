"""In front of a real PACS that has to send each study once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pydicom
import pytest

from dcm4py_leading.model.options import parse_options
from tests.fixtures.datasets import make_study
from tests.fixtures.dcmtk import DcmQrScp, StoreScp, movescu
from tests.fixtures.orthanc import Orthanc
from tests.fixtures.ports import free_port
from tests.fixtures.processes import Peer
from tests.fixtures.proxy import await_rest, stand_in_front_of
from tests.fixtures.service import Seed

STUDY = "1.2.826.0.1.3680043.8.498.73"
SOURCES = ("MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "SC_rgb_jpeg_dcmtk.dcm", "MR_small.dcm")


class Scene:
    """Ours in front of PACS, an Orthanc, which has a study of OLD; the leading archive has it as NEW."""

    def __init__(self, seed: Seed, pacs: Orthanc, viewer: StoreScp, files: Sequence[Path]) -> None:
        self.seed, self.pacs, self.viewer = seed, pacs, viewer
        self.originals = {ds.SOPInstanceUID: ds for ds in map(pydicom.dcmread, files)}

    def assert_moved(self, count: int, level: str = "STUDY", **keys: str) -> None:
        """Move to the viewer: that many objects come, coerced and else as they were stored in the PACS."""
        for path in self.viewer.received():
            path.unlink()
        outcome = movescu(
            self.seed.archive_port,
            called_ae_title="DCM4CHEE",
            destination="STORESCP",
            level=level,
            keys={"StudyInstanceUID": STUDY, **keys},
        )
        await_rest(self.seed)
        assert (outcome.status, outcome.final.completed) == (0x0000, count), outcome.output
        got = self.viewer.datasets()
        assert len(got) == count
        for ds in got:
            original = self.originals[ds.SOPInstanceUID]
            assert (ds.PatientID, str(ds.PatientName)) == ("NEW", "New^Name")
            assert ds.PixelData == original.PixelData
            assert ds.file_meta.TransferSyntaxUID == original.file_meta.TransferSyntaxUID

    @property
    def hits_and_misses(self) -> tuple[int, int]:
        counts = self.seed.service.measure().kept
        assert counts is not None
        return counts.hits, counts.misses


@pytest.mark.ldap("dcmFallbackCMoveSCP")
def test_a_study_is_fetched_once_until_it_grows_and_served_while_the_pacs_is_down(
    seed: Seed,
    orthanc: Callable[..., Orthanc],
    dcmqrscp: Callable[..., DcmQrScp],
    storescp: Callable[..., StoreScp],
    tmp_path: Path,
) -> None:
    port = free_port()
    us = Peer(ae_title="DCM4CHEE", port=seed.archive_port)
    pacs = orthanc(ae_title="PACS", destinations=[us], settings={"DicomPort": port})
    old, new = tmp_path / "old", tmp_path / "new"
    files = make_study(
        old, patient_id="OLD", patient_name="Old^Name", study_uid=STUDY, instances=5, series=2, sources=SOURCES
    )
    pacs.store(files[:8])
    leading = dcmqrscp(port=seed.leading_port)
    leading.store(make_study(new, patient_id="NEW", patient_name="New^Name", study_uid=STUDY, instances=1))
    seed.lead()
    seed.options = parse_options(["proxy-keep=20M"])
    stand_in_front_of(seed, port)
    seed.start()
    scene = Scene(seed, pacs, storescp(port=seed.viewer_port), files)

    scene.assert_moved(8)
    scene.assert_moved(8)
    assert scene.hits_and_misses == (1, 1)

    pacs.store(files[8:])
    scene.assert_moved(10)
    scene.assert_moved(10)
    assert scene.hits_and_misses == (2, 2)

    pacs.stop()
    scene.assert_moved(10)
    series = str(pydicom.dcmread(files[0]).SeriesInstanceUID)
    scene.assert_moved(5, "SERIES", SeriesInstanceUID=series)
    assert scene.hits_and_misses == (4, 2)
    assert seed.objects == []
