"""C-STOREs that await their responses."""

from __future__ import annotations

from dcm4py_leading.dicom.scu.stores_under_way import StoresUnderWay
from dcm4py_leading.errors import SubOperationFailed


def of(*message_ids: int) -> StoresUnderWay:
    stores = StoresUnderWay()
    stores.due.update(message_ids)
    return stores


def test_responses_may_come_in_any_order() -> None:
    stores = of(1, 2, 3)
    assert all(stores.take((message_id, status)) for message_id, status in ((3, 0), (1, 0xA700), (2, 0)))
    assert list(stores.ended) == [(3, 0), (1, 0xA700), (2, 0)]
    assert not stores.due


def test_a_response_that_nobody_waits_for_or_none_is_not_taken() -> None:
    stores = of(1)
    assert not stores.take((2, 0)) and not stores.take(None)
    assert stores.take((1, 0)) and not stores.take((1, 0))
    assert list(stores.ended) == [(1, 0)]


def test_what_is_due_fails_together() -> None:
    stores, failure = of(3, 1, 2), SubOperationFailed("gone")
    stores.take((2, 0))
    stores.fail(failure)
    assert list(stores.ended) == [(2, 0), (1, failure), (3, failure)]
    assert not stores.take((1, 0))
