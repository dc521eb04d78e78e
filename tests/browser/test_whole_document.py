"""The whole way in a browser, with a mouse and without: edit, cache, rule, reload, send; on our tree and the stock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.operators import Keyboard, Mouse, Operator
from tests.fixtures.chromium import OpenWindow
from tests.fixtures.dcmtk import DcmQrScp, StoreScp
from tests.fixtures.scene import RIGHT_VALUES, Archive, StartArchive, delivered, feed
from tests.fixtures.service import DEVICE
from tests.fixtures.slapd import OUR_LDIF, Upstream

pytestmark = pytest.mark.peers

EDITED_VALUES = {("Edited^Name", "STALE-ID", "Stale description", "STALE")}
NAME = "dcm4chee-arc"
TIMEOUT = "Leading C-Find SCP Query Cache Stale Timeout"
SIZE = "Leading C-Find SCP Query Cache Size"


@pytest.fixture(params=["ours", "stock"])
def archive(request: pytest.FixtureRequest, start_archive: StartArchive) -> Archive:
    """The service on the quickstart's tree under our schema, or on dcm4chee's own under its own."""
    if request.param == "ours":
        return start_archive()
    upstream: Upstream = request.getfixturevalue("upstream")
    return start_archive(
        content=upstream.stock_content, schema=upstream.schema, changes=(OUR_LDIF / "stock-peers.ldif",)
    )


def find_the_study(page: Page, user: Operator, name: str) -> None:
    """From anywhere to the page of the study."""
    user.follow("Studies")
    user.fill("Patient name", f"{name}*")
    user.press("Search")
    user.follow(f"{name}^Name")
    page.get_by_role("heading", name="Series", exact=False).first.wait_for()


def edit_the_patient(page: Page, user: Operator) -> None:
    """The name of the patient, with a look at what it changes."""
    user.follow("Edit patient")
    user.fill("Alphabetic", "Edited^Name")
    user.press("Preview")
    page.get_by_role("heading", name="What it would change").wait_for()
    user.press("Save")
    page.get_by_text("The edit is saved.").wait_for()


def set_the_cache(page: Page, user: Operator) -> None:
    """The two fields of the leading cache."""
    user.follow("Devices")
    user.follow(NAME)
    user.fill(TIMEOUT, "PT7M")
    user.fill(SIZE, "0")
    user.press("Save")
    page.get_by_role("heading", name="Saved").wait_for()


def add_the_rule(page: Page, user: Operator) -> None:
    """The seed's rule; it is in force afterwards."""
    user.follow("Devices")
    user.follow(NAME)
    user.follow("Show in order")
    user.follow("New: Coercion rule (legacy)")
    user.fill("Name", "Leading DCMQRSCP")
    user.choose("DIMSE", "C_STORE_RQ")
    user.choose("Transfer Role", "SCP")
    user.fill("Attribute or peer 1", "ReceivingApplicationEntityTitle")
    user.fill("Value (regular expression) 1", "STORESCP")
    user.fill("Leading C-Find SCP", "QRSCP")
    user.press("Save and reload")
    page.get_by_role("heading", name="Saved").wait_for()
    page.get_by_text("The configuration of the directory is in force.").wait_for()


def send_the_study(page: Page, user: Operator) -> None:
    """To the viewer, until all of it has arrived."""
    user.follow("Send")
    user.choose("Destination", "STORESCP")
    user.press("Send")
    page.get_by_role("heading", name="Sending to STORESCP").wait_for()
    expect(page.get_by_role("status")).to_have_text("done 3 of 3")


@pytest.mark.parametrize("operator", [Mouse, Keyboard], ids=["mouse", "keyboard"])
@pytest.mark.ldap("dcmLeadingCFindSCPQueryCacheStaleTimeout", "dcmLeadingCFindSCPQueryCacheSize", "dcmLeadingCFindSCP")
def test_an_edit_is_sent_and_then_what_the_leading_archive_says(
    operator: Callable[[Page], Operator],
    archive: Archive,
    dcmqrscp: Callable[..., DcmQrScp],
    storescp: Callable[..., StoreScp],
    open_window: OpenWindow,
    tmp_path: Path,
) -> None:
    leading = dcmqrscp(port=archive.leading_port)
    viewer = storescp(port=archive.viewer_port, options=("+xa", "+B", "+uf"))
    feed(archive, tmp_path, leading)
    page = open_window(locale="en-GB").page
    user = operator(page)

    page.goto(f"{archive.http}/ui/")
    find_the_study(page, user, "Stale")
    edit_the_patient(page, user)
    find_the_study(page, user, "Edited")
    send_the_study(page, user)
    assert delivered(viewer) == EDITED_VALUES
    assert leading.requests("C-FIND RQ") == 0

    set_the_cache(page, user)
    add_the_rule(page, user)
    entry = archive.slapd.entry(DEVICE, "dcmLeadingCFindSCPQueryCacheStaleTimeout", "dcmLeadingCFindSCPQueryCacheSize")
    assert entry["dcmleadingcfindscpquerycachestaletimeout"] == ["PT7M"]
    assert entry["dcmleadingcfindscpquerycachesize"] == ["0"]

    find_the_study(page, user, "Edited")
    send_the_study(page, user)
    assert delivered(viewer, since=3) == RIGHT_VALUES
