"""Drift in a real browser: a comparison is begun, watched, stopped, gone on with, and read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from dcm4py_leading.editing import editor_of
from dcm4py_leading.model.options import Options
from dcm4py_leading.web.app import Configured, create_app
from tests.browser.test_every_page import SCREENS, violations
from tests.fixtures.chromium import PATIENCE_MS, OpenWindow, screenshots
from tests.fixtures.datasets import make_study
from tests.fixtures.dcmtk import DcmQrScp
from tests.fixtures.dcmtk_scu import storescu
from tests.fixtures.drifted import ANSWERS, fill, said, uids
from tests.fixtures.http import served
from tests.fixtures.proxy import stand_in_front_of
from tests.fixtures.scripted import Answer, LeadingScp, knows
from tests.fixtures.service import Seed

expect.set_options(timeout=PATIENCE_MS)

pytestmark = pytest.mark.peers

STUDIES = 12
TOO_WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


class Gate:
    """Script of the leading archive, which keeps a question for study 9 waiting."""

    def __init__(self) -> None:
        self.waiting, self.opened = threading.Event(), threading.Event()
        self._knowing = knows(*ANSWERS, *(said(number, PatientName="Roe^Jane") for number in (8, 9, 11)), said(12))

    def __call__(self, event: Any) -> Iterable[Answer]:
        if "1.2.9" in uids(event.identifier) and not self.opened.is_set():
            self.waiting.set()
            self.opened.wait(60)
        yield from self._knowing(event)


@pytest.fixture
def gate(seed: Seed, leading_scp: Callable[..., LeadingScp]) -> Iterator[Gate]:
    gate = Gate()
    leading_scp(seed.leading_port, gate)
    yield gate
    gate.opened.set()


@pytest.fixture
def address(seed: Seed) -> Iterator[str]:
    """Address of the pages of a service with studies, which asks for two at once."""
    fill(seed, STUDIES)
    seed.options = Options(leading_page_size=2)
    service = seed.start()
    with served(app=create_app(service, configured=Configured(editor_of(seed.site), "dcm4chee-arc"))) as http:
        yield str(http.base_url).rstrip("/")


def begin(page: Page, address: str) -> None:
    page.goto(f"{address}/ui/drift")
    page.get_by_label("Queries per second").fill("1000")
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("heading", name="Drift of DCM4CHEE").wait_for()


@pytest.mark.parametrize("screen", ["wide-light", "narrow-dark"])
def test_it_is_watched_while_it_runs_and_read_when_it_is_complete(
    address: str, gate: Gate, open_window: OpenWindow, screen: str
) -> None:
    width, scheme = SCREENS[screen]
    settings = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    page = open_window(locale="en-GB", bypass_csp=True, **settings).page
    page.clock.install()

    def look(name: str) -> None:
        page.screenshot(path=screenshots() / f"{name}-{screen}.png", full_page=True)
        assert violations(page) == []
        assert not page.evaluate(TOO_WIDE)

    page.goto(f"{address}/ui/drift")
    expect(page.locator("main")).to_contain_text("It changes nothing")
    look("drift-new")
    begin(page, address)
    bar = page.get_by_role("progressbar", name="Progress")
    expect(bar).to_have_attribute("value", "8")
    expect(bar).to_have_attribute("max", "12")
    expect(page.get_by_role("status")).to_contain_text("running 8 of about 12 studies")
    look("drift-running")
    gate.opened.set()
    expect(page.get_by_role("status")).to_contain_text("complete 12 studies compared")
    expect(page.locator("#drift-plot canvas")).to_be_visible()
    row = page.get_by_role("row", name="Patient's Name")
    expect(row).to_contain_text("2026-03 to 2026-11")
    expect(row.get_by_role("meter")).to_have_attribute("value", "5")
    page.locator("#drift-months summary").click()
    expect(page.locator("#drift-months")).to_contain_text("2026-05")
    look("drift-complete")
    page.get_by_role("link", name="Patient's Name").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Studies with a stale Patient's Name")
    link = page.get_by_role("link", name="1.2.4", exact=True)
    expect(link).to_have_attribute("href", "/ui/studies/DCM4CHEE/1.2.4/values")
    expect(page.get_by_role("row", name="1.2.4")).to_contain_text("Study Description")
    look("drift-stale")
    page.goto(f"{address}/ui/drift")
    expect(page.locator("tr").filter(has_text="QRSCP")).to_contain_text("complete")
    look("drift-latest")


def test_the_plot_is_drawn_under_the_policy_and_the_csv_file_is_downloaded(
    address: str, gate: Gate, open_window: OpenWindow
) -> None:
    gate.opened.set()
    page = open_window(locale="en-GB").page
    begin(page, address)
    expect(page.get_by_role("status")).to_contain_text("complete")
    expect(page.locator("#drift-plot canvas")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download CSV").click()
    lines = download.value.path().read_text().splitlines()
    assert len(lines) == STUDIES + 1
    assert not any("Roe" in line for line in lines)


def test_it_is_stopped_after_a_question_and_goes_on(address: str, gate: Gate, open_window: OpenWindow) -> None:
    page = open_window(locale="en-GB").page
    begin(page, address)
    assert gate.waiting.wait(60)
    page.once("dialog", lambda dialog: dialog.accept())
    with page.expect_navigation():
        page.get_by_role("button", name="Stop").click()
    gate.opened.set()
    expect(page.get_by_role("status")).to_contain_text("stopped")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("status")).to_contain_text("complete 12 studies compared")


def test_it_is_begun_by_keyboard_and_followed_without_scripts_in_german(
    address: str, gate: Gate, open_window: OpenWindow
) -> None:
    page = open_window(locale="de-DE", java_script_enabled=False).page
    page.goto(f"{address}/ui/drift")
    page.get_by_label("Anfragen pro Sekunde").fill("1000")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Abweichungen von DCM4CHEE").wait_for()
    assert gate.waiting.wait(60)
    gate.opened.set()
    while "läuft" in (page.get_by_role("status").text_content() or ""):
        page.reload()
    assert "vollständig" in (page.get_by_role("status").text_content() or "")
    page.get_by_text("Als Tabelle").click()
    expect(page.get_by_role("table", name="Veraltete Studien nach Monat")).to_contain_text("2026-05")


def test_impossible_value_is_told_with_the_typed_text(address: str, gate: Gate, open_window: OpenWindow) -> None:
    page = open_window(locale="en-GB").page
    page.goto(f"{address}/ui/drift")
    page.get_by_label("Leading archive").fill("NOBODY")
    page.get_by_label("Study Date from").fill("2026-02-01")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("alert")).to_contain_text("NOBODY is not in the directory")
    expect(page.get_by_label("Leading archive")).to_have_value("NOBODY")
    expect(page.get_by_label("Study Date from")).to_have_value("2026-02-01")
    begin(page, address)
    page.goto(f"{address}/ui/drift")
    page.get_by_label("Study Date from").fill("2026-02-01")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("alert")).to_contain_text("a comparison of DCM4CHEE is running")
    expect(page.get_by_label("Study Date from")).to_have_value("2026-02-01")


def test_queries_to_a_pacs_have_a_rate_of_their_own(seed: Seed, open_window: OpenWindow) -> None:
    stand_in_front_of(seed, 1)
    service = seed.start()
    with served(app=create_app(service, configured=Configured(editor_of(seed.site), "dcm4chee-arc"))) as http:
        page = open_window(locale="en-GB").page
        page.goto(f"{str(http.base_url).rstrip('/')}/ui/drift")
        expect(page.get_by_label("Searches per second")).to_have_value("1")
        expect(page.get_by_role("option", name="in front of PACS").first).to_be_attached()
        expect(page.locator("main")).to_contain_text("No rule names a leading archive yet")


def test_silence_of_a_pacs_is_told(
    seed: Seed, gate: Gate, dcmqrscp: Callable[..., DcmQrScp], open_window: OpenWindow, tmp_path: Path
) -> None:
    gate.opened.set()
    pacs = dcmqrscp(ae_title="PACS")
    for number in (3, 5):
        day = {"StudyDate": f"20260{number}01", "StudyTime": "101500"}
        files = make_study(
            tmp_path / str(number),
            patient_id=f"P{number}",
            patient_name="Doe^John",
            study_uid=f"1.2.{number}",
            instances=1,
            attributes=day,
        )
        assert storescu(pacs.port, files, called_ae_title="PACS").returncode == 0
    seed.lead()
    stand_in_front_of(seed, pacs.port)
    service = seed.start()
    with served(app=create_app(service, configured=Configured(editor_of(seed.site), "dcm4chee-arc"))) as http:
        page = open_window(locale="en-GB", bypass_csp=True).page
        page.goto(f"{str(http.base_url).rstrip('/')}/ui/drift")
        page.get_by_label("Queries per second").fill("1000")
        page.get_by_label("Searches per second").fill("1000")
        page.get_by_role("button", name="Compare").click()
        expect(page.get_by_role("status")).to_contain_text("complete 2 studies compared")
        expect(page.locator("main")).to_contain_text("Studies of PACS")
        told = page.locator("section").filter(has_text="Not compared")
        expect(told).to_contain_text("without a Study Date")
        expect(page.get_by_role("row", name="Patient ID")).to_contain_text("2026-05")
        page.screenshot(path=screenshots() / "drift-pacs.png", full_page=True)
        assert violations(page) == []
