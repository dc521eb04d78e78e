"""Every page in a real browser: accessible, within the window, dark and light, and by keyboard alone."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from dcm4py_leading.composition.site import Site
from dcm4py_leading.config.ldif.source import LdifSource
from dcm4py_leading.editing import editor_of
from tests.fixtures.chromium import PATIENCE_MS, OpenWindow, screenshots
from tests.fixtures.pages import RULE, Reader, Watched, reading
from tests.fixtures.slapd import OUR_LDIF

expect.set_options(timeout=PATIENCE_MS)

pytestmark = pytest.mark.peers

VENDOR = Path(__file__).parent / "vendor"
DEVICE = "/ui/devices/dcm4chee-arc"
TIMEOUT = "dcmLeadingCFindSCPQueryCacheStaleTimeout"
PAGES = {
    "devices": "/ui/devices",
    "new-device": "/ui/new-device",
    "device": DEVICE,
    "search": f"{DEVICE}?q=timeout",
    "rules": f"{DEVICE}/coercions",
    "rules-of-ae": f"{DEVICE}/aes/DCM4CHEE/coercions",
    "rule": RULE,
    "new-rule": f"{DEVICE}/new?kind=rule2",
    "new-storage": f"{DEVICE}/new?kind=storage",
    "ae": f"{DEVICE}/entry?at=dicomAETitle%3DDCM4CHEE",
    "connection": f"{DEVICE}/entry?at=cn%3Ddicom",
    "filter": f"{DEVICE}/entry?at=dcmEntity%3DStudy",
    "delete": f"{DEVICE}/delete?at=cn%3DLeading%20DCMQRSCP",
    "control": "/ui/control",
    "leading": "/ui/leading?hours=6",
    "leading-answers": "/ui/leading/answers",
    "try": "/ui/try",
    "no-such-page": "/ui/devices/nothing",
}
LOOKED_AT = ("wide-light", "narrow-dark")
"""Screens on which axe-core looks; it takes seconds, and width and colours are independent."""
SCREENS: dict[str, tuple[int, Literal["light", "dark"]]] = {
    "wide-light": (1280, "light"),
    "wide-dark": (1280, "dark"),
    "narrow-light": (360, "light"),
    "narrow-dark": (360, "dark"),
}
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# To tell all that passes too would be megabytes for a page, and take three times as long.
_AXE = "async rules => (await axe.run(document, {runOnly: rules, resultTypes: ['violations']})).violations"
_OPEN_ALL = "for (const folded of document.querySelectorAll('details')) folded.open = true"
_TOO_WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """The pages of the quickstart with the seed's rule, in files that may be written."""
    folder = tmp_path_factory.mktemp("files")
    files = [folder / name for name in ("quickstart.ldif", "leading-cfind-scp.ldif")]
    for file in files:
        file.write_bytes((OUR_LDIF / file.name).read_bytes())
    site = Site(
        source=LdifSource(files), device_name="dcm4chee-arc", properties={}, data_dir=folder, is_ldif_writable=True
    )
    service = Watched()
    service.opens(7)
    service.opens(8, remote="QRSCP")
    service.busy_hours()
    with reading(editor_of(site), service) as found:
        yield found


def address(reader: Reader, path: str) -> str:
    return f"{str(reader.client.base_url).rstrip('/')}{path}"


@cache
def _axe() -> str:
    return (VENDOR / "axe.min.js").read_text("utf-8")


def violations(page: Page) -> list[str]:
    """What axe-core finds, in words, in the colours that stay."""
    # A button that fades to its colour for a moment lacks contrast: axe would look at a busy machine only.
    page.evaluate("document.getAnimations().forEach(fading => fading.finish())")
    if not page.evaluate("'axe' in window"):
        page.evaluate(_axe())
    found = page.evaluate(_AXE, _RULES)
    return [f"{one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]]


def test_axe_is_that_of_its_manifest() -> None:
    for vendored in json.loads((VENDOR / "manifest.json").read_text("utf-8"))["vendored"]:
        digest = hashlib.sha256((VENDOR / vendored["file"]).read_bytes()).hexdigest()
        assert digest == vendored["sha256"]


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("name", PAGES)
def test_page_is_accessible_and_within_its_window(
    reader: Reader, open_window: OpenWindow, name: str, width: int
) -> None:
    # The policy would refuse axe itself; that pages work under it is tested below.
    page = open_window(viewport={"width": width, "height": 900}, bypass_csp=True).page
    page.goto(address(reader, PAGES[name]))
    screens = {screen: scheme for screen, (its_width, scheme) in SCREENS.items() if its_width == width}
    for screen, scheme in screens.items():
        page.emulate_media(color_scheme=scheme)
        page.screenshot(path=screenshots() / f"{name}-{screen}.png", full_page=True)
    page.evaluate(_OPEN_ALL)
    for screen, scheme in screens.items():
        page.emulate_media(color_scheme=scheme)
        assert not page.evaluate(_TOO_WIDE)
        if screen in LOOKED_AT:
            assert violations(page) == []


def test_axe_would_find_something(reader: Reader, open_window: OpenWindow) -> None:
    page = open_window(bypass_csp=True).page
    page.goto(address(reader, DEVICE))
    page.evaluate("document.querySelector('label').remove()")
    assert violations(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_answers_to_forms_are_accessible_too(reader: Reader, open_window: OpenWindow, scheme: str) -> None:
    page = open_window(color_scheme=scheme, bypass_csp=True).page
    page.goto(address(reader, DEVICE))
    page.locator(f"#i-{TIMEOUT}").fill("soon")
    expect(page.locator(f"#i-{TIMEOUT}")).to_have_attribute("aria-invalid", "true")
    assert violations(page) == []
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(f"#e-{TIMEOUT}")).to_contain_text("ISO 8601")
    assert violations(page) == []
    page.locator(f"#i-{TIMEOUT}").fill("PT9M")
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("heading", name="What it would do").wait_for()
    page.screenshot(path=screenshots() / f"preview-{scheme}.png")
    assert violations(page) == []


def test_focus_goes_to_the_first_error_and_to_the_preview(reader: Reader, open_window: OpenWindow) -> None:
    page = open_window().page
    page.goto(address(reader, DEVICE))
    page.locator(f"#i-{TIMEOUT}").fill("soon")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(f"#i-{TIMEOUT}")).to_be_focused()
    page.locator(f"#i-{TIMEOUT}").fill("PT9M")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#preview-title")).to_be_focused()


def test_the_first_key_leads_to_the_content(reader: Reader, open_window: OpenWindow) -> None:
    page = open_window(locale="de-DE").page
    page.goto(address(reader, "/ui/devices"))
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Zum Inhalt")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()


def test_pages_do_all_they_can_under_their_policy(reader: Reader, open_window: OpenWindow) -> None:
    page = open_window().page  # what the policy refuses is told on the console, and fails the test at its end
    for path in PAGES.values():
        page.goto(address(reader, path))
    page.goto(address(reader, "/ui/control"))
    expect(page.locator("#plot canvas")).to_be_visible()
    page.goto(address(reader, DEVICE))
    page.locator("#q").press_sequentially("pending")
    expect(page.locator("#found")).to_contain_text("dcmSendPendingCGet")
    expect(page).to_have_url(re.compile(r"\?q=pending$"))


def test_list_of_what_is_under_way_renews_itself(reader: Reader, open_window: OpenWindow) -> None:
    page = open_window().page
    page.clock.install()
    page.goto(address(reader, "/ui/control"))
    reader.service.opens(99, remote="LATE")
    page.clock.fast_forward(5000)
    expect(page.locator("#a-99")).to_contain_text("LATE")


def test_a_link_to_a_field_opens_what_it_is_folded_in(reader: Reader, open_window: OpenWindow) -> None:
    page = open_window().page
    page.goto(address(reader, f"{DEVICE}#f-dcmQueryFetchSize"))
    expect(page.locator("#i-dcmQueryFetchSize")).to_be_visible()
