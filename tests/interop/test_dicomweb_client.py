"""DICOMweb as Python's dicomweb-client asks for it: of the archive here, and through the proxy in front of Orthanc."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom import Dataset
from requests import HTTPError

from dcm4py_leading.web.app import create_app
from tests.fixtures.datasets import make_study
from tests.fixtures.dcmtk import dcmsend
from tests.fixtures.http import served
from tests.fixtures.orthanc import Orthanc
from tests.fixtures.proxy import QUERY_RULE, stand_in_front_of
from tests.fixtures.service import Seed

STUDY = "1.2.826.0.1.3680043.8.498.73"


@pytest.fixture
def running() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def client(seed: Seed, running: ExitStack) -> DICOMwebClient:
    """A client to the service, which is started."""
    service = seed.start()
    http = running.enter_context(served(app=create_app(service)))
    web = DICOMwebClient(url=f"{str(http.base_url).rstrip('/')}/dcm4chee-arc/aets/DCM4CHEE/rs")
    web._session.trust_env = False
    return web


def study(directory: Path, number: int, name: str, patient_id: str, **settings: Any) -> list[Path]:
    return make_study(
        directory / f"{patient_id}{number}",
        patient_id=patient_id,
        patient_name=name,
        study_uid=f"{STUDY}.{number}",
        **settings,
    )


def as_data_set(row: dict[str, Any]) -> Dataset:
    """The attributes without large values."""
    return Dataset.from_json(row, lambda _: b"")


def told(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Study and patient of each row, as pydicom reads them."""
    found = [as_data_set(row) for row in rows]
    return [(str(ds.StudyInstanceUID).rpartition(".")[2], str(ds.PatientName)) for ds in found]


@pytest.fixture(params=["here", "proxy"])
def fronted(
    request: pytest.FixtureRequest, seed: Seed, orthanc: Callable[..., Orthanc], tmp_path: Path, running: ExitStack
) -> DICOMwebClient:
    """Three studies of Old^Name, here or in a PACS that the service stands in front of, and New^Name in the leading."""
    seed.lead(dcmProperty=[])
    seed.change(QUERY_RULE)
    leader = orthanc(ae_title="QRSCP", settings={"DicomPort": seed.leading_port})
    for number in range(3):
        leader.store(study(tmp_path / "new", number, "New^Name", "NEW", instances=1))
    files = [file for n in range(3) for file in study(tmp_path / "old", n, "Old^Name", "OLD", series=2, instances=2)]
    if request.param == "proxy":
        pacs = orthanc(ae_title="PACS")
        pacs.store(files)
        stand_in_front_of(seed, pacs.port)
    web = client(seed, running)
    if request.param == "here":
        assert dcmsend(seed.archive_port, files, called_ae_title="DCM4CHEE").returncode == 0
    return web


def test_every_resource_has_the_leading_values(fronted: DICOMwebClient) -> None:
    new = [(str(number), "New^Name") for number in range(3)]
    assert sorted(told(fronted.search_for_studies())) == new
    (row,) = fronted.search_for_studies(search_filters={"StudyInstanceUID": f"{STUDY}.1"}, fields=["StudyDate"])
    assert told([row]) == [("1", "New^Name")]
    assert row["00081190"]["Value"][0].endswith(f"/rs/studies/{STUDY}.1")
    series = fronted.search_for_series(f"{STUDY}.2", fields=["PatientName"])
    assert told(series) == [("2", "New^Name")] * 2
    uid = series[0]["0020000E"]["Value"][0]
    instances = fronted.search_for_instances(f"{STUDY}.2", uid, fields=["PatientName"])
    assert told(instances) == [("2", "New^Name")] * 2
    assert len(fronted.search_for_instances(f"{STUDY}.2")) == 4
    assert fronted.search_for_studies(search_filters={"PatientID": "NOBODY"}) == []


def test_pages_are_read_to_their_end(fronted: DICOMwebClient) -> None:
    rows = fronted.search_for_studies(limit=2, get_remaining=True)
    assert sorted(told(rows)) == [(str(number), "New^Name") for number in range(3)]
    assert told(fronted.search_for_studies(limit=1, offset=1)) == told(rows)[1:2]


def test_relational_search_that_the_pacs_does_not_answer_is_501(
    seed: Seed, orthanc: Callable[..., Orthanc], running: ExitStack
) -> None:
    stand_in_front_of(seed, orthanc(ae_title="PACS").port)
    web = client(seed, running)
    with pytest.raises(HTTPError, match=r"501 .*/rs/series"):
        web.search_for_series(search_filters={"PatientID": "OLD"})


def test_metadata_objects_frames_bulk_data_and_pictures(fronted: DICOMwebClient) -> None:
    rows = fronted.retrieve_study_metadata(f"{STUDY}.1")
    assert told(rows) == [("1", "New^Name")] * 4
    for row in rows:
        metadata = as_data_set(row)
        uids = (metadata.StudyInstanceUID, metadata.SeriesInstanceUID, metadata.SOPInstanceUID)
        ds = fronted.retrieve_instance(*uids)
        assert (ds.PatientName, ds.PatientID, ds.Rows) == ("New^Name", "NEW", metadata.Rows)
        assert fronted.retrieve_instance_frames(*uids, frame_numbers=[1]) == [ds.PixelData]
        # The client's Host lacks the port, so URLs that are built from it do too.
        path = urlsplit(row["7FE00010"]["BulkDataURI"]).path
        assert fronted.retrieve_bulkdata(urljoin(fronted.base_url, path)) == [ds.PixelData]
    (series,) = {str(row["0020000E"]["Value"][0]) for row in rows[:1]}
    assert len(fronted.retrieve_series(f"{STUDY}.1", series)) == 2
    assert len(fronted.retrieve_series_metadata(f"{STUDY}.1", series)) == 2
    assert fronted.retrieve_instance_rendered(*uids, media_types=("image/png",)).startswith(b"\x89PNG")
