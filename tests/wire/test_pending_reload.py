"""What a reload would change: told from the directory as it is now, and nothing is done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from dcm4py_leading.web.app import create_app
from tests.fixtures.http import served
from tests.fixtures.service import AE, CONNECTION, DEVICE, Seed

PENDING, RUNNING, RELOAD = (
    "/dcm4py-leading/configuration/pending",
    "/dcm4py-leading/configuration",
    "/dcm4chee-arc/ctrl/reload",
)


@pytest.fixture
def http(seed: Seed) -> Iterator[httpx.Client]:
    with served(app=create_app(seed.start())) as client:
        yield client


def pending(http: httpx.Client) -> dict[str, Any]:
    told: dict[str, Any] = http.get(PENDING).json()
    return told


def test_nothing_is_pending_after_a_start_or_a_reload(seed: Seed, http: httpx.Client) -> None:
    for _ in range(2):
        told = pending(http)
        assert (told["canBeReloaded"], told["differences"], told["failure"]) == (True, [], None)
        assert told["fingerprint"] == http.get(RUNNING).json()["fingerprint"]
        seed.set(AE, dicomDescription="another")
        assert http.post(RELOAD).status_code == 204


def test_a_change_is_told_until_it_is_in_force(seed: Seed, http: httpx.Client) -> None:
    before = http.get(RUNNING).json()
    seed.set(DEVICE, dcmLeadingCFindSCPQueryCacheSize="7")
    seed.lead()
    told = pending(http)
    assert told["canBeReloaded"] is True
    assert told["fingerprint"] != before["fingerprint"]
    changes = {(difference["objectClass"], difference["attribute"]) for difference in told["differences"]}
    assert ("dcmArchiveAttributeCoercion", None) in changes
    assert "dcmLeadingCFindSCPQueryCacheSize" in {attribute for _, attribute in changes}
    assert http.get(RUNNING).json() == before
    assert http.post(RELOAD).status_code == 204
    assert http.get(RUNNING).json()["fingerprint"] == told["fingerprint"]


def test_pending_refusal_is_told_with_its_problems_and_is_no_failed_reload(seed: Seed, http: httpx.Client) -> None:
    seed.set(DEVICE, dcmLimitOpenAssociations="many")
    seed.set(CONNECTION, dicomPort="port")
    told = pending(http)
    assert (told["canBeReloaded"], told["fingerprint"], told["differences"]) == (False, None, [])
    assert {problem["attribute"] for problem in told["problems"]} == {"dcmLimitOpenAssociations", "dicomPort"}
    running = http.get(RUNNING).json()
    assert (running["lastFailedReload"], running["degraded"]) == (None, [])
    assert http.get("/health/ready").json()["status"] == "UP"


def test_a_directory_that_cannot_be_read_is_told(seed: Seed, http: httpx.Client) -> None:
    (seed.directory / "tree.ldif").unlink()
    told = pending(http)
    assert told["canBeReloaded"] is False
    assert "tree.ldif" in told["failure"]


def test_running_service_tells_its_source_and_a_failed_reload(seed: Seed, http: httpx.Client) -> None:
    running = http.get(RUNNING).json()
    assert running["dicomDeviceName"] == "dcm4chee-arc"
    assert "tree.ldif" in running["source"]
    assert (running["isListening"], running["isLastGood"], running["isFollowed"]) == (True, False, False)
    seed.set(DEVICE, dcmLimitOpenAssociations="many")
    assert http.post(RELOAD).status_code == 409
    running = http.get(RUNNING).json()
    assert "dcmLimitOpenAssociations" in running["lastFailedReload"]["error"]
    assert running["degraded"]
