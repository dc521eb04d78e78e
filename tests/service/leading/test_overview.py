"""Archives as they are told: who asks them, by which rules, and the state at a glance."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dcm4py_leading.coercion.rules import compile_rules
from dcm4py_leading.coercion.schemes import Environment
from dcm4py_leading.leading.breaker import BreakerState
from dcm4py_leading.leading.contacts import Contact
from dcm4py_leading.model.values import AETitle
from dcm4py_leading.service.leading.overview import ArchiveState, QueryingAE, overview
from dcm4py_leading.service.leading.rules import leading_rules
from tests.fixtures.measured import NOON, OURS, QRSCP, Sample, contacts, lookups
from tests.fixtures.rules import legacy_rule, version_2_rule

ANSWERED = Contact(last_answer=NOON)
FAILED = Contact(last_failure=NOON, failure="connection refused")


@pytest.mark.parametrize(
    ("contact", "breaker", "standing"),
    [
        (Contact(), None, ArchiveState.NOT_ASKED),
        (Contact(), BreakerState.CLOSED, ArchiveState.NOT_ASKED),
        (ANSWERED, BreakerState.CLOSED, ArchiveState.ANSWERS),
        (FAILED, BreakerState.CLOSED, ArchiveState.FAILS),
        (Contact(last_answer=NOON, last_failure=NOON - timedelta(1), failure="x"), None, ArchiveState.ANSWERS),
        (FAILED, BreakerState.HALF_OPEN, ArchiveState.ON_TRIAL),
        (FAILED, BreakerState.OPEN, ArchiveState.NOT_USED),
        # Reached by a probe in the background; no question has been answered yet.
        (ANSWERED, BreakerState.HALF_OPEN, ArchiveState.ON_TRIAL),
    ],
)
def test_the_state_is_that_of_the_breaker_and_of_the_last_question(
    contact: Contact, breaker: BreakerState | None, standing: ArchiveState
) -> None:
    assert QueryingAE(ae_title="DCM4CHEE", contact=contact, breaker=breaker).standing is standing


def test_rules_of_both_versions_name_the_archive_they_ask() -> None:
    rules = {
        OURS: compile_rules(
            [
                version_2_rule("second", uri="leading-arc:OTHER"),
                legacy_rule("first", leading_cfind_scp=QRSCP),
                legacy_rule("none"),
            ],
            Environment(return_keys=lambda _: frozenset()),
        )
    }
    assert [(rule.local_ae_title, rule.leading_ae_title, rule.cn) for rule in leading_rules(rules)] == [
        (OURS, "OTHER", "second"),
        (OURS, QRSCP, "first"),
    ]


def test_an_archive_is_told_with_those_who_ask_it_and_their_rules() -> None:
    rules = {
        AETitle(title): compile_rules([legacy_rule(cn, leading_cfind_scp=QRSCP)], Environment())
        for title, cn in (("DCM4CHEE", "ours"), ("ELSE", "theirs"))
    }
    counted = Sample(lookups(waiting=4, breaker=BreakerState.OPEN), contacts(QRSCP=FAILED, UNASKED=Contact()))
    first, second = overview(counted, leading_rules(rules)).leading
    assert (first.ae_title, second.ae_title) == ("QRSCP", "UNASKED")
    (asker,) = first.askers
    assert (asker.ae_title, [rule.cn for rule in asker.rules], asker.breaker) == (
        "DCM4CHEE",
        ["ours"],
        BreakerState.OPEN,
    )
    assert (first.waiting, first.standing) == (4, ArchiveState.NOT_USED)
    assert (second.askers[0].rules, second.standing) == ((), ArchiveState.NOT_ASKED)


def test_archive_state_is_the_worst_of_its_aes() -> None:
    counts = contacts(QRSCP=ANSWERED)
    both = counts.plus(
        type(counts)(contacts={type(line)(line.part, "ELSE", line.ae_title): FAILED for line in counts.contacts})
    )
    (archive,) = overview(Sample(contacts=both), []).leading
    assert [asker.standing for asker in archive.askers] == [ArchiveState.ANSWERS, ArchiveState.FAILS]
    assert archive.standing is ArchiveState.FAILS


def test_archives_behind_are_told_apart() -> None:
    counted = Sample(contacts=contacts(QRSCP=ANSWERED, behind={"PACS": FAILED}))
    (pacs,) = overview(counted, []).behind
    assert (pacs.ae_title, pacs.standing, pacs.askers[0].contact.failure) == (
        "PACS",
        ArchiveState.FAILS,
        "connection refused",
    )
    assert [archive.ae_title for archive in overview(counted, []).leading] == ["QRSCP"]
