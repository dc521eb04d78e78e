"""The pictures in README.md: docs/ui.png and docs/ui-values.png are what these tests leave in build/screenshots."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.fixtures.chromium import OpenWindow, screenshots
from tests.fixtures.dcmtk import DcmQrScp
from tests.fixtures.scene import STUDY, StartArchive, feed
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


def test_the_three_values_of_a_study_fit_into_a_small_picture(
    start_archive: StartArchive, open_window: OpenWindow, dcmqrscp: Callable[..., DcmQrScp], tmp_path: Path
) -> None:
    archive = start_archive(changes=(OUR_LDIF / "leading-cfind-scp.ldif",))
    feed(archive, tmp_path, dcmqrscp(port=archive.leading_port))
    page = open_window(locale="en-GB", viewport={"width": 1280, "height": 720}, color_scheme="light").page
    page.goto(f"{archive.http}/ui/studies/DCM4CHEE/{STUDY}/values?to=STORESCP")
    for text in ("Right^Name", "Stale^Name", "stale"):
        expect(page.get_by_text(text, exact=True).first).to_be_in_viewport()
    picture = screenshots() / "ui-values.png"
    page.screenshot(path=picture)
    assert picture.stat().st_size < 150_000
