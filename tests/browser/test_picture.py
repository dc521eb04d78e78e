"""The picture in README.md: docs/ui.png is what this test leaves in build/screenshots."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.fixtures.chromium import OpenWindow, screenshots
from tests.fixtures.scene import StartArchive
from tests.fixtures.slapd import OUR_LDIF

pytestmark = pytest.mark.peers


def test_the_rules_of_the_first_run_fit_into_a_small_picture(
    start_archive: StartArchive, open_window: OpenWindow
) -> None:
    archive = start_archive(
        changes=(OUR_LDIF / "leading-cfind-scp.ldif", OUR_LDIF / "leading-cfind-query.ldif"),
    )
    page = open_window(locale="en-GB", viewport={"width": 1280, "height": 560}, color_scheme="light").page
    page.goto(f"{archive.http}/ui/devices/dcm4chee-arc/coercions")
    for text in ("Leading DCMQRSCP", "ReceivingApplicationEntityTitle=STORESCP", "Matches: STORESCP"):
        expect(page.get_by_text(text, exact=True).first).to_be_in_viewport()
    picture = screenshots() / "ui.png"
    page.screenshot(path=picture)
    assert picture.stat().st_size < 150_000
