"""Comparisons as jobs of the service: begun, watched, ended and gone on with over HTTP."""

from __future__ import annotations

import csv
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import httpx
import pytest

from dcm4py_leading.model.options import Options
from dcm4py_leading.web.app import create_app
from tests.fixtures.drifted import ANSWERS, EXPECTED, STUDIES, fill, said, uids
from tests.fixtures.http import served
from tests.fixtures.scripted import Answer, LeadingScp, knows
from tests.fixtures.service import Seed
from tests.fixtures.workers import Serve, until

DRIFT = "/dcm4py-leading/drift"
PATH = f"{DRIFT}/DCM4CHEE"
FAST = {"rate": "1000"}


@pytest.fixture
def filled(seed: Seed) -> Seed:
    """An archive with studies, which asks for two at once."""
    fill(seed)
    seed.options = Options(leading_page_size=2)
    return seed


@pytest.fixture
def http(filled: Seed) -> Iterator[httpx.Client]:
    with served(app=create_app(filled.start())) as client:
        client.timeout = httpx.Timeout(120)
        yield client


class Gate:
    """Script of a leading archive that knows every study, and keeps a question for study 5 waiting."""

    def __init__(self) -> None:
        self.waiting, self.opened = threading.Event(), threading.Event()
        self._knowing = knows(*(said(number, PatientName="Roe^Jane") for number in range(1, STUDIES + 1)))

    def __call__(self, event: Any) -> Iterable[Answer]:
        if "1.2.5" in uids(event.identifier) and not self.opened.is_set():
            self.waiting.set()
            self.opened.wait(60)
        yield from self._knowing(event)


def ended(http: httpx.Client) -> dict[str, Any]:
    """The comparison when its job has ended."""
    until(lambda: http.get(PATH).json()["job"]["state"] != "running", seconds=120)
    latest: dict[str, Any] = http.get(PATH).json()
    return latest


def rows(text: str) -> list[tuple[str, str, str]]:
    found = csv.DictReader(text.splitlines())
    return [(row["StudyInstanceUID"], row["outcome"], row["attributes"]) for row in found]


def test_a_comparison_is_begun_watched_and_fetched(
    filled: Seed, http: httpx.Client, leading_scp: Callable[..., LeadingScp]
) -> None:
    leading_scp(filled.leading_port, knows(*ANSWERS))
    assert http.get(DRIFT).json() == []
    assert http.get(PATH).status_code == http.get(f"{PATH}/csv").status_code == 404
    begun = http.post(PATH, params=FAST)
    assert begun.status_code == 202, begun.text
    assert begun.json()["subject"] == {"ae": "DCM4CHEE", "leading": "QRSCP"}
    latest = ended(http)
    assert (latest["isComplete"], latest["canGoOn"], latest["studies"]) == (True, False, STUDIES)
    assert latest["summary"]["outcomes"] == {"current": 2, "stale": 3, "unknown": 2, "unusable": 0, "unasked": 0}
    job = http.get(begun.headers["location"]).json()
    assert (job["state"], job["done"], job["of"], job["problems"]) == ("done", STUDIES, STUDIES, [])
    fetched = http.get(f"{PATH}/csv")
    assert rows(fetched.text) == EXPECTED
    assert (
        fetched.headers["content-type"].startswith("text/csv")
        and "attachment" in fetched.headers["content-disposition"]
    )
    assert "Roe" not in fetched.text
    assert http.get(DRIFT).json() == [latest]
    folder = filled.data_dir / "drift"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}


@pytest.mark.parametrize("title", ["NOBODY", "x" * 5000, "a%0Ab"])
def test_foreign_ae_has_no_comparison_and_no_log_line(
    http: httpx.Client, caplog: pytest.LogCaptureFixture, title: str
) -> None:
    for address in (f"{DRIFT}/{title}", f"/ui/drift/{title}", f"{DRIFT}/{title}/csv"):
        assert http.get(address).status_code == 404
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_values_are_in_the_csv_file_where_they_are_wanted(
    filled: Seed, http: httpx.Client, leading_scp: Callable[..., LeadingScp]
) -> None:
    leading_scp(filled.leading_port, knows(*ANSWERS))
    assert http.post(PATH, params={**FAST, "values": "true", "since": "2026-03-01"}).status_code == 202
    ended(http)
    fetched = http.get(f"{PATH}/csv").text
    assert rows(fetched) == EXPECTED[2:]
    assert "Roe^Jane" in fetched


def test_one_comparison_per_ae_runs_and_a_cancelled_one_resumes(
    filled: Seed, http: httpx.Client, leading_scp: Callable[..., LeadingScp]
) -> None:
    gate = Gate()
    leading = leading_scp(filled.leading_port, gate)
    assert http.post(PATH, params={"goOn": "true"}).status_code == 409
    assert http.post(PATH, params=FAST).status_code == 202
    assert gate.waiting.wait(60)
    assert http.post(PATH, params=FAST).status_code == 409
    assert len(rows(http.get(f"{PATH}/csv").text)) == 4
    assert http.delete(PATH).status_code == 204
    gate.opened.set()
    cancelled = ended(http)
    assert cancelled["job"]["state"] == "cancelled" and cancelled["canGoOn"]
    assert http.delete(PATH).status_code == 404
    before = [uid for query in leading.queries for uid in uids(query)]
    assert http.post(PATH, params={"goOn": "true"}).status_code == 202
    latest = ended(http)
    assert (latest["isComplete"], latest["summary"]["outcomes"]["stale"]) == (True, STUDIES)
    asked = [uid for query in leading.queries for uid in uids(query)][len(before) :]
    assert asked == [f"1.2.{number}" for number in range(cancelled["studies"] + 1, STUDIES + 1)]
    assert [row[0] for row in rows(http.get(f"{PATH}/csv").text)] == [f"1.2.{n}" for n in range(1, STUDIES + 1)]


def test_it_outlasts_the_service(filled: Seed, leading_scp: Callable[..., LeadingScp]) -> None:
    gate = Gate()
    leading_scp(filled.leading_port, gate)
    service = filled.start()
    with served(app=create_app(service)) as http:
        assert http.post(PATH, params=FAST).status_code == 202
        assert gate.waiting.wait(60)
        (handle, _), *_ = service.jobs._running.values()
        stopping = threading.Thread(target=service.stop, args=(60,))
        stopping.start()
        until(lambda: handle.is_cancelled, seconds=60)
        gate.opened.set()
        stopping.join(120)
    with served(app=create_app(filled.start())) as http:
        latest = http.get(PATH).json()
        assert (latest["job"], latest["canGoOn"], latest["isComplete"]) == (None, True, False)
        assert http.post(PATH, params={"goOn": "true"}).status_code == 202
        assert ended(http)["summary"]["outcomes"]["stale"] == STUDIES
        assert len(rows(http.get(f"{PATH}/csv").text)) == STUDIES


def test_a_new_one_takes_the_place_of_the_latest(
    filled: Seed, http: httpx.Client, leading_scp: Callable[..., LeadingScp]
) -> None:
    leading_scp(filled.leading_port, knows(*ANSWERS))
    http.post(PATH, params=FAST)
    ended(http)
    http.post(PATH, params={**FAST, "since": "2026-07-01"})
    latest = ended(http)
    assert (latest["studies"], latest["subject"]["since"]) == (1, "2026-07-01")
    assert len(rows(http.get(f"{PATH}/csv").text)) == 1


def test_missing_leading_archive_is_reported_and_cancel_does_not_wait(http: httpx.Client) -> None:
    assert http.post(PATH, params=FAST).status_code == 202
    until(lambda: bool(http.get(PATH).json()["job"]["problems"]), seconds=120)
    (problem,) = http.get(PATH).json()["job"]["problems"]
    assert problem.startswith("leading archive QRSCP will be asked again: ")
    assert http.delete(PATH).status_code == 204
    assert ended(http)["job"]["state"] == "cancelled"


@pytest.mark.parametrize(
    ("parameters", "status", "told"),
    [
        ({"since": "yesterday"}, 400, "since: expected a date"),
        ({"rate": "0"}, 400, "rate: expected a number"),
        ({"rate": "nan"}, 400, "rate: expected a number"),
        ({"archiveRate": "fast"}, 400, "archiveRate: expected a number"),
        ({"values": "perhaps"}, 400, "values: expected true or false"),
        ({"leading": "A" * 17}, 409, "AE title"),
        ({"leading": "NOBODY"}, 409, "NOBODY is not in the directory"),
    ],
)
def test_impossible_wish_is_refused(http: httpx.Client, parameters: dict[str, str], status: int, told: str) -> None:
    answer = http.post(PATH, params=parameters)
    assert (answer.status_code, told in answer.json()["errorMessage"]) == (status, True), answer.text
    assert http.get(DRIFT).json() == []


def test_an_ae_that_is_none_of_ours_is_refused(http: httpx.Client) -> None:
    answer = http.post(f"{DRIFT}/NOBODY")
    assert (answer.status_code, "the device has no NOBODY" in answer.text) == (409, True)
    assert http.get(f"{DRIFT}/..%2F..%2Fetc").status_code == 404


def test_a_service_with_workers_compares_too(
    filled: Seed, serve: Serve, leading_scp: Callable[..., LeadingScp]
) -> None:
    leading_scp(filled.leading_port, knows(*ANSWERS))
    running = serve(workers=2)
    with httpx.Client(base_url=f"http://127.0.0.1:{running.http_port}", trust_env=False, timeout=120) as http:
        assert http.post(PATH, params=FAST).status_code == 202
        assert ended(http)["summary"]["outcomes"]["stale"] == 3
        assert rows(http.get(f"{PATH}/csv").text) == EXPECTED
