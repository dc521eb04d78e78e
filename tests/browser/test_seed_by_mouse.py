"""The seed's configuration in a browser, by mouse and keyboard, and what a viewer gets by it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.fixtures.chromium import OpenWindow
from tests.fixtures.dcmtk import DcmQrScp, StoreScp
from tests.fixtures.scene import (
    RIGHT_VALUES,
    STALE_VALUES,
    Archive,
    StartArchive,
    delivered,
    feed,
    move_study,
)
from tests.fixtures.service import DEVICE
from tests.fixtures.slapd import OUR_SCHEMA
from tests.fixtures.users import PASSWORDS, PERSON_SCHEMA, QUICKSTART, users_ldif

pytestmark = pytest.mark.peers

TIMEOUT = "Leading C-Find SCP Query Cache Stale Timeout"
SIZE = "Leading C-Find SCP Query Cache Size"


@pytest.fixture
def archive(start_archive: StartArchive) -> Archive:
    """The service on a directory with users, who log in."""
    return start_archive(content=(QUICKSTART, users_ldif()), schema=(*PERSON_SCHEMA, *OUR_SCHEMA), extra=("--login",))


def log_in(page: Page, archive: Archive, user: str = "anna") -> None:
    """Begin where a bookmark of the first page would."""
    page.goto(f"{archive.http}/ui/devices")
    page.get_by_label("User").fill(user)
    page.get_by_label("Password").fill(PASSWORDS[user])
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="Devices", level=1).wait_for()


def value_in(archive: Archive, dn: str, attribute: str) -> list[str]:
    """The values that the directory has."""
    return archive.slapd.entry(dn, attribute).get(attribute.lower(), [])


@pytest.mark.ldap("dcmLeadingCFindSCPQueryCacheStaleTimeout", "dcmLeadingCFindSCPQueryCacheSize", "dcmLeadingCFindSCP")
def test_the_seed_by_mouse(
    archive: Archive,
    dcmqrscp: Callable[..., DcmQrScp],
    storescp: Callable[..., StoreScp],
    open_window: OpenWindow,
    tmp_path: Path,
) -> None:
    leading = dcmqrscp(port=archive.leading_port)
    viewer = storescp(port=archive.viewer_port, options=("+xa", "+B", "+uf"))
    feed(archive, tmp_path, leading)
    assert move_study(archive) == 0x0000
    assert delivered(viewer) == STALE_VALUES

    page = open_window(locale="en-GB").page
    log_in(page, archive)
    page.get_by_role("link", name="dcm4chee-arc").click()
    page.get_by_label(TIMEOUT, exact=True).fill("PT7M")
    expect(page.locator("#s-dcmLeadingCFindSCPQueryCacheStaleTimeout")).to_contain_text("7 minutes")
    page.get_by_label(SIZE, exact=True).fill("0")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("heading", name="Saved").wait_for()
    assert value_in(archive, DEVICE, "dcmLeadingCFindSCPQueryCacheStaleTimeout") == ["PT7M"]
    assert value_in(archive, DEVICE, "dcmLeadingCFindSCPQueryCacheSize") == ["0"]

    page.goto(f"{archive.http}/ui/devices/dcm4chee-arc/coercions")
    page.get_by_role("link", name="New: Coercion rule (legacy)").click()
    page.get_by_label("Name", exact=True).fill("Leading DCMQRSCP")
    page.get_by_label("DIMSE", exact=True).select_option("C_STORE_RQ")
    page.get_by_label("Transfer Role", exact=True).select_option("SCP")
    page.get_by_label("Attribute or peer 1").fill("ReceivingApplicationEntityTitle")
    page.get_by_label("Value (regular expression) 1").fill("STORESCP")
    expect(page.locator(".matches").first).to_contain_text("STORESCP")
    page.get_by_label("Leading C-Find SCP", exact=True).fill("QRSCP")
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("heading", name="What it would do").wait_for()
    expect(page.get_by_label("LDIF", exact=True)).to_contain_text("dcmLeadingCFindSCP: QRSCP")
    assert not archive.slapd.ldapsearch("cn", filter_="(cn=Leading DCMQRSCP)")
    assert move_study(archive) == 0x0000
    assert delivered(viewer, since=3) == STALE_VALUES

    page.get_by_role("button", name="Save and reload").click()
    page.get_by_role("heading", name="Saved").wait_for()
    page.get_by_text("The configuration of the directory is in force.").wait_for()
    assert move_study(archive) == 0x0000
    assert delivered(viewer, since=6) == RIGHT_VALUES
    assert leading.requests("C-FIND RQ") == 1


def test_a_change_made_elsewhere_meanwhile_is_shown_and_not_overwritten(
    archive: Archive, open_window: OpenWindow
) -> None:
    page = open_window(locale="en-GB").page
    log_in(page, archive)
    page.goto(f"{archive.http}/ui/devices/dcm4chee-arc")
    page.get_by_label(SIZE, exact=True).fill("77")
    changed = archive.slapd.ldapmodify(
        f"dn: {DEVICE}\nchangetype: modify\nreplace: dcmLeadingCFindSCPQueryCacheSize\n"
        "dcmLeadingCFindSCPQueryCacheSize: 66\n-\nreplace: dicomDescription\ndicomDescription: by ldapmodify\n"
    )
    assert changed.returncode == 0, changed.stderr
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("heading", name="Somebody else was faster").wait_for()
    expect(page.locator(".theirs")).to_have_text("66")
    expect(page.locator(".mine")).to_have_text("77")
    assert value_in(archive, DEVICE, "dcmLeadingCFindSCPQueryCacheSize") == ["66"]

    page.get_by_label("Keep mine").check()
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("heading", name="Saved").wait_for()
    assert value_in(archive, DEVICE, "dcmLeadingCFindSCPQueryCacheSize") == ["77"]
    assert value_in(archive, DEVICE, "dicomDescription") == ["by ldapmodify"]


def test_viewer_role_sees_no_way_to_change(archive: Archive, open_window: OpenWindow) -> None:
    page = open_window(locale="en-GB").page
    log_in(page, archive, "vera")
    page.goto(f"{archive.http}/ui/devices/dcm4chee-arc")
    expect(page.get_by_label(SIZE, exact=True)).to_be_disabled()
    expect(page.get_by_role("button", name="Save")).to_have_count(0)
    page.goto(f"{archive.http}/ui/control")
    expect(page.get_by_role("button", name="Reload now")).to_have_count(0)


def test_log_out_ends_the_session(archive: Archive, open_window: OpenWindow) -> None:
    window = open_window(locale="en-GB")
    page = window.page
    log_in(page, archive)
    cookies: Any = page.context.cookies()
    page.get_by_role("button", name="Log out").click()
    page.get_by_label("Password").wait_for()
    page.context.add_cookies(cookies)
    page.goto(f"{archive.http}/ui/control")
    page.get_by_label("Password").wait_for()
