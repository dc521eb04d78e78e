from __future__ import annotations

import pytest

from dcm4py_leading.archive.index.writing.duplicates import StoredObject, Verdict, judge, matters
from dcm4py_leading.errors import ObjectRefused
from dcm4py_leading.model.archive import OverwritePolicy, RelationalMismatchPolicy
from tests.fixtures.archive import make_location

STORED = StoredObject(
    pk=1,
    series_pk=1,
    study_instance_uid="1.2",
    series_instance_uid="1.2.1",
    sending_ae_title="CT1",
    location=make_location("a", digest="d1"),
)
NEVER, ALWAYS = OverwritePolicy.NEVER, OverwritePolicy.ALWAYS
SAME_SOURCE, EVEN_EQUAL = OverwritePolicy.SAME_SOURCE, OverwritePolicy.EVEN_WITH_EQUAL_DIGEST


def verdict(
    overwrite: OverwritePolicy,
    digest: str | None = "d2",
    source: str = "CT1",
    *,
    same_series: bool = True,
    mismatch: RelationalMismatchPolicy = RelationalMismatchPolicy.IGNORE,
) -> Verdict:
    return judge(
        STORED,
        digest=digest,
        sending_ae_title=source,
        same_series=same_series,
        overwrite=overwrite,
        mismatch=mismatch,
    )


@pytest.mark.ldap("dcmOverwritePolicy")
@pytest.mark.parametrize(
    ("overwrite", "digest", "source", "replaced"),
    [
        (NEVER, "d2", "CT1", False),
        (ALWAYS, "d2", "CT2", True),
        (ALWAYS, "d1", "CT1", False),
        (ALWAYS, None, "CT1", True),
        (SAME_SOURCE, "d2", "CT1", True),
        (SAME_SOURCE, "d2", "CT2", False),
        (SAME_SOURCE, "d1", "CT1", False),
        (EVEN_EQUAL, "d1", "CT2", True),
    ],
)
def test_overwrite_policy(overwrite: OverwritePolicy, digest: str | None, source: str, replaced: bool) -> None:
    assert (verdict(overwrite, digest, source) is Verdict.REPLACE) == replaced


@pytest.mark.ldap("dcmRelationalMismatchPolicy")
def test_relational_mismatch_policy_decides_when_the_series_differs() -> None:
    assert verdict(ALWAYS, same_series=False) is Verdict.IGNORE
    assert verdict(ALWAYS, same_series=False, mismatch=RelationalMismatchPolicy.OVERWRITE) is Verdict.REPLACE
    with pytest.raises(ObjectRefused):
        verdict(ALWAYS, same_series=False, mismatch=RelationalMismatchPolicy.REJECT)


def test_mismatch_is_not_looked_at_when_nothing_is_overwritten() -> None:
    assert verdict(NEVER, same_series=False, mismatch=RelationalMismatchPolicy.REJECT) is Verdict.IGNORE


def test_object_of_another_series_is_another_object_when_stored_additionally() -> None:
    additionally = RelationalMismatchPolicy.STORE_ADDITIONALLY
    assert not matters(ALWAYS, additionally, same_series=False)
    assert matters(ALWAYS, additionally, same_series=True)
    assert matters(NEVER, additionally, same_series=False)
    assert matters(ALWAYS, RelationalMismatchPolicy.IGNORE, same_series=False)
