"""One tree in many spellings is one configuration: a server may return any of them, an administrator may write it."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

import pytest

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.ldif.source import LdifSource
from dcm4py_leading.config.loader import load_device, load_remote_ae
from dcm4py_leading.config.report.show import describe
from dcm4py_leading.config.snapshot import fingerprint
from dcm4py_leading.errors import Problem
from tests.fixtures import trees
from tests.fixtures.respelt import respelt
from tests.fixtures.slapd import OUR_LDIF, Upstream

FILES = (OUR_LDIF / "quickstart.ldif", OUR_LDIF / "leading-cfind-scp.ldif")
DEVICE = "dcm4chee-arc"


@cache
def written(*files: Path) -> tuple[Entry, ...]:
    return LdifSource(files).read_device(DEVICE)


def told(problems: list[Problem]) -> set[tuple[str | None, str]]:
    # At which of the entries a name that stands in several is told is the order's business.
    return {(problem.attribute and problem.attribute.lower(), problem.reason) for problem in problems}


@pytest.mark.parametrize("seed", range(10))
def test_quickstart_is_the_same_configuration_in_any_spelling(seed: int) -> None:
    plain, _ = load_device(written(*FILES), DEVICE)
    other, problems = load_device(respelt(written(*FILES), random.Random(seed)), DEVICE)
    assert problems == []
    assert other == plain
    assert fingerprint(other) == fingerprint(plain)


@pytest.mark.parametrize("seed", range(10))
def test_leading_archive_is_called_at_the_same_place_in_any_spelling(seed: int) -> None:
    entries = LdifSource(FILES).read_ae("QRSCP")
    assert load_remote_ae(respelt(entries, random.Random(seed)), "QRSCP") == load_remote_ae(entries, "QRSCP")


@pytest.mark.parametrize("seed", range(3))
def test_stock_tree_is_the_same_configuration_in_any_spelling(upstream: Upstream, seed: int) -> None:
    plain, plain_problems = load_device(written(*upstream.stock_content), DEVICE, str)
    other, problems = load_device(respelt(written(*upstream.stock_content), random.Random(seed)), DEVICE, str)
    assert other == plain
    assert plain is not None
    assert other is not None
    assert fingerprint(other) == fingerprint(plain)
    assert told(problems) == told(plain_problems)
    assert describe(other).keys() == describe(plain).keys()


@pytest.mark.ldap("dicomInstalled")
@pytest.mark.parametrize("value", ["FALSE", "false", "FALSE ", "False"])
def test_attribute_set_that_is_not_installed_is_passed_over_in_any_spelling(value: str) -> None:
    leading = trees.entry(
        f"dcmAttributeSetID=x+dcmAttributeSetType=LEADING_CFIND_SCP,{trees.DEVICE}",
        "dcmAttributeSet",
        dcmAttributeSetID="x",
        dcmAttributeSetType="LEADING_CFIND_SCP",
        dcmTag="00100010",
        dicomInstalled=value,
    )
    device, problems = load_device([trees.device(), leading], DEVICE)
    assert problems == []
    assert device is not None
    assert device.archive.attribute_sets == ()
