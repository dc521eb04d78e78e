"""Decision about an object whose SOP Instance UID is already stored. Pure.

As in dcm4chee, dcmOverwritePolicy decides first; then dcmRelationalMismatchPolicy decides, if the stored object belongs
to another series.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import assert_never

from dcm4py_leading.archive.storage.storage import Location
from dcm4py_leading.errors import ObjectRefused
from dcm4py_leading.model.archive import OverwritePolicy, RelationalMismatchPolicy


class Verdict(enum.Enum):
    """Verdict about the new object."""

    IGNORE = "ignore"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """Stored object with the same SOP Instance UID."""

    pk: int
    series_pk: int
    study_instance_uid: str
    series_instance_uid: str
    sending_ae_title: str
    """Of the first object of its series."""
    location: Location


def matters(overwrite: OverwritePolicy, mismatch: RelationalMismatchPolicy, *, same_series: bool) -> bool:
    """True if a stored object with the same SOP Instance UID counts as the same object."""
    additional = mismatch is RelationalMismatchPolicy.STORE_ADDITIONALLY and overwrite is not OverwritePolicy.NEVER
    return same_series or not additional


def judge(
    stored: StoredObject,
    *,
    digest: str | None,
    sending_ae_title: str,
    same_series: bool,
    overwrite: OverwritePolicy,
    mismatch: RelationalMismatchPolicy,
) -> Verdict:
    """Verdict of the policies. Raises ObjectRefused."""
    equal = digest is not None and digest == stored.location.digest
    match overwrite:
        case OverwritePolicy.NEVER:
            return Verdict.IGNORE
        case OverwritePolicy.SAME_SOURCE:
            if equal or sending_ae_title != stored.sending_ae_title:
                return Verdict.IGNORE
        case OverwritePolicy.ALWAYS:
            if equal:
                return Verdict.IGNORE
        case OverwritePolicy.EVEN_WITH_EQUAL_DIGEST:
            pass
        case _:
            assert_never(overwrite)
    if same_series:
        return Verdict.REPLACE
    match mismatch:
        case RelationalMismatchPolicy.IGNORE:
            return Verdict.IGNORE
        case RelationalMismatchPolicy.REJECT:
            raise ObjectRefused("the SOP Instance UID is stored in another series (dcmRelationalMismatchPolicy REJECT)")
        case RelationalMismatchPolicy.OVERWRITE | RelationalMismatchPolicy.STORE_ADDITIONALLY:
            return Verdict.REPLACE
        case _:
            assert_never(mismatch)
