"""The pages of studies in a real browser: by keyboard alone, accessible, on wide and narrow screens."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_every_page import LOOKED_AT, SCREENS, violations
from tests.fixtures.chromium import PATIENCE_MS, OpenWindow, screenshots
from tests.fixtures.pages import Reader
from tests.fixtures.studies import NAME, STUDY_PAGE

expect.set_options(timeout=PATIENCE_MS)

pytestmark = pytest.mark.peers

_TOO_WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


def address(reader: Reader, path: str) -> str:
    return f"{str(reader.client.base_url).rstrip('/')}{path}"


def search(page: Page, reader: Reader) -> None:
    page.goto(address(reader, "/ui/studies"))
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name=NAME).first.wait_for()


@pytest.mark.parametrize("screen", SCREENS)
def test_pages_of_studies_are_accessible_and_within_the_window(
    studies: Reader, open_window: OpenWindow, screen: str
) -> None:
    width, scheme = SCREENS[screen]
    page = open_window(viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True).page

    def look(name: str) -> None:
        page.screenshot(path=screenshots() / f"{name}-{screen}.png", full_page=True)
        assert not page.evaluate(_TOO_WIDE)
        if screen in LOOKED_AT:
            assert violations(page) == []

    search(page, studies)
    look("studies")
    page.goto(address(studies, STUDY_PAGE))
    expect(page.locator("img.picture")).to_be_visible()
    page.locator("details summary").first.click()
    expect(page.locator(".objects tbody tr").first).to_be_visible()
    look("study")
    page.goto(address(studies, f"{STUDY_PAGE}/delete"))
    look("delete-study")


def test_a_study_is_found_and_opened_by_keyboard_and_leaves_no_trace(studies: Reader, open_window: OpenWindow) -> None:
    page = open_window().page
    page.goto(address(studies, "/ui/studies"))
    expect(page.get_by_label("Patient name")).to_be_focused()
    page.keyboard.type("grösse*")
    page.keyboard.press("Enter")
    page.get_by_role("link", name=NAME).first.wait_for()
    assert page.url == address(studies, "/ui/studies")
    assert page.title() == "Studies – dcm4py-leading"
    page.get_by_role("link", name=NAME).last.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(NAME)
    assert page.url == address(studies, STUDY_PAGE)
    expect(page.locator("img.picture")).to_be_visible()
    page.locator("details summary").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".objects").first).to_contain_text("CT Image Storage")
    # Picture and objects are parts of other pages.
    assert page.title() == "Study – dcm4py-leading"


def test_without_javascript_the_same_is_there(studies: Reader, open_window: OpenWindow) -> None:
    page = open_window(java_script_enabled=False).page
    search(page, studies)
    page.get_by_role("link", name=NAME).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(NAME)
    page.get_by_role("link", name="Show a picture of the study").click()
    expect(page.locator("img.picture")).to_be_visible()
