"""``GET /metrics`` in the text format of Prometheus, read back by Prometheus' own parser."""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from dcm4py_leading.archive.proxy_cache.proxy_cache import ProxyCacheCounts
from dcm4py_leading.config.following.watch import Followed
from dcm4py_leading.config.sources.directory_state import DirectoryState
from dcm4py_leading.leading.breaker import BreakerState
from dcm4py_leading.leading.outcome import LATENCY_BOUNDS, Latency, LookupCounts, LookupOutcome
from dcm4py_leading.model.values import AETitle
from dcm4py_leading.service.monitor.measured import Measured
from dcm4py_leading.web.http.rooms import Room
from dcm4py_leading.web.own.metrics import cumulative_buckets, metrics_route
from tests.fixtures.http import served

QRSCP, OURS = AETitle("QRSCP"), AETitle("DCM4CHEE")
IDLE = Measured(
    lookups=LookupCounts(),
    key_lookups={},
    coercions={},
    transcoded_objects=0,
    open_associations=0,
    fingerprint="0123456789ab",
    loaded_at=datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC),
    is_last_reload_good=True,
)
Samples = dict[tuple[str, frozenset[str]], float]


class Service:
    def __init__(self, measured: Measured) -> None:
        self.measured = measured

    def measure(self) -> Measured:
        return self.measured


def scrape(measured: Measured, accept: str = "*/*") -> httpx.Response:
    with served(metrics_route(Service(measured), Room("test", threads=2, waiting=8))) as http:
        return http.get("/metrics", headers={"Accept": accept})


def samples(measured: Measured) -> Samples:
    """Value by name of the sample and values of the labels."""
    response = scrape(measured)
    assert response.status_code == 200
    families = text_string_to_metric_families(response.text)
    return {(s.name, frozenset(s.labels.values())): s.value for family in families for s in family.samples}


def sample(measured: Measured, name: str, *labels: str) -> float | None:
    return samples(measured).get((f"dcm4py_{name}", frozenset(labels)))


def test_lookups_are_counted_by_leading_ae_and_outcome_with_zeros_from_the_start() -> None:
    outcomes = {QRSCP: {LookupOutcome.HIT: 5, LookupOutcome.STALE_SERVED: 2}}
    measured = replace(IDLE, lookups=LookupCounts(outcomes=outcomes))
    told = samples(measured)
    assert {
        outcome: told["dcm4py_leading_lookups_total", frozenset(["QRSCP", outcome.value])] for outcome in LookupOutcome
    } == {**dict.fromkeys(LookupOutcome, 0), LookupOutcome.HIT: 5, LookupOutcome.STALE_SERVED: 2}


def test_latency_is_a_histogram() -> None:
    latency = Latency().observe(0.004).observe(0.3).observe(99)
    measured = replace(IDLE, lookups=LookupCounts(latency={QRSCP: latency}))
    told, name = samples(measured), "dcm4py_leading_query_duration_seconds"
    bounds = ("0.005", "0.5", "30.0", "+Inf")
    assert [told[f"{name}_bucket", frozenset(["QRSCP", bound])] for bound in bounds] == [1, 2, 2, 3]
    assert told[f"{name}_count", frozenset(["QRSCP"])] == 3
    assert told[f"{name}_sum", frozenset(["QRSCP"])] == pytest.approx(99.304)


@given(st.lists(st.floats(min_value=0, max_value=29), min_size=1), st.floats(min_value=0, max_value=1))
def test_a_quantile_lies_in_the_bucket_of_the_duration_that_it_stands_for(
    durations: list[float], fraction: float
) -> None:
    latency = Latency()
    for seconds in durations:
        latency = latency.observe(seconds)
    exact = sorted(durations)[max(0, math.ceil(len(durations) * fraction) - 1)]
    bounds = (0.0, *LATENCY_BOUNDS)
    at = bisect_left(LATENCY_BOUNDS, exact)
    quantile = latency.quantile(fraction)
    assert quantile is not None
    assert bounds[at] <= quantile <= bounds[at + 1]


def test_a_quantile_of_what_took_longer_than_all_bounds_is_the_last_bound() -> None:
    assert Latency().observe(99).quantile(0.95) == LATENCY_BOUNDS[-1]


@given(st.lists(st.floats(min_value=0, max_value=100)))
def test_each_bucket_holds_what_took_at_most_so_long(durations: list[float]) -> None:
    latency = Latency()
    for seconds in durations:
        latency = latency.observe(seconds)
    expected = [(str(bound), sum(seconds <= bound for seconds in durations)) for bound in LATENCY_BOUNDS]
    assert cumulative_buckets(latency) == [*expected, ("+Inf", len(durations))]


@pytest.mark.parametrize("current", BreakerState)
def test_a_breaker_is_in_one_state(current: BreakerState) -> None:
    measured = replace(IDLE, lookups=LookupCounts(breakers={(OURS, QRSCP): current}))
    told = samples(measured)
    for state in BreakerState:
        labels = frozenset(["DCM4CHEE", "QRSCP", state.value])
        assert told["dcm4py_leading_breaker_state", labels] == (state is current)


def test_an_archive_that_mishandles_lists_is_marked() -> None:
    outcomes = {QRSCP: {LookupOutcome.MISS: 1}, AETitle("GOOD"): {LookupOutcome.MISS: 1}}
    measured = replace(IDLE, lookups=LookupCounts(outcomes=outcomes, one_by_one=frozenset([QRSCP])))
    told = samples(measured)
    marks = {ae_title: told["dcm4py_leading_one_by_one", frozenset([ae_title])] for ae_title in ("QRSCP", "GOOD")}
    assert marks == {"QRSCP": 1, "GOOD": 0}


def test_questions_under_way_are_gauges() -> None:
    told = samples(replace(IDLE, lookups=LookupCounts(under_way={QRSCP: 2}, waiting={QRSCP: 130})))
    label = frozenset(["QRSCP"])
    assert told["dcm4py_leading_queries_under_way", label] == 2
    assert told["dcm4py_leading_waiting_studies", label] == 130
    idle = samples(replace(IDLE, lookups=LookupCounts(outcomes={QRSCP: {LookupOutcome.HIT: 1}})))
    assert (idle["dcm4py_leading_queries_under_way", label], idle["dcm4py_leading_waiting_studies", label]) == (0, 0)


def test_coercions_are_counted_by_rule_step_and_outcome() -> None:
    measured = replace(IDLE, coercions={('Leading "QRSCP"', "leading-arc", "applied"): 7})
    assert sample(measured, "coercion_steps_total", 'Leading "QRSCP"', "leading-arc", "applied") == 7


def test_cache_and_associations_are_gauges() -> None:
    measured = replace(IDLE, lookups=LookupCounts(cache_size=12), open_associations=3)
    assert sample(measured, "leading_cache_answers") == 12
    assert sample(measured, "open_associations") == 3


@pytest.mark.parametrize("is_good", [True, False])
def test_the_configuration_in_force_is_told(is_good: bool) -> None:
    measured = replace(IDLE, is_last_reload_good=is_good)
    assert sample(measured, "configuration_info", "0123456789ab") == 1
    assert sample(measured, "configuration_loaded_timestamp_seconds") == IDLE.loaded_at.timestamp()
    assert sample(measured, "configuration_last_reload_successful") == is_good


def test_how_the_directory_is_followed_is_told() -> None:
    assert sample(IDLE, "directory_failed_reads_total") is None
    assert (sample(IDLE, "configuration_degraded"), sample(IDLE, "configuration_changes_total")) == (0, 0)
    followed = Followed(is_reachable=False, failed_reads=3)
    measured = replace(IDLE, followed=followed, is_degraded=True, configuration_changes=2)
    assert sample(measured, "directory_failed_reads_total") == 3
    assert (sample(measured, "configuration_degraded"), sample(measured, "configuration_changes_total")) == (1, 2)


def test_cached_studies_of_other_archives_are_told() -> None:
    names = ("bytes", "studies", "hits_total", "misses_total", "removed_total")
    assert [sample(IDLE, f"proxy_kept_{name}") for name in names] == [None] * 5
    measured = replace(IDLE, kept=ProxyCacheCounts(size=1, studies=2, hits=3, misses=4, removed=5))
    assert [sample(measured, f"proxy_kept_{name}") for name in names] == [1, 2, 3, 4, 5]


def test_a_scrape_tells_the_moment_and_not_the_start() -> None:
    service = Service(IDLE)
    with served(metrics_route(service, Room("test", threads=2, waiting=8))) as http:
        assert "dcm4py_open_associations 0.0" in http.get("/metrics").text
        service.measured = replace(IDLE, open_associations=1)
        assert "dcm4py_open_associations 1.0" in http.get("/metrics").text


FULL = replace(
    IDLE,
    lookups=LookupCounts(
        outcomes={QRSCP: {LookupOutcome.MISS: 1}},
        latency={QRSCP: Latency().observe(0.1)},
        breakers={(OURS, QRSCP): BreakerState.CLOSED},
    ),
    coercions={("lead", "leading-arc", "applied"): 1},
)


@pytest.mark.parametrize(
    ("accept", "content_type", "parse"),
    [
        ("*/*", "text/plain", text_string_to_metric_families),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text", parse_openmetrics),
    ],
)
def test_the_format_is_the_one_that_is_asked_for(accept: str, content_type: str, parse: Callable[..., object]) -> None:
    response = scrape(FULL, accept)
    assert response.headers.get_list("content-type") == [response.headers["content-type"]]
    assert response.headers["content-type"].startswith(content_type)
    names = {family.name for family in parse(response.text)}  # type: ignore[attr-defined]
    assert {"dcm4py_leading_lookups", "dcm4py_coercion_steps"} <= {re.sub("_total$", "", name) for name in names}


def test_questions_by_keys_are_counted_apart() -> None:
    measured = replace(IDLE, key_lookups={QRSCP: {LookupOutcome.MISS: 2}})
    assert sample(measured, "leading_key_lookups_total", "QRSCP", "miss") == 2
    assert sample(measured, "leading_key_lookups_total", "QRSCP", "failed") == 0


def test_transcoded_objects_are_told() -> None:
    assert sample(replace(IDLE, transcoded_objects=3), "transcoded_objects_total") == 3


@pytest.mark.parametrize("failure", [None, "ldap://one: cannot connect"])
def test_directory_is_told_with_its_last_answer(failure: str | None) -> None:
    read_at = datetime(2026, 1, 2, tzinfo=UTC)
    state = DirectoryState(asked_at=read_at, last_read_at=read_at, failure=failure, is_last_good=failure is not None)
    measured = replace(IDLE, directory=state)
    assert sample(measured, "directory_reachable") == (failure is None)
    assert sample(measured, "directory_last_read_timestamp_seconds") == read_at.timestamp()
    assert sample(measured, "configuration_last_good") == (failure is not None)


def test_directory_that_never_answered_has_no_time() -> None:
    told = samples(replace(IDLE, directory=DirectoryState(failure="cannot connect")))
    assert told["dcm4py_directory_reachable", frozenset()] == 0
    assert not [name for name, _ in told if "last_read" in name]


def test_files_have_no_directory_to_tell_of() -> None:
    assert not [name for name, _ in samples(IDLE) if "directory" in name]
