"""Associations under way: numbered, listed while they stand, and forgotten with what they were."""

from __future__ import annotations

import gc
from datetime import UTC, datetime
from threading import Thread

from dcm4py_leading.dicom.open_associations import AssociationNumber, OpenAssociations, serial_numbers
from dcm4py_leading.service.monitor.associations import OpenAssociation

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


class Association:
    """One that stands until it is aborted."""

    def __init__(self, under_way: OpenAssociations) -> None:
        self.is_over = False
        self.numbered: AssociationNumber = under_way.enter(self)

    def snapshot(self) -> OpenAssociation | None:
        if self.is_over:
            return None
        return OpenAssociation(
            serial_number=self.numbered.serial_number,
            connected_at=self.numbered.connected_at,
            is_initiated=False,
            local_ae_title="DCM4CHEE",
            remote_ae_title="MODALITY",
            remote_host="192.0.2.1",
            pid=1,
        )

    def abort_on_command(self) -> None:
        self.is_over = True


def under_way() -> OpenAssociations:
    return OpenAssociations(serial_numbers(), now=lambda: NOON)


def test_associations_are_listed_in_the_order_in_which_they_began() -> None:
    all_of_them = under_way()
    kept = [Association(all_of_them) for _ in range(3)]
    assert [one.serial_number for one in all_of_them.snapshots()] == [1, 2, 3]
    assert {one.connected_at for one in all_of_them.snapshots()} == {NOON}
    assert len(kept) == 3


def test_one_that_is_over_is_not_listed_and_not_aborted() -> None:
    all_of_them = under_way()
    kept = Association(all_of_them)
    kept.is_over = True
    assert all_of_them.snapshots() == []
    assert not all_of_them.abort(kept.numbered.serial_number)


def test_one_is_aborted_by_its_number_and_no_other() -> None:
    all_of_them = under_way()
    one, other = Association(all_of_them), Association(all_of_them)
    assert all_of_them.abort(other.numbered.serial_number)
    assert (one.is_over, other.is_over) == (False, True)
    assert not all_of_them.abort(99)


def test_nothing_is_kept_of_one_that_nobody_holds() -> None:
    all_of_them = under_way()
    number = Association(all_of_them).numbered.serial_number
    gc.collect()
    assert all_of_them.snapshots() == []
    assert not all_of_them.abort(number)


def test_threads_get_numbers_of_their_own() -> None:
    all_of_them = under_way()
    kept: list[Association] = []
    threads = [Thread(target=lambda: kept.extend(Association(all_of_them) for _ in range(200))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(association.numbered.serial_number for association in kept) == list(range(1, 1001))
