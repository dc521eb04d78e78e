"""The page of leading archives: state at a glance, C-ECHO, and the last hours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from dcm4py_leading.errors import StatusError
from dcm4py_leading.leading.breaker import BreakerState
from dcm4py_leading.leading.contacts import Contact
from dcm4py_leading.leading.last_known import FILE_NAME
from dcm4py_leading.leading.outcome import Latency
from dcm4py_leading.service.leading.rules import LeadingRule
from dcm4py_leading.service.monitor.echo import EchoOutcome, EchoResult, UnknownAE
from dcm4py_leading.web.app import guarded_app
from dcm4py_leading.web.http.rooms import Room
from dcm4py_leading.web.pages.answering import Rooms
from dcm4py_leading.web.pages.leading.routes import leading_routes
from tests.fixtures.http import served
from tests.fixtures.measured import NOON, OURS, QRSCP, Led, Sample, contacts, lookups
from tests.fixtures.pages import Page

PAGE = "/ui/leading"
RULE = LeadingRule(
    local_ae_title=OURS,
    leading_ae_title=QRSCP,
    cn="Leading <QRSCP>",
    dn="cn=Leading QRSCP,dicomDeviceName=dcm4chee-arc,cn=Devices,cn=DICOM Configuration,dc=example",
)
ANSWERED = Contact(last_answer=NOON)
FAILED = Contact(last_answer=NOON, last_failure=NOON + timedelta(minutes=1), failure="connection <refused>")


class Visitor:
    """Somebody without JavaScript."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def get(self, path: str = PAGE) -> Page:
        return Page(self._client, self._client.get(path))

    def post(self, path: str, **fields: str) -> Page:
        return Page(self._client, self._client.post(path, data=fields))


@contextmanager
def visiting(service: Led) -> Iterator[Visitor]:
    looking, changing = (Room(what, threads=4, waiting=8) for what in ("looking", "changing"))
    app = guarded_app(leading_routes(service, Rooms(looking=looking, changing=changing)))
    with served(app=app) as client:
        client.follow_redirects = True
        yield Visitor(client)


def rows(page: Page) -> list[str]:
    return [" ".join(row.text_content().split()) for row in page.tree.xpath("//div[@id='live']//tbody/tr")]


def test_without_a_leading_archive_the_page_tells_how_to_get_one() -> None:
    with visiting(Led()) as visitor:
        page = visitor.get()
    assert "No rule names a leading archive." in page.text
    assert page.tree.xpath("//main//a[@href='/ui/devices']")
    assert not page.tree.xpath("//div[@data-plots]")


def test_each_archive_is_told_with_who_asks_it_the_rule_and_its_last_answer() -> None:
    sample = Sample(lookups(waiting=130), contacts(QRSCP=ANSWERED))
    with visiting(Led(measured=sample, rules=[RULE])) as visitor:
        page = visitor.get()
    (row,) = rows(page)
    for told in ("QRSCP", "answers", "DCM4CHEE", "Leading <QRSCP>", NOON.astimezone().isoformat(" ", "seconds"), "130"):
        assert told in row
    (link,) = page.tree.xpath("//a[text()='Leading <QRSCP>']")
    assert link.get("href") == "/ui/devices/dcm4chee-arc/entry?at=cn%3DLeading%20QRSCP"
    assert not page.tree.xpath("//*[@class='notice bad']")


@pytest.mark.parametrize(
    ("breaker", "state"),
    [
        (BreakerState.CLOSED, "does not answer"),
        (BreakerState.HALF_OPEN, "on trial"),
        (BreakerState.OPEN, "paused"),
    ],
)
def test_archive_without_answer_is_listed_first_with_reason(breaker: BreakerState, state: str) -> None:
    sample = Sample(lookups(breaker=breaker), contacts(QRSCP=FAILED, OTHER=ANSWERED))
    with visiting(Led(measured=sample)) as visitor:
        page = visitor.get()
    (notice,) = page.tree.xpath("//*[@class='notice bad']")
    assert "No answer from QRSCP." in notice.text_content()
    assert "connection <refused>" in rows(page)[1] and state in rows(page)[1]
    assert "no longer in a rule" in rows(page)[1]


def test_archives_behind_are_told_too() -> None:
    sample = Sample(contacts=contacts(behind={"PACS": FAILED}))
    with visiting(Led(measured=sample)) as visitor:
        page = visitor.get()
    assert "Archives behind us" in page.text
    (row,) = [row for row in rows(page) if "PACS" in row]
    assert "does not answer" in row and "connection <refused>" in row


def test_the_part_that_renews_itself_is_the_state_alone() -> None:
    with visiting(Led(measured=Sample(contacts=contacts(QRSCP=ANSWERED)))) as visitor:
        part = visitor.get(f"{PAGE}/live")
    assert part.tree.get("id") == "live"
    assert "QRSCP" in part.text
    assert "<h1" not in part.html


def test_a_c_echo_tells_its_times() -> None:
    service = Led(measured=Sample(contacts=contacts(QRSCP=ANSWERED)))
    service.echo_outcome = EchoOutcome(result=EchoResult.SUCCESS, connection_ms=12, echo_ms=3, release_ms=4)
    with visiting(service) as visitor:
        page = visitor.post(f"{PAGE}/echo", local="DCM4CHEE", remote="QRSCP")
    assert service.echoed == [("DCM4CHEE", "QRSCP")]
    assert "DCM4CHEE called QRSCP: the archive answers. Connection 12 ms, C-ECHO 3 ms, release 4 ms." in page.text
    assert rows(page)


@pytest.mark.parametrize("result", [result for result in EchoResult if result is not EchoResult.SUCCESS])
@pytest.mark.parametrize("language", ["en", "de"])
def test_failed_c_echo_reports_last_step_and_reason(result: EchoResult, language: str) -> None:
    service = Led(echo_outcome=EchoOutcome(result=result, error="called AE title <not> recognized"))
    with visiting(service) as visitor:
        page = visitor.post(f"{PAGE}/echo?lang={language}", local="DCM4CHEE", remote="QRSCP")
    (alert,) = page.tree.xpath("//*[@role='alert']")
    assert "called AE title <not> recognized" in alert.text_content()
    first, _ = alert.xpath("p")
    assert len(first.text_content()) > len(first.xpath("strong")[0].text_content()) + 10


@pytest.mark.parametrize("failure", [UnknownAE("AE X is none of ours"), StatusError("no worker answers")])
def test_a_c_echo_that_could_not_be_sent_tells_why(failure: Exception) -> None:
    with visiting(Led(echo_outcome=failure)) as visitor:
        page = visitor.post(f"{PAGE}/echo", local="X", remote="QRSCP")
    assert page.status == 200
    assert str(failure) in page.text


def with_history(*samples: Sample) -> Led:
    service = Led(measured=samples[0])
    for sample in samples:
        service.measured = sample
        service.leading.history.sample()
    return service


def test_page_says_when_values_come_during_the_first_minute() -> None:
    with visiting(with_history(Sample(contacts=contacts(QRSCP=ANSWERED)))) as visitor:
        page = visitor.get()
    assert "The first values come one minute after the start." in page.text
    assert page.tree.get_element_by_id("history").get("hx-trigger") == "every 10s"


def test_the_table_has_the_last_hours_without_a_script() -> None:
    told = contacts(QRSCP=ANSWERED)
    latency = Latency()
    service = with_history(
        Sample(lookups(latency=latency), told),
        Sample(lookups(latency=latency.observe(0.2), HIT=3, MISS=1, STALE_SERVED=2, MISMATCH=1), told),
    )
    with visiting(service) as visitor:
        page = visitor.get(f"{PAGE}?hours=1")
        german = visitor.get(f"{PAGE}?hours=1&lang=de")
    assert "starts again with the service" in page.text
    table = page.tree.xpath("//section[@id='history']//table")[0]
    cells = [" ".join(cell.text_content().split()) for cell in table.xpath(".//tbody/tr[1]/td")]
    assert cells[0] == "7"
    assert cells[1] == "43%"
    assert cells[4] == "200 ms"
    assert cells[5:7] == ["2", "1"]
    assert cells[-1] == "closed"
    assert "geschlossen" in german.text


def test_counts_lost_with_a_process_are_told_not_shown_as_zero() -> None:
    told = contacts(QRSCP=ANSWERED)
    service = with_history(Sample(lookups(HIT=9), told, workers=2), Sample(lookups(HIT=4), told, workers=1))
    with visiting(service) as visitor:
        page = visitor.get(f"{PAGE}?hours=1")
    assert "unknown: a process ended or gave no answer" in page.text


def test_an_archive_that_was_not_asked_has_no_empty_plots() -> None:
    told = contacts(QRSCP=ANSWERED)
    with visiting(with_history(Sample(lookups(), told), Sample(lookups(), told))) as visitor:
        page = visitor.get()
    assert "It was not asked in this time." in page.text
    assert not page.tree.xpath("//div[@data-plots]")


def test_archives_behind_have_a_history_too() -> None:
    told = contacts(behind={"PACS": ANSWERED})
    asked = replace(told, asked={(OURS, "PACS", "C-FIND", "answered"): 6, (OURS, "PACS", "C-MOVE", "failed"): 2})
    with visiting(with_history(Sample(contacts=told), Sample(contacts=asked))) as visitor:
        page = visitor.get()
    (table,) = page.tree.xpath("//section[@id='history']//table")
    assert table.xpath(".//tbody//td/text()") == ["6", "2"]
    assert page.tree.xpath("//div[@data-plots]")[0].get("data-kind") == "archives"


def test_plots_are_told_where_their_values_are() -> None:
    told = contacts(QRSCP=ANSWERED)
    service = with_history(Sample(lookups(), told), Sample(lookups(HIT=1), told))
    with visiting(service) as visitor:
        page = visitor.get(f"{PAGE}?hours=24")
    (holder,) = page.tree.xpath("//div[@data-plots]")
    assert holder.get("data-plots") == "/dcm4py-leading/leading/history?hours=24"
    assert holder.get("data-archive") == "QRSCP"
    lines = [json.loads(plot.get("data-lines")) for plot in holder.xpath(".//div[@data-lines]")]
    assert [len(plot) for plot in lines] == [3, 1, 4, 2]
    (current,) = page.tree.xpath("//section[@id='history']//nav//a[@aria-current]")
    assert current.text == "24 hours"


@pytest.mark.parametrize("hours", ["2", "", "-1", "24h", "9" * 30])
def test_other_spans_are_six_hours(hours: str) -> None:
    told = contacts(QRSCP=ANSWERED)
    with visiting(with_history(Sample(lookups(), told), Sample(lookups(HIT=1), told))) as visitor:
        page = visitor.get(f"{PAGE}?hours={hours}")
    assert page.tree.xpath("//div[@data-plots]")[0].get("data-plots").endswith("hours=6")


def test_last_known_answers_that_cannot_be_read_are_told(tmp_path: Path) -> None:

    (tmp_path / FILE_NAME).write_bytes(b"no database at all" * 300)
    with visiting(Led(measured=Sample(contacts=contacts(QRSCP=ANSWERED)), folder=tmp_path)) as visitor:
        page = visitor.get()
    assert page.status == 200
    assert "cannot be read" in page.text
