"""Slips of the pen, at random but always the same: what lint lets pass, a real slapd takes, before and after fix."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from dcm4py_leading.config.ldap.source import LdapSource
from dcm4py_leading.config.ldif.changed import directory_for
from dcm4py_leading.config.ldif.fix import fix_ldif
from dcm4py_leading.config.ldif.lint import lint
from dcm4py_leading.config.ldif.records import parse_ldif
from dcm4py_leading.forecast import rule_problems
from tests.fixtures.quickstart import short_quickstart
from tests.fixtures.slapd import BASE_DN, OUR_LDIF, Slapd, SlapdFactory

pytestmark = pytest.mark.peers

TEXTS_PER_SEED = 40
INSERTED = [
    "",
    " ",
    "-",
    "cn: x",
    "objectClass: top",
    "objectClass: dcmDevice",
    "dcmLeadingCFindSCP: A",
    "dicomHostname: h",
]
VALUES = ["", "true", "TRUE", "007", "5", "ä", "1.2.3", "cn=a", "x y", "x "]

SLIPS: list[Callable[[str, random.Random], list[str]]] = [
    lambda line, chance: [],
    lambda line, chance: [line, line],
    lambda line, chance: [chance.choice(INSERTED), line],
    lambda line, chance: [f"{line} "],
    lambda line, chance: [f" {line}"],
    lambda line, chance: [line[1:]],
    lambda line, chance: [line[:-1]],
    lambda line, chance: [line[: len(line) // 2] + chance.choice("aZ09- :,=") + line[len(line) // 2 :]],
    lambda line, chance: [line.lower()],
    lambda line, chance: [line.upper()],
    lambda line, chance: [line.partition(":")[0] + ": " + chance.choice(VALUES)],
    lambda line, chance: [chance.choice(["add:", "replace:", "delete:"]) + line.partition(":")[2]],
]  # fmt: skip


def mutated(text: str, chance: random.Random) -> str:
    lines = text.splitlines()
    for _ in range(chance.choice((1, 1, 2, 3))):
        position = chance.randrange(len(lines)) if lines else 0
        lines[position : position + 1] = chance.choice(SLIPS)("".join(lines[position : position + 1]), chance)
    return "\n".join([*lines, ""])


def passes(text: str, source: LdapSource) -> bool:
    file = parse_ldif(text, "a.ldif")
    found = lint([file], directory_for([file], source), check_rule=rule_problems, expand=str)
    return bool(file.records) and not any(finding.is_error or finding.problem.reason in ours(text) for finding in found)


def ours(text: str) -> set[str]:
    """What servers carry out and lint does not judge."""
    return {fault.reason for fault in parse_ldif(text, "").faults if fault.is_ours}


@pytest.fixture
def quickstart(slapd_factory: SlapdFactory) -> Slapd:
    return slapd_factory(content=[short_quickstart()])


@pytest.mark.parametrize("seed", range(2))
def test_slapd_takes_what_lint_lets_pass(quickstart: Slapd, seed: int) -> None:
    source = LdapSource([f"{quickstart.url}/{BASE_DN}"])
    chance = random.Random(seed)
    texts = [path.read_text("utf-8") for path in sorted(OUR_LDIF.rglob("*.ldif")) if path.name != "quickstart.ldif"]
    passed = 0
    for _ in range(TEXTS_PER_SEED):
        text = mutated(chance.choice(texts), chance)
        for candidate in (text, fix_ldif(text).text):
            if passes(candidate, source):
                passed += 1
                taken = quickstart.ldapmodify(candidate)
                assert taken.returncode == 0, f"{taken.stderr}\n{candidate}"
    assert passed
