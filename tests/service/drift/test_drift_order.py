"""Orders for a comparison."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from dcm4py_leading.coercion.rules import CompiledRule, compile_rules
from dcm4py_leading.coercion.schemes import Environment
from dcm4py_leading.errors import DriftRefused
from dcm4py_leading.model.coercion import AnyRule, UpdatePolicy
from dcm4py_leading.model.values import AETitle
from dcm4py_leading.service.drift.comparison import Measure
from dcm4py_leading.service.drift.order import DriftOrder, ae_of, leading_archives, leading_of
from tests.fixtures.rules import LEADING, application_entity, device, legacy_rule

OTHER = AETitle("OTHER")


def compiled(*rules: AnyRule) -> tuple[CompiledRule, ...]:
    return tuple(compile_rules(rules, Environment(return_keys=lambda _: frozenset())))


FIRST = legacy_rule("a", leading_cfind_scp=LEADING, rule_priority=2, attribute_update_policy=UpdatePolicy.OVERWRITE)
AGAIN = legacy_rule("b", leading_cfind_scp=LEADING, rule_priority=1, attribute_update_policy=UpdatePolicy.MERGE)
SECOND = legacy_rule("c", leading_cfind_scp=OTHER, attribute_update_policy=UpdatePolicy.SUPPLEMENT)


def test_the_first_rule_of_an_archive_says_the_policy() -> None:
    rules = compiled(FIRST, AGAIN, SECOND)
    assert leading_archives(rules) == {LEADING: UpdatePolicy.OVERWRITE, OTHER: UpdatePolicy.SUPPLEMENT}
    assert leading_of(rules, "OTHER", "DCM4CHEE") == (OTHER, UpdatePolicy.SUPPLEMENT)


def test_the_only_archive_need_not_be_named() -> None:
    assert leading_of(compiled(FIRST, AGAIN), None, "DCM4CHEE") == (LEADING, UpdatePolicy.OVERWRITE)


def test_an_archive_that_no_rule_names_would_be_merged() -> None:
    assert leading_of((), "ANYBODY", "DCM4CHEE") == ("ANYBODY", UpdatePolicy.MERGE)


@pytest.mark.parametrize(
    ("rules", "why"), [((), "name no leading archive"), ((FIRST, SECOND), "of DCM4CHEE name OTHER, QRSCP")]
)
def test_none_or_several_archives_are_no_answer(rules: tuple[AnyRule, ...], why: str) -> None:
    with pytest.raises(DriftRefused, match=why):
        leading_of(compiled(*rules), None, "DCM4CHEE")


def test_the_ae_is_one_of_the_device() -> None:
    ours = application_entity()
    one = replace(device(), application_entities=(ours, application_entity("SECOND")))
    assert ae_of(one, "DCM4CHEE") is ours
    with pytest.raises(DriftRefused, match="the device has no THIRD, but DCM4CHEE, SECOND"):
        ae_of(one, "THIRD")
    with pytest.raises(DriftRefused, match="AE title: "):
        ae_of(one, "longer than sixteen")


def test_a_state_is_about_all_that_decides() -> None:
    order = DriftOrder(local_ae=application_entity(), leading=LEADING, policy=UpdatePolicy.MERGE)
    measure = Measure(tags=frozenset({0x00100020, 0x00100010}), policy=UpdatePolicy.MERGE)
    assert order.subject(measure, ["A", "B"]) == {
        "ae": "DCM4CHEE",
        "archives": "A\\B",
        "leading": "QRSCP",
        "policy": "MERGE",
        "attributes": "00100010 00100020",
        "since": None,
        "csv": None,
        "values": False,
    }
    dated = replace(order, since=date(2026, 11, 30), csv_file=Path("/a/b.csv"), has_values=True)
    found = dated.subject(measure, ["A"])
    assert [found[name] for name in ("since", "csv", "values")] == ["2026-11-30", "/a/b.csv", True]
