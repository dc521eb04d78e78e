"""Trying a rule in a real browser: a file is dropped, the rule that is being edited stays as it was typed."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from dcm4py_leading.editing import editor_of
from dcm4py_leading.web.app import Configured, create_app
from tests.browser.test_every_page import violations
from tests.fixtures.chromium import OpenWindow, screenshots
from tests.fixtures.datasets import make_instance
from tests.fixtures.http import served
from tests.fixtures.scu import store
from tests.fixtures.service import Seed

pytestmark = pytest.mark.peers

STUDY = "1.2.826.0.1.3680043.8.498.15"
RULE = "/ui/devices/dcm4chee-arc/entry?at=cn%3DLeading%20DCMQRSCP"
_TOO_WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
_OPEN_ALL = "for (const folded of document.querySelectorAll('details')) folded.open = true"
_DROP = """([section, name, octets]) => {
  const bytes = Uint8Array.from(atob(octets), (char) => char.charCodeAt(0));
  const carried = new DataTransfer();
  carried.items.add(new File([bytes], name, {type: "application/dicom"}));
  for (const kind of ["dragover", "drop"])
    document.querySelector(section).dispatchEvent(
      new DragEvent(kind, {bubbles: true, cancelable: true, dataTransfer: carried}));
}"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    values = {"PatientID": "STALE-ID", "PatientName": "Stale^Name", "StationName": "OLD"}
    return make_instance(tmp_path / "stale.dcm", study_uid=STUDY, attributes=values)


@pytest.fixture
def address(seed: Seed, file: Path) -> Iterator[str]:
    """The pages of the seed's archive, which has one study."""
    seed.lead()
    seed.start()
    assert store(seed.archive_port, [file]) == [0x0000]
    configured = Configured(editor_of(replace(seed.site, is_ldif_writable=True)), "dcm4chee-arc")
    with served(app=create_app(seed.service, configured=configured)) as client:
        yield str(client.base_url).rstrip("/")


def drop(page: Page, file: Path) -> None:
    octets = base64.b64encode(file.read_bytes()).decode("ascii")
    page.evaluate(_DROP, ["[data-drop]", file.name, octets])


def row(page: Page, attribute: str) -> str:
    return " ".join(page.locator("#result tr", has_text=attribute).first.inner_text().split())


def test_rule_is_typed_tried_on_a_dropped_file_and_edited_on(
    address: str, file: Path, open_window: OpenWindow, seed: Seed
) -> None:
    window = open_window(locale="en-GB")
    page = window.page
    page.goto(address + RULE)
    page.evaluate(_OPEN_ALL)
    page.locator("#i-dcmMergeAttribute").fill("StationName={PatientID}")
    page.get_by_label("Leading C-Find SCP", exact=True).fill("")
    page.get_by_role("button", name="Try it").click()
    page.get_by_role("heading", name="Try a rule", level=1).wait_for()
    expect(page.get_by_label("AE X", exact=True)).to_have_value("STORESCP")
    drop(page, file)
    expect(page.get_by_label("DICOM file", exact=True)).to_have_value("C:\\fakepath\\stale.dcm")
    page.get_by_role("button", name="Try", exact=True).click()
    page.get_by_role("heading", name="Result").wait_for()
    assert row(page, "StationName") == "StationName (0008,1010) OLD STALE-ID changed"
    assert page.url.endswith("/entry?at=cn%3DLeading%20DCMQRSCP"), "nothing of the trial is in the address"

    # The file is still there: only the message changes.
    page.get_by_label("AE X", exact=True).fill("OTHER")
    page.get_by_role("button", name="Try", exact=True).click()
    expect(page.locator("#result")).to_contain_text("does not apply")
    expect(page.locator("#result")).to_contain_text("ReceivingApplicationEntityTitle=STORESCP")

    page.get_by_role("button", name="Go on editing").click()
    expect(page.locator("#i-dcmMergeAttribute")).to_have_value("StationName={PatientID}")
    expect(page.get_by_label("Leading C-Find SCP", exact=True)).to_have_value("")
    assert "StationName={PatientID}" not in (seed.directory / "changes.ldif").read_text()
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("heading", name="Saved").wait_for()
    assert "StationName={PatientID}" in (seed.directory / "changes.ldif").read_text()


def test_refused_trial_tells_why_without_losing_the_form(address: str, open_window: OpenWindow, tmp_path: Path) -> None:
    page = open_window(locale="en-GB").page
    page.goto(f"{address}/ui/try")
    letter = tmp_path / "letter.pdf"
    letter.write_bytes(b"%PDF-1.7" + bytes(200))
    drop(page, letter)
    page.get_by_label("AE X", exact=True).fill("STORESCP")
    page.get_by_role("button", name="Try", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("the file is no DICOM file")
    expect(page.get_by_label("AE X", exact=True)).to_have_value("STORESCP")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_result_is_accessible_and_within_its_window(
    address: str, open_window: OpenWindow, width: int, scheme: str
) -> None:
    settings = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme, "locale": "de-DE"}
    page = open_window(bypass_csp=True, **settings).page
    page.goto(f"{address}/ui/try?study={STUDY}")
    page.get_by_label("AE X", exact=True).fill("STORESCP")
    page.get_by_label("Diese Antwort annehmen:").check()
    page.get_by_label("Angenommene Antwort").fill("PatientName=Richtig^Name\nPatientBirthDate=19700102")
    page.get_by_role("button", name="Ausprobieren", exact=True).click()
    page.get_by_role("heading", name="Ergebnis").wait_for()
    page.screenshot(path=screenshots() / f"tried-{'wide' if width > 400 else 'narrow'}-{scheme}.png", full_page=True)
    page.evaluate(_OPEN_ALL)
    assert not page.evaluate(_TOO_WIDE)
    assert violations(page) == []


def test_trial_by_keyboard_alone(address: str, open_window: OpenWindow) -> None:
    page = open_window(locale="en-GB").page
    page.goto(f"{address}/ui/try?study={STUDY}")
    page.get_by_label("AE X", exact=True).focus()
    page.keyboard.type("STORESCP")
    page.get_by_label("Do not ask").focus()
    page.keyboard.press("Space")
    page.get_by_label("AE X", exact=True).focus()
    page.keyboard.press("Enter")
    heading = page.get_by_role("heading", name="Result")
    heading.wait_for()
    expect(heading).to_be_focused()
