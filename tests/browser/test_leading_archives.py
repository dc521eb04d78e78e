"""The page of leading archives in a real browser, while a scripted archive answers, fails, and answers again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Locator, Page, expect
from pydicom import Dataset

from dcm4py_leading.editing import editor_of
from dcm4py_leading.web.app import Configured, create_app
from tests.browser.test_every_page import violations
from tests.fixtures.chromium import PATIENCE_MS, OpenWindow, screenshots
from tests.fixtures.datasets import make_study
from tests.fixtures.http import served
from tests.fixtures.scripted import Answer, LeadingScp, Viewer, knows
from tests.fixtures.scu import identifier, move, store
from tests.fixtures.service import Seed

expect.set_options(timeout=PATIENCE_MS)

pytestmark = pytest.mark.peers

STUDIES = ("1.2.826.0.1.3680043.8.498.1", "1.2.826.0.1.3680043.8.498.2")
_INKED = """canvas => {
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const colours = new Set();
  for (let at = 0; at < pixels.length; at += 4) {
    if (pixels[at + 3] === 255) colours.add(pixels.slice(at, at + 3).join());
  }
  return [...colours];
}"""
"""The opaque colours of a canvas."""
RENEWED_MS = 5000
"""After which the page asks again what the archives do; for the history, after twice of it."""
_ACCENT = {"light": "10,88,166", "dark": "124,188,245"}


class Scene:
    """The service with a leading archive that can be told to fail, and its pages."""

    def __init__(self, seed: Seed, address: str) -> None:
        self._seed = seed
        self.address = address

    def retrieve(self, study_uid: str) -> None:
        (final, _) = move(self._seed.archive_port, identifier("STUDY", StudyInstanceUID=study_uid))[-1]
        assert final.Status == 0x0000

    def sample(self) -> None:
        """What the history does once a minute."""
        self._seed.service.leading.history.sample()


class Script:
    """A leading archive that knows the studies, unless it is told to fail."""

    def __init__(self) -> None:
        self.is_failing = False
        studies = []
        for study_uid in STUDIES:
            study = Dataset()
            study.StudyInstanceUID, study.PatientName, study.PatientID = study_uid, "Right^Name", "RIGHT-ID"
            studies.append(study)
        self._answers = knows(*studies)

    def __call__(self, event: Any) -> Iterable[Answer]:
        return [(0xC001, None)] if self.is_failing else self._answers(event)


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def scene(
    seed: Seed,
    script: Script,
    tmp_path: Path,
    leading_scp: Callable[..., LeadingScp],
    viewer: Callable[..., Viewer],
) -> Iterator[Scene]:
    seed.lead()
    seed.start()
    for number, study_uid in enumerate(STUDIES):
        folder = tmp_path / str(number)
        store(seed.archive_port, make_study(folder, patient_id="P", patient_name="Stale^Name", study_uid=study_uid))
    viewer(seed.viewer_port)
    leading_scp(seed.leading_port, script)
    app = create_app(seed.service, configured=Configured(editor_of(seed.site), "dcm4chee-arc"))
    with served(app=app) as client:
        yield Scene(seed, str(client.base_url).rstrip("/"))


def wait_until_drawn(page: Page, colour: str) -> None:
    """Wait until the first plot has this colour: a canvas is there before anything is drawn on it.

    Asked four times a second: once a frame, reading the pixels would keep the page from drawing them.
    """
    is_drawn = f"""colour => {{
      const canvas = document.querySelector("#history canvas");
      return canvas !== null && ({_INKED})(canvas).includes(colour);
    }}"""
    page.wait_for_function(is_drawn, arg=colour, polling=250)


def row(page: Page) -> Locator:
    """The archive as the page shows it now; it renews itself."""
    return page.locator("#l-QRSCP-DCM4CHEE")


def test_an_archive_that_answers_fails_and_answers_again(scene: Scene, script: Script, open_window: OpenWindow) -> None:
    page = open_window(locale="en-GB").page
    page.clock.install()
    page.goto(f"{scene.address}/ui/leading?hours=1")
    expect(row(page)).to_contain_text("not asked yet")
    expect(page.get_by_text("The first values come one minute after the start.")).to_be_visible()

    scene.retrieve(STUDIES[0])
    page.clock.fast_forward(RENEWED_MS)
    expect(row(page).get_by_text("answers", exact=True)).to_be_visible()
    script.is_failing = True
    scene.retrieve(STUDIES[1])
    page.clock.fast_forward(RENEWED_MS)
    expect(row(page)).to_contain_text("does not answer")
    expect(row(page)).to_contain_text("0xC001")
    expect(page.get_by_text("No answer from QRSCP.")).to_be_visible()
    scene.sample()

    script.is_failing = False
    scene.retrieve(STUDIES[1])
    scene.retrieve(STUDIES[1])
    page.clock.fast_forward(RENEWED_MS)
    expect(row(page).get_by_text("answers", exact=True)).to_be_visible()
    expect(page.get_by_text("No answer from QRSCP.")).to_be_hidden()
    scene.sample()

    # The history comes by itself, and with it the plots.
    page.clock.fast_forward(2 * RENEWED_MS)
    expect(page.locator("#history canvas")).to_have_count(4)
    wait_until_drawn(page, _ACCENT["light"])
    page.get_by_text("As a table").click()
    # The newest minute first; there are two where the minute changed between the two samples.
    latest = page.get_by_role("table", name="QRSCP").locator("tbody tr").first
    expect(latest.get_by_role("cell").nth(0)).not_to_have_text("0")
    expect(latest).to_contain_text("closed")


def test_a_c_echo_by_mouse_tells_the_outcome_and_keeps_the_page(
    scene: Scene, seed: Seed, open_window: OpenWindow
) -> None:
    page = open_window(locale="en-GB").page
    page.goto(f"{scene.address}/ui/leading")
    page.get_by_role("button", name="C-ECHO DCM4CHEE – QRSCP").click()
    # The scripted archive takes C-FIND alone.
    expect(page.get_by_role("alert")).to_contain_text("It rejects the association.")
    expect(page).to_have_url(f"{scene.address}/ui/leading")


def test_answers_are_found_and_dropped(scene: Scene, open_window: OpenWindow) -> None:
    for study_uid in STUDIES:
        scene.retrieve(study_uid)
    page = open_window(locale="en-GB", bypass_csp=True).page
    page.goto(f"{scene.address}/ui/leading")
    page.get_by_role("link", name="Look at them, or drop some").click()
    cached = page.get_by_role("table", name="In the cache")
    known = page.get_by_role("table", name="Last known answers")
    expect(cached.locator("tbody tr")).to_have_count(2)
    expect(known.locator("tbody tr")).to_have_count(2)
    page.get_by_label("A part of the Study Instance UID").fill("498.2")
    page.keyboard.press("Enter")
    expect(cached.locator("tbody tr")).to_have_count(1)
    assert violations(page) == []

    cached.get_by_role("button", name=f"Drop {STUDIES[1]}").click()
    expect(page.get_by_text("Dropped. Answers that were in the cache: 1.")).to_be_focused()
    for table in (cached, known):
        expect(table.locator("tbody tr")).to_have_count(1)
        expect(table).to_contain_text(STUDIES[0])

    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name="Drop all answers").click()
    expect(cached).to_be_visible()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Drop all answers").click()
    expect(page.get_by_text("Dropped. Answers that were in the cache: 1.")).to_be_visible()
    expect(cached).to_be_hidden()
    expect(known).to_be_hidden()


def test_nothing_but_a_part_of_a_uid_gets_into_the_address(scene: Scene, open_window: OpenWindow) -> None:
    page = open_window(locale="en-GB").page
    page.goto(f"{scene.address}/ui/leading/answers")
    page.get_by_label("A part of the Study Instance UID").fill("Right^Name")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Search").click()
    expect(page).to_have_url(f"{scene.address}/ui/leading/answers")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_plots_have_the_colours_of_the_page_and_follow_them(scene: Scene, open_window: OpenWindow, scheme: str) -> None:
    scene.sample()
    scene.retrieve(STUDIES[0])
    scene.sample()
    page = open_window(color_scheme=scheme).page
    page.goto(f"{scene.address}/ui/leading?hours=1")
    wait_until_drawn(page, _ACCENT[scheme])
    other: Literal["light", "dark"] = "dark" if scheme == "light" else "light"
    page.emulate_media(color_scheme=other)
    wait_until_drawn(page, _ACCENT[other])
    page.screenshot(path=screenshots() / f"leading-turned-{other}.png")
