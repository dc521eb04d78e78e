"""The coercion of one request, without a runtime, an index or a network."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from pydicom import Dataset

from dcm4py_leading.errors import CoercionFailed, LeadingRefused, LeadingUnavailable
from dcm4py_leading.model.coercion import Dimse, OnFailure
from dcm4py_leading.model.values import UID, AETitle, Tag, TransferRole
from dcm4py_leading.service.coerce import CoercedMessage, Coercer
from tests.fixtures.outgoing import Answers, coercions
from tests.fixtures.rules import CT, LEADING, RETRIEVE, application_entity, data_set, legacy_rule, version_2_rule

LEADING_RULE = legacy_rule(leading_cfind_scp=LEADING)
MESSAGE = CoercedMessage(
    local_ae=application_entity(),
    dimse=Dimse.C_STORE_RQ,
    transfer_role=TransferRole.SCP,
    sending=RETRIEVE.sending,
    receiving=RETRIEVE.receiving,
)
STUDY = UID("1.2.1")


def leading_archive() -> Answers:
    """Answers each study with a name of its own."""
    return Answers(lambda uid: data_set(PatientName=f"Name^{uid}"))


def stored(study: str = STUDY) -> Dataset:
    return data_set(StudyInstanceUID=study, PatientName="Old^Name")


def test_a_study_is_asked_for_once_in_a_request() -> None:
    leading = leading_archive()
    coercer = Coercer(replace(coercions(LEADING_RULE), leading=leading), MESSAGE)
    first, second = stored(), stored()
    for ds in (first, second):
        coercer.coerce(ds, coercer.select(ds, CT))
    assert first.PatientName == second.PatientName == "Name^1.2.1"
    assert [studies for studies, _ in leading.asked] == [{STUDY}]
    assert str(coercer) == "miss:1"


def test_all_studies_are_prefetched_in_one_batch() -> None:
    leading = leading_archive()
    coercer = Coercer(replace(coercions(LEADING_RULE), leading=leading), MESSAGE)
    uids = {UID(f"1.2.{n}") for n in range(5)}
    coercer.prefetch([(coercer.select(stored(uid), CT), uid) for uid in uids])
    for uid in uids:
        ds = stored(uid)
        coercer.coerce(ds, coercer.select(ds, CT))
        assert ds.PatientName == f"Name^{uid}"
    assert [studies for studies, _ in leading.asked] == [uids]
    assert leading.asked[0][1] <= timedelta(seconds=10)


def test_rules_about_other_messages_do_not_count() -> None:
    other = legacy_rule(dimse=Dimse.C_FIND_RSP, transfer_role=TransferRole.SCU, leading_cfind_scp=LEADING)
    assert not Coercer(coercions(other), MESSAGE).has_rules
    assert Coercer(coercions(other, LEADING_RULE), MESSAGE).has_rules


def test_the_step_that_fails_the_request_is_counted() -> None:
    rule = version_2_rule(uri=f"leading-arc:{LEADING}", coercion_on_failure=OnFailure.RETHROW)
    found = coercions(rule, answer=LeadingUnavailable("QRSCP: cannot connect"))
    coercer = Coercer(found, MESSAGE)
    ds = stored()
    with pytest.raises(CoercionFailed):
        coercer.coerce(ds, coercer.select(ds, CT))
    assert sum(found.counts.read().values()) == 1


def test_refused_key_query_is_in_the_log_line() -> None:
    class Refusing:
        def find_by_keys(self, leading_cfind_scp: AETitle, *_: object, **__: object) -> list[Dataset]:
            raise LeadingRefused(f"{leading_cfind_scp} is not asked")

    coercer = Coercer(replace(coercions(LEADING_RULE), leading_keys=Refusing()), MESSAGE)
    with pytest.raises(LeadingRefused):
        coercer.find_by_keys(LEADING, Dataset(), frozenset({Tag(0x0020000D)}), limit=1)
    assert str(coercer).startswith("keys-")
