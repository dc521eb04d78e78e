"""In front of a real PACS: queries and retrieves go through, answers and objects are coerced."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pydicom
import pytest

from tests.fixtures.datasets import CT, make_study
from tests.fixtures.dcmtk import DcmQrScp, Outcome, StoreScp, dcmsend, findscu, getscu, movescu
from tests.fixtures.orthanc import Orthanc
from tests.fixtures.ports import free_port
from tests.fixtures.processes import Peer
from tests.fixtures.proxy import QUERY_RULE, await_rest, remote_device, stand_in_front_of
from tests.fixtures.scu import get, identifier
from tests.fixtures.service import AE, DEVICE, Seed

STUDY = "1.2.826.0.1.3680043.8.498.71"
MR = "MR_small.dcm"
NEW = ("NEW", "New^Name")


class Scene:
    """Ours in front of PACS, which has studies of OLD; the leading archive has them as NEW."""

    def __init__(self, seed: Seed, pacs: Orthanc | DcmQrScp, leading: Orthanc | DcmQrScp, directory: Path) -> None:
        self.seed, self.pacs, self.leading = seed, pacs, leading
        self._directory = directory

    def has(self, uid: str, **settings: Any) -> list[Path]:
        """Let both archives have a study; the files of the PACS."""
        old, new = self._directory / f"old-{uid}", self._directory / f"new-{uid}"
        files = make_study(old, patient_id="OLD", patient_name="Old^Name", study_uid=uid, **settings)
        self.pacs.store(files)
        self.leading.store(make_study(new, patient_id="NEW", patient_name="New^Name", study_uid=uid, instances=1))
        return files

    def find(self, level: str, model: Any = "STUDY", options: tuple[str, ...] = (), **keys: str) -> Outcome:
        return findscu(
            self.seed.archive_port, called_ae_title="DCM4CHEE", level=level, model=model, keys=keys, options=options
        )

    def move(
        self,
        level: str,
        model: Any = "STUDY",
        options: tuple[str, ...] = (),
        destination: str = "STORESCP",
        **keys: str,
    ) -> Outcome:
        return movescu(
            self.seed.archive_port,
            called_ae_title="DCM4CHEE",
            destination=destination,
            level=level,
            model=model,
            keys=keys,
            options=options,
        )

    def get(self, level: str, model: Any = "STUDY", options: tuple[str, ...] = ("+B",), **keys: str) -> Outcome:
        return getscu(
            self.seed.archive_port,
            self._directory / "got",
            called_ae_title="DCM4CHEE",
            calling_ae_title="STORESCP",
            level=level,
            model=model,
            keys=keys,
            options=options,
        )


@pytest.fixture(params=["orthanc", "dcmqrscp", "dcmqrscp without C-GET"])
def scene(
    request: pytest.FixtureRequest,
    seed: Seed,
    orthanc: Callable[..., Orthanc],
    dcmqrscp: Callable[..., DcmQrScp],
    tmp_path: Path,
) -> Scene:
    """Orthanc or dcmqrscp as the PACS, the other one leads. There are no studies yet."""
    seed.lead()
    port = free_port()
    us = Peer(ae_title="DCM4CHEE", port=seed.archive_port)
    pacs: Orthanc | DcmQrScp
    leading: Orthanc | DcmQrScp
    if request.param == "orthanc":
        pacs = orthanc(ae_title="PACS", destinations=[us], settings={"DicomPort": port})
        leading = dcmqrscp(port=seed.leading_port)
    else:
        options = ("--disable-get",) if "without" in request.param else ()
        pacs = dcmqrscp(ae_title="PACS", port=port, destinations=[us], options=options)
        leading = orthanc(ae_title="QRSCP", settings={"DicomPort": seed.leading_port})
    seed.change(QUERY_RULE)
    stand_in_front_of(seed, port)
    seed.start()
    return Scene(seed, pacs, leading, tmp_path)


def identities(objects: list[pydicom.Dataset] | list[Path]) -> set[tuple[str, str]]:
    read = [pydicom.dcmread(one) if isinstance(one, Path) else one for one in objects]
    return {(ds.PatientID, str(ds.PatientName)) for ds in read}


@pytest.mark.ldap("dcmSpanningCFindSCP")
def test_matches_of_the_pacs_are_answered_with_the_leading_values(scene: Scene) -> None:
    for number in (0, 1):
        scene.has(f"{STUDY}.{number}")
    outcome = scene.find("STUDY", StudyInstanceUID="", PatientID="OLD", PatientName="", RetrieveAETitle="")
    assert outcome.status == 0x0000
    assert {(m.StudyInstanceUID, m.PatientID, str(m.PatientName), m.RetrieveAETitle) for m in outcome.matches} == {
        (f"{STUDY}.{number}", *NEW, "DCM4CHEE") for number in (0, 1)
    }


@pytest.mark.ldap("dcmSpanningCFindSCP")
def test_every_level_of_both_models_is_queried(scene: Scene) -> None:
    files = [pydicom.dcmread(path) for path in scene.has(STUDY, instances=2, series=2)]
    first = files[0]
    patient, study = {"PatientID": "OLD"}, {"StudyInstanceUID": STUDY}
    series = {**study, "SeriesInstanceUID": first.SeriesInstanceUID}
    for model, above in (("PATIENT", patient), ("STUDY", {})):
        for level, keys, unique, count in (
            ("STUDY", above, "StudyInstanceUID", 1),
            ("SERIES", {**above, **study}, "SeriesInstanceUID", 2),
            ("IMAGE", {**above, **series}, "SOPInstanceUID", 2),
        ):
            outcome = scene.find(level, model, **{unique: "", **keys})
            assert outcome.status == 0x0000, (model, level, outcome.output)
            assert len(outcome.pending) == len({m[unique].value for m in outcome.matches}) == count, (model, level)
    outcome = scene.find("PATIENT", "PATIENT", PatientID="OLD", PatientName="")
    assert (outcome.status, len(outcome.matches)) == (0x0000, 1)


@pytest.mark.ldap("dcmSpanningCFindSCP")
def test_a_cancelled_query_ends_with_fe00(scene: Scene) -> None:
    scene.has(STUDY, instances=200)
    (row,) = scene.find("SERIES", StudyInstanceUID=STUDY, SeriesInstanceUID="").matches
    outcome = scene.find(
        "IMAGE",
        options=("--cancel", "1"),
        StudyInstanceUID=STUDY,
        SeriesInstanceUID=row.SeriesInstanceUID,
        SOPInstanceUID="",
    )
    assert outcome.status == 0xFE00
    assert 1 <= len(outcome.pending) < 200


@pytest.mark.ldap("dcmFallbackCMoveSCP")
def test_every_level_is_moved_with_the_leading_values(scene: Scene, storescp: Callable[..., StoreScp]) -> None:
    viewer = storescp(port=scene.seed.viewer_port)
    first = pydicom.dcmread(scene.has(STUDY, instances=2, series=2)[0])
    study = {"StudyInstanceUID": STUDY}
    series = {**study, "SeriesInstanceUID": first.SeriesInstanceUID}
    for model, level, keys, count in (
        ("STUDY", "STUDY", study, 4),
        ("STUDY", "SERIES", series, 2),
        ("STUDY", "IMAGE", {**series, "SOPInstanceUID": first.SOPInstanceUID}, 1),
        ("PATIENT", "STUDY", {"PatientID": "OLD", **study}, 4),
        ("PATIENT", "PATIENT", {"PatientID": "OLD"}, 4),
    ):
        before = len(viewer.store_requests())
        outcome = scene.move(level, model, **keys)
        assert outcome.status == 0x0000, (model, level, outcome.output)
        assert outcome.final.completed == len(viewer.store_requests()) - before == count, (model, level)
        assert not outcome.final.failed and not outcome.final.warning
    assert identities(viewer.datasets()) == {NEW}
    assert {ds.StudyInstanceUID for ds in viewer.datasets()} == {STUDY}
    assert scene.seed.objects == []


@pytest.mark.ldap("dcmFallbackCMoveSCP")
def test_pacs_decides_about_a_study_that_is_not_here(scene: Scene, storescp: Callable[..., StoreScp]) -> None:
    storescp(port=scene.seed.viewer_port)
    outcome = scene.move("STUDY", StudyInstanceUID="1.2.3")
    assert outcome.status == (0xC000 if isinstance(scene.pacs, Orthanc) else 0x0000)
    assert not outcome.final.completed


@pytest.mark.ldap("dcmFallbackCMoveSCP", "dcmSendPendingCGet")
def test_a_study_is_got_with_the_leading_values_and_a_pending_response_an_object(scene: Scene) -> None:
    scene.has(STUDY, instances=5)
    outcome = scene.get("STUDY", StudyInstanceUID=STUDY)
    assert outcome.status == 0x0000
    assert outcome.final.completed == len(outcome.files) == 5
    assert identities(list(outcome.files)) == {NEW}
    assert [response.completed for response in outcome.pending] == [1, 2, 3, 4]
    assert [response.remaining for response in outcome.pending] == [4, 3, 2, 1]


@pytest.mark.ldap("dcmFallbackCMoveSCP")
def test_500_objects_are_moved_each_once(scene: Scene, storescp: Callable[..., StoreScp]) -> None:
    viewer = storescp(port=scene.seed.viewer_port)
    sent = [pydicom.dcmread(path).SOPInstanceUID for path in scene.has(STUDY, instances=250, series=2)]
    outcome = scene.move("STUDY", StudyInstanceUID=STUDY)
    assert outcome.status == 0x0000
    assert outcome.final.completed == 500
    assert sorted(request.sop_instance_uid for request in viewer.store_requests()) == sorted(sent)
    assert identities(viewer.datasets()) == {NEW}
    await_rest(scene.seed)


@pytest.mark.ldap("dcmFallbackCMoveSCP")
def test_a_cancelled_move_ends_with_fe00_and_counts_that_add_up(
    scene: Scene, storescp: Callable[..., StoreScp]
) -> None:
    scene.seed.set(DEVICE, dcmSendPendingCMoveInterval="PT0.01S")
    scene.seed.service.reload()
    viewer = storescp(port=scene.seed.viewer_port)
    scene.has(STUDY, instances=250)
    outcome = scene.move("STUDY", options=("--cancel", "1"), StudyInstanceUID=STUDY)
    final = outcome.final
    assert final.status == 0xFE00, outcome.output
    assert final.completed == len(viewer.store_requests()) < 250
    assert final.remaining is not None and final.completed is not None
    assert 0 < final.remaining <= 250 - final.completed
    await_rest(scene.seed)
    assert scene.seed.objects == []


@pytest.mark.ldap("dcmFallbackCMoveSCP")
def test_objects_that_the_viewer_refuses_are_failed_and_named(scene: Scene) -> None:
    files = scene.has(STUDY, instances=6, sources=(CT, MR))
    refused = [ds.SOPInstanceUID for ds in map(pydicom.dcmread, files) if ds.Modality == "MR"]
    responses, received = get(scene.seed.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))
    final, failed = responses[-1]
    assert (final.Status, final.NumberOfCompletedSuboperations, final.NumberOfFailedSuboperations) == (0xB000, 3, 3)
    assert failed is not None and sorted(failed.FailedSOPInstanceUIDList) == sorted(refused)
    assert {ds.Modality for ds in received} == {"CT"}


@pytest.mark.ldap("dcmFallbackCMoveSCP")
def test_a_viewer_that_refuses_all_gets_a702_and_every_uid(scene: Scene) -> None:
    files = scene.has(STUDY, instances=3, sources=(MR,))
    responses, received = get(scene.seed.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))
    final, failed = responses[-1]
    assert (final.Status, final.NumberOfCompletedSuboperations, final.NumberOfFailedSuboperations) == (0xA702, 0, 3)
    assert failed is not None
    assert sorted(failed.FailedSOPInstanceUIDList) == sorted(pydicom.dcmread(path).SOPInstanceUID for path in files)
    assert received == []


@pytest.mark.ldap("dcmFallbackCMoveSCP")
def test_two_viewers_of_the_same_study_at_once_get_each_object_once(
    scene: Scene, storescp: Callable[..., StoreScp]
) -> None:
    second = storescp(ae_title="SECOND")
    scene.seed.change(remote_device("SECOND", second.port))
    scene.seed.service.reload()
    viewers = {"STORESCP": storescp(port=scene.seed.viewer_port), "SECOND": second}
    sent = sorted(pydicom.dcmread(path).SOPInstanceUID for path in scene.has(STUDY, instances=40))
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(lambda title: scene.move("STUDY", destination=title, StudyInstanceUID=STUDY), viewers))
    assert [(outcome.status, outcome.final.completed) for outcome in outcomes] == [(0x0000, 40)] * 2
    for viewer in viewers.values():
        assert sorted(request.sop_instance_uid for request in viewer.store_requests()) == sent
    await_rest(scene.seed)


@pytest.mark.ldap("dcmSpanningCFindSCPPolicy")
def test_stored_studies_are_served_from_here_beside_the_pacs(
    scene: Scene, storescp: Callable[..., StoreScp], tmp_path: Path
) -> None:
    scene.seed.set(DEVICE, dcmSpanningCFindSCPPolicy="SUPPLEMENT")
    scene.seed.service.reload()
    viewer = storescp(port=scene.seed.viewer_port)
    scene.has(f"{STUDY}.1")
    ours = make_study(tmp_path / "ours", patient_id="OURS", patient_name="Own^Name", study_uid=f"{STUDY}.2")
    assert dcmsend(scene.seed.archive_port, ours, called_ae_title="DCM4CHEE").returncode == 0
    outcome = scene.find("STUDY", StudyInstanceUID="", PatientID="", PatientName="")
    assert {(m.StudyInstanceUID, m.PatientID) for m in outcome.matches} == {
        (f"{STUDY}.1", "NEW"),
        (f"{STUDY}.2", "OURS"),
    }
    for number in (1, 2):
        assert scene.move("STUDY", StudyInstanceUID=f"{STUDY}.{number}").final.completed == 3
    assert {(ds.StudyInstanceUID, ds.PatientID) for ds in viewer.datasets()} == {
        (f"{STUDY}.1", "NEW"),
        (f"{STUDY}.2", "OURS"),
    }


@pytest.mark.ldap("dcmFallbackCMoveSCP")
@pytest.mark.parametrize("scene", ["orthanc"], indirect=True)
def test_compressed_objects_stay_as_they_are(scene: Scene, storescp: Callable[..., StoreScp]) -> None:
    viewer = storescp(port=scene.seed.viewer_port)
    sources = ("MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "SC_rgb_jpeg_dcmtk.dcm", MR)
    files = scene.has(STUDY, instances=8, sources=sources)
    sent = {ds.SOPInstanceUID: ds for ds in map(pydicom.dcmread, files)}
    outcome = scene.move("STUDY", StudyInstanceUID=STUDY)
    assert (outcome.status, outcome.final.completed) == (0x0000, 8)
    got = {ds.SOPInstanceUID: ds for ds in viewer.datasets()}
    assert got.keys() == sent.keys()
    assert identities(list(got.values())) == {NEW}
    for uid, ds in got.items():
        assert ds.file_meta.TransferSyntaxUID == sent[uid].file_meta.TransferSyntaxUID
        assert ds.PixelData == sent[uid].PixelData


@pytest.mark.ldap("dcmFallbackCMoveSCP", "dcmSpanningCFindSCP")
def test_a_pacs_that_is_down_is_named_in_the_error_comment(scene: Scene, storescp: Callable[..., StoreScp]) -> None:
    storescp(port=scene.seed.viewer_port)
    scene.has(STUDY)
    scene.pacs.stop()
    for outcome in (
        scene.find("STUDY", StudyInstanceUID=STUDY),
        scene.move("STUDY", StudyInstanceUID=STUDY),
        scene.get("STUDY", StudyInstanceUID=STUDY),
    ):
        assert outcome.status == 0xC000
        assert "PACS at localhost" in outcome.output
    scene.pacs.start()
    assert len(scene.find("STUDY", StudyInstanceUID=STUDY).matches) == 1
    assert scene.move("STUDY", StudyInstanceUID=STUDY).final.completed == 3


@pytest.mark.ldap("dcmQueryMaxNumberOfResults")
def test_more_matches_than_the_limit_are_refused(scene: Scene) -> None:
    scene.has(STUDY, instances=3)
    series = scene.find("SERIES", StudyInstanceUID=STUDY, SeriesInstanceUID="").matches[0].SeriesInstanceUID
    keys = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": series, "SOPInstanceUID": ""}
    scene.seed.set(AE, dcmQueryMaxNumberOfResults="3")
    scene.seed.service.reload()
    assert len(scene.find("IMAGE", **keys).matches) == 3
    scene.seed.set(AE, dcmQueryMaxNumberOfResults="2")
    scene.seed.service.reload()
    assert scene.find("IMAGE", **keys).status == 0xA700
