"""STOW-RS with several workers: bodies that pass between processes, and a worker that dies in the middle."""

from __future__ import annotations

from pathlib import Path

from dcm4py_leading.service.dicomweb.stored import StoredInstance, StoreOutcome, WantedStore
from dcm4py_leading.service.dicomweb.web_request import WebRequest
from tests.fixtures.datasets import make_study
from tests.fixtures.service import Seed
from tests.fixtures.stow import chunked, multipart, post, stored
from tests.fixtures.workers import Serve

STUDY = "1.2.826.0.1.3680043.8.498.78"
PATH = "/dcm4chee-arc/aets/DCM4CHEE/rs/studies"


def test_bodies_pass_to_any_worker(seed: Seed, serve: Serve, tmp_path: Path) -> None:
    served = serve(2)
    files = make_study(tmp_path / "s", patient_id="P", patient_name="A^B", study_uid=STUDY, instances=6)
    for number in (0, 3):  # by each worker
        answer = post(served.http, PATH, chunked(multipart(files[number : number + 3])))
        assert (answer.status_code, len(stored(answer))) == (200, 3)
    assert len(seed.objects) == 6
    assert served.metric('dcm4py_requests_total{ae="DCM4CHEE",service="STOW-RS",status="0x0000"}') == 6


def test_request_passes_as_json() -> None:
    request = WebRequest(ae_title="A", client="127.0.0.1", user="", base_url="https://x/rs")
    wanted = WantedStore(request=request, study_instance_uid=None, media_type="application/dicom", boundary="b")
    assert WantedStore.from_json(wanted.to_json()) == wanted
    outcome = StoreOutcome(instances=(StoredInstance(sop_instance_uid="1.2", status=0xA700),), fault="f")
    assert StoreOutcome.from_json(outcome.to_json()) == outcome
