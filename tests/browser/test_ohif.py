"""OHIF in a real browser, served by us: it shows the leading archive's values and the pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dcm4py_leading.editing import editor_of
from dcm4py_leading.web.app import Configured, create_app
from dcm4py_leading.web.viewer.build import ViewerBuild
from tests.fixtures.chromium import OpenWindow, screenshots
from tests.fixtures.datasets import make_study
from tests.fixtures.http import served
from tests.fixtures.ohif import ohif_build
from tests.fixtures.orthanc import Orthanc
from tests.fixtures.proxy import QUERY_RULE, stand_in_front_of
from tests.fixtures.scu import store
from tests.fixtures.service import AE, Seed

pytestmark = [pytest.mark.peers, pytest.mark.slow]

STUDY = "1.2.826.0.1.3680043.8.498.181"
PATIENCE_MS = 120_000
"""OHIF is 17 MB of scripts, and a busy machine needs half a minute for a page of it."""
_SHOWN = """() => {
  for (const canvas of document.querySelectorAll('canvas.cornerstone-canvas')) {
    const copy = document.createElement('canvas');
    copy.width = canvas.width;
    copy.height = canvas.height;
    const context = copy.getContext('2d');
    context.drawImage(canvas, 0, 0);
    const data = context.getImageData(0, 0, copy.width, copy.height).data;
    const greys = new Set();
    let lit = 0;
    for (let at = 0; at < data.length; at += 4) {
      greys.add(data[at]);
      if (data[at]) lit += 1;
    }
    if (greys.size > 30 && lit > 10000) return true;
  }
  return false;
}"""


@pytest.mark.parametrize("place", ["here", "proxy"])
def test_ohif_shows_the_leading_name_and_the_pixels(
    seed: Seed, orthanc: Callable[..., Orthanc], open_window: OpenWindow, tmp_path: Path, place: str
) -> None:
    build = ViewerBuild.of(str(ohif_build()))
    leader = orthanc(ae_title="QRSCP", settings={"DicomPort": seed.leading_port})
    leader.store(study(tmp_path / "new", "New^Name"))
    files = study(tmp_path / "old", "Old^Name")
    seed.lead()
    seed.set(f"cn=Leading DCMQRSCP,{AE.partition(',')[2]}", dcmProperty=[])
    seed.change(QUERY_RULE)
    if place == "proxy":
        pacs = orthanc(ae_title="PACS")
        pacs.store(files)
        stand_in_front_of(seed, pacs.port)
    service = seed.start()
    if place == "here":
        assert set(store(seed.archive_port, files)) == {0}
    app = create_app(service, configured=Configured(editor_of(seed.site), "dcm4chee-arc"), viewer=build)
    with served(app=app) as http:
        base = str(http.base_url).rstrip("/")
        page = open_window(viewport={"width": 1280, "height": 900}).page
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"{base}/viewer", wait_until="domcontentloaded")
        page.get_by_text("New, Name").first.wait_for()
        page.goto(f"{base}/ui/studies/DCM4CHEE/{STUDY}")
        page.get_by_role("link", name="Open in viewer").click(no_wait_after=True)
        page.wait_for_function(_SHOWN, polling=250)
        page.get_by_title("Patient name").get_by_text("New, Name").first.wait_for()
        page.screenshot(path=screenshots() / f"ohif-{place}.png")
        assert "Old" not in page.inner_text("body")


def study(folder: Path, name: str) -> list[Path]:
    return make_study(folder, patient_id="P1", patient_name=name, study_uid=STUDY, instances=3)
