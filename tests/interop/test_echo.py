"""The echo service with DCMTK's servers as peers."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.fixtures.dcmtk import DcmQrScp, StoreScp
from tests.fixtures.dcmtk import Peer as Destination
from tests.fixtures.service import AE, Seed

pytestmark = pytest.mark.peers

ECHO = "/dcm4chee-arc/aets/{}/dimse/{}"


def test_a_peer_of_the_directory_answers(seed: Seed, http: httpx.Client, tmp_path: Path) -> None:
    with StoreScp(tmp_path / "scp", port=seed.viewer_port):
        answer = http.post(ECHO.format("DCM4CHEE", "STORESCP"))
    assert answer.status_code == 200
    assert answer.json().keys() == {"result", "connectionTime", "echoTime", "releaseTime"}
    assert answer.json()["result"] == "0"
    assert all(isinstance(value, str) and value.isdecimal() for value in answer.json().values())


def test_a_peer_that_is_down_is_not_connected(http: httpx.Client) -> None:
    answer = http.post(ECHO.format("DCM4CHEE", "STORESCP"))
    assert (answer.status_code, answer.json()["result"]) == (200, "2")
    assert "STORESCP" in answer.json()["errorMessage"]


def test_a_peer_that_does_not_know_us_rejects(seed: Seed, http: httpx.Client, tmp_path: Path) -> None:
    known = Destination(ae_title="SOMEBODY", port=104)
    with DcmQrScp(tmp_path / "scp", port=seed.leading_port, destinations=[known], callers=["SOMEBODY"]):
        answer = http.post(ECHO.format("DCM4CHEE", "QRSCP"))
    assert (answer.status_code, answer.json()["result"]) == (200, "3")
    assert "rejected" in answer.json()["errorMessage"]


def test_another_title_of_ours_may_call_and_the_address_may_be_said(
    seed: Seed, http: httpx.Client, tmp_path: Path
) -> None:
    seed.set(AE, dcmOtherAETitle="OTHERTITLE")
    seed.service.reload()
    with StoreScp(tmp_path / "scp") as somewhere:
        address = {"host": "127.0.0.1", "port": str(somewhere.port)}
        answer = http.post(ECHO.format("OTHERTITLE", "NOT-CONFIGURED"), params=address)
    assert answer.json()["result"] == "0"


@pytest.mark.parametrize(("local", "remote"), [("NOBODY", "STORESCP"), ("DCM4CHEE", "NOBODY")])
def test_aes_that_nobody_knows_are_not_found(http: httpx.Client, local: str, remote: str) -> None:
    answer = http.post(ECHO.format(local, remote))
    assert answer.status_code == 404
    assert "NOBODY" in answer.json()["errorMessage"]


def test_invalid_ae_title_is_not_found(http: httpx.Client) -> None:
    answer = http.post(ECHO.format("DCM4CHEE", "A" * 17))
    assert answer.status_code == 404
    assert "16 characters" in answer.json()["errorMessage"]


def test_an_echo_works_while_dicom_is_stopped(seed: Seed, http: httpx.Client, tmp_path: Path) -> None:
    http.post("/dcm4chee-arc/ctrl/stop")
    with StoreScp(tmp_path / "scp", port=seed.viewer_port):
        assert http.post(ECHO.format("DCM4CHEE", "STORESCP")).json()["result"] == "0"
