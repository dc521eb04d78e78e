"""A study is sent in a real browser: progress while it is under way, failures, an end on command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from dcm4py_leading.editing import editor_of
from dcm4py_leading.web.app import Configured, create_app
from tests.browser.test_every_page import SCREENS, violations
from tests.fixtures.chromium import PATIENCE_MS, OpenWindow, screenshots
from tests.fixtures.datasets import make_study
from tests.fixtures.dcmtk import storescu
from tests.fixtures.http import served
from tests.fixtures.scripted import Gate, Viewer
from tests.fixtures.service import Seed

expect.set_options(timeout=PATIENCE_MS)

pytestmark = pytest.mark.peers

STUDY = "1.2.826.0.1.3680043.8.498.80"
SEND = f"/ui/studies/DCM4CHEE/{STUDY}/send"


@pytest.fixture
def address(seed: Seed, tmp_path: Path) -> Iterator[str]:
    """Address of the pages of a service with one study of four objects."""
    service = seed.start()
    files = make_study(tmp_path, patient_id="P", patient_name="Old^Name", study_uid=STUDY, instances=2, series=2)
    assert storescu(seed.archive_port, files, called_ae_title="DCM4CHEE").returncode == 0
    with served(app=create_app(service, configured=Configured(editor_of(seed.site), "dcm4chee-arc"))) as http:
        yield str(http.base_url).rstrip("/")


@pytest.fixture
def viewer(seed: Seed, viewer: Callable[..., Viewer]) -> Callable[..., Viewer]:
    """Makes the viewer of the seed, by its script."""
    return partial(viewer, seed.viewer_port)


def send(page: Page, address: str) -> None:
    """From the page of the study to the form; fill it in, and send."""
    page.goto(f"{address}{SEND.removesuffix('/send')}")
    page.get_by_role("link", name="Send").click()
    page.get_by_label("Destination").select_option("STORESCP")
    page.get_by_role("button", name="Send").click()
    page.get_by_role("heading", name="Sending to STORESCP").wait_for()


@pytest.mark.parametrize("screen", ["wide-light", "narrow-dark"])
def test_progress_is_shown_while_it_is_under_way_and_failures_at_the_end(
    address: str, viewer: Callable[..., Viewer], open_window: OpenWindow, screen: str
) -> None:
    gate = Gate(2)
    statuses = iter([0x0000, 0x0000, 0xA700, 0x0000])
    viewer(lambda event: gate(event) or next(statuses))
    width, scheme = SCREENS[screen]
    page = open_window(
        locale="en-GB", viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True
    ).page
    page.goto(f"{address}{SEND}")
    page.screenshot(path=screenshots() / f"send-{screen}.png", full_page=True)
    assert violations(page) == []
    send(page, address)
    bar = page.get_by_role("progressbar", name="Progress")
    expect(bar).to_have_attribute("value", "2")
    expect(bar).to_have_attribute("max", "4")
    page.screenshot(path=screenshots() / f"job-running-{screen}.png", full_page=True)
    assert violations(page) == []
    gate.opened.set()
    expect(page.get_by_role("status")).to_have_text("done, with failures 4 of 4, 1 failed")
    expect(page.get_by_role("listitem").filter(has_text="0xA700")).to_be_visible()
    page.screenshot(path=screenshots() / f"job-failures-{screen}.png", full_page=True)
    assert violations(page) == []
    page.goto(f"{address}/ui/jobs")
    page.screenshot(path=screenshots() / f"jobs-{screen}.png", full_page=True)
    assert violations(page) == []


def test_a_job_that_has_ended_is_not_asked_for_any_more(
    address: str, viewer: Callable[..., Viewer], open_window: OpenWindow
) -> None:
    gate = Gate(0)
    viewer(gate)
    page = open_window(locale="en-GB").page
    page.clock.install()
    send(page, address)
    with page.expect_request("**/live"):
        page.clock.fast_forward(2000)
    gate.opened.set()
    expect(page.get_by_role("status")).to_have_text("done 4 of 4")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.fast_forward(60_000)
    page.evaluate("new Promise(done => requestAnimationFrame(done))")
    assert asked == []


def test_an_object_is_sent_from_the_page_of_its_series(
    address: str, viewer: Callable[..., Viewer], open_window: OpenWindow
) -> None:
    there = viewer(lambda _: 0x0000)
    page = open_window(locale="en-GB").page
    page.goto(f"{address}{SEND.removesuffix('/send')}")
    page.locator("details[hx-get] summary").first.click()
    page.locator(".objects").get_by_role("link", name="Send").last.click()
    expect(page.get_by_label("only this object")).to_be_checked()
    page.get_by_label("Destination").select_option("STORESCP")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("status")).to_have_text("done 1 of 1")
    assert len(there.received) == 1


def test_a_job_is_cancelled_after_a_question(
    address: str, viewer: Callable[..., Viewer], open_window: OpenWindow
) -> None:
    gate = Gate(2)
    viewer(gate)
    page = open_window(locale="en-GB").page
    send(page, address)
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "2")
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("status")).to_contain_text("running")
    page.once("dialog", lambda dialog: dialog.accept())
    with page.expect_navigation():
        page.get_by_role("button", name="Cancel").click()
    gate.opened.set()
    expect(page.get_by_role("status")).to_contain_text("cancelled")


def test_failed_objects_are_sent_again(address: str, viewer: Callable[..., Viewer], open_window: OpenWindow) -> None:
    statuses = iter([0x0000, 0xA700, 0x0000, 0xA700])
    there = viewer(lambda _: next(statuses, 0x0000))
    page = open_window(locale="de-DE").page
    page.goto(f"{address}{SEND}")
    page.get_by_label("Ziel").select_option("STORESCP")
    page.get_by_role("button", name="Senden").click()
    page.get_by_role("button", name="Fehlgeschlagene erneut senden").click()
    expect(page.get_by_role("status")).to_have_text("fertig 2 von 2")
    assert len(there.received) == 4
    assert len({one.SOPInstanceUID for one in there.received}) == 4


def test_a_study_is_sent_by_keyboard_and_followed_without_scripts(
    address: str, viewer: Callable[..., Viewer], open_window: OpenWindow
) -> None:
    gate = Gate(2)
    viewer(gate)
    page = open_window(locale="en-GB", java_script_enabled=False).page
    page.goto(f"{address}{SEND}")
    page.get_by_label("Destination").focus()
    page.keyboard.type("STORE")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Sending to STORESCP").wait_for()
    assert gate.waiting.wait(60)
    gate.opened.set()
    while "running" in (page.get_by_role("status").text_content() or ""):
        page.get_by_role("link", name="Refresh").click()
        page.wait_for_load_state()
    assert page.get_by_role("status").text_content() == "done 4 of 4"
