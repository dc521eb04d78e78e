"""The Control page: what runs, what waits in the directory, what is under way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dcm4py_leading.config.following.difference import Difference, Kind
from dcm4py_leading.errors import ConfigUnavailable, Problem, Severity
from dcm4py_leading.web.own.running import FailedReload, PendingReload
from tests.fixtures.pages import NOON, Reader

pytestmark = pytest.mark.peers

PAGE = "/ui/control"


def test_configuration_in_force_is_told(reader: Reader) -> None:
    page = reader.get(PAGE)
    assert "0123456789ab" in page.text
    assert "ldap://ldap.example.org" in page.text
    assert "Nothing: the configuration in force is that of the directory." in page.text


def test_last_good_copy_and_failures_are_told(reader: Reader) -> None:
    reader.service.configuration = {
        "is_last_good": True,
        "directory_failure": "connection refused",
        "last_failed_reload": FailedReload(at=NOON, error="1 error"),
        "degraded": ("the directory is down",),
        "problems": (Problem(dn="cn=x", attribute="dcmURI", reason="odd", severity=Severity.WARNING),),
    }
    text = reader.get(PAGE).text
    for told in ("last good copy", "connection refused", "1 error", "the directory is down", "odd", "cn=x"):
        assert told in text


def test_outcome_of_a_pending_reload_is_told(reader: Reader) -> None:
    difference = Difference(kind=Kind.ADDED, object_class="dcmArchiveAttributeCoercion", name="New")
    problem = Problem(dn="cn=y", attribute="dcmDIMSE", reason="is no DIMSE")
    reader.service.waiting = PendingReload(
        can_be_reloaded=False, fingerprint=None, differences=(difference,), problems=(problem,)
    )
    text = reader.get(PAGE).text
    assert "rule New: added" in text
    assert "A reload would be refused." in text
    assert "is no DIMSE" in text


def test_warnings_of_what_is_in_force_are_not_told_twice(reader: Reader) -> None:
    warning = Problem(dn="cn=x", attribute="dcmURI", reason="is odd", severity=Severity.WARNING)
    error = Problem(dn="cn=y", attribute="dcmDIMSE", reason="is no DIMSE")
    reader.service.configuration = {"problems": (warning,)}
    reader.service.waiting = replace(reader.service.waiting, problems=(warning,))
    text = reader.get(PAGE).text
    assert text.count("is odd") == 1
    assert "The directory has the same warnings." in text
    reader.service.waiting = replace(reader.service.waiting, problems=(warning, error))
    rows = reader.get(PAGE).tree.xpath("//caption[text()='What is wrong in the directory']/..//tbody/tr")
    assert ["is no DIMSE" in row.text_content() for row in rows] == [True, False]


def test_reload_shows_its_result(reader: Reader) -> None:
    warning = Problem(dn="cn=x", attribute="dcmURI", reason="is odd", severity=Severity.WARNING)
    reader.service.configuration = {"problems": (warning,)}
    done = reader.post(f"{PAGE}/reload").text
    assert "is in force" in done
    assert "Warnings of this configuration: 1" in done
    reader.service.fails_with = ConfigUnavailable("nobody answers")
    page = reader.post(f"{PAGE}/reload")
    assert page.status == 409
    assert "nobody answers" in page.text


def test_associations_are_listed_and_aborted(reader: Reader) -> None:
    reader.service.opens(7, remote="VIEWER<7>")
    page = reader.get(PAGE)
    assert "VIEWER<7>" in page.text
    assert "C-FIND 1/3" in page.text
    assert reader.post(f"{PAGE}/abort", serial="7").answer.url.path == PAGE
    assert reader.service.aborted == [7]


@pytest.mark.parametrize("serial", ["8", "x", ""])
def test_an_association_that_is_over_cannot_be_aborted(reader: Reader, serial: str) -> None:
    page = reader.post(f"{PAGE}/abort", serial=serial)
    assert page.status == 409
    assert "This association no longer exists" in page.text


def test_the_part_that_changes_comes_alone(reader: Reader) -> None:
    reader.service.opens(7)
    answer = reader.client.get(f"{PAGE}/live")
    assert answer.text.lstrip().startswith('<div id="live" data-associations="1"')


def test_listening_is_stopped_and_started(reader: Reader) -> None:
    assert "Stopped by an administrator" in reader.post(f"{PAGE}/stop").text
    assert "does not listen" in reader.get(PAGE).text
    assert "Stopped by an administrator" not in reader.post(f"{PAGE}/start").text


def test_a_start_that_fails_is_told(reader: Reader) -> None:
    reader.service.fails_with = ConfigUnavailable("port 11112 is in use")
    page = reader.post(f"{PAGE}/start")
    assert page.status == 409
    assert "port 11112 is in use" in page.text
