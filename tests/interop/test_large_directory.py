"""A directory of thousands of devices costs no more than the device that is ours. Counted, by slapd itself; how long it
takes is measured by scripts/bench_config.py."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dcm4py_leading.composition.check import check
from dcm4py_leading.composition.site import Site
from dcm4py_leading.config.remote import RemoteAEResolver
from dcm4py_leading.model.device import Device
from scripts.bench_config import ae_title, large_tree, measure, site_of
from tests.fixtures.slapd import OUR_LDIF, Served, Slapd, require_slapd

pytestmark = pytest.mark.peers

DEVICES, AES = 2_000, 5_000
PAGE = 250
"""How many entries the service asks for at once."""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    require_slapd()
    with Slapd(tmp_path_factory.mktemp("slapd"), content=large_tree(DEVICES, AES)) as slapd:
        assert slapd.ldapmodify(OUR_LDIF / "leading-cfind-scp.ldif").returncode == 0
        yield slapd


@pytest.fixture
def site(large: Slapd, tmp_path: Path) -> Site:
    return site_of(large, tmp_path)


def served_for(slapd: Slapd, work: Callable[[], object]) -> Served:
    """What the server answered meanwhile, less its answers to our own questions."""
    before = slapd.served()
    work()
    after = slapd.served()
    return (after - before) - (slapd.served() - after)


def test_a_load_reads_our_device_and_the_aes_that_its_rules_name(large: Slapd, site: Site) -> None:
    device = site.source.read_device(site.device_name)
    named = [site.source.read_ae(title) for title in ("QRSCP", "STORESCP")]

    loaded = served_for(large, lambda: check(site))

    # The root and our device, page by page; the root again, whoever has our titles; for each title that the rule
    # names the root again, the AE of that title, its device.
    assert loaded.searches == 1 + math.ceil(len(device) / PAGE) + 2 + 2 * 3
    assert loaded.entries == (1 + len(device)) + (1 + 1) + sum(1 + 1 + len(found) for found in named)
    assert served_for(large, lambda: check(site)) == loaded


def test_a_remote_ae_is_one_look_up_of_its_device_alone_and_then_none(large: Slapd, site: Site) -> None:
    resolver = RemoteAEResolver(site.source, None)
    last = ae_title(AES - 1)
    aes_of_its_device = len(range((AES - 1) % DEVICES, AES, DEVICES))

    first = served_for(large, lambda: resolver.resolve(last))

    # The root, the AE; its device, connection and AEs, without what they can transfer.
    assert first == Served(searches=3, entries=1 + 1 + 2 + aes_of_its_device)
    assert served_for(large, lambda: resolver.resolve(last)) == Served(searches=0, entries=0)
    found = resolver.resolve(last)
    assert found is not None
    assert found.connections[0].port == 104


def test_missing_ae_is_looked_up_once(large: Slapd, site: Site) -> None:
    resolver = RemoteAEResolver(site.source, None)

    assert served_for(large, lambda: resolver.resolve("NOBODY")) == Served(searches=2, entries=1)
    assert served_for(large, lambda: resolver.resolve("NOBODY")) == Served(searches=0, entries=0)


def test_nothing_of_a_load_outlives_the_next(site: Site) -> None:
    def devices() -> int:
        gc.collect()
        return sum(isinstance(found, Device) for found in gc.get_objects())

    checked = check(site)
    held = devices()
    for _ in range(20):
        checked = check(site)
    assert checked.snapshot.device.device_name == site.device_name
    assert devices() == held


def test_the_measurement_tells_what_it_measured(tmp_path: Path) -> None:
    require_slapd()

    result = measure(4, 10, tmp_path, reloads=2)

    # The quickstart's 370 entries, the rule; a device has a connection, an AE its reservation and two capabilities.
    assert result.entries == 370 + 1 + 4 * 2 + 10 * 4
    assert (result.devices, result.aes, result.searches_per_load) == (4, 10, 11)
    assert result.reload_median <= result.reload_worst
