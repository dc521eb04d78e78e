"""Objects by DICOMweb with several workers: bytes that pass between processes, and an end that is none."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from dcm4py_leading.service.dicomweb.objects import Named, WantedObjects
from dcm4py_leading.service.dicomweb.web_request import WebRequest
from tests.fixtures.datasets import make_study
from tests.fixtures.multipart import parts_of
from tests.fixtures.scu import store
from tests.fixtures.service import Seed
from tests.fixtures.workers import Serve

STUDY = "1.2.826.0.1.3680043.8.498.75"
PATH = f"/dcm4chee-arc/aets/DCM4CHEE/rs/studies/{STUDY}"


def test_objects_of_any_worker_and_its_failures(seed: Seed, serve: Serve, tmp_path: Path) -> None:
    dist = tmp_path / "dist"
    dist.mkdir()
    (dist / "index.html").write_text('<script src="/app-config.js"></script>')
    served = serve(2, options=["--viewer-dir", str(dist)])
    files = make_study(tmp_path / "s", patient_id="P", patient_name="A^B", study_uid=STUDY, instances=3)
    assert store(seed.archive_port, files) == [0x0000] * 3
    for _ in range(4):  # by each worker
        assert len(parts_of(served.http.get(PATH))) == 3
    assert served.http.get(f"{PATH}.1").status_code == 404
    assert served.metric('dcm4py_requests_total{ae="DCM4CHEE",service="WADO-RS",status="0x0000"}') == 5
    assert '"defaultDataSourceName": "DCM4CHEE"' in served.http.get("/viewer/app-config.js").text
    frames = []
    for _ in range(2):  # by each worker
        (row, *_) = served.http.get(f"{PATH}/metadata").json()
        path = f"{PATH}/series/{row['0020000E']['Value'][0]}/instances/{row['00080018']['Value'][0]}"
        frames += parts_of(served.http.get(f"{path}/frames/1"))
    assert frames[0] == frames[1]
    for _ in range(4):  # each worker has decoders of its own
        assert served.http.get(f"{PATH}/thumbnail", timeout=60).content.startswith(b"\xff\xd8")
    *_, last = parts_of(served.http.get(PATH))
    (file,) = [path for path in seed.objects if last.data_set in path.read_bytes()]
    file.unlink()
    with pytest.raises(httpx.RemoteProtocolError):
        served.http.get(PATH)


def test_question_passes_as_json() -> None:
    request = WebRequest(ae_title="A", client="127.0.0.1", user="", base_url="https://x/rs")
    wanted = WantedObjects(named=Named(request=request, uids=("1.2", "1.3")), transfer_syntaxes=("*", ""), boundary="b")
    assert WantedObjects.from_json(wanted.to_json()) == wanted
