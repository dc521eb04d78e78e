"""Coercion of matches by the elements that rules touch."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom import Dataset

from dcm4py_leading.archive.index.attributes import encode
from dcm4py_leading.archive.index.querying.match import Match
from dcm4py_leading.coercion.question import LeadingAnswer
from dcm4py_leading.coercion.rules import compile_rules
from dcm4py_leading.errors import LeadingUnavailable
from dcm4py_leading.model.bounds import COERCED_MATCH_BYTES
from dcm4py_leading.model.coercion import AnyRule, Dimse
from dcm4py_leading.model.values import TransferRole
from dcm4py_leading.service.coerce import CoercedMessage, Coercer
from dcm4py_leading.service.find.matches_coerced import MatchCoercion
from dcm4py_leading.service.find.memo import CoercionMemo, coercion_memo
from dcm4py_leading.service.find.response import Elements, NeedsPydicom
from tests.fixtures.outgoing import ENVIRONMENT, coercions
from tests.fixtures.rules import LEADING, RETRIEVE, application_entity, data_set, legacy_rule, version_2_rule

STUDY_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
PATIENT_NAME, STUDY_DATE = 0x00100010, 0x00080020
OF_MATCHES: dict[str, Any] = {"dimse": Dimse.C_FIND_RSP, "transfer_role": TransferRole.SCU}
RULE = legacy_rule(leading_cfind_scp=LEADING, **OF_MATCHES)
MESSAGE = CoercedMessage(
    local_ae=application_entity(),
    dimse=Dimse.C_FIND_RSP,
    transfer_role=TransferRole.SCU,
    sending=RETRIEVE.sending,
    receiving=RETRIEVE.receiving,
)
MATCH = data_set(StudyInstanceUID="1.2.1", PatientName="Stale^Name", StudyDate="20261130")


def of(memo: CoercionMemo, *rules: AnyRule, answer: LeadingAnswer = None) -> MatchCoercion:
    """The coercion by one C-FIND."""
    coercer = Coercer(coercions(*rules, answer=answer), MESSAGE)
    return MatchCoercion(compile_rules(rules, ENVIRONMENT), MESSAGE, coercer, memo, STUDY_FIND)


def edited(coercion: MatchCoercion, match: Dataset = MATCH) -> dict[int, bytes | None]:
    """Each element that may be touched, as it becomes."""
    begun = coercion.begin(Elements(Match(encoded_attributes=(encode(match),), computed={}), {}))
    return dict(coercion.finish(begun).edited)


def named(name: str) -> Dataset:
    return data_set(StudyInstanceUID="1.2.1", PatientName=name)


def test_only_elements_that_rules_touch_are_edited() -> None:
    found = edited(of(coercion_memo(), RULE, answer=named("Right^Name")))
    assert STUDY_DATE not in found
    assert (found[PATIENT_NAME] or b"")[8:] == b"Right^Name"


def test_an_outcome_holds_for_the_very_answer_only() -> None:
    memo, answer = coercion_memo(), named("Right^Name")
    assert edited(of(memo, RULE, answer=answer)) == edited(of(memo, RULE, answer=answer))
    assert len(memo) == 1
    assert (edited(of(memo, RULE, answer=named("Other^Name")))[PATIENT_NAME] or b"")[8:] == b"Other^Name"


@pytest.mark.parametrize(("length", "remembered"), [(COERCED_MATCH_BYTES // 2, 1), (COERCED_MATCH_BYTES, 0)])
def test_a_long_outcome_is_not_remembered(length: int, remembered: int) -> None:
    memo = coercion_memo()
    found = edited(of(memo, RULE, answer=named("N" * length)))
    assert len(found[PATIENT_NAME] or b"") == 8 + length
    assert len(memo) == remembered


def test_nothing_is_remembered_of_an_archive_that_gives_no_answer() -> None:
    memo = coercion_memo()
    found = edited(of(memo, RULE, answer=LeadingUnavailable("away")))
    assert (found[PATIENT_NAME] or b"")[8:] == b"Stale^Name"
    assert len(memo) == 0


def test_an_outcome_that_the_time_decides_is_not_remembered_for_others() -> None:
    rule = version_2_rule(uri="merge-attrs:", merge_attributes=("StudyDescription={now,date,yyyy}",), **OF_MATCHES)
    memo = coercion_memo()
    coercion = of(memo, rule)
    edited(coercion)
    assert not coercion.is_timeless
    assert len(memo) == 0


def test_a_rule_that_may_touch_everything_or_the_study_is_left_to_pydicom() -> None:
    rule = version_2_rule(uri="merge-attrs:", merge_attributes=("StudyInstanceUID=1.2.3",), **OF_MATCHES)
    with pytest.raises(NeedsPydicom):
        of(coercion_memo(), rule)
