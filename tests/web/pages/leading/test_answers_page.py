"""The page of remembered answers: found by a part of the UID, in pages, and dropped by administrators alone."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request

from dcm4py_leading.leading.last_known import FILE_NAME, AnswerScope, LastKnown
from dcm4py_leading.leading.lookup import CachedAnswer
from dcm4py_leading.model.bounds import LISTED_ANSWERS
from dcm4py_leading.model.values import UID, Tag
from dcm4py_leading.web.app import guarded_app
from dcm4py_leading.web.gate.identity import Doorkeeper, Identity, Role
from dcm4py_leading.web.http.rooms import Room
from dcm4py_leading.web.pages.answering import Rooms
from dcm4py_leading.web.pages.leading.routes import leading_routes
from tests.fixtures.http import served
from tests.fixtures.measured import QRSCP, Led
from tests.fixtures.pages import Page
from tests.fixtures.rules import data_set

PAGE = "/ui/leading/answers"
STUDY = "1.2.826.0.1"


class Viewers:
    """Lets everybody in as a viewer."""

    async def identify(self, request: Request) -> Identity:
        return Identity("anna", frozenset({Role.VIEWER}))


@contextmanager
def visiting(service: Led, doorkeeper: Doorkeeper | None = None) -> Iterator[httpx.Client]:
    looking, changing = (Room(what, threads=4, waiting=8) for what in ("looking", "changing"))
    routes = leading_routes(service, Rooms(looking=looking, changing=changing))
    with served(app=guarded_app(routes, doorkeeper=doorkeeper)) as client:
        client.follow_redirects = True
        yield client


def get(client: httpx.Client, query: str = "") -> Page:
    return Page(client, client.get(PAGE + query))


def listed(page: Page, table: str) -> list[str]:
    """The UIDs of a table, by its caption."""
    return list(page.tree.xpath(f"//table[caption='{table}']//tbody//th/code/text()"))


CACHED, KNOWN = "In the cache", "Last known answers"


def cached(count: int) -> Led:
    studies = [
        CachedAnswer(
            leading_cfind_scp=QRSCP,
            study_instance_uid=UID(f"{STUDY}.{number}"),
            age=timedelta(hours=1, seconds=-number),
            is_found=number != 2,
        )
        for number in range(1, count + 1)
    ]
    return Led(answers=studies)


def remember(folder: Path, count: int, *, age: float = 0) -> None:
    asked = AnswerScope(QRSCP, frozenset({Tag(0x00100010)}), None)
    known = LastKnown(folder / FILE_NAME, max_rows=10_000, now=lambda: time.time() - age)
    known.remember(asked, {UID(f"{STUDY}.{n}"): data_set(PatientName="Secret^Name") for n in range(1, count + 1)})
    known.close()


def test_without_answers_both_lists_say_so() -> None:
    with visiting(Led()) as client:
        page = get(client)
    assert page.text.count("Studies: 0") == 2
    assert not page.tree.xpath("//table")


def test_answers_are_told_by_uid_archive_age_and_what_the_archive_said(tmp_path: Path) -> None:
    service = cached(2)
    service.folder = tmp_path
    remember(tmp_path, 1, age=7500)
    with visiting(service) as client:
        page = get(client)
    first, second = page.tree.xpath("//table[caption='In the cache']//tbody/tr")
    assert f"{STUDY}.1" in first.text_content()
    assert "knows the study" in first.text_content() and "does not know it" in second.text_content()
    assert "59 minutes" in first.text_content()
    (known,) = page.tree.xpath("//table[caption='Last known answers']//tbody/tr")
    assert "2 hours 5 minutes" in known.text_content()
    assert "too old" not in known.text_content()
    assert "Secret" not in page.html


def test_last_known_answer_too_old_to_use_is_marked(tmp_path: Path) -> None:
    remember(tmp_path, 1, age=25 * 3600)
    with visiting(Led(folder=tmp_path)) as client:
        assert "too old to use" in get(client).text


def test_each_list_has_pages_of_its_own(tmp_path: Path) -> None:
    service = cached(LISTED_ANSWERS + 5)
    service.folder = tmp_path
    remember(tmp_path, LISTED_ANSWERS + 3)
    with visiting(service) as client:
        first = get(client)
        assert len(listed(first, CACHED)) == len(listed(first, KNOWN)) == LISTED_ANSWERS
        (of_cache, of_known) = first.tree.xpath("//section//nav//a/@href")
        second = get(client, of_cache)
        assert len(listed(second, CACHED)) == 5
        assert listed(second, KNOWN) == listed(first, KNOWN)
        third = get(client, second.tree.xpath("//nav[@aria-label='Last known answers']//a/@href")[0])
        assert (len(listed(third, CACHED)), len(listed(third, KNOWN))) == (5, 3)
        back = get(client, third.tree.xpath("//nav[@aria-label='In the cache']//a/@href")[0])
        assert listed(back, CACHED) == listed(first, CACHED)
        assert of_known != of_cache


def test_a_part_of_the_uid_finds_studies_in_both_lists(tmp_path: Path) -> None:
    service = cached(12)
    service.folder = tmp_path
    remember(tmp_path, 12)
    with visiting(service) as client:
        page = get(client, "?q=0.1.12")
    assert listed(page, CACHED) == listed(page, KNOWN) == [f"{STUDY}.12"]
    assert page.tree.get_element_by_id("q").get("value") == "0.1.12"


@pytest.mark.parametrize("text", ["Right^Name", "1.2<script>", "1" * 65, "%00"])
def test_invalid_part_of_a_uid_is_reported_and_not_repeated(text: str) -> None:
    with visiting(cached(3)) as client:
        page = get(client, f"?q={text}")
    assert page.status == 200
    assert "A part of a UID has only digits and dots." in page.text
    assert not page.tree.get_element_by_id("q").get("value")
    assert not page.tree.xpath("//table")
    assert "Right^Name" not in page.html


def test_one_answer_is_dropped_and_the_log_has_no_uid(caplog: pytest.LogCaptureFixture) -> None:
    service = cached(3)
    with visiting(service) as client, caplog.at_level(logging.INFO):
        page = Page(client, client.post(f"{PAGE}/drop", data={"study": f"{STUDY}.2"}))
    assert service.dropped == [f"{STUDY}.2"]
    assert "Dropped. Answers that were in the cache: 1." in page.text
    assert any("are to be dropped" in record.getMessage() for record in caplog.records)
    assert not any(STUDY in record.getMessage() for record in caplog.records)


def test_all_answers_are_dropped() -> None:
    service = cached(3)
    with visiting(service) as client:
        client.post(f"{PAGE}/drop", data={"study": "all"})
    assert service.dropped == [None]


@pytest.mark.parametrize("study", ["", "1.2.x", "ALL", "*"])
def test_value_other_than_a_uid_or_all_drops_nothing(study: str) -> None:
    service = cached(3)
    with visiting(service) as client:
        assert client.post(f"{PAGE}/drop", data={"study": study}).status_code == 400
    assert service.dropped == []


def test_a_viewer_looks_and_calls_archives_and_drops_nothing() -> None:
    service = cached(3)
    with visiting(service, Viewers()) as client:
        page = get(client)
        assert listed(page, CACHED)
        assert not page.tree.xpath("//main//form[@method='post']")
        assert client.post(f"{PAGE}/drop", data={"study": "all"}).status_code == 403
        assert client.post("/ui/leading/echo", data={"local": "DCM4CHEE", "remote": "QRSCP"}).status_code == 200
    assert service.dropped == []
    assert service.echoed == [("DCM4CHEE", "QRSCP")]
