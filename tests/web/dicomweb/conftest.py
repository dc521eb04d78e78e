"""An archive with a few studies, and a client to its DICOMweb."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from dcm4py_leading.web.app import create_app
from tests.fixtures.datasets import make_study
from tests.fixtures.http import served
from tests.fixtures.scu import store
from tests.fixtures.service import Seed

STUDY = "1.2.826.0.1.3680043.8.498.71"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seed]:
    """Three studies of two patients, with two series of one instance each; for tests that change nothing."""
    with ExitStack() as running:
        seed = Seed(tmp_path_factory.mktemp("archive"), running)
        seed.start()
        fill(seed, tmp_path_factory.mktemp("studies"))
        yield seed


def fill(seed: Seed, directory: Path) -> None:
    """Store the studies."""
    for number, (patient, name, date, modality, description) in enumerate(
        [
            ("P1", "Müller^Änne", "20200110", "CT", "Thorax"),
            ("P1", "Müller^Änne", "20210315", "MR", "Head, neck"),
            ("P2", "Smith^John", "20210315", "CT", "Thorax"),
        ]
    ):
        files = make_study(
            directory / str(number),
            patient_id=patient,
            patient_name=name,
            study_uid=f"{STUDY}.{number}",
            instances=2,
            series=2,
            modality=modality,
            attributes={"StudyDate": date, "StudyTime": f"1{number}0000", "StudyDescription": description},
        )
        assert store(seed.archive_port, files) == [0x0000] * len(files)


@pytest.fixture(scope="module")
def http(archive: Seed) -> Iterator[httpx.Client]:
    """A client below the resources of the archive's AE."""
    with served(app=create_app(archive.service)) as client:
        client.base_url = client.base_url.join("/dcm4chee-arc/aets/DCM4CHEE/rs/")
        yield client
