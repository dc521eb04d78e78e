"""The header Warning, and an outage of the leading archive in it: a viewer is told whose values it has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request

from dcm4py_leading.web.app import create_app
from dcm4py_leading.web.dicomweb.warnings import outage_warnings, warning_header
from tests.fixtures.datasets import make_study
from tests.fixtures.http import served
from tests.fixtures.proxy import QUERY_RULE
from tests.fixtures.scu import store
from tests.fixtures.service import Seed

STUDY = "1.2.826.0.1.3680043.8.498.78"
STUDIES = "/dcm4chee-arc/aets/DCM4CHEE/rs/studies"
OBJECT_RULE = (
    QUERY_RULE.replace("C_FIND_RSP", "C_STORE_RQ")
    .replace("dicomTransferRole: SCU", "dicomTransferRole: SCP")
    .replace("query", "object")
)


def test_texts_stand_in_one_header() -> None:
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [(b"host", b"archive:1")]}
    request = Request(scope)
    assert warning_header(request, outage_warnings(stored=0, last_known=0)) == {}
    (value,) = warning_header(request, outage_warnings(stored=2, last_known=1)).values()
    assert value == (
        '299 archive:1 "A leading archive gives no usable answer: values of 2 studies may be those that are stored", '
        '299 archive:1 "A leading archive gives no usable answer: values of 1 studies are the last known ones"'
    )


@pytest.fixture
def http(seed: Seed, tmp_path: Path) -> Iterator[httpx.Client]:
    """An archive with one study, and rules that ask a leading archive that is not there."""
    seed.lead()
    seed.change(QUERY_RULE, OBJECT_RULE)
    with served(app=create_app(seed.start())) as client:
        files = make_study(tmp_path / "study", patient_id="P1", patient_name="Old^Name", study_uid=STUDY, instances=1)
        assert store(seed.archive_port, files) == [0x0000]
        yield client


def test_stored_names_are_never_delivered_in_silence(http: httpx.Client) -> None:
    told = "values of 1 studies may be those that are stored"
    search = http.get(STUDIES)
    assert search.json()[0]["00100010"]["Value"] == [{"Alphabetic": "Old^Name"}]
    assert told in search.headers["warning"]
    metadata = http.get(f"{STUDIES}/{STUDY}/metadata")
    assert told in metadata.headers["warning"]
    one = metadata.json()[0]
    instance = f"{STUDIES}/{STUDY}/series/{one['0020000E']['Value'][0]}/instances/{one['00080018']['Value'][0]}"
    for path in (f"{STUDIES}/{STUDY}", f"{instance}/frames/1", f"{instance}/rendered"):
        answer = http.get(path)
        assert answer.status_code == 200
        assert told in answer.headers["warning"]
        assert told in http.head(path).headers["warning"]
