"""What the HTTP rim and the command line tell and do while retrieves go on."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result
from prometheus_client.parser import text_string_to_metric_families
from pydicom import Dataset

from dcm4py_leading.__main__ import main
from dcm4py_leading.errors import ConfigInvalid
from dcm4py_leading.log import ref
from dcm4py_leading.web.app import create_app
from tests.fixtures.datasets import make_study
from tests.fixtures.http import served
from tests.fixtures.ports import free_port
from tests.fixtures.scripted import LeadingScp, Viewer, knows
from tests.fixtures.scu import identifier, move, store
from tests.fixtures.service import DEVICE, Seed

STUDY = "1.2.826.0.1.3680043.8.498.1"


@pytest.fixture
def leading(
    seed: Seed, tmp_path: Path, leading_scp: Callable[..., LeadingScp], viewer: Callable[..., Viewer]
) -> LeadingScp:
    """The seed's three systems at work, one study stored; the leading archive counts its queries."""
    seed.lead()
    seed.start()
    store(seed.archive_port, make_study(tmp_path / "s", patient_id="P", patient_name="Stale^Name", study_uid=STUDY))
    study = Dataset()
    study.StudyInstanceUID = STUDY
    study.PatientName = "Right^Name"
    study.PatientID = "RIGHT-ID"
    viewer(seed.viewer_port)
    return leading_scp(seed.leading_port, knows(study))


@pytest.fixture
def http(seed: Seed, leading: LeadingScp) -> Iterator[httpx.Client]:
    with served(app=create_app(seed.service)) as client:
        yield client


def retrieve(seed: Seed) -> None:
    (final, _) = move(seed.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))[-1]
    assert final.Status == 0x0000


def test_the_history_begins_with_the_service_and_ends_with_it(seed: Seed) -> None:
    def is_sampling() -> bool:
        return any(thread.name == "history of leading archives" for thread in threading.enumerate())

    seed.lead()
    service = seed.start()
    assert is_sampling()
    service.stop(0)
    assert not is_sampling()


def test_a_retrieve_is_in_the_history(seed: Seed, http: httpx.Client) -> None:
    history = seed.service.leading.history
    history.sample()
    retrieve(seed)
    retrieve(seed)
    history.sample()
    told = http.get("/dcm4py-leading/leading/history?hours=1").json()
    (archive,) = told["leadingArchives"]
    assert archive["aeTitle"] == "QRSCP"
    assert [sum(archive[key]) for key in ("miss", "hit", "queries")] == [1, 1, 1]
    (state,) = http.get("/dcm4py-leading/leading").json()["leadingArchives"]
    assert (state["state"], state["queriesUnderWay"], state["waitingStudies"]) == ("answers", 0, 0)
    assert http.get("/dcm4py-leading/leading/last-known").json()["studies"][0]["studyInstanceUID"] == STUDY


def values(http: httpx.Client, name: str, **labels: str) -> list[float]:
    families = text_string_to_metric_families(http.get("/metrics").text)
    samples = (sample for family in families for sample in family.samples if sample.name == f"dcm4py_{name}")
    return [sample.value for sample in samples if labels.items() <= sample.labels.items()]


def lookups(http: httpx.Client) -> dict[str, float]:
    outcomes = ("miss", "hit", "failed")
    return {outcome: sum(values(http, "leading_lookups_total", outcome=outcome)) for outcome in outcomes}


def cache(http: httpx.Client, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["cache", *arguments, "--http", str(http.base_url)])


@pytest.mark.ldap("dcmLeadingCFindSCPQueryCacheSize")
def test_a_retrieve_is_one_miss_and_the_next_one_none(seed: Seed, http: httpx.Client, leading: LeadingScp) -> None:
    retrieve(seed)
    assert lookups(http) == {"miss": 1, "hit": 0, "failed": 0}
    assert values(http, "leading_query_duration_seconds_count", leading_ae="QRSCP") == [1]
    assert values(http, "leading_cache_answers") == [1]
    assert values(http, "leading_breaker_state", state="closed", leading_ae="QRSCP", local_ae="DCM4CHEE") == [1]
    retrieve(seed)
    assert lookups(http) == {"miss": 1, "hit": 1, "failed": 0}
    assert len(leading.queries) == 1


def test_coercions_and_the_configuration_are_told(seed: Seed, http: httpx.Client) -> None:
    retrieve(seed)
    (count,) = values(http, "coercion_steps_total", rule="Leading DCMQRSCP", step="leading-arc", outcome="applied")
    assert count == 3
    fingerprint = http.get("/health/ready").json()["configuration"]["fingerprint"]
    assert values(http, "configuration_info", fingerprint=fingerprint) == [1]


def test_no_patient_and_no_uid_is_in_the_metrics(seed: Seed, http: httpx.Client) -> None:
    retrieve(seed)
    text = http.get("/metrics").text
    for secret in (STUDY, "Right", "RIGHT-ID", "Stale"):
        assert secret not in text


def test_reload_clears_lookups_and_reports_failure(seed: Seed, http: httpx.Client) -> None:
    retrieve(seed)
    seed.service.reload()
    assert values(http, "leading_lookups_total", outcome="miss") == []
    assert values(http, "leading_cache_answers") == [0]
    assert sum(values(http, "coercion_steps_total")) == 3
    assert values(http, "configuration_last_reload_successful") == [1]
    seed.set(DEVICE, dcmLeadingCFindSCPQueryCacheSize="many")
    with pytest.raises(ConfigInvalid):
        seed.service.reload()
    assert values(http, "configuration_last_reload_successful") == [0]


@pytest.mark.parametrize("path", ["/leading-cache", f"/leading-cache/{STUDY}"])
def test_next_retrieve_asks_again_after_a_drop(
    seed: Seed, http: httpx.Client, leading: LeadingScp, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    retrieve(seed)
    (listed,) = http.get("/leading-cache").json()
    assert (listed["leadingAETitle"], listed["studyInstanceUID"], listed["isFound"]) == ("QRSCP", STUDY, True)
    with caplog.at_level(logging.INFO):
        assert http.delete(path).json() == {"dropped": 1}
    told = [record.getMessage() for record in caplog.records if record.name == "dcm4py_leading.process"]
    study = "all" if path == "/leading-cache" else ref(STUDY)
    assert told == [f"leading cache: dropped 1 answers, study={study}"]
    assert http.get("/leading-cache").json() == []
    retrieve(seed)
    assert len(leading.queries) == 2


def test_another_study_is_kept_when_one_is_dropped(seed: Seed, http: httpx.Client, leading: LeadingScp) -> None:
    retrieve(seed)
    assert http.delete("/leading-cache/1.2.3").json() == {"dropped": 0}
    retrieve(seed)
    assert len(leading.queries) == 1


@pytest.mark.parametrize(("is_dropped", "outcome"), [(False, "stale-served"), (True, "failed")])
def test_a_dropped_study_has_no_last_known_answer(
    seed: Seed, http: httpx.Client, leading: LeadingScp, is_dropped: bool, outcome: str
) -> None:
    retrieve(seed)
    if is_dropped:
        http.delete(f"/leading-cache/{STUDY}")
    leading.stop()
    seed.service.reload()  # which ends the association to it
    retrieve(seed)
    assert values(http, "leading_lookups_total", outcome=outcome) == [1]


def test_the_rules_of_a_stored_study_are_explained(http: httpx.Client, leading: LeadingScp) -> None:
    wanted = {"dimse": "C_STORE_RQ", "role": "SCP", "receiving-ae": "STORESCP", "leading": "none"}
    response = http.get(f"/dcm4py-leading/explain/{STUDY}", params=wanted)
    assert response.status_code == 200
    assert [step["outcome"] for step in response.json()["steps"]] == ["would ask QRSCP"]
    assert leading.queries == []


def test_the_command_line_lists_and_drops(seed: Seed, http: httpx.Client, leading: LeadingScp) -> None:
    assert cache(http, "list").stdout == ""
    retrieve(seed)
    ae_title, study, _, answer = cache(http, "list").stdout.rstrip("\n").split("\t")
    assert (ae_title, study, answer) == ("QRSCP", STUDY, "found")
    assert [listed["studyInstanceUID"] for listed in json.loads(cache(http, "list", "--json").stdout)] == [STUDY]
    assert cache(http, "drop", STUDY).stdout == "dropped 1 answers\n"
    assert cache(http, "drop").stdout == "dropped 0 answers\n"


def test_the_command_line_drops_nothing_for_a_study_that_is_none(seed: Seed, http: httpx.Client) -> None:
    retrieve(seed)
    for study in ("", "nonsense", "../leading-cache"):
        result = cache(http, "drop", study)
        assert result.exit_code == 2
        assert "UID" in result.stderr
    assert cache(http, "list").stdout


def test_a_service_that_is_not_there_is_exit_3() -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    assert CliRunner().invoke(main, ["cache", "list", "--http", nowhere]).exit_code == 3
