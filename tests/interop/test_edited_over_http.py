"""The running program, edited over HTTP: what is saved stands in the files, and is in force after a reload."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests.fixtures.service import DEVICE, Seed
from tests.fixtures.workers import Served

RULES = "/dcm4chee-arc/devices/dcm4chee-arc/coercions"
RULE = {
    "objectClass": "dcmArchiveAttributeCoercion",
    "cn": "By hand",
    "dcmDIMSE": "C_FIND_RSP",
    "dicomTransferRole": "SCU",
    "dcmLeadingCFindSCP": "QRSCP",
    "dcmRulePriority": 3,
}


def fingerprint_of(service: Served) -> str:
    return str(service.http.get("/dcm4py-leading/configuration").json()["fingerprint"])


@pytest.mark.parametrize("workers", [1, 2])
def test_rule_that_is_saved_is_in_the_file_and_after_a_reload_in_force(seed: Seed, workers: int) -> None:
    seed.lead()
    tree, changes = seed.directory / "tree.ldif", seed.directory / "changes.ldif"
    before, as_it_was = tree.read_text(), changes.read_text()
    with ExitStack() as running:
        service = Served(seed, running, workers=workers, options=["--ldif-writable"]).await_ready()
        fingerprint = fingerprint_of(service)

        made = service.http.post(RULES, json=RULE)
        assert made.is_success, made.text
        assert tree.read_text() == before
        kept, added = changes.read_text().split(f"\ndn: cn=By hand,{DEVICE}\nchangetype: add\n")
        assert kept == as_it_was
        assert sorted(added.splitlines()) == sorted(f"{name}: {value}" for name, value in RULE.items())
        assert fingerprint_of(service) == fingerprint

        assert service.http.post("/dcm4chee-arc/ctrl/reload").is_success
        assert fingerprint_of(service) != fingerprint
        assert service.http.post(RULES, json=RULE).status_code == 409
        assert service.http.delete(f"{RULES}/By hand").is_success
        assert changes.read_text().rstrip() == as_it_was.rstrip()
        assert service.http.post("/dcm4chee-arc/ctrl/reload").is_success
        assert fingerprint_of(service) == fingerprint
    assert f"directory changed by loopback: add cn=By hand,{DEVICE}" in service.told()


def test_files_stay_as_they_are_without_the_option(seed: Seed) -> None:
    changes = seed.directory / "changes.ldif"
    before = changes.read_text()
    with ExitStack() as running:
        service = Served(seed, running, workers=1).await_ready()
        assert service.http.post(RULES, json=RULE).status_code == 403
    assert changes.read_text() == before
