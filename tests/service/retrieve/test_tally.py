"""The counts and the final status of a retrieve (PS3.4 C.4.2.1.5, C.4.3.1.4)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcm4py_leading.service.retrieve.tally import SubOperation, SubOperationTally, outcome_of

OUTCOMES = st.lists(st.sampled_from(SubOperation), max_size=40)


def tally_of(outcomes: list[SubOperation]) -> SubOperationTally:
    tally = SubOperationTally(remaining=len(outcomes))
    for number, outcome in enumerate(outcomes):
        tally = tally.record(outcome, f"1.2.{number}")
    return tally


@given(OUTCOMES, st.integers(0, 5))
def test_counts_and_remaining_always_sum_to_what_was_found(outcomes: list[SubOperation], more: int) -> None:
    tally = SubOperationTally(remaining=len(outcomes) + more)
    for number, outcome in enumerate(outcomes):
        tally = tally.record(outcome, f"1.2.{number}")
    assert tally.completed + tally.failed + tally.warning + tally.remaining == len(outcomes) + more
    assert len(tally.failed_sop_instance_uids) == tally.failed


@given(OUTCOMES)
def test_only_a_retrieve_without_failure_and_warning_is_a_success(outcomes: list[SubOperation]) -> None:
    clean = all(outcome is SubOperation.COMPLETED for outcome in outcomes)
    assert (tally_of(outcomes).final_status() == 0x0000) == clean


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ([], 0x0000),
        ([SubOperation.FAILED], 0xA702),
        ([SubOperation.FAILED, SubOperation.FAILED], 0xA702),
        ([SubOperation.FAILED, SubOperation.COMPLETED], 0xB000),
        ([SubOperation.FAILED, SubOperation.WARNING], 0xB000),
        ([SubOperation.WARNING], 0xB000),
    ],
)
def test_final_status(outcomes: list[SubOperation], status: int) -> None:
    assert tally_of(outcomes).final_status() == status


def test_failed_instances_are_listed_in_order() -> None:
    tally = tally_of([SubOperation.FAILED, SubOperation.COMPLETED, SubOperation.FAILED])
    assert tally.failed_sop_instance_uids == ("1.2.0", "1.2.2")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (0x0000, SubOperation.COMPLETED),
        (0xB000, SubOperation.WARNING),
        (0xB007, SubOperation.WARNING),
        (0x0107, SubOperation.WARNING),
        (0xA700, SubOperation.FAILED),
        (0xA900, SubOperation.FAILED),
        (0xC000, SubOperation.FAILED),
        (0x0122, SubOperation.FAILED),
        (None, SubOperation.FAILED),
    ],
)
def test_a_store_response_counts_as(status: int | None, outcome: SubOperation) -> None:
    assert outcome_of(status) is outcome
