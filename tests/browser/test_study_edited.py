"""A patient is edited by mouse: what a viewer gets has it, but where a rule of a leading archive has the last word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import expect

from dcm4py_leading.composition.site import Site
from dcm4py_leading.config.ldif.source import LdifSource
from dcm4py_leading.editing import editor_of
from tests.browser.test_every_page import SCREENS, address, violations
from tests.fixtures import one_study
from tests.fixtures.chromium import OpenWindow, screenshots
from tests.fixtures.dcmtk import DcmQrScp, StoreScp
from tests.fixtures.pages import Reader, Watched, reading
from tests.fixtures.scene import RIGHT_VALUES, STUDY, StartArchive, delivered, feed, move_study
from tests.fixtures.slapd import OUR_LDIF

pytestmark = pytest.mark.peers

PLACE = f"/ui/studies/DCM4CHEE/{one_study.STUDY}"
TOO_WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    folder = tmp_path_factory.mktemp("data")
    source = LdifSource([OUR_LDIF / "quickstart.ldif"])
    site = Site(source=source, device_name="dcm4chee-arc", properties={}, data_dir=folder)
    with reading(editor_of(site), Watched()) as found:
        yield found


@pytest.mark.parametrize("screen", ["wide-light", "narrow-dark"])
@pytest.mark.parametrize("name", ["values", "patient", "edit"])
def test_page_is_accessible_and_within_its_window(
    reader: Reader, open_window: OpenWindow, name: str, screen: str
) -> None:
    width, scheme = SCREENS[screen]
    page = open_window(viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True).page
    page.goto(address(reader, f"{PLACE}/{name}"))
    page.screenshot(path=screenshots() / f"study-{name}-{screen}.png", full_page=True)
    assert not page.evaluate(TOO_WIDE)
    assert violations(page) == []


@pytest.mark.parametrize("name", ["values", "patient", "edit"])
def test_page_in_german_is_within_a_narrow_window(reader: Reader, open_window: OpenWindow, name: str) -> None:
    page = open_window(viewport={"width": 360, "height": 900}, locale="de-DE").page
    page.goto(address(reader, f"{PLACE}/{name}"))
    expect(page.locator("html")).to_have_attribute("lang", "de")
    assert not page.evaluate(TOO_WIDE)


@pytest.mark.parametrize("screen", ["wide-light", "narrow-dark"])
def test_preview_fault_and_conflict_are_accessible(reader: Reader, open_window: OpenWindow, screen: str) -> None:
    width, scheme = SCREENS[screen]
    reader.service.kept[one_study.NAME] = ("Old^Name",)
    page = open_window(viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True).page
    page.goto(address(reader, f"{PLACE}/patient"))
    page.get_by_label("Patient's Birth Date").fill("31.1.1970")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_label("Patient's Birth Date")).to_be_focused()
    page.screenshot(path=screenshots() / f"study-fault-{screen}.png", full_page=True)
    assert violations(page) == []
    page.get_by_label("Patient's Birth Date").fill("19700201")
    page.get_by_label("Alphabetic").fill("My^Name")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("heading", name="What it would change")).to_be_focused()
    page.screenshot(path=screenshots() / f"study-preview-{screen}.png", full_page=True)
    assert violations(page) == []
    reader.service.kept[one_study.NAME] = ("Their^Name",)
    page.get_by_role("button", name="Save").click()
    page.get_by_role("heading", name="Somebody else was faster").wait_for()
    page.screenshot(path=screenshots() / f"study-conflict-{screen}.png", full_page=True)
    assert not page.evaluate(TOO_WIDE)
    assert violations(page) == []


def test_a_patient_is_edited_by_keyboard_alone(reader: Reader, open_window: OpenWindow) -> None:
    reader.service.kept[one_study.NAME] = ("Old^Name",)
    page = open_window().page
    page.goto(address(reader, f"{PLACE}/values"))

    def go_to(role: Literal["link", "button", "textbox"], name: str) -> None:
        """Press Tab until it is there, as often as there can be places to stop at."""
        wanted = page.get_by_role(role, name=name, exact=True)
        for _ in range(100):
            page.keyboard.press("Tab")
            if wanted.evaluate("element => element === document.activeElement"):
                return
        raise AssertionError(f"the keyboard does not reach {name}")

    go_to("link", "Edit patient")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Edit patient").wait_for()
    go_to("textbox", "Alphabetic")
    page.keyboard.press("End")
    page.keyboard.type("^Middle")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="What it would change")).to_be_focused()
    go_to("button", "Save")
    page.keyboard.press("Enter")
    page.get_by_text("The edit is saved.").wait_for()
    assert reader.service.kept[one_study.NAME] == ("Old^Name^Middle",)


def test_states_of_leading_archives_are_accessible(reader: Reader, open_window: OpenWindow) -> None:
    archive = replace(one_study.VALUES.leading[0], outcome="failed", failure="Connection refused", is_known=False)
    reader.service.values = replace(one_study.VALUES, leading=(archive,), failure="no answer", led=(), rules=())
    page = open_window(locale="de-DE", bypass_csp=True).page
    page.goto(address(reader, f"{PLACE}/values"))
    page.screenshot(path=screenshots() / "study-values-failed.png", full_page=True)
    assert violations(page) == []
    reader.service.values = one_study.VALUES


def test_an_edit_arrives_unless_the_leading_archive_has_the_last_word(
    start_archive: StartArchive,
    dcmqrscp: Callable[..., DcmQrScp],
    storescp: Callable[..., StoreScp],
    open_window: OpenWindow,
    tmp_path: Path,
) -> None:
    archive = start_archive()
    leading = dcmqrscp(port=archive.leading_port)
    viewer = storescp(port=archive.viewer_port, options=("+xa", "+B", "+uf"))
    feed(archive, tmp_path, leading)
    page = open_window(locale="en-GB").page
    page.goto(f"{archive.http}/ui/studies/DCM4CHEE/{STUDY}")
    page.get_by_role("link", name="Edit patient").click()
    name = page.get_by_role("group", name="Patient's Name")
    name.get_by_label("Alphabetic").fill("Größe^Änne")
    page.get_by_role("button", name="Preview").click()
    page.get_by_text("No rule of a leading archive concerns it").wait_for()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("The edit is saved.").wait_for()
    row = page.get_by_role("row", name="Patient's Name")
    expect(row).to_contain_text("edited")
    expect(row).to_contain_text("the edit here")
    assert move_study(archive) == 0x0000
    assert delivered(viewer) == {("Größe^Änne", "STALE-ID", "Stale description", "STALE")}

    assert archive.slapd.ldapmodify(OUR_LDIF / "leading-cfind-scp.ldif").returncode == 0
    archive.reload()
    page.goto(f"{archive.http}/ui/studies/DCM4CHEE/{STUDY}/values?to=STORESCP")
    page.get_by_text("Leading archive QRSCP has the last word on what STORESCP gets").wait_for()
    for text in ("Größe^Änne", "stale", "Right^Name", "rule Leading DCMQRSCP (QRSCP)"):
        expect(row).to_contain_text(text)
    page.screenshot(path=screenshots() / "study-values.png", full_page=True)
    page.get_by_label("As delivered to the AE").fill("DCM4CHEE")
    page.get_by_role("button", name="Show").click()
    page.get_by_text("Nothing is changed for DCM4CHEE: no rule applies.").wait_for()
    page.get_by_role("link", name="Edit patient").click()
    name.get_by_label("Alphabetic").fill("Other^Name")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".notice.warn")).to_contain_text("QRSCP, rule Leading DCMQRSCP: STORESCP")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("The edit is saved.").wait_for()
    assert move_study(archive) == 0x0000
    assert delivered(viewer, since=3) == RIGHT_VALUES
