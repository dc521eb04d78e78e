"""STOW-RS with several workers: bodies that pass between processes, and a worker that dies in the middle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dcm4py_leading.service.dicomweb.stored import StoredInstance, StoreOutcome, WantedStore
from dcm4py_leading.service.dicomweb.web_request import WebRequest
from tests.fixtures.datasets import make_study
from tests.fixtures.service import Seed
from tests.fixtures.stow import chunked, multipart, post, stored
from tests.fixtures.workers import Serve, kill, until, until_replaced

STUDY = "1.2.826.0.1.3680043.8.498.78"
PATH = "/dcm4chee-arc/aets/DCM4CHEE/rs/studies"


def test_bodies_pass_to_any_worker_and_whole_objects_of_one_that_dies_stay(
    seed: Seed, serve: Serve, tmp_path: Path
) -> None:
    served = serve(2)
    large = {"Rows": 512, "Columns": 512, "PixelData": bytes(2 * 512 * 512)}
    files = make_study(
        tmp_path / "s", patient_id="P", patient_name="A^B", study_uid=STUDY, instances=6, attributes=large
    )
    for number in (0, 2):  # by each worker
        answer = post(served.http, PATH, chunked(multipart(files[number : number + 2])))
        assert (answer.status_code, len(stored(answer))) == (200, 2)
    assert len(seed.objects) == 4
    assert served.metric('dcm4py_requests_total{ae="DCM4CHEE",service="STOW-RS",status="0x0000"}') == 4
    body = multipart(files[4:])
    pids = served.pids()

    def dying() -> Iterator[bytes]:
        yield body[:-100_000]
        until(lambda: served.told().count("stored=new") == 5)  # and the last one arrives
        for pid in pids:
            kill(pid)
        yield body[-100_000:]

    answer = post(served.http, PATH, dying())
    assert (answer.status_code, "errorMessage" in answer.json()) == (503, True)
    until_replaced(served, pids)
    until(lambda: len(seed.objects) == 5)
    answer = post(served.http, PATH, body)
    assert (answer.status_code, len(stored(answer)), len(seed.objects)) == (200, 2, 6)


def test_request_passes_as_json() -> None:
    request = WebRequest(ae_title="A", client="127.0.0.1", user="", base_url="https://x/rs")
    wanted = WantedStore(request=request, study_instance_uid=None, media_type="application/dicom", boundary="b")
    assert WantedStore.from_json(wanted.to_json()) == wanted
    outcome = StoreOutcome(instances=(StoredInstance(sop_instance_uid="1.2", status=0xA700),), fault="f")
    assert StoreOutcome.from_json(outcome.to_json()) == outcome
