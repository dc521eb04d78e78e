"""A modality stores through us into a real PACS, and viewers find and retrieve it there through us."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from dcm4py_leading.web.app import create_app
from tests.fixtures.datasets import CT, MR, make_study
from tests.fixtures.dcmtk import DcmQrScp, Outcome, StoreScp, dcmsend, findscu, getscu, movescu, storescu
from tests.fixtures.http import served
from tests.fixtures.orthanc import Orthanc
from tests.fixtures.ports import free_port
from tests.fixtures.processes import Peer
from tests.fixtures.proxy import stand_in_front_of
from tests.fixtures.service import DEVICE, Seed
from tests.fixtures.stow import chunked, failed, multipart, post, stored

STUDY = "1.2.826.0.1.3680043.8.498.72"
COMPRESSED = ("MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "SC_rgb_jpeg_dcmtk.dcm")
KEYS = {"StudyInstanceUID": STUDY}


class Scene:
    """Ours in front of PACS, which is empty; nothing is coerced unless a rule is added."""

    def __init__(self, seed: Seed, pacs: Orthanc | DcmQrScp, pacs_port: int, directory: Path) -> None:
        self.seed, self.pacs, self.directory = seed, pacs, directory
        self._pacs_port = pacs_port

    def make(self, name: str = "sent", **settings: object) -> list[Path]:
        """The files of a study that nobody has."""
        settings = {"patient_id": "OLD", "patient_name": "Old^Name", "study_uid": STUDY, **settings}
        return make_study(self.directory / name, **settings)  # type: ignore[arg-type]

    def in_the_pacs(self) -> dict[str, Dataset]:
        """What the PACS has of the study, from it itself."""
        got = getscu(self._pacs_port, self.directory / "got", called_ae_title="PACS", level="STUDY", keys=KEYS)
        assert got.status == 0x0000, got.output
        return {ds.SOPInstanceUID: ds for ds in map(pydicom.dcmread, got.files)}

    def instance_count(self) -> int:
        """How many objects the PACS has got."""
        return (
            self.pacs.instance_count() if isinstance(self.pacs, Orthanc) else len(list(self.pacs.storage.glob("*.dcm")))
        )

    def storescu(self, files: list[Path], *options: str) -> Outcome:
        return storescu(
            self.seed.archive_port,
            files,
            called_ae_title="DCM4CHEE",
            calling_ae_title="MODALITY",
            options=options or ("-R",),
        )


@pytest.fixture(params=["orthanc", "dcmqrscp"])
def scene(
    request: pytest.FixtureRequest,
    seed: Seed,
    orthanc: Callable[..., Orthanc],
    dcmqrscp: Callable[..., DcmQrScp],
    tmp_path: Path,
) -> Scene:
    port = free_port()
    us = Peer(ae_title="DCM4CHEE", port=seed.archive_port)
    pacs: Orthanc | DcmQrScp
    if request.param == "orthanc":
        pacs = orthanc(ae_title="PACS", destinations=[us], settings={"DicomPort": port})
    else:
        pacs = dcmqrscp(ae_title="PACS", port=port, destinations=[us])
    stand_in_front_of(seed, port)
    seed.start()
    return Scene(seed, pacs, port, tmp_path)


def read(files: list[Path]) -> dict[str, Dataset]:
    return {ds.SOPInstanceUID: ds for ds in map(pydicom.dcmread, files)}


def are_the_same(got: dict[str, Dataset], sent: dict[str, Dataset]) -> bool:
    """But for Data Set Trailing Padding, which DCMTK does not send."""
    for ds in sent.values():
        if "DataSetTrailingPadding" in ds:
            del ds.DataSetTrailingPadding
    return got == sent


@pytest.mark.ldap("dcmSpanningCFindSCPPolicy")
def test_a_stored_study_is_in_the_pacs_and_is_found_and_retrieved_through_us(
    scene: Scene, storescp: Callable[..., StoreScp]
) -> None:
    viewer = storescp(port=scene.seed.viewer_port)
    files = scene.make(instances=6, sources=(CT, MR))
    outcome = scene.storescu(files)
    assert [response.status for response in outcome.responses] == [0x0000] * 6
    assert are_the_same(scene.in_the_pacs(), read(files))
    found = findscu(scene.seed.archive_port, called_ae_title="DCM4CHEE", level="STUDY", keys={**KEYS, "PatientID": ""})
    assert [match.PatientID for match in found.matches] == ["OLD"]
    moved = movescu(
        scene.seed.archive_port, called_ae_title="DCM4CHEE", destination="STORESCP", level="STUDY", keys=KEYS
    )
    assert (moved.status, moved.final.completed) == (0x0000, 6)
    assert {ds.SOPInstanceUID for ds in viewer.datasets()} == read(files).keys()
    assert scene.seed.objects == []


def test_500_objects_are_stored(scene: Scene) -> None:
    files = scene.make(instances=250, series=2)
    outcome = scene.storescu(files)
    assert [response.status for response in outcome.responses] == [0x0000] * 500
    assert scene.instance_count() == 500


@pytest.mark.parametrize("scene", ["orthanc"], indirect=True)  # dcmqrscp gives files of several callers one name
def test_four_modalities_at_once_are_served(scene: Scene) -> None:
    studies = [scene.make(str(number), study_uid=f"{STUDY}.{number}", instances=20) for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(scene.storescu, studies))
    assert [response.status for outcome in outcomes for response in outcome.responses] == [0x0000] * 80
    assert scene.instance_count() == 80


@pytest.mark.parametrize("scene", ["orthanc"], indirect=True)
def test_compressed_objects_get_there_as_they_are(scene: Scene) -> None:
    files = scene.make(instances=6, sources=COMPRESSED)
    outcome = dcmsend(scene.seed.archive_port, files, called_ae_title="DCM4CHEE")
    assert outcome.returncode == 0, outcome.output
    sent = read(files)
    assert isinstance(scene.pacs, Orthanc)
    got = [scene.pacs.instance(one) for one in scene.pacs.rest("GET", "/instances")]
    assert sorted(ds.SOPInstanceUID for ds in got) == sorted(sent)
    for ds in got:
        assert ds.file_meta.TransferSyntaxUID == sent[ds.SOPInstanceUID].file_meta.TransferSyntaxUID
        assert ds.PixelData == sent[ds.SOPInstanceUID].PixelData


@pytest.mark.parametrize("scene", ["dcmqrscp"], indirect=True)
@pytest.mark.parametrize(("name", "option"), [("MR_small_RLE.dcm", "-xr"), ("MR_small_jp2klossless.dcm", "-xv")])
def test_a_pacs_of_uncompressed_objects_gets_compressed_ones_decoded(scene: Scene, name: str, option: str) -> None:
    files = scene.make(instances=2, sources=(name,))
    plain = pydicom.dcmread(scene.make("plain", instances=1, sources=(MR,))[0])
    outcome = scene.storescu(files, option)
    assert [response.status for response in outcome.responses] == [0x0000] * 2, outcome.output
    got = scene.in_the_pacs()
    assert got.keys() == read(files).keys()
    assert {ds.file_meta.TransferSyntaxUID for ds in got.values()} == {ExplicitVRLittleEndian}
    assert {ds.PixelData for ds in got.values()} == {plain.PixelData}


def test_rules_for_objects_to_the_pacs_change_what_it_gets(scene: Scene) -> None:
    scene.seed.change(
        f"dn: cn=to the PACS,{DEVICE}\nchangetype: add\nobjectClass: dcmArchiveAttributeCoercion2\ncn: to the PACS\n"
        "dcmDIMSE: C_STORE_RQ\ndicomTransferRole: SCP\ndcmProperty: ReceivingApplicationEntityTitle=PACS\n"
        "dcmURI: merge-attrs:\ndcmMergeAttribute: PatientID=MODALITY-{PatientID}"
    )
    scene.seed.service.reload()
    files = scene.make()
    assert scene.storescu(files).returncode == 0
    got = scene.in_the_pacs()
    assert {ds.PatientID for ds in got.values()} == {"MODALITY-OLD"}
    for uid, ds in read(files).items():
        assert got[uid].PixelData == ds.PixelData


def test_pacs_down_is_named_and_a_second_send_succeeds(scene: Scene) -> None:
    files = scene.make()
    scene.pacs.stop()
    outcome = scene.storescu(files)
    assert outcome.status == 0xC000
    assert "PACS at localhost" in outcome.output
    scene.pacs.start()
    assert scene.storescu(files).returncode == 0
    assert are_the_same(scene.in_the_pacs(), read(files))


def test_objects_by_stow_reach_the_pacs(scene: Scene) -> None:
    files = scene.make(sources=(CT, MR), instances=4)
    path = f"/dcm4chee-arc/aets/DCM4CHEE/rs/studies/{STUDY}"
    with served(app=create_app(scene.seed.service)) as http:
        answer = post(http, path, chunked(multipart(files)))
        assert (answer.status_code, len(stored(answer))) == (200, 4), answer.text
        other = post(http, f"{path}.9", multipart(files[:1]))
        assert (other.status_code, list(failed(other).values())) == (409, [0xA900])
    assert are_the_same(scene.in_the_pacs(), read(files))
    assert scene.seed.objects == []


def test_objects_by_stow_fail_while_the_pacs_is_down(scene: Scene) -> None:
    files = scene.make(instances=2)
    scene.pacs.stop()
    with served(app=create_app(scene.seed.service)) as http:
        answer = post(http, "/dcm4chee-arc/aets/DCM4CHEE/rs/studies", multipart(files))
    assert (answer.status_code, list(failed(answer).values())) == (409, [0xC000] * 2)
    assert scene.seed.objects == []
