"""Counts of a process."""

from __future__ import annotations

from dcm4py_leading.coercion.chain import coercion, run
from dcm4py_leading.service.counts import ServiceCounts, keys_of
from tests.fixtures.rules import data_set, legacy_rule, selected


def test_steps_are_counted_by_rule_step_and_outcome() -> None:
    ds = data_set(PatientName="Doe^John")
    selection = selected(legacy_rule(merge_attributes=("PatientComments=x",)), ds=ds)
    done = run(coercion(ds, selection), lambda question: None)
    (key,) = keys = keys_of(done.executed)
    counts = ServiceCounts()
    for _ in range(2):
        counts.count(keys)
    assert key[2] == "applied"
    assert counts.read() == {key: 2}


def test_requests_objects_and_transcoded_objects_are_counted() -> None:
    counts = ServiceCounts()
    for status in (0, 0, 0xA700):
        counts.count_request("C-STORE", "DCM4CHEE", status)
    counts.count_objects("DCM4CHEE", sent=2, failed=0)
    counts.count_objects("DCM4CHEE", sent=1, failed=1)
    counts.count_transcoded(3)
    counts.count_transcoded(1)
    assert counts.requests() == {("C-STORE", "DCM4CHEE", 0): 2, ("C-STORE", "DCM4CHEE", 0xA700): 1}
    assert counts.objects() == {("DCM4CHEE", "sent"): 3, ("DCM4CHEE", "failed"): 1}
    assert counts.transcoded == 4


def test_what_was_read_does_not_change() -> None:
    counts = ServiceCounts()
    before = counts.requests()
    counts.count_request("C-ECHO", "DCM4CHEE", 0)
    assert before == {}
