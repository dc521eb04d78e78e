"""DICOMweb with several workers: rows that pass between processes."""

from __future__ import annotations

from pathlib import Path

from dcm4py_leading.model.values import Level
from dcm4py_leading.service.dicomweb.search import Search
from dcm4py_leading.service.dicomweb.web_request import WebRequest
from tests.fixtures.datasets import make_study
from tests.fixtures.scu import store
from tests.fixtures.service import Seed
from tests.fixtures.workers import Serve

STUDY = "1.2.826.0.1.3680043.8.498.72"
PATH = "/dcm4chee-arc/aets/DCM4CHEE/rs"


def test_rows_of_any_worker_and_its_refusals(seed: Seed, serve: Serve, tmp_path: Path) -> None:
    served = serve(2)
    for number in range(3):
        files = make_study(
            tmp_path / str(number), patient_id="P", patient_name="A^B", study_uid=f"{STUDY}.{number}", instances=1
        )
        assert store(seed.archive_port, files) == [0x0000]
    for _ in range(4):  # by each worker
        answer = served.http.get(f"{PATH}/studies?limit=2&orderby=-StudyInstanceUID")
        assert [row["0020000D"]["Value"][0][-1] for row in answer.json()] == ["2", "1"]
        assert "There are 1 additional" in answer.headers["warning"]
    assert served.http.get(f"{PATH}/instances/count").json() == {"count": 3}
    assert served.http.get(f"{PATH}/studies?PatientID=NOBODY").status_code == 204
    assert served.http.get(f"{PATH}/studies?StudyDate=soon").status_code == 400
    assert served.http.get("/dcm4chee-arc/aets/NOBODY/rs/studies").status_code == 404
    assert served.metric('dcm4py_requests_total{ae="DCM4CHEE",service="QIDO-RS",status="0x0000"}') == 6


def test_search_passes_as_json() -> None:
    request = WebRequest(ae_title="A", client="127.0.0.1", user="", base_url="https://x/rs")
    wanted = Search(
        request=request,
        level=Level.IMAGE,
        named=("1.2", "1.3"),
        keys=(((0x00400275, 0x00400009), ("A", "B")),),
        included=(0x00100010,),
        order=((0x00200013, True),),
        limit=5,
    )
    assert Search.from_json(wanted.to_json()) == wanted
