"""What a worker tells comes back as it was, and sums are sums."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dcm4py_leading.archive.proxy_cache.proxy_cache import ProxyCacheCounts
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.sources.directory_state import DirectoryState
from dcm4py_leading.config.sources.recording import Recording
from dcm4py_leading.errors import (
    ConfigInvalid,
    DocumentFault,
    DocumentInvalid,
    EditRefused,
    IndexUnavailable,
    NoRelationalQueries,
    Problem,
    Refusal,
)
from dcm4py_leading.leading.breaker import BreakerState
from dcm4py_leading.leading.outcome import Latency, LookupCounts, LookupOutcome
from dcm4py_leading.model.values import AETitle
from dcm4py_leading.service.explain import StudyNotStored
from dcm4py_leading.service.monitor.measured import Measured
from dcm4py_leading.workers.control import RequestRefused
from dcm4py_leading.workers.wire_json import error_from_json, error_to_json, measured_from_json, measured_to_json

A, B = AETitle("A"), AETitle("B")


def measured(state: BreakerState, **counts: int) -> Measured:
    return Measured(
        lookups=LookupCounts(
            outcomes={A: {LookupOutcome[name]: count for name, count in counts.items()}},
            latency={A: Latency().observe(0.002)},
            one_by_one=frozenset({A}),
            breakers={(B, A): state},
            cache_size=3,
            under_way={A: 1},
            waiting={A: 20},
        ),
        key_lookups={A: {LookupOutcome.FAILED: 1}},
        coercions={("rule", "step", "applied"): 2},
        transcoded_objects=4,
        open_associations=4,
        fingerprint="0123456789ab",
        loaded_at=datetime(2026, 1, 2, tzinfo=UTC),
        is_last_reload_good=True,
        directory=DirectoryState(asked_at=datetime(2026, 1, 2, tzinfo=UTC), failure="cannot connect"),
        kept=ProxyCacheCounts(size=5, studies=6, hits=7, misses=8, removed=9),
    )


def test_measured_passes_between_processes_unchanged() -> None:
    value = measured(BreakerState.HALF_OPEN, MISS=1)
    for passed in (value, replace(value, directory=None, kept=None)):
        assert measured_from_json(json.loads(json.dumps(measured_to_json(passed)))) == passed


def test_counts_of_two_workers_are_added_with_the_stricter_breaker() -> None:
    both = measured(BreakerState.CLOSED, MISS=1).plus(measured(BreakerState.OPEN, MISS=2, FAILED=1))
    assert both.transcoded_objects == 8
    assert both.lookups.outcomes == {A: {LookupOutcome.MISS: 3, LookupOutcome.FAILED: 1}}
    assert (both.lookups.latency[A].count, both.lookups.latency[A].total_seconds) == (2, 0.004)
    assert both.lookups.breakers == {(B, A): BreakerState.OPEN}
    assert both.lookups.cache_size == 6
    assert (both.lookups.under_way, both.lookups.waiting) == ({A: 2}, {A: 40})
    assert both.key_lookups == {A: {LookupOutcome.FAILED: 2}}
    assert both.coercions == {("rule", "step", "applied"): 4}
    assert (both.open_associations, both.workers) == (8, 2)


def test_shared_cache_is_counted_once_and_its_use_by_workers_is_added() -> None:
    one = measured(BreakerState.CLOSED)
    other = replace(one, kept=ProxyCacheCounts(size=50, studies=60, hits=1, misses=1, removed=1))
    assert one.plus(other).kept == ProxyCacheCounts(size=50, studies=60, hits=8, misses=9, removed=10)
    none = replace(one, kept=None)
    assert (none.plus(one).kept, one.plus(none).kept, none.plus(none).kept) == (one.kept, one.kept, None)


def test_last_seen_state_of_the_directory_is_shown() -> None:
    read_at = datetime(2026, 1, 3, tzinfo=UTC)
    down = measured(BreakerState.CLOSED)
    back = replace(down, directory=DirectoryState(asked_at=read_at, last_read_at=read_at))
    assert down.plus(back).directory == back.plus(down).directory == back.directory
    assert replace(down, directory=None).plus(back).directory is None


@pytest.mark.parametrize(
    "err",
    [
        ConfigInvalid([Problem(dn="cn=x", attribute="dicomPort", value="1", reason="no")]),
        StudyNotStored("no such study"),
        NoRelationalQueries("PACS grants none"),
    ],
)
def test_error_of_a_worker_is_raised_in_the_supervisor(err: Exception) -> None:
    again = error_from_json(RequestRefused(json.loads(json.dumps(error_to_json(err)))))
    assert (type(again), str(again)) == (type(err), str(err))


def test_failed_dependency_keeps_its_message_and_a_bug_shows_no_value() -> None:
    assert error_to_json(IndexUnavailable("locked"))["message"] == "locked"
    assert "SECRET" not in json.dumps(error_to_json(KeyError("SECRET")))


def test_entries_pass_between_processes_unchanged() -> None:
    entry = Entry.of("cn=x,dc=y", {"dicomPort": ["104"], "cn": ["x", "ä"]})
    recording = Recording(devices={"d": (entry,)}, aes={"A": ()})
    again = Recording.from_json(json.loads(json.dumps(recording.to_json())))
    assert again == recording
    assert again.devices["d"][0].spell("dicomport") == "dicomPort"


@pytest.mark.parametrize("refusal", list(Refusal))
def test_a_refused_edit_comes_back_as_it_was(refusal: Refusal) -> None:
    told = json.loads(json.dumps(error_to_json(EditRefused(refusal, "there is no such study"))))
    raised = error_from_json(RequestRefused(told))
    assert isinstance(raised, EditRefused)
    assert (raised.refusal, str(raised)) == (refusal, "there is no such study")


def test_the_faults_of_a_document_come_back_as_they_were() -> None:
    fault = DocumentFault("/00100010", "not a value of VR PN")
    told = json.loads(json.dumps(error_to_json(DocumentInvalid([fault]))))
    raised = error_from_json(RequestRefused(told))
    assert isinstance(raised, DocumentInvalid)
    assert raised.faults == (fault,)
